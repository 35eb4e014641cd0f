"""Noise: a source drowned in, or exchanged for, Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch

from chiasm.deficits.arguments import baseline_of, is_number, require, require_source, source_of
from chiasm.deficits.deficit import Deficit
from chiasm.sources import Batch


@final
@dataclass(frozen=True, slots=True)
class Noise(Deficit):
    """Add independent Gaussian noise to every entry of a source, or show noise in its place.

    Attributes:
        source: the source.
        sd: the standard deviation of the noise, above 0, in the source's own units.
        mode: "add": source + sd * normal; "replace": baseline + sd * normal, which carries nothing about the sample.

    Raises:
        ChiasmError: when made, for an sd or mode out of range; when called, for an unknown source or a dtype that is
            not floating.

    >>> batch = Batch({"left": torch.ones(1, 3)}, torch.zeros(1, dtype=torch.int64), {"left": torch.zeros(3)})
    >>> Noise("left", 0.5)(batch, torch.Generator().manual_seed(0)).sources["left"].shape
    torch.Size([1, 3])
    """

    source: str
    sd: float
    mode: Literal["add", "replace"] = "add"
    tag: ClassVar[str] = "noise"
    verb: ClassVar[str] = "adding noise to"
    colour: ClassVar[str] = "UMBER"
    hatch: ClassVar[str] = "xxxx"
    example: ClassVar[str] = "noise(right, 0.5)"

    def __post_init__(self) -> None:
        require_source(self.tag, "source", self.source)
        require(is_number(self.sd) and self.sd > 0, self.tag, "sd", self.sd, "a number above 0")
        require(self.mode in ("add", "replace"), self.tag, "mode", self.mode, "add or replace")

    @property
    def needs_baseline(self) -> bool:
        return self.mode == "replace"

    @property
    def doing(self) -> str:
        return self.verb if self.mode == "add" else "putting noise in place of"

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        x = source_of(batch, self.source, self.tag, real=True)
        normal = torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype).to(x.device)
        signal = x if self.mode == "add" else baseline_of(batch, self.source)
        return batch.with_source(self.source, signal + self.sd * normal)
