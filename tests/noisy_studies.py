"""Studies made of noise, for how often a report is wrong and right: cells with the numbers that a scenario draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiasm.objectives import Outcome
from chiasm.objectives.classify import ACCURACY
from chiasm.report.outcomes import CellOutcome, RunOutcome
from chiasm.report.phrases import healthy
from chiasm.report.reading import reading
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.timeline import Timeline

Floats = NDArray[np.float64]
Cells = tuple[CellOutcome, ...]

SOURCES = ("left", "right")
CLOCKS = ["absolute", "since_release", "constant"]
CHANCE, LEVEL, MARGIN, RSV_MARGIN = 25.0, 80.0, 2.0, 0.1
OUTCOME = Outcome(ACCURACY, CHANCE / 100, margin=MARGIN, difference="points")


def arm(name: str, timeline: str, role: str = "", clock: Any = "absolute", **varied: Any) -> dict[str, Any]:
    """An arm of a study; its role is its name where none is given."""
    return {"name": name, "role": role or name, "timeline": timeline, "training.clock": clock, **varied}


#: A control with a few deficits, and the arms of the study `stereogram`.
FEW = (
    arm("duration", "silence(right) {d} | clean 60", d=[0, 20, 40]),
    arm("onset", "clean {t} | silence(right) 40 | clean 60", t=[0, 20, 80]),
    arm("mirror", "silence(left) {d} | clean 60", d=[40]),
)
MANY = (
    arm("duration", "silence(right) {d} | clean 60", clock=CLOCKS, d=[0, 5, 10, 20, 40, 80]),
    arm("onset", "clean {t} | silence(right) 40 | clean 60", clock=CLOCKS, t=[0, 10, 20, 40, 80]),
    arm("mirror", "silence(left) {d} | clean 60", d=[20, 80]),
    arm("noise", "noise(right, 1, mode=replace) {d} | clean 60", "deficit", d=[20, 80]),
    arm("dissociate", "dissociate(first) {d} | clean 60", "deficit", d=[20, 80]),
    {**arm("fresh", "silence(right) {d} | clean 60", clock="constant", d=[0, 5, 10, 20, 40, 80]), "task.fresh": True},
    arm("alone", "silence(right) 60"),
    arm("longer", "silence(right) {d} | clean 180", clock="constant", d=[0, 80]),
    arm("total", "clean {n}", n=[140, 180]),
)
LAYOUTS = {"few": FEW, "many": MANY}


def cells_of(arms: Iterable[dict[str, Any]]) -> Cells:
    """The cells of a study's arms, without runs."""
    cells: list[CellOutcome] = []
    for one in arms:
        fixed = {key: one[key] for key in one if key not in ("name", "role", "timeline")}
        lists = {key: value if isinstance(value, list) else [value] for key, value in fixed.items()}
        for chosen in product(*lists.values()):
            point = dict(zip(lists, chosen, strict=True))
            clock = point.pop("training.clock")
            values = {**point, **({} if clock == "absolute" else {"training.clock": clock})}
            named = {key: value for key, value in point.items() if "." not in key}
            timeline = Timeline.parse(one["timeline"].format(**named))
            left = healthy(timeline, SOURCES) if one["role"] == "alone" else ()
            lone = left[0] if len(left) == 1 else ""
            label = ", ".join(f"{key}={value}" for key, value in values.items())
            cells.append(CellOutcome(one["name"], one["role"], label, values, timeline, clock, lone, ()))
    return tuple(cells)


@cache
def layout(name: str) -> Cells:
    """The cells of one of `LAYOUTS`."""
    return cells_of(LAYOUTS[name])


# -- spreads ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Noise:
    """How runs spread about what is true of their cell.

    Attributes:
        sd: of a run of each cell, (cells,), in points.
        seed: sd of what all cells of a seed share.
        skewed: whether runs spread as a log-normal does, most a little above and few far below.
        lost: share of runs that end 60 points lower.
    """

    sd: Floats
    seed: float = 0.0
    skewed: bool = False
    lost: float = 0.0

    def unit(self, draws: np.random.Generator, seeds: int) -> Floats:
        """Deviations with a mean of 0 in units of the least spread, (cells, seeds)."""
        shape = len(self.sd), seeds
        if self.skewed:
            each = -(np.exp(draws.normal(size=shape)) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)
        else:
            each = draws.normal(size=shape)
        return np.asarray(each * self.sd[:, None] + self.seed * draws.normal(size=(1, seeds)))

    def collapses(self, draws: np.random.Generator, seeds: int) -> Floats:
        """By how many points runs collapse, (cells, seeds)."""
        return np.where(draws.random((len(self.sd), seeds)) < self.lost, 60.0, 0.0)


def _every(cells: Cells, sd: Callable[[CellOutcome], float]) -> Floats:
    return np.array([sd(cell) for cell in cells])


#: How runs spread, by name: of the cells and a generator for what differs from study to study.
SPREADS: dict[str, Callable[[Cells, np.random.Generator], Noise]] = {
    "equal": lambda cells, draws: Noise(_every(cells, lambda c: 2)),
    "impaired 5 to 1": lambda cells, draws: Noise(_every(cells, lambda c: 5 if c.duration else 1)),
    "half 5 to 1": lambda cells, draws: Noise(_every(cells, lambda c: 5 if c.duration and draws.random() < 0.5 else 1)),
    "by cell": lambda cells, draws: Noise(_every(cells, lambda c: 2 * np.exp(0.7 * draws.normal()))),
    "skewed": lambda cells, draws: Noise(_every(cells, lambda c: 2), skewed=True),
    "seed effects": lambda cells, draws: Noise(_every(cells, lambda c: 2), seed=5),
    "a tenth collapse": lambda cells, draws: Noise(_every(cells, lambda c: 2), lost=0.1),
}


def two_wide(cells: Cells, draws: np.random.Generator) -> Noise:
    """Control and longest deficit of sd 5 among cells of sd 1: the page warns, the rule does not hold."""
    sd = _every(cells, lambda c: 1)
    main = [i for i, c in enumerate(cells) if c.role == "duration" and c.clock == "absolute"]
    sd[[main[0], main[-1]]] = 5
    return Noise(sd)


# -- studies ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """What is true of a study, and how it spreads.

    Attributes:
        lost: what each cell costs, in points.
        moved: by how much each cell's mean RSV is shifted.
        parted: by how much each cell's spread of RSV is.
        single: by how much each cell does better with the left source and the other silenced, in points.
        alone: by how much one source, trained and tested alone, does better than chance, in points.
        rsv_sd: spread of a layer's mean RSV over runs.
        layers: how many were measured; 0: none.
        level: where a run without any cost ends, in percent.
    """

    lost: Callable[[CellOutcome], float] = lambda cell: 0.0
    moved: Callable[[CellOutcome], float] = lambda cell: 0.0
    parted: Callable[[CellOutcome], float] = lambda cell: 0.0
    single: Callable[[CellOutcome], float] = lambda cell: 0.0
    alone: float = 0.0
    rsv_sd: float = 0.05
    layers: int = 1
    level: float = LEVEL

    def study(self, cells: Cells, noise: Noise, seeds: int, draws: np.random.Generator) -> StudyOutcomes:
        """Draw the numbers of a study."""
        told = (self.lost, self.moved, self.parted, self.single)
        lost, moved, parted, gained = (np.array([f(c) for c in cells])[:, None] for f in told)
        score = (self.level - lost + noise.unit(draws, seeds) - noise.collapses(draws, seeds)) / 100
        single = [(CHANCE + gain + noise.unit(draws, seeds)) / 100 for gain in (gained, 0 * gained)]
        one = (CHANCE + self.alone + noise.unit(draws, seeds)) / 100
        small = self.rsv_sd / max(1e-9, float(np.median(noise.sd)))
        quantities = []
        for _ in range(self.layers):
            rsv = moved + small * noise.unit(draws, seeds)
            sd = 0.4 + parted + small * noise.unit(draws, seeds) / 2
            quantities.append((rsv, sd, 0.3 + small * noise.unit(draws, seeds) / 2))
        names = tuple(["fusion", "trunk.0", "trunk.1"][: self.layers])
        full = []
        for i, cell in enumerate(cells):
            runs = []
            for s in range(seeds):
                alone = {name: float(single[k][i, s]) for k, name in enumerate(SOURCES)}
                if cell.lone:
                    alone[cell.lone] = float(one[i, s])
                layers = {
                    name: {"rsv_mean": float(a[i, s]), "rsv_sd": float(b[i, s]), "synergy_mean": float(c[i, s])}
                    for name, (a, b, c) in zip(names, quantities, strict=True)
                }
                run = RunOutcome(f"{cell.label}#{s}", s, float(score[i, s]), alone, layers, None, None)
                runs.append(run)
            full.append(replace(cell, runs=tuple(runs)))
        clocks = tuple(clock for clock in CLOCKS if any(cell.clock == clock for cell in cells))
        return StudyOutcomes(tuple(full), SOURCES, names, clocks, OUTCOME, rsv_margin=RSV_MARGIN)


# -- scenarios -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """Studies of one kind, to be read by the hundred.

    Attributes:
        cells: the cells, without runs.
        made: what is true of them; studies take turns.
        spread: how runs spread.
        seeds: of a study; studies take turns.
    """

    cells: Cells
    made: tuple[Made, ...]
    spread: Callable[[Cells, np.random.Generator], Noise]
    seeds: tuple[int, ...]


@dataclass
class Tally:
    """What reports said, over many studies.

    Attributes:
        studies: how many.
        any_present: in how many any question was answered "present".
        verdicts: how many of a question's verdicts, by (question and about, verdict).
        covered: 95 % intervals of `cost` that hold the true value, and all of them.
    """

    studies: int
    any_present: int
    verdicts: Counter[tuple[str, str]]
    covered: tuple[int, int]

    def share(self, about: str, verdict: str) -> float:
        """Share of studies with that verdict on a question."""
        return self.verdicts[about, verdict] / self.studies

    @property
    def coverage(self) -> float:
        """Share of the intervals of `cost` that hold the true value."""
        return self.covered[0] / max(1, self.covered[1])


def tally(scenario: Scenario, studies: int, start: int = 0) -> Tally:
    """Make so many studies of a scenario and read them.

    Args:
        scenario: the scenario.
        studies: how many.
        start: begins the draws.
    """
    verdicts: Counter[tuple[str, str]] = Counter()
    present = covered = intervals = 0
    cells = scenario.cells
    for i in range(studies):
        draws = np.random.default_rng([start, i])
        made = scenario.made[i % len(scenario.made)]
        seeds = scenario.seeds[i // len(scenario.made) % len(scenario.seeds)]
        findings = reading(made.study(cells, scenario.spread(cells, draws), seeds, draws))
        verdicts.update((finding.about, finding.verdict) for finding in findings)
        present += any(finding.verdict == "present" for finding in findings)
        cost = next(
            (finding.evidence.difference for finding in findings if finding.about == "cost" and finding.evidence), None
        )
        if cost is not None and cost.error is not None:
            longest = max(
                (c for c in cells if c.role == "duration" and c.clock == "absolute"), key=lambda c: c.duration
            )
            covered += not cost.excludes(made.lost(longest))
            intervals += 1
    return Tally(studies, present, verdicts, (covered, intervals))


def steady(sd: float) -> Callable[[Cells, np.random.Generator], Noise]:
    """Every cell spreads alike, by so many points."""
    return lambda cells, draws: Noise(_every(cells, lambda cell: sd))


def null(layout_name: str, spread: str, seeds: int) -> Scenario:
    """No effect of anything: of a mean RSV that spreads by .05 and .2, over one layer and three."""
    made = tuple(Made(rsv_sd=sd, layers=layers) for sd in (0.05, 0.2) for layers in (1, 3))
    return Scenario(layout(layout_name), made, two_wide if spread == "two wide" else SPREADS[spread], (seeds,))


def early(layout_name: str, points: float, sd: float, seeds: int) -> Scenario:
    """A window: a deficit of 40 epochs or more from the start costs so much, shorter ones less, late ones nothing."""

    def lost(cell: CellOutcome) -> float:
        return points * min(1.0, cell.duration / 40) if cell.onset == 0 and not cell.lone else 0.0

    return Scenario(layout(layout_name), (Made(lost),), steady(sd), (seeds,))


#: The questions whose true effect is at the margin in `at_the_margin`, as their findings are named.
AT_THE_MARGIN = (
    "window",
    "clocks, learning rate restarted at release",
    "clocks, constant learning rate",
    "cost",
    "units",
    "units window",
    "spread",
    "silent",
    "single",
    "constant",
    "mirror",
    "mirror, units",
    "fresh",
    "longer",
    "alone",
    "deficit, noise(right, 1, mode=replace)",
    "deficit, dissociate(labels=first)",
)


def at_the_margin(sd: float, seeds: int) -> Scenario:
    """Every effect of `AT_THE_MARGIN` as large as what just counts; mirrors, fresh data and long runs cost nothing."""

    def there(cell: CellOutcome) -> float:
        return float(cell.onset == 0 and cell.duration >= 40 and cell.role in ("duration", "onset", "deficit"))

    made = Made(
        lambda cell: MARGIN * there(cell),
        lambda cell: RSV_MARGIN * there(cell),
        lambda cell: RSV_MARGIN * there(cell),
        lambda cell: MARGIN * there(cell),
        alone=MARGIN,
        rsv_sd=RSV_MARGIN * sd / MARGIN,
    )
    return Scenario(layout("many"), (made,), steady(sd), (seeds,))


def shapes() -> dict[str, list[Scenario]]:
    """Forty shapes that look like a critical period and are none, or hold one where the first and last cells do not."""
    found: dict[str, list[Scenario]] = {"no control": [], "equal damage": [], "in the middle": []}
    for growth in (5, 10, 20, 40):
        for epochs in (20, 40, 80):
            arms = [arm("onset", f"clean {{t}} | silence(right) {epochs} | clean 60", t=[0, 20, 80])]
            found["no control"].append(_shape(arms, _growing(growth, 0)))
        for damage in (5, 10, 20):
            for totals in ([100, 120, 180], [180]):
                onset = arm("onset", "clean {t} | silence(right) 40 | clean 60", t=[0, 20, 80])
                control = arm("duration", "silence(right) {d} | clean 60", d=[0])
                arms = [onset, control, arm("total", "clean {n}", n=totals)]
                found["equal damage"].append(_shape(arms, _growing(growth, damage)))
    for sd in (1, 2, 3, 4):
        found["in the middle"].append(Scenario(layout("few"), (Made(_in_the_middle),), steady(sd), (2, 3, 5)))
    return found


def _shape(arms: Sequence[dict[str, Any]], lost: Callable[[CellOutcome], float]) -> Scenario:
    return Scenario(cells_of(arms), (Made(lost, layers=0),), steady(2), (2, 3, 5))


def _growing(growth: float, damage: float) -> Callable[[CellOutcome], float]:
    """An outcome that grows by so many points from 60 to 180 epochs in total; every deficit costs the same."""
    return lambda cell: damage * (cell.duration > 0) - growth * (cell.timeline.epochs - 60) / 120


def _in_the_middle(cell: CellOutcome) -> float:
    return 20.0 if cell.onset == 20 else 0.0
