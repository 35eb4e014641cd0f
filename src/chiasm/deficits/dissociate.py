"""Dissociate: sources that come from different samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from chiasm.deficits.arguments import require
from chiasm.deficits.deficit import Deficit
from chiasm.errors import ChiasmError
from chiasm.sources import Batch


@final
@dataclass(frozen=True, slots=True)
class Dissociate(Deficit):
    """Show sources from different samples together: the first stays, each other one is permuted over the batch.

    The deficit of Kleinman, Achille & Soatto (CVPR 2023, Sect. 4.2), for any number of sources. The permutations are
    uniform and independent; a sample meets itself with chance 1 / samples.

    Attributes:
        labels: which label a sample carries, since its sources disagree.
            "either": that of one source, drawn uniformly for each sample, and that source's head reads the sample (the
            paper's text).
            "code": the label is drawn as in "either", but one draw for the whole batch, independent of it, picks the
            head that reads every sample (the paper's published code).
            "first": that of the first source; the head is left as it is.
        within: "batch": permute over the whole batch; "class": permute inside each class of the target, so that all
            sources agree on the label; target and head are left as they are and `labels` may not be "code".

    Raises:
        ChiasmError: when made, for a word it does not know or a pair of them that means nothing; when called, for a
            batch with fewer than two sources.

    >>> x = torch.arange(3.0).reshape(3, 1)
    >>> batch = Batch({"left": x, "right": x}, torch.tensor([0, 1, 2]), {"left": x[0], "right": x[0]})
    >>> apart = Dissociate()(batch, torch.Generator().manual_seed(1))
    >>> apart.sources["right"].flatten(), apart.target, apart.head
    (tensor([1., 2., 0.]), tensor([0, 1, 0]), tensor([1, 1, 2]))
    """

    labels: Literal["either", "code", "first"] = "either"
    within: Literal["batch", "class"] = "batch"
    tag: ClassVar[str] = "dissociate"
    verb: ClassVar[str] = "dissociating the sources"
    colour: ClassVar[str] = "UMBER"
    hatch: ClassVar[str] = "\\\\\\\\"
    example: ClassVar[str] = "dissociate"

    row: ClassVar[str] = "pairing"
    of_all: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self.labels in ("either", "code", "first"), self.tag, "labels", self.labels, "either, code or first")
        require(self.within in ("batch", "class"), self.tag, "within", self.within, "batch or class")
        if self.within == "class":
            wanted = "either or first, as within class every source has the same label"
            require(self.labels != "code", self.tag, "labels", self.labels, wanted)

    @property
    def needs_target(self) -> bool:
        return self.within == "class"

    @property
    def chooses_head(self) -> bool:
        return self.within == "batch" and self.labels != "first"

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        first, *others = batch.sources
        if not others:
            raise ChiasmError(f"dissociate: the batch has one source, {first}; expected two or more")
        n, target = len(batch), batch.target
        order = [_permutation(n, generator).to(target.device) for _ in others]
        if self.needs_target and target.is_floating_point():
            raise ChiasmError("dissociate: within is 'class' but the targets are numbers; expected within=batch")
        if self.within == "class":
            order = [_inside(p, target) for p in order]
        moved = {name: batch.sources[name].index_select(0, p) for name, p in zip(others, order, strict=True)}
        apart = replace(batch, sources={first: batch.sources[first], **moved})
        if not self.chooses_head:
            return apart
        labels = torch.stack([target, *(target.index_select(0, p) for p in order)])  # (sources, samples, ...)
        which = _integers(len(labels), n, generator).to(target.device)
        head = _integers(len(labels), 1, generator).to(target.device).repeat(n) if self.labels == "code" else which
        return replace(
            apart, target=labels[which, torch.arange(n, device=target.device)], head=head + 1
        )  # 0 is the head "both"


def _permutation(n: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(n, generator=generator, device=generator.device)


def _integers(below: int, n: int, generator: torch.Generator) -> Tensor:
    return torch.randint(below, (n,), generator=generator, device=generator.device)


def _inside(p: Tensor, target: Tensor) -> Tensor:
    """Turn a uniform permutation of the samples into one that is uniform inside each class."""
    by_class = torch.argsort(target, stable=True)  # class by class, in the batch's order
    shuffled = p[torch.argsort(target[p], stable=True)]  # class by class, in the permutation's order
    inside = torch.empty_like(p)
    inside[by_class] = shuffled
    return inside
