"""Two deep linear pathways that meet in a sum, many such networks side by side, and one step of their descent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from chiasm.randomness import generator
from chiasm.theory.arguments import check_int
from chiasm.theory.chain import REAL, outputs, pull_back


@dataclass(frozen=True)
class FusionLayers:
    """How deep and how wide: W_s = (product of the shared layers) (product of the own layers of source s).

    Attributes:
        own: layers of each pathway that the other does not share, at least 1.
        shared: layers after the sum, 0 or more.
        width: of every hidden layer, at least the number of features.

    Raises:
        ChiasmError: a depth or the width is too small.

    >>> FusionLayers(own=2, shared=1).shapes(4)
    [(24, 4), (24, 24), (4, 24)]
    """

    own: int = 3
    shared: int = 0
    width: int = 24

    def __post_init__(self) -> None:
        check_int("own", self.own)
        check_int("shared", self.shared, 0)
        check_int("width", self.width)

    @property
    def depth(self) -> int:
        """All layers between a source and the output."""
        return self.own + self.shared

    @property
    def name(self) -> str:
        """The layers in words: "3", or "2 + 1 shared"."""
        return f"{self.own} + {self.shared} shared" if self.shared else f"{self.own}"

    def shapes(self, features: int) -> list[tuple[int, int]]:
        """Return (outputs, inputs) of each layer, the first layer first."""
        widths = [features, *[self.width] * (self.depth - 1), features]
        return [(out, into) for into, out in pairwise(widths)]

    def draw(self, seed: int, features: int) -> list[Tensor]:
        """Draw layers of scale 1: N(0, 1) / sqrt(the larger of inputs and outputs).

        Times scale^(1 / depth) they make products of about `scale`. Layer k of source s comes from the stream
        (seed, "fusion", s, k), a shared one from (seed, "fusion shared", 0, k).

        Returns:
            A tensor a layer: (2, outputs, inputs) for own layers, (1, outputs, inputs) for shared ones, float64.
        """
        layers = []
        for k, shape in enumerate(self.shapes(features)):
            purpose, sources = ("fusion", 2) if k < self.own else ("fusion shared", 1)
            streams = [generator(seed, purpose, source, k) for source in range(sources)]
            drawn = [torch.randn(shape, generator=stream, dtype=REAL) for stream in streams]
            layers.append(torch.stack(drawn) / max(shape) ** 0.5)
        return layers


class Rows:
    """Rows of networks with the same layers, each row with weights, data and weight decay of its own.

    Everything is float64 on the CPU and lies (sources, rows, outputs, inputs); shared layers have 1 source.
    """

    def __init__(
        self, layers: FusionLayers, weights: Sequence[Tensor], seconds: Tensor, target: Tensor, decay: Tensor,
        step: Tensor,
    ) -> None:  # fmt: skip
        """Create rows from weights, a tensor (2 or 1, rows, outputs, inputs) a layer, changed in place.

        The second moments of the sources are (rows, 2, 2), their moments with the target (rows, 2), weight decay and
        the length of a step (rows,).
        """
        self.layers, self.weights = layers, list(weights)
        # Minus a step along the gradient of the maps is own * maps + cross * the other source's map + aim.
        turned = torch.diagonal(seconds, dim1=1, dim2=2), seconds[:, 0, 1:].expand(-1, 2), target
        self.own, self.cross, aim = ((-step * m.T)[..., None, None] for m in turned)
        self.aim = -aim * torch.eye(self.weights[0].shape[3], dtype=REAL)
        self.kept = (1 - step * decay)[:, None, None]

    def maps(self) -> Tensor:
        """Return W_a and W_b, (2, rows, features, features)."""
        return self._forward(self.weights)[1]

    def descend(self) -> None:
        """Take one step of gradient descent on the loss with the penalty decay / 2 |weights|^2."""
        for layer, fall in zip(self.weights, self._falls(self.weights), strict=True):
            torch.addcmul(fall, layer, self.kept, out=layer)

    def flow(self) -> None:
        """Follow gradient flow for one step, by the classical Runge-Kutta method of fourth order."""
        start, total = self.weights, [torch.zeros_like(w) for w in self.weights]
        at = start
        for share, onward in ((1 / 6, 0.5), (1 / 3, 0.5), (1 / 3, 1.0), (1 / 6, 0.0)):
            changes = [fall + w * (self.kept - 1) for w, fall in zip(at, self._falls(at), strict=True)]
            for some, change in zip(total, changes, strict=True):
                some.add_(change, alpha=share)
            at = [torch.add(w, change, alpha=onward) for w, change in zip(start, changes, strict=True)]
        for layer, change in zip(start, total, strict=True):
            layer.add_(change)

    def _forward(self, weights: Sequence[Tensor]) -> tuple[list[Tensor | None], Tensor]:
        """Return the input of each layer, None for the identity, and the maps."""
        own = self.layers.own
        *passed, last = outputs(weights[:own])
        inputs = [None, *passed]
        if not self.layers.shared:
            return inputs, last
        joined = _join(last)
        *passed, last = outputs(weights[own:], joined)
        return [*inputs, joined, *passed], _separate(last)

    def _falls(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Return step times minus the gradient of each layer."""
        own = self.layers.own
        after: list[Tensor] = []
        inputs, maps = self._forward(weights)
        delta = torch.addcmul(self.aim, self.own, maps).addcmul_(self.cross, maps.flip(0))
        if self.layers.shared:
            after, delta = pull_back(weights[own:], inputs[own:], _join(delta))
            delta = _separate(delta)
        return pull_back(weights[:own], inputs[:own], delta)[0] + after


def _join(x: Tensor) -> Tensor:
    """(2, rows, n, features) as (1, rows, n, 2 features): a shared layer sees both sources' columns."""
    return torch.cat([x[0], x[1]], -1)[None]


def _separate(x: Tensor) -> Tensor:
    return torch.stack(x[0].chunk(2, -1))
