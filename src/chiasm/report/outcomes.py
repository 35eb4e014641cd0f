"""What came out of a study, cell by cell, and which control each cell is held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chiasm.intervals import Estimate, difference, estimate, scaled
from chiasm.objectives import Outcome
from chiasm.report.phrases import deficits_of, healthy, setting_words
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


@dataclass(frozen=True)
class CellOutcome:
    """What came out of one cell, over its seeds.

    Attributes:
        arm: name of the arm.
        role: its role in the report.
        cell: what is varied, as text.
        timeline: the parsed timeline.
        onset: epoch at which the first deficit starts; None without a deficit.
        duration: epochs under any deficit.
        after: clean epochs after the last release.
        clock: what the learning rate counts.
        settings: other keys of the study that the arm sets, with their values; the clock is not among them.
        runs: one a seed.
    """

    arm: str
    role: str
    cell: str
    timeline: Timeline
    onset: int | None
    duration: int
    after: int
    clock: str
    settings: frozenset[tuple[str, str]]
    runs: tuple[RunOutcome, ...]

    @property
    def label(self) -> str:
        """The cell in words: arm and varied values."""
        return f"{self.arm}[{self.cell}]" if self.cell else self.arm

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


@dataclass(frozen=True)
class StudyOutcomes:
    """All cells of a study.

    Attributes:
        cells: in the order of the table.
        sources: names in the order of the task; RSV +1 means that of the first two only the first matters.
        layers: the measured layers, the one that the reading speaks of first.
        clocks: the clocks that occur, the study's own first.
        outcome: what the study's objective scores; without a chance level where the task's data are gone.
        titles: the arms' own lines for people, by name.
    """

    cells: tuple[CellOutcome, ...]
    sources: tuple[str, ...]
    layers: tuple[str, ...]
    clocks: tuple[str, ...]
    outcome: Outcome
    titles: Mapping[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[CellOutcome]:
        return iter(self.cells)

    @property
    def clock(self) -> str:
        """The study's own clock."""
        return self.clocks[0] if self.clocks else "absolute"

    @property
    def chance(self) -> float | None:
        """What the best constant answer scores, in the unit that is shown; None where nobody knows."""
        chance = self.outcome.chance
        return None if chance is None else self.outcome.quantity.scale * chance

    @property
    def range(self) -> tuple[float, float]:
        """Between what the outcome can lie, in the unit that is shown: (0, 100) for accuracy."""
        quantity = self.outcome.quantity
        return quantity.scale * quantity.low, quantity.scale * quantity.high

    def shown(self, scores: Mapping[int, float]) -> dict[int, float]:
        """Scores by seed, as `CellOutcome.scores` gives them, in the unit that is shown: percent for accuracy."""
        return {seed: self.outcome.quantity.scale * score for seed, score in scores.items()}

    def mean_score(self, cell: CellOutcome, source: str = "") -> Estimate | None:
        """Final outcome over seeds in the unit that is shown, with one source where it is named, else with all."""
        quantity = self.outcome.quantity
        scores = cell.scores_alone(source) if source else cell.scores()
        return scaled(estimate(list(scores.values()), (quantity.low, quantity.high)), quantity.scale)

    def change(self, scores: Mapping[int, float], before: Mapping[int, float]) -> Estimate | None:
        """Scores minus those before, paired by seed, in the unit that is shown."""
        low, high = self.range
        return difference(self.shown(scores), self.shown(before), (low - high, high - low))

    def worse(self, scores: Mapping[int, float], than: Mapping[int, float]) -> Estimate | None:
        """By how much scores are worse than others, paired by seed, in the unit that is shown; negative: better."""
        return self.change(than, scores) if self.outcome.higher_is_better else self.change(scores, than)

    def of(self, role: str, clock: str | None = None) -> list[CellOutcome]:
        """The cells of a role, of one clock where it is given."""
        return [cell for cell in self.cells if cell.role == role and clock in (None, cell.clock)]

    def curves(self, role: str, clock: str) -> list[list[CellOutcome]]:
        """The curves of a role, "duration" or "onset", under one clock, each in order; the main one first.

        Cells lie on one curve if they share their arm, settings, deficits and, for onsets, length and clean phase.
        """
        curves: dict[tuple[object, ...], list[CellOutcome]] = {}
        controls: dict[tuple[object, ...], list[CellOutcome]] = {}
        for cell in self.of(role, clock):
            alike = (cell.arm, cell.settings)
            if role == "duration" and not cell.duration:
                controls.setdefault(alike, []).append(cell)
            elif role == "duration":
                curves.setdefault((*alike, _suffered(cell)), []).append(cell)
            elif cell.duration and cell.onset is not None:
                curves.setdefault((*alike, _suffered(cell), cell.duration, cell.after), []).append(cell)
        for kind, cells in controls.items():  # a run without a deficit begins every curve of its arm and settings
            own = [key for key in curves if key[:2] == kind] or [(*kind, "")]
            for key in own:
                curves.setdefault(key, []).extend(cells)
        return [_distinct(cells, _place) for cells in curves.values()]

    def durations(self, clock: str) -> list[CellOutcome]:
        """The main duration curve, from the shortest, one cell a duration; empty without any."""
        return next(iter(self.curves("duration", clock)), [])

    def onsets(self, clock: str) -> list[CellOutcome]:
        """The main onset curve, from the earliest; an onset at epoch 0 may come from the duration curve."""
        own = next(iter(self.curves("onset", clock)), [])
        if not own:
            return []
        start = [
            cell
            for cell in self.durations(clock)
            if (cell.onset, cell.duration, cell.after, cell.settings)
            == (0, own[0].duration, own[0].after, own[0].settings)
            and deficits_of(cell.timeline) == deficits_of(own[0].timeline)
        ]
        return _distinct([*own, *start], lambda cell: cell.onset or 0)

    def longest(self, clock: str) -> CellOutcome | None:
        """The cell of the duration curve with the longest deficit; None without any deficit."""
        curve = [cell for cell in self.durations(clock) if cell.duration]
        return curve[-1] if curve else None

    def short(self, cell: CellOutcome) -> str:
        """What is varied in a cell, without what all cells of its arm share and without the clock."""
        same = [c for c in self.cells if c.arm == cell.arm]
        varied = []
        for part in cell.cell.split(", "):
            shared = all(part in c.cell.split(", ") for c in same)
            if part and not part.startswith(f"{CLOCK}=") and not (shared and "." in part.split("=")[0]):
                varied.append(part)
        return ", ".join(varied)

    def control(self, cell: CellOutcome) -> CellOutcome | None:
        """The cell without a deficit that a cell is held against: same clock, same settings, best of the same arm."""
        controls = [c for c in self.cells if not c.duration and (c.clock, c.settings) == (cell.clock, cell.settings)]
        # No deficit means no release: such a run counts epochs from the start under either decaying clock.
        if not controls and cell.clock != "constant":
            alike = ("absolute", "since_release")
            controls = [c for c in self.cells if not c.duration and c.clock in alike and c.settings == cell.settings]
        if cell.role != "longer":  # elsewhere, a control that trained for longer would flatter no one but itself
            controls = [c for c in controls if c.after == cell.after]
        return min(
            controls, key=lambda c: (c.after != cell.after, c.arm != cell.arm, c.role != "duration"), default=None
        )

    def clock_of(self, role: str) -> str | None:
        """The clock to read a role's arms at: the study's own where an arm was run under it; None without an arm."""
        return next((clock for clock in self.clocks if self.of(role, clock)), None)

    def longest_of(self, role: str) -> CellOutcome | None:
        """The cell of a role's arms with the longest deficit; None without any."""
        cells = [cell for cell in self.of(role, self.clock_of(role)) if cell.duration]
        return max(cells, key=lambda cell: cell.duration, default=None)

    def partner(self, cell: CellOutcome) -> CellOutcome | None:
        """The cell of the main curves with an equally long deficit at the same onset, under the same clock."""
        alike = [*self.durations(cell.clock), *self.onsets(cell.clock)]
        return next((c for c in alike if (c.duration, c.onset) == (cell.duration, cell.onset)), None)

    def as_long(self, cell: CellOutcome) -> CellOutcome | None:
        """The cell without a deficit that trained for as many epochs in total, under the same clock and settings."""
        alike = (cell.clock, cell.settings, cell.timeline.epochs)
        return next(
            (c for c in self.cells if not c.duration and (c.clock, c.settings, c.timeline.epochs) == alike), None
        )

    def cost(self, cell: CellOutcome) -> Estimate | None:
        """By how much a cell is worse than its control, paired by seed, in the unit that is shown; None without one."""
        control = self.control(cell)
        if control is None or control is cell:
            return None
        return self.worse(cell.scores(), control.scores())

    def tested(self, cell: CellOutcome) -> tuple[Estimate | None, str]:
        """`mean_score` as a cell is meant to be tested: with the one source that it trained on, or with all ("")."""
        if cell.role == "alone":
            left = healthy(cell.timeline, self.sources)
            score = self.mean_score(cell, left[0]) if len(left) == 1 else None
            if score is not None:
                return score, left[0]
        return self.mean_score(cell), ""

    def shift(self, cell: CellOutcome, layer: str, quantity: str = "rsv_mean") -> Estimate | None:
        """By how much a layer's RSV, its mean or its spread "rsv_sd", differs from the control, paired by seed."""
        control = self.control(cell)
        if control is None or control is cell:
            return None
        return difference(cell.layer(layer, quantity), control.layer(layer, quantity), (-2, 2))


def _distinct(cells: Sequence[CellOutcome], by: Callable[[CellOutcome], int]) -> list[CellOutcome]:
    """Sort by a number and keep the first cell of each."""
    kept: dict[int, CellOutcome] = {}
    for cell in cells:
        kept.setdefault(by(cell), cell)
    return [kept[value] for value in sorted(kept)]


def _suffered(cell: CellOutcome) -> str:
    return " + ".join(map(str, deficits_of(cell.timeline)))


def _place(cell: CellOutcome) -> int:
    return cell.duration if cell.role == "duration" else cell.onset or 0


def brief_name(curve: Sequence[CellOutcome], curves: Sequence[Sequence[CellOutcome]]) -> str:
    """A curve's arm, where no other curve is of the same arm; else what tells it from the others."""
    alone = sum(other[0].arm == curve[0].arm for other in curves) == 1
    return f"arm {curve[0].arm}" if alone else curve_name(curve)


def curve_name(curve: Sequence[CellOutcome]) -> str:
    """What tells a curve from the main one: its arm and its settings."""
    parts = [part for part in (_suffered(curve[-1]), setting_words(curve[0].settings)) if part]
    return f"arm {curve[0].arm} ({', '.join(parts)})"
