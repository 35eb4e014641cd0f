"""Swap: two sources exchanged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch

from chiasm.deficits.arguments import require, require_source, source_of
from chiasm.deficits.deficit import Deficit
from chiasm.errors import ChiasmError
from chiasm.sources import Batch


@final
@dataclass(frozen=True, slots=True)
class Swap(Deficit):
    """Exchange two sources of the same shape: each pathway is shown what the other one should see.

    Attributes:
        a: one source.
        b: the other one.

    Raises:
        ChiasmError: when made, if a and b are the same; when called, for an unknown source or two shapes.

    >>> batch = Batch({"l": torch.zeros(1, 2), "r": torch.ones(1, 2)}, torch.zeros(1, dtype=torch.int64), {})
    >>> Swap("l", "r")(batch, torch.Generator()).sources
    {'l': tensor([[1., 1.]]), 'r': tensor([[0., 0.]])}
    """

    a: str
    b: str
    tag: ClassVar[str] = "swap"
    verb: ClassVar[str] = "swapping"
    colour: ClassVar[str] = "UMBER"
    hatch: ClassVar[str] = "++++"
    example: ClassVar[str] = "swap(left, right)"
    pointwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_source(self.tag, "a", self.a)
        require_source(self.tag, "b", self.b)
        require(self.a != self.b, self.tag, "b", self.b, "a source other than a")

    @property
    def touches(self) -> tuple[str, ...]:
        return (self.a, self.b)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        a, b = source_of(batch, self.a, self.tag), source_of(batch, self.b, self.tag)
        if a.shape != b.shape:
            shapes = f"'{self.a}' is {tuple(a.shape[1:])} and '{self.b}' is {tuple(b.shape[1:])}"
            raise ChiasmError(f"swap: a sample of {shapes}; expected two sources of one shape")
        return replace(batch, sources={**batch.sources, self.a: b, self.b: a})
