"""Sources cut into patches, the tokens of a transformer and the pieces that can be hidden."""

from __future__ import annotations

from math import prod

from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.sources import Source


class Patches:
    """How a source is cut: a vector into runs, a sequence into spans of time, a picture into squares, frame by frame.

    Args:
        source: the source.
        size: numbers of a run, times of a span, or pixels of a square's side; 0 leaves a vector and a sequence's single
            time, or a picture, whole.

    Attributes:
        grid: how many patches along each axis that is cut.
        count: how many patches there are.
        numbers: how many numbers a patch holds.

    Raises:
        ChiasmError: the size does not divide the source.

    >>> import torch
    >>> cut = Patches(Source("a", (1, 4, 6), "image"), 2)
    >>> cut.grid, cut.numbers
    ((2, 3), 4)
    >>> cut.split(torch.arange(24.0).view(1, 1, 4, 6))[0, 1].tolist()
    [2.0, 3.0, 8.0, 9.0]
    """

    def __init__(self, source: Source, size: int) -> None:
        shape = source.shape
        if source.kind == "vector":
            self._view: tuple[int, ...] = (1, prod(shape))
            cut: tuple[int, ...] = (size or prod(shape),)
        elif source.kind == "sequence":
            self._view = (prod(shape[1:]), shape[0])
            cut = (size or 1,)
        else:
            frames = shape[0] if source.kind == "video" else 1
            channels = prod(shape[:-2]) // frames
            self._view = (channels, frames, *shape[-2:])
            cut = (1, *((size, size) if size else shape[-2:]))
        self._time_first = source.kind in ("sequence", "video")  # channels come after it
        axes = self._view[1:]
        for length, piece in zip(axes, cut, strict=True):
            if length % piece:
                raise ChiasmError(
                    f"source '{source.name}' of shape {shape} cannot be cut into patches of {size}; expected a size "
                    f"that divides {length}"
                )
        self.source = source
        self._cut = cut
        whole = tuple(length // piece for length, piece in zip(axes, cut, strict=True))
        self.grid = whole[1:] if source.kind == "image" else whole
        self._grid = whole
        self.count = prod(whole)
        self.numbers = self._view[0] * prod(cut)

    def split(self, x: Tensor) -> Tensor:
        """Cut samples into patches: (..., *shape) -> (..., count, numbers)."""
        front = x.shape[: x.dim() - len(self.source.shape)]
        x = self._channels_first(x, len(front))
        pairs = [n for both in zip(self._grid, self._cut, strict=True) for n in both]
        x = x.reshape(*front, self._view[0], *pairs)
        at, axes = len(front), len(self._grid)
        grid = [at + 1 + 2 * i for i in range(axes)]
        inside = [at + 2 + 2 * i for i in range(axes)]
        return x.permute(*range(at), *grid, at, *inside).reshape(*front, self.count, self.numbers)

    def join(self, patches: Tensor) -> Tensor:
        """Put patches together again: (..., count, numbers) -> (..., *shape)."""
        front = patches.shape[:-2]
        at, axes = len(front), len(self._grid)
        x = patches.reshape(*front, *self._grid, self._view[0], *self._cut)
        order = [n for i in range(axes) for n in (at + i, at + axes + 1 + i)]
        x = x.permute(*range(at), at + axes, *order).reshape(*front, *self._view)
        if self._time_first:
            x = x.movedim(at, at + 1)
        return x.reshape(*front, *self.source.shape)

    def spread(self, marks: Tensor) -> Tensor:
        """Spread a mark a patch over all its numbers: (..., count) -> (..., *shape)."""
        return self.join(marks.unsqueeze(-1).expand(*marks.shape, self.numbers))

    def _channels_first(self, x: Tensor, at: int) -> Tensor:
        front = x.shape[:at]
        if self._time_first:
            channels, times, *size = self._view
            return x.reshape(*front, times, channels, *size).movedim(at, at + 1)
        return x.reshape(*front, *self._view)
