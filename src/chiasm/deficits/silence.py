"""Silence: a source that says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from chiasm.deficits.arguments import baseline_of, require_source, source_of
from chiasm.deficits.deficit import Deficit
from chiasm.sources import Batch


@final
@dataclass(frozen=True, slots=True)
class Silence(Deficit):
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
    tag: ClassVar[str] = "silence"
    verb: ClassVar[str] = "silencing"
    colour: ClassVar[str] = "INK"
    hatch: ClassVar[str] = "////"
    example: ClassVar[str] = "silence(right)"
    pointwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_source(self.tag, "source", self.source)

    @property
    def needs_baseline(self) -> bool:
        return True

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        x = source_of(batch, self.source, self.tag)
        # A copy a sample, not an expanded view: what follows may write in place or flatten the sample axis.
        baseline = baseline_of(batch, self.source).expand_as(x).clone(memory_format=torch.contiguous_format)
        return batch.with_source(self.source, baseline)
