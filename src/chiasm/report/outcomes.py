"""What came out of the runs and cells of a study, as the report reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from chiasm.statistics import Estimate, estimate
from chiasm.timeline import Timeline

CLOCKS = ("absolute", "since_release", "constant")
CLOCK = "training.clock"


@dataclass(frozen=True)
class RunOutcome:
    """One seed of a cell at its last epoch.

    Attributes:
        name: unique in the study.
        seed: the replicate.
        score: the outcome on the test set with all sources, as in the table; None for a run that diverged.
        alone: the outcome with one source and the others silenced, by source.
        layers: quantities by layer ("rsv_mean", "dead", "share_mean left", ...), or by part ("fisher_trace").
        train_score: the outcome on the training batches as shown in the last epoch; None where it was not recorded.
        diverged: the epoch at which the loss became non-finite; None for a sound run.
        others: further quantities, by quantity and source ("usable_bits", "without left"); of the whole run under "".
    """

    name: str
    seed: int
    score: float | None
    alone: Mapping[str, float]
    layers: Mapping[str, Mapping[str, float]]
    train_score: float | None
    diverged: int | None
    others: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class CellOutcome:
    """What came out of one cell, over its seeds; two are equal that have the same name.

    Attributes:
        arm: name of the arm.
        role: its role in the report.
        cell: what is varied, as text, which names it in its arm.
        values: what is varied, by name ("d", "training.clock").
        timeline: the parsed timeline.
        clock: what the learning rate counts.
        lone: the one source that it trained on, and is tested with, where its role says so; "": all.
        runs: one a seed.
    """

    arm: str
    role: str
    cell: str
    values: Mapping[str, Any]
    timeline: Timeline
    clock: str
    lone: str
    runs: tuple[RunOutcome, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CellOutcome) and other.label == self.label

    def __hash__(self) -> int:
        return hash(self.label)

    @property
    def label(self) -> str:
        """The cell's name, unique in its study: arm and varied values."""
        return f"{self.arm}[{self.cell}]" if self.cell else self.arm

    @cached_property
    def onset(self) -> int | None:
        """Epoch at which the first deficit starts; None without a deficit."""
        return self.timeline.onset

    @cached_property
    def duration(self) -> int:
        """Epochs under any deficit."""
        return self.timeline.duration

    @cached_property
    def after(self) -> int:
        """Clean epochs after the last release."""
        return self.timeline.after

    @cached_property
    def settings(self) -> frozenset[tuple[str, Any]]:
        """The other keys of the study that the arm sets, with their values; the clock is not among them."""
        return frozenset((key, fixed(value)) for key, value in self.values.items() if "." in key and key != CLOCK)

    @property
    def diverged(self) -> tuple[RunOutcome, ...]:
        """The runs whose loss became non-finite."""
        return tuple(run for run in self.runs if run.diverged is not None)

    def scores(self) -> dict[int, float]:
        """Final outcome by seed, as in the table, without the runs that diverged."""
        return {run.seed: run.score for run in self.runs if run.score is not None}

    def scores_alone(self, source: str) -> dict[int, float]:
        """Final outcome by seed, as in the table, with one source, the others silenced."""
        return {run.seed: run.alone[source] for run in self.runs if source in run.alone}

    def layer(self, layer: str, quantity: str) -> dict[int, float]:
        """A layer's final quantity by seed."""
        by_seed = {run.seed: run.layers.get(layer, {}).get(quantity) for run in self.runs}
        return {seed: value for seed, value in by_seed.items() if value is not None}

    def other(self, quantity: str, source: str) -> dict[int, float]:
        """A final quantity of sources by seed."""
        return {run.seed: run.others[quantity, source] for run in self.runs if (quantity, source) in run.others}

    def mean_layer(self, layer: str, quantity: str, bounds: tuple[float, float]) -> Estimate | None:
        """A layer's quantity over seeds, summarised over units within each seed first."""
        return estimate(list(self.layer(layer, quantity).values()), bounds)


def fixed(value: Any) -> Any:
    """Return a value of a study's file as one that can be a key: lists as tuples, tables as their pairs."""
    if isinstance(value, Mapping):
        return tuple((key, fixed(entry)) for key, entry in sorted(value.items()))
    return tuple(fixed(entry) for entry in value) if isinstance(value, list | tuple) else value
