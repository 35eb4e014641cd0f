"""What came out of a study: which cells lie on one curve, what each is held against, and contrasts of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chiasm.objectives import Outcome
from chiasm.pictures.words import count
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import SCHEDULES, all_deficits, doing, setting_words
from chiasm.report.yardstick import Yardstick
from chiasm.statistics import Estimate, Replicates, collapsed, estimate

#: A run that ends worse than its cell's median by more than so many times what counts as a difference has collapsed.
COLLAPSE = 10
#: Of RSV and of its spread over units: a difference that counts, where a study says nothing else.
RSV_MARGIN = 0.1


@dataclass(frozen=True, eq=False)
class StudyOutcomes:
    """All cells of a study.

    Attributes:
        cells: in the order of the table.
        sources: names in the order of the task; RSV +1 means that of the first two only the first matters.
        layers: the measured layers, the one that the reading speaks of first.
        clocks: the clocks that occur, the study's own first.
        outcome: what the study's objective scores; its margin is the study's own where it names one.
        titles: the arms' own lines for people, by name.
        rsv_margin: what counts as a difference of RSV.
    """

    cells: tuple[CellOutcome, ...]
    sources: tuple[str, ...]
    layers: tuple[str, ...]
    clocks: tuple[str, ...]
    outcome: Outcome
    titles: Mapping[str, str] = field(default_factory=dict)
    rsv_margin: float = RSV_MARGIN
    # What was looked up once; not passed on by `dataclasses.replace`.
    _pools: dict[Hashable, Replicates[CellOutcome]] = field(init=False, default_factory=dict, repr=False)
    _lost: dict[CellOutcome, list[int]] = field(init=False, default_factory=dict, repr=False)
    _controlled: dict[CellOutcome, CellOutcome | None] = field(init=False, default_factory=dict, repr=False)
    _curves: dict[Hashable, list[list[CellOutcome]]] = field(init=False, default_factory=dict, repr=False)

    def __iter__(self) -> Iterator[CellOutcome]:
        return iter(self.cells)

    @property
    def clock(self) -> str:
        """The study's own clock."""
        return self.clocks[0] if self.clocks else "absolute"

    @property
    def seeds(self) -> int:
        """How many seeds there are."""
        return len({run.seed for cell in self.cells for run in cell.runs})

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

    @property
    def yardstick(self) -> Yardstick:
        """How differences of the outcome are written, and from which size on they count."""
        return Yardstick(self.outcome.margin, self.outcome)

    @property
    def rsv_yardstick(self) -> Yardstick:
        """How differences of RSV and of its spread are written, and from which size on they count."""
        return Yardstick(self.rsv_margin)

    def paired_with(self, role: str) -> tuple[CellOutcome, CellOutcome] | None:
        """The longest deficit of a role's arms and the equal one of the main curves; None unless both have controls."""
        cell = self.longest_of(role)
        partner = self.partner(cell) if cell else None
        if cell is None or partner is None or self.control(cell) is None or self.control(partner) is None:
            return None
        return cell, partner

    def shown(self, scores: Mapping[int, float]) -> dict[int, float]:
        """Scores by seed, as `CellOutcome.scores` gives them, in the unit that is shown: percent for accuracy."""
        return {seed: self.outcome.quantity.scale * score for seed, score in scores.items()}

    def mean_score(self, cell: CellOutcome, source: str | None = None) -> Estimate | None:
        """Final outcome over seeds in the unit that is shown.

        Args:
            cell: the cell.
            source: tested with this one alone; "": with all; None: as the cell is meant to be tested.
        """
        source = cell.lone if source is None else source
        scores = cell.scores_alone(source) if source else cell.scores()
        return estimate(list(self.shown(scores).values()), self.range)

    # -- contrasts ---------------------------------------------------------------------------------------------------

    def collapsed(self, cell: CellOutcome) -> list[int]:
        """The seeds of a cell that ended far worse than its others, which no contrast counts; see `COLLAPSE`."""
        if cell not in self._lost:
            by = COLLAPSE * self.outcome.margin
            self._lost[cell] = collapsed(self.shown(cell.scores()), by, self.outcome.higher_is_better)
        return self._lost[cell]

    def worse(self, weights: Mapping[CellOutcome, float]) -> Estimate | None:
        """By how much a weighted sum of cells is worse, paired by seed, in the unit that is shown.

        Args:
            weights: that add to 0: {cell: 1, control: -1} is what the cell's deficit costs, negative where it gains.
        """
        signed = -1 if self.outcome.higher_is_better else 1
        return self._contrast(
            "outcome", lambda c: self.shown(c.scores()), {c: signed * w for c, w in weights.items()}, self.range
        )

    def changed_alone(self, source: str, weights: Mapping[CellOutcome, float]) -> Estimate | None:
        """How the outcome with one source and the rest silenced changes, in the unit that is shown."""
        return self._contrast(("alone", source), lambda c: self.shown(c.scores_alone(source)), weights, self.range)

    def moved(self, layer: str, quantity: str, weights: Mapping[CellOutcome, float]) -> Estimate | None:
        """How a layer's quantity differs: "rsv_mean", its spread over units "rsv_sd", "synergy_mean"."""
        bounds = (-1.0, 1.0) if quantity == "rsv_mean" else (0.0, 1.0)
        return self._contrast((layer, quantity), lambda c: c.layer(layer, quantity), weights, bounds)

    def _contrast(
        self,
        key: Hashable,
        values: Callable[[CellOutcome], Mapping[int, float]],
        weights: Mapping[CellOutcome, float],
        bounds: tuple[float, float],
    ) -> Estimate | None:
        if key not in self._pools:
            lost = {cell: self.collapsed(cell) for cell in self.cells}
            sound = {c: {seed: v for seed, v in values(c).items() if seed not in lost[c]} for c in self.cells}
            self._pools[key] = Replicates(sound)
        reach = sum(map(abs, weights.values())) / 2 * (bounds[1] - bounds[0])
        return self._pools[key].contrast(weights, (-reach, reach))

    def unusual(self) -> list[CellOutcome]:
        """The cells whose outcome spreads over seeds far more than those of most cells."""
        unusual = Replicates({cell: self.shown(cell.scores()) for cell in self.cells}).unusual()
        return [cell for cell in self.cells if cell in unusual]

    def cost(self, cell: CellOutcome) -> Estimate | None:
        """By how much a cell is worse than its control, paired by seed, in the unit that is shown; None without one."""
        control = self.control(cell)
        return None if control is None or control is cell else self.worse({cell: 1, control: -1})

    def shift(self, cell: CellOutcome, layer: str, quantity: str = "rsv_mean") -> Estimate | None:
        """By how much a quantity of a layer differs from the control's, paired by seed; None without one."""
        control = self.control(cell)
        return None if control is None or control is cell else self.moved(layer, quantity, {cell: 1, control: -1})

    def excess(self, cell: CellOutcome, other: CellOutcome) -> Estimate | None:
        """By how much more a cell costs than another, each against its own control; None without both controls."""
        controls = self.control(cell), self.control(other)
        if controls[0] is None or controls[1] is None:
            return None
        return self.worse(weighted((cell, 1), (controls[0], -1), (other, -1), (controls[1], 1)))

    # -- what a cell is held against ---------------------------------------------------------------------------------

    def control(self, cell: CellOutcome) -> CellOutcome | None:
        """The cell without a deficit that a cell is held against: same clock, settings and clean epochs after.

        Where none has as many clean epochs after, or the cell's curve has a fixed budget, one with as many in total.
        """
        if cell not in self._controlled:
            after = [c for c in self._controls(cell) if c.after == cell.after]
            total = [c for c in self._controls(cell) if c.timeline.epochs == cell.timeline.epochs]
            alike = (total or after) if self._fixed_budget(cell) else (after or total)
            ranks = [(c.clock != cell.clock, c.arm != cell.arm, c.role != "duration") for c in alike]
            self._controlled[cell] = alike[ranks.index(min(ranks))] if alike else None
        return self._controlled[cell]

    def as_long(self, cell: CellOutcome) -> CellOutcome | None:
        """The cell without a deficit that trained for as many epochs in total, under the same clock and settings."""
        alike = [c for c in self._controls(cell) if c.timeline.epochs == cell.timeline.epochs]
        return min(alike, key=lambda c: c.clock != cell.clock, default=None)

    def _controls(self, cell: CellOutcome) -> list[CellOutcome]:
        # No deficit means no release: such a run counts epochs from the start under either decaying clock.
        clocks = {cell.clock} if cell.clock == "constant" else {cell.clock, "absolute", "since_release"}
        return [
            c
            for c in self.cells
            if not c.duration
            and c.clock in clocks
            and c.settings == cell.settings
            and c.timeline.objectives == cell.timeline.objectives
        ]

    def partner(self, cell: CellOutcome) -> CellOutcome | None:
        """The cell of the main curves with an equally long deficit at the same onset, under the same clock."""
        alike = [*self.durations(cell.clock), *self.onsets(cell.clock)]
        return next((c for c in alike if (c.duration, c.onset) == (cell.duration, cell.onset)), None)

    # -- roles and curves --------------------------------------------------------------------------------------------

    def of(self, role: str, clock: str | None = None) -> list[CellOutcome]:
        """The cells of a role, of one clock where it is given."""
        return [cell for cell in self.cells if cell.role == role and clock in (None, cell.clock)]

    def clock_of(self, role: str) -> str | None:
        """The clock to read a role's arms at: the study's own where an arm was run under it; None without an arm."""
        return next((clock for clock in self.clocks if self.of(role, clock)), None)

    def longest_of(self, role: str) -> CellOutcome | None:
        """The cell of a role's arms with the longest deficit; None without any."""
        cells = [cell for cell in self.of(role, self.clock_of(role)) if cell.duration]
        return max(cells, key=lambda cell: (cell.duration, cell.after), default=None)

    def curves(self, role: str, clock: str) -> list[list[CellOutcome]]:
        """The curves of a role, "duration" or "onset", under one clock, each in order; the main one first.

        Cells lie on one curve if they share their arm, settings, deficits and, for onsets, length and clean phase, or
        all epochs in total where an arm has a fixed budget.
        """
        if (role, clock) not in self._curves:
            self._curves[role, clock] = self._drawn(role, clock)
        return [[*curve] for curve in self._curves[role, clock]]

    def _drawn(self, role: str, clock: str) -> list[list[CellOutcome]]:
        curves: dict[tuple[object, ...], list[CellOutcome]] = {}
        controls: dict[tuple[object, ...], list[CellOutcome]] = {}
        for cell in self.of(role, clock):
            alike = (cell.arm, cell.settings)
            if role == "duration" and not cell.duration:
                controls.setdefault(alike, []).append(cell)
            elif role == "duration":
                curves.setdefault((*alike, suffered(cell)), []).append(cell)
            elif cell.duration and cell.onset is not None:
                length = cell.timeline.epochs if self._fixed_budget(cell) else cell.after
                curves.setdefault((*alike, suffered(cell), cell.duration, length), []).append(cell)
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
        first, total = own[0], self._fixed_budget(own[0])
        start = [
            c
            for c in self.durations(clock)
            if (c.onset, c.duration, c.settings, suffered(c)) == (0, first.duration, first.settings, suffered(first))
            and (c.timeline.epochs == first.timeline.epochs if total else c.after == first.after)
        ]
        return _distinct([*own, *start], lambda cell: cell.onset or 0)

    def _fixed_budget(self, cell: CellOutcome) -> bool:
        """Whether the same deficit at other onsets of its arm leaves other clean epochs, and equally many in total."""
        alike = (cell.arm, cell.clock, cell.settings, cell.duration, suffered(cell))
        same = [c for c in self.cells if (c.arm, c.clock, c.settings, c.duration, suffered(c)) == alike]
        return len({c.timeline.epochs for c in same}) == 1 and len({c.after for c in same}) > 1

    def longest(self, clock: str) -> CellOutcome | None:
        """The cell of the duration curve with the longest deficit; None without any deficit."""
        curve = [cell for cell in self.durations(clock) if cell.duration]
        return curve[-1] if curve else None

    def short(self, cell: CellOutcome) -> str:
        """What tells a cell from the others of its arm, in words: "40 epochs, from epoch 20, momentum = 0.5".

        The clock is left out, which pictures and tables name beside it.
        """
        same = [c for c in self.cells if c.arm == cell.arm]
        parts = []
        if len({suffered(c) for c in same if c.duration}) > 1:
            parts.append(doing(cell.timeline) if cell.duration else "")
        if len({c.duration for c in same}) > 1:
            parts.append(count(cell.duration, "epoch") if cell.duration else "no deficit")
        if len({c.onset for c in same if c.duration}) > 1:
            parts.append(f"from epoch {cell.onset}" if cell.duration else "")
        if len({c.after for c in same}) > 1:
            parts.append(f"{count(cell.after, 'clean epoch')}{' after it' if cell.duration else ''}")
        varied = [(key, value) for key, value in cell.settings if any((key, value) not in c.settings for c in same)]
        return ", ".join(part for part in [*parts, setting_words(varied)] if part)

    def called(self, cell: CellOutcome) -> str:
        """A cell in words: its arm, what tells it from others there, and its learning rate where several are used."""
        same = {c.clock for c in self.cells if c.arm == cell.arm}
        schedule = f"learning rate {SCHEDULES.get(cell.clock, cell.clock)}" if len(same) > 1 else ""
        words = ", ".join(part for part in (self.short(cell), schedule) if part)
        return f"{cell.arm} ({words})" if words else cell.arm


def weighted(*parts: tuple[CellOutcome, float]) -> dict[CellOutcome, float]:
    """Return the weights of a contrast in which a cell may stand twice."""
    weights: dict[CellOutcome, float] = {}
    for cell, weight in parts:
        weights[cell] = weights.get(cell, 0.0) + weight
    return {cell: weight for cell, weight in weights.items() if weight}


def suffered(cell: CellOutcome) -> str:
    """What a cell suffers, deficit after deficit, in the notation without its epochs."""
    return " | ".join(" + ".join(map(str, deficits)) for deficits in all_deficits(cell.timeline))


def brief_name(curve: Sequence[CellOutcome], curves: Sequence[Sequence[CellOutcome]]) -> str:
    """A curve's arm, where no other curve is of the same arm; else what tells it from the others."""
    alone = sum(other[0].arm == curve[0].arm for other in curves) == 1
    return f"arm {curve[0].arm}" if alone else curve_name(curve)


def curve_name(curve: Sequence[CellOutcome]) -> str:
    """What tells a curve from the main one: its arm and its settings."""
    parts = [part for part in (suffered(curve[-1]), setting_words(curve[0].settings)) if part]
    return f"arm {curve[0].arm} ({', '.join(parts)})"


def _distinct(cells: Sequence[CellOutcome], by: Callable[[CellOutcome], int]) -> list[CellOutcome]:
    """Sort by a number and keep the first cell of each."""
    kept: dict[int, CellOutcome] = {}
    for cell in cells:
        kept.setdefault(by(cell), cell)
    return [kept[value] for value in sorted(kept)]


def _place(cell: CellOutcome) -> int:
    return cell.duration if cell.role == "duration" else cell.onset or 0
