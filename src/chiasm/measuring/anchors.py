"""Anchors: the samples of each source that a measurement pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.randomness import generator

Samples = Tensor | NDArray[Any]


@final
@dataclass(frozen=True, slots=True)
class Anchors:
    """The drawn samples.

    Attributes:
        values: (anchors, *shape) by source, where the model is and in its floating dtype.
        wanted: how many were asked for, a source each.
        samples: how many there were.
    """

    values: dict[str, Tensor]
    wanted: tuple[int, int]
    samples: int

    @property
    def counts(self) -> tuple[int, int]:
        """How many were drawn of each source."""
        first, second = (len(x) for x in self.values.values())
        return first, second


def draw(model: nn.Module, sources: Mapping[str, Samples], anchors: int | tuple[int, int], seed: int) -> Anchors:
    """Draw anchors of two sources, without replacement and independently of each other.

    The draw of a source depends on the seed and its name alone, so that the order of the sources changes nothing but
    the sign of RSV.

    Raises:
        ChiasmError: not two sources, unequal or too small numbers of samples, no number of anchors, NaN in a source.
    """
    if len(sources) != 2:
        given = ", ".join(sources) or "none"
        raise ChiasmError(f"two sources are measured at present; {len(sources)} were given: {given}")
    wanted = tuple(anchors) if isinstance(anchors, tuple | list) else (anchors, anchors)
    if len(wanted) != 2 or not all(isinstance(n, int) and n >= 2 for n in wanted):
        raise ChiasmError(
            f"anchors = {anchors!r}; give a whole number of 2 or more, or one for each of the two sources"
        )
    lengths = {name: _length(name, x) for name, x in sources.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise ChiasmError(f"sources must have the same number of samples; given: {told}")
    samples = next(iter(lengths.values()))
    if samples < 2:
        raise ChiasmError(f"{samples} sample{'' if samples == 1 else 's'} cannot vary; give 2 or more of each source")
    device, dtype = _home(model)
    values = {}
    for (name, x), count in zip(sources.items(), wanted, strict=True):
        index = torch.randperm(samples, generator=generator(seed, f"anchors {name}"))[:count]
        chosen = x.detach()[index.to(x.device)] if isinstance(x, Tensor) else torch.from_numpy(x[index.numpy()])
        chosen = chosen.to(device or chosen.device)
        if chosen.is_floating_point():
            if not chosen.isfinite().all():
                raise ChiasmError(f"source '{name}' holds NaN or infinity; remove those samples")
            chosen = chosen.to(dtype or chosen.dtype)
        values[name] = chosen
    return Anchors(values, wanted, samples)


def _length(name: str, x: Samples) -> int:
    if not isinstance(x, Tensor | np.ndarray):
        raise ChiasmError(
            f"source '{name}' is a {type(x).__name__}; give a torch tensor or a numpy array, samples first"
        )
    if isinstance(x, np.ndarray) and x.dtype.kind not in "fiub":
        raise ChiasmError(f"source '{name}' has the type {x.dtype}; numbers would do")
    if x.ndim == 0:
        raise ChiasmError(f"source '{name}' is a single number; its first axis must be samples")
    return len(x)


def _home(model: nn.Module) -> tuple[torch.device | None, torch.dtype | None]:
    """Return where the model's parameters and buffers are, and the floating dtype of the first of them that has one."""
    held = [*model.parameters(), *model.buffers()]
    floating = [x.dtype for x in held if x.is_floating_point()]
    return (held[0].device if held else None), (floating[0] if floating else None)
