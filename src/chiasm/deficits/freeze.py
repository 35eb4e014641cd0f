"""Freeze: a source that is seen as ever, by a pathway that learns nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from chiasm.deficits.arguments import require_source, source_of, written
from chiasm.deficits.deficit import Deficit, Together
from chiasm.sources import Batch


@final
@dataclass(frozen=True, slots=True)
class Freeze:
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
    name: ClassVar[str] = "freeze"
    pointwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_source(self.name, "source", self.source)

    @property
    def touches(self) -> tuple[str, ...]:
        return (self.source,)

    @property
    def frozen(self) -> tuple[str, ...]:
        return (self.source,)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        source_of(batch, self.source, self.name)
        return batch

    def __add__(self, other: Deficit) -> Together:
        return Together((self, other))

    def __str__(self) -> str:
        return written(self)
