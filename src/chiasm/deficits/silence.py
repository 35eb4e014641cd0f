"""Silence: a source that says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from chiasm.deficits.arguments import baseline_of, require_source, source_of, written
from chiasm.deficits.deficit import Deficit, Together
from chiasm.sources import Batch


@final
@dataclass(frozen=True, slots=True)
class Silence:
    """Show the baseline of a source, its mean over the training distribution, in every sample.

    Attributes:
        source: the source.

    Raises:
        ChiasmError: when called, for an unknown source.

    >>> batch = Batch({"left": torch.ones(2, 3)}, torch.zeros(2, dtype=torch.int64), {"left": torch.zeros(3)})
    >>> Silence("left")(batch, torch.Generator()).sources["left"]
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """

    source: str
    name: ClassVar[str] = "silence"
    frozen: ClassVar[tuple[str, ...]] = ()
    pointwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_source(self.name, "source", self.source)

    @property
    def touches(self) -> tuple[str, ...]:
        return (self.source,)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        x = source_of(batch, self.source, self.name)
        # A copy a sample, not an expanded view: what follows may write in place or flatten the sample axis.
        baseline = baseline_of(batch, self.source).expand_as(x).clone(memory_format=torch.contiguous_format)
        return batch.with_source(self.source, baseline)

    def __add__(self, other: Deficit) -> Together:
        return Together((self, other))

    def __str__(self) -> str:
        return written(self)
