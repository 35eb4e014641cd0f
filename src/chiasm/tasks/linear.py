"""Items to classify, each presented to every source alike: a task for which the linear theory is exact."""

from __future__ import annotations

from typing import Annotated, final

import torch
from msgspec import Meta

from chiasm.errors import ChiasmError
from chiasm.sources import Batch, Source
from chiasm.tasks.task import Data, Description, Task, validate


@final
class Linear(Task, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="linear"):
    """Items and their negatives, one-hot, shown to every source at once.

    Item i is the vector e_i, its negative -e_i. So inputs are whitened, sources are at rest at exactly zero, and a
    linear network answers the negative of an item with the negative of its answer. What is to be answered is the
    `target` of a `deep_linear` network. There is nothing to generalise to: the test set is the training set, repeated.

    Attributes:
        items: how many; classes are twice as many, items first, then their negatives in the same order.
        sources: names of the sources, one or more.
        repeats: how often the test set holds each class; more make the statistics of units steadier, and change
            neither accuracy nor loss.

    Raises:
        ChiasmError: a field out of its range, or a source named twice.

    >>> Linear(items=2).load(seed=0).train.sources["a"].tolist()
    [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
    """

    items: Annotated[int, Meta(ge=1)] = 8
    sources: Annotated[tuple[str, ...], Meta(min_length=1)] = ("a", "b")
    repeats: Annotated[int, Meta(ge=1)] = 8

    def __post_init__(self) -> None:
        validate(self)
        for name in self.sources:
            if self.sources.count(name) > 1:
                raise ChiasmError(f"sources = {list(self.sources)}: '{name}' is named twice")

    def describe(self) -> Description:
        """Return the sources, vectors of shape (items,), and a class an item and a class its negative."""
        count = 2 * self.items
        return Description(
            sources=tuple(Source(name, (self.items,), "vector") for name in self.sources),
            classes=tuple(f"{sign}{i + 1}" for sign in ("+", "-") for i in range(self.items)),
            train=count,
            test=count * self.repeats,
            chance=1 / count,
            note="Items and their negatives, one-hot, each shown to every source: any source alone tells them.",
        )

    def load(self, seed: int) -> Data:
        """Return the sets, equal for all seeds; a full batch is 2 * items samples."""
        train = self._batch(1)
        return Data(train, self._batch(self.repeats))

    def _batch(self, repeats: int) -> Batch:
        items = torch.eye(self.items)
        x = torch.cat([items, 0 - items]).repeat(repeats, 1)  # 0 - x: no minus zeros
        target = torch.arange(2 * self.items).repeat(repeats)
        sources = {name: x.clone() for name in self.sources}
        return Batch(sources, target, {name: torch.zeros(self.items) for name in self.sources})
