"""What rows are shown, step by step: samples gathered in each row's order, and what its deficits make of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from chiasm.deficits import Deficit
from chiasm.randomness import generator
from chiasm.sources import Batch
from chiasm.tasks import Feed
from chiasm.training.ranks import ALONE, Ranks
from chiasm.training.state import Row


@dataclass(frozen=True, slots=True)
class StepData:
    """What rows are shown in one step.

    Attributes:
        sources: (rows, samples, *shape) by source.
        target: (rows, samples) classes, or (rows, samples, *shape) numbers.
        head: (rows, samples) which head reads each sample; None: "both" reads all.
    """

    sources: dict[str, Tensor]
    target: Tensor
    head: Tensor | None = None


class EpochData(Protocol):
    """The training samples of some rows for one epoch.

    Attributes:
        samples: how many each row has.
        device: where they are.
    """

    samples: int
    device: torch.device

    def step(self, chosen: Tensor, step: int) -> StepData:
        """Return what the rows are shown: (rows, k) places in each row's own set."""
        ...


def epoch_data(rows: Sequence[Row], ranks: Ranks = ALONE) -> EpochData:
    """Lay out the training samples of some rows for their next epoch, as this one of `ranks` is shown them."""
    if all(isinstance(row.data, Batch) for row in rows):
        return _Pool(rows, ranks)
    return _SideBySide(
        [_Pool([row], ranks) if isinstance(row.data, Batch) else _Streamed(row, row.data, ranks) for row in rows]
    )


def clean(rows: Sequence[Row], size: int) -> Iterator[dict[str, Tensor]]:
    """Yield the training samples of some rows in their order, without deficits, so many at a time: sources by name."""
    data = epoch_data([replace(row, leg=replace(row.leg, deficits=())) for row in rows])
    order = torch.arange(data.samples, device=data.device).expand(len(rows), -1)
    for step, chosen in enumerate(torch.split(order, size, dim=1)):
        yield data.step(chosen, step).sources


class _Pool:
    """Sets that lie ready, end to end; rows that train on one set share it.

    Deficits that treat every sample alike commute with drawing batches, so they act here, once an epoch.
    """

    def __init__(self, rows: Sequence[Row], ranks: Ranks) -> None:
        self.rows, self.ranks = rows, ranks
        sets: dict[tuple[str, str], Batch] = {}
        keys = []
        for row in rows:
            pointwise = row.leg.deficits if _all_pointwise(row) else ()
            fresh = row.task.draws()
            identity = repr((row.task, row.leg.seed, row.epoch)) if fresh else str(id(row.data))
            key = (identity, " + ".join(map(str, pointwise)))
            keys.append(key)
            if key not in sets:
                sets[key] = _set(row, pointwise)
        places = list(sets)
        self.offsets = [places.index(key) for key in keys]
        self.pool = _end_to_end(list(sets.values()))
        self.samples = len(self.pool) // len(sets)
        self.device = self.pool.target.device

    def step(self, chosen: Tensor, step: int) -> StepData:
        count, size = chosen.shape
        flat = torch.stack([own + o * self.samples for own, o in zip(chosen, self.offsets, strict=True)]).reshape(-1)
        pool = self.pool
        sources = {name: x.index_select(0, flat).view(count, size, *x.shape[1:]) for name, x in pool.sources.items()}
        target = pool.target.index_select(0, flat).view(count, size, *pool.target.shape[1:])
        head: Tensor | None = None
        for i, row in enumerate(self.rows):
            if not row.leg.deficits or _all_pointwise(row):
                continue
            batch = _impaired(
                Batch({name: x[i] for name, x in sources.items()}, target[i], row.data.baseline), row, step, self.ranks
            )
            for name, x in batch.sources.items():
                sources[name][i] = x
            target[i] = batch.target
            if batch.head is not None:
                head = target.new_zeros((count, size), dtype=torch.int64) if head is None else head
                head[i] = batch.head
        return StepData(sources, target, head)


class _Streamed:
    """One row whose samples are made ready batch by batch."""

    def __init__(self, row: Row, feed: Feed, ranks: Ranks) -> None:
        self.row, self.feed, self.ranks = row, feed, ranks
        self.samples, self.device = len(feed), feed.target.device

    def step(self, chosen: Tensor, step: int) -> StepData:
        row = self.row
        augment, present = (
            generator(row.leg.seed, self.ranks.purpose(purpose), row.epoch, step, device=self.device)
            for purpose in ("augment", "present")
        )
        drawn = self.feed.draw(chosen[0], augment)
        batch = self.feed.present(_impaired(drawn, row, step, self.ranks), present)
        head = None if batch.head is None else batch.head.unsqueeze(0)
        return StepData({name: x.unsqueeze(0) for name, x in batch.sources.items()}, batch.target.unsqueeze(0), head)


class _SideBySide:
    """Rows that have their data each."""

    def __init__(self, parts: Sequence[EpochData]) -> None:
        self.parts = parts
        self.samples, self.device = parts[0].samples, parts[0].device

    def step(self, chosen: Tensor, step: int) -> StepData:
        rows = [part.step(chosen[i : i + 1], step) for i, part in enumerate(self.parts)]
        if len(rows) == 1:
            return rows[0]
        head = None
        if any(row.head is not None for row in rows):
            head = torch.cat([_both(row) if row.head is None else row.head for row in rows])
        sources = {name: torch.cat([row.sources[name] for row in rows]) for name in rows[0].sources}
        return StepData(sources, torch.cat([row.target for row in rows]), head)


def _both(data: StepData) -> Tensor:
    """Return the head that reads each sample where nothing names one: 0, "both"."""
    return data.target.new_zeros(data.target.shape[:2], dtype=torch.int64)


def _set(row: Row, pointwise: Sequence[Deficit]) -> Batch:
    """Return a row's training set of this epoch, as deficits that draw nothing make it."""
    if row.task.draws():
        batch = row.task.draw(row.leg.seed, row.epoch).to(row.data.target.device)
    else:
        assert isinstance(row.data, Batch)
        batch = row.data
    for deficit in pointwise:
        batch = deficit(batch, torch.Generator())
    return batch


def _end_to_end(sets: Sequence[Batch]) -> Batch:
    first = sets[0]
    if len(sets) == 1:
        return first
    sources = {name: torch.cat([batch.sources[name] for batch in sets]) for name in first}
    return Batch(sources, torch.cat([batch.target for batch in sets]), first.baseline)


def _all_pointwise(row: Row) -> bool:
    return all(deficit.pointwise for deficit in row.leg.deficits)


def _impaired(batch: Batch, row: Row, step: int, ranks: Ranks) -> Batch:
    """Let a row's deficits act on one batch."""
    if row.leg.deficits:
        draws = generator(row.leg.seed, ranks.purpose("deficit"), row.epoch, step, device=batch.target.device)
        for deficit in row.leg.deficits:
            batch = deficit(batch, draws)
    return batch
