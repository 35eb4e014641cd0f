"""Freeze: a source that is seen as ever, by a pathway that learns nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from chiasm.deficits.arguments import require_source, source_of
from chiasm.deficits.deficit import Deficit
from chiasm.sources import Batch


@final
@dataclass(frozen=True, slots=True)
class Freeze(Deficit):
    """Leave the batch as it is, and ask of training that the source's pathway learn nothing.

    The deficit of the linear pathway model (Kleinman, Achille & Soatto, ICLR 2024): the pathway's output still counts.

    Attributes:
        source: the source whose pathway is frozen: its parameters stay; BatchNorm statistics still follow the data.

    Raises:
        ChiasmError: when called, for an unknown source.

    >>> Freeze("left").frozen
    ('left',)
    """

    source: str
    tag: ClassVar[str] = "freeze"
    verb: ClassVar[str] = "freezing the pathway of"
    colour: ClassVar[str] = "MUTED"
    hatch: ClassVar[str] = "////"
    example: ClassVar[str] = "freeze(right)"
    pointwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_source(self.tag, "source", self.source)

    @property
    def frozen(self) -> tuple[str, ...]:
        return (self.source,)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        source_of(batch, self.source, self.tag)
        return batch
