"""Measurements of units with known effects, for the tests of their pictures and their report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

import chiasm
from chiasm.measuring import Measurement

#: Sources, (samples, 1) each, to units, (samples, units) or with positions.
Units = Callable[..., Tensor]
NAMES = ("left", "right", "touch", "sound", "smell", "taste")


class Layers(nn.Module):
    """A model whose layers are whatever functions of its sources a test wants."""

    def __init__(self, units: Mapping[str, Units]) -> None:
        super().__init__()
        self.units = dict(units)
        for name in units:
            self.add_module(name, nn.Identity())

    def forward(self, sources: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([self.get_submodule(n)(f(*sources.values())).sum() for n, f in self.units.items()])


def measured(
    units: Mapping[str, Units], sources: int | Sequence[str] = 2, anchors: int = 256, per: str = "channel"
) -> Measurement:
    """Measure layers of normal sources of variance 1."""
    names = NAMES[:sources] if isinstance(sources, int) else sources
    data = {name: torch.randn(1000, 1, generator=torch.Generator().manual_seed(i)) for i, name in enumerate(names)}
    return chiasm.measure(
        Layers(units), data, list(units), anchors=anchors, per=per, check_dependence=False,  # type: ignore[arg-type]
        forward=lambda model, given: model(given),
    )  # fmt: skip


def mixed(a: Tensor, b: Tensor) -> Tensor:
    """Units: left only, right only, their sum, their product, a dead one."""
    return torch.cat([a, b, a + b, a * b, 0 * a], 1)


def weights(n: int, sources: int = 2) -> Units:
    """Many linear units, whose weights go evenly from the first source to the last, the first one dead."""
    w = torch.linspace(0, 1, n)
    w[0] = 0

    def units(*x: Tensor) -> Tensor:
        made = w * x[0] + (1 - w) * x[-1] + sum(0.3 * (k + 1) * w * (1 - w) * y for k, y in enumerate(x[1:-1]))
        return made * (torch.arange(n) > 0)

    return units
