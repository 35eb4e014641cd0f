"""Shuffle labels: some samples carry another sample's label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch

from chiasm.deficits.arguments import is_number, require
from chiasm.deficits.deficit import Deficit
from chiasm.sources import Batch


@final
@dataclass(frozen=True, slots=True)
class ShuffleLabels(Deficit):
    """Permute the labels of a random share of the samples among themselves; the sources stay.

    The count of each label is kept. Chance leaves some labels where they were, and a share of fewer than two samples
    moves none.

    Attributes:
        share: the share of the samples, in (0, 1]; exactly round(share * samples) of them are drawn.

    Raises:
        ChiasmError: when made, for a share out of range.

    >>> batch = Batch({}, torch.arange(5), {})
    >>> ShuffleLabels(1)(batch, torch.Generator().manual_seed(0)).target.sort().values
    tensor([0, 1, 2, 3, 4])
    """

    share: float
    tag: ClassVar[str] = "shuffle_labels"
    verb: ClassVar[str] = "shuffling the labels"
    colour: ClassVar[str] = "UMBER"
    hatch: ClassVar[str] = "oooo"
    example: ClassVar[str] = "shuffle_labels(0.5)"

    row: ClassVar[str] = "labels"

    def __post_init__(self) -> None:
        ok = is_number(self.share) and 0 < self.share <= 1
        require(ok, self.tag, "share", self.share, "a number above 0, up to 1")

    @property
    def needs_target(self) -> bool:
        return True

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        n, device = len(batch), generator.device
        chosen = torch.randperm(n, generator=generator, device=device)[: round(self.share * n)]
        origin = torch.arange(n, device=device)
        origin[chosen.sort().values] = chosen  # a uniform permutation of the chosen: they came in uniform order
        return replace(batch, target=batch.target.index_select(0, origin.to(batch.target.device)))
