"""Occlude: a block of a source hidden, in a new place for every sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from chiasm.deficits.arguments import baseline_of, is_number, require, require_source, source_of
from chiasm.deficits.deficit import Deficit
from chiasm.deficits.positions import Dims, extent, require_dims
from chiasm.sources import Batch


@final
@dataclass(frozen=True, slots=True)
class Occlude(Deficit):
    """Set one contiguous block of a source to its baseline, at a place drawn uniformly for every sample.

    The block is a segment of round(share * L) positions, or in two dimensions the most nearly square rectangle that
    fits, of round(share * H * W) positions to within half its height; at least one position. Channels and frames
    of a sample are hidden at the same place.

    Attributes:
        source: the source.
        share: the share of its positions that is hidden, in (0, 1].
        dims: how many of the last axes are positions, 1 or 2; None: two of (n, H, W) and of anything with more axes,
            one of (n, L).

    Raises:
        ChiasmError: when made, for a share or dims out of range; when called, for an unknown source.

    >>> batch = Batch({"left": torch.ones(1, 4)}, torch.zeros(1, dtype=torch.int64), {"left": torch.zeros(4)})
    >>> Occlude("left", 0.5)(batch, torch.Generator().manual_seed(0)).sources["left"].sum()
    tensor(2.)
    """

    source: str
    share: float
    dims: Dims | None = None
    tag: ClassVar[str] = "occlude"
    verb: ClassVar[str] = "occluding"
    colour: ClassVar[str] = "MUTED"
    hatch: ClassVar[str] = "||||"
    example: ClassVar[str] = "occlude(right, 0.5)"

    def __post_init__(self) -> None:
        require_source(self.tag, "source", self.source)
        ok = is_number(self.share) and 0 < self.share <= 1
        require(ok, self.tag, "share", self.share, "a number above 0, up to 1")
        require_dims(self.tag, self.dims)

    @property
    def needs_baseline(self) -> bool:
        return True

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        x = source_of(batch, self.source, self.tag)
        size = extent(x, self.dims, self.tag, self.source)
        hidden = torch.ones((len(x),) + (1,) * len(size), dtype=torch.bool, device=x.device)
        for axis, (whole, length) in enumerate(zip(size, _block(size, self.share), strict=True)):
            along = _segment(len(x), whole, length, generator).to(x.device)
            hidden = hidden & along.reshape((len(x),) + (1,) * axis + (whole,) + (1,) * (len(size) - axis - 1))
        hidden = hidden.reshape((len(x),) + (1,) * (x.ndim - hidden.ndim) + size)
        return batch.with_source(self.source, torch.where(hidden, baseline_of(batch, self.source), x))


def _block(size: tuple[int, ...], share: float) -> tuple[int, ...]:
    if len(size) == 1:
        return (max(1, round(share * size[0])),)
    high, wide = size
    area = max(1, round(share * high * wide))
    h = min(max(round(area**0.5), 1), high)
    w = max(round(area / h), 1)
    return (h, w) if w <= wide else (min(max(round(area / wide), 1), high), wide)  # too wide: as wide as can be


def _segment(n: int, whole: int, length: int, generator: torch.Generator) -> Tensor:
    """Return (n, whole) booleans: a run of `length` True, at a start drawn uniformly for each of n samples."""
    start = torch.randint(whole - length + 1, (n, 1), generator=generator, device=generator.device)
    place = torch.arange(whole, device=generator.device)
    return (place >= start) & (place < start + length)
