"""Lag: a source that comes late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from chiasm.deficits.arguments import is_whole, require, require_source, source_of, written
from chiasm.deficits.deficit import Deficit, Together
from chiasm.errors import ChiasmError
from chiasm.sources import Batch


@final
@dataclass(frozen=True, slots=True)
class Lag:
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
    name: ClassVar[str] = "lag"
    frozen: ClassVar[tuple[str, ...]] = ()
    pointwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_source(self.name, "source", self.source)
        require(is_whole(self.k) and self.k >= 1, self.name, "k", self.k, "a whole number of frames, 1 or more,")

    @property
    def touches(self) -> tuple[str, ...]:
        return (self.source,)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        x = source_of(batch, self.source, self.name)
        length = x.shape[1] if x.ndim > 1 else 1
        if self.k >= length:
            raise ChiasmError(
                f"lag: k is {self.k} but source '{self.source}' is only {length} frames long; less than that would do"
            )
        shown = (torch.arange(length, device=x.device) - self.k).clamp(min=0)
        return batch.with_source(self.source, x.index_select(1, shown))

    def __add__(self, other: Deficit) -> Together:
        return Together((self, other))

    def __str__(self) -> str:
        return written(self)
