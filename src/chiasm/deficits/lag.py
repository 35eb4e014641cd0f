"""Lag: a source that comes late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from chiasm.deficits.arguments import is_whole, require, require_source, source_of
from chiasm.deficits.deficit import Deficit
from chiasm.errors import ChiasmError
from chiasm.sources import Batch


@final
@dataclass(frozen=True, slots=True)
class Lag(Deficit):
    """Delay a source by k frames: at time t it shows t - k, and before that its frame 0.

    Attributes:
        source: the source, a sequence or a video: (samples, time, ...).
        k: the delay in frames, 1 or more, less than the length (checked at the call).

    Raises:
        ChiasmError: when made, for a k out of range; when called, for an unknown source, one without a time axis, or
            a k that leaves nothing.

    >>> batch = Batch({"gyro": torch.arange(4.0)[None]}, torch.zeros(1, dtype=torch.int64), {})
    >>> Lag("gyro", 1)(batch, torch.Generator()).sources["gyro"]
    tensor([[0., 0., 1., 2.]])
    """

    source: str
    k: int
    tag: ClassVar[str] = "lag"
    verb: ClassVar[str] = "delaying"
    colour: ClassVar[str] = "MUTED"
    hatch: ClassVar[str] = "----"
    example: ClassVar[str] = "lag(right, 1)"
    pointwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_source(self.tag, "source", self.source)
        require(is_whole(self.k) and self.k >= 1, self.tag, "k", self.k, "a whole number of frames, 1 or more")

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        x = source_of(batch, self.source, self.tag)
        length = x.shape[1] if x.ndim > 1 else 1
        if self.k >= length:
            raise ChiasmError(
                f"lag: k is {self.k} but source '{self.source}' is only {length} frames long; expected less than that"
            )
        shown = (torch.arange(length, device=x.device) - self.k).clamp(min=0)
        return batch.with_source(self.source, x.index_select(1, shown))
