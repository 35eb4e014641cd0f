"""What a report says, against numbers worked out from the raw runs by a formula of the test's own."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from chiasm.objectives import Outcome
from chiasm.objectives.regress import ERROR
from chiasm.report.outcomes import RunOutcome
from chiasm.report.phrases import CLOCK_WORDS
from chiasm.report.reading import reading, rule
from chiasm.report.study_outcomes import StudyOutcomes
from tests.noisy_studies import CLOCKS, FEW, MANY, OUTCOME, arm, cells_of

#: No sentence of an unsettled answer may claim so much.
CLAIMS = ("heals", "agrees", "needs", "does not", "no cost", "there is none", "nothing that counts")
Interval = tuple[float, float | None, float | None]


@dataclass(frozen=True)
class Shape:
    """A study to draw outcomes for."""

    arms: tuple[dict[str, Any], ...]
    seeds: int = 3
    sources: tuple[str, ...] = ("left", "right")
    layers: tuple[str, ...] = ("fusion",)
    outcome: Outcome = OUTCOME
    lost: float = 0.0  # share of runs that diverge
    collapsing: float = 0.0
    controls_lost: bool = False


ERRORS = Outcome(ERROR, 1.0, higher_is_better=False, margin=0.0)
LATER = arm("onset", "clean {t} | silence(right) 40 | clean 60", t=[20, 80])
PHASES = (
    arm("duration", "silence(right) {d} | silence(left) {d} | clean 60", d=[20, 40]),
    arm("control", "clean 60", "duration"),
)
WIDE = arm("wide", "silence(right) {d} | clean 60", "duration", d=[0, 80])
SHAPES: dict[str, Shape] = {
    "whole": Shape(MANY),
    "whole, five seeds": Shape(MANY, 5),
    "two seeds": Shape(MANY, 2),
    "one seed": Shape(MANY, 1),
    "few": Shape(FEW, 4),
    "two curves": Shape((*FEW, {**WIDE, "training.momentum": 0.5}), 3, layers=()),
    "one arm": Shape(FEW[:1]),
    "no control": Shape((LATER,)),
    "first onset from the durations": Shape((FEW[0], LATER, arm("total", "clean {n}", n=[100, 120, 180]))),
    "three sources": Shape(MANY, sources=("left", "right", "touch")),
    "three layers": Shape(MANY, layers=("fusion", "trunk.0", "trunk.1")),
    "no units": Shape(MANY, layers=()),
    "several phases": Shape(PHASES),
    "diverged": Shape(MANY, 4, lost=0.2),
    "controls diverged": Shape(MANY, controls_lost=True),
    "collapsed": Shape(MANY, 5, collapsing=0.15),
    "errors, no margin": Shape(MANY, outcome=ERRORS),
    "errors": Shape(MANY, outcome=replace(ERRORS, margin=0.02), layers=("fusion", "trunk.0")),
    "nobody knows chance": Shape(MANY, outcome=replace(OUTCOME, chance=None)),
}


def drawn(shape: Shape, number: int) -> StudyOutcomes:
    """Outcomes of all kinds: none, small and large effects, little and much noise."""
    draws = np.random.default_rng(number)
    sign = 1 if shape.outcome.higher_is_better else -1
    sd = float(draws.choice([0.2, 1.0, 4.0]))
    cost = draws.choice([0.0, 0.0, 2.0, 8.0, 30.0], size=2)
    cells = []
    for cell in cells_of(shape.arms):
        lost = cost[0 if cell.onset == 0 else 1] * min(1.0, cell.duration / 40) + draws.choice([0, 0, 0, 5])
        moved = draws.choice([0, 0, 0.3, -0.3]) * (cell.duration > 0)
        runs = []
        for seed in range(shape.seeds):
            name = f"{cell.label}#{seed}"
            if draws.random() < shape.lost or (shape.controls_lost and not cell.duration):
                runs.append(RunOutcome(name, seed, None, {}, {}, None, 3))
                continue
            fell = 60 * (draws.random() < shape.collapsing)
            score = (60 + sign * (20 - lost - fell) + sd * draws.normal()) / 100
            alone = {source: (25 + draws.choice([0, 3]) + sd * draws.normal()) / 100 for source in shape.sources}
            layers = {layer: _units(draws, moved, sd / 40, shape.sources) for layer in shape.layers}
            runs.append(RunOutcome(name, seed, score, alone, layers, None, None))
        cells.append(replace(cell, runs=tuple(runs)))
    clocks = tuple(clock for clock in CLOCKS if any(cell.clock == clock for cell in cells))
    return StudyOutcomes(tuple(cells), shape.sources, shape.layers, clocks, shape.outcome)


def _units(draws: np.random.Generator, moved: float, sd: float, sources: tuple[str, ...]) -> dict[str, float]:
    values = {
        "rsv_mean": moved + sd * draws.normal(),
        "rsv_sd": 0.4 + moved / 2 + sd * draws.normal(),
        "synergy_mean": 0.3 + sd * draws.normal(),
        "polarised": 0.2,
        "rsv_beyond": 0.1,
    }
    return {**values, **{f"share_mean {source}": 0.5 for source in sources}}


# -- the test's own arithmetic ---------------------------------------------------------------------------------------


class Raw:
    """The raw runs of a study, cell by cell, and contrasts of them by the formula that the report is to follow."""

    def __init__(self, outcomes: StudyOutcomes) -> None:
        self.cells = outcomes.cells
        self.scale = outcomes.outcome.quantity.scale
        self.sign = -1 if outcomes.outcome.higher_is_better else 1
        self.reach = (outcomes.outcome.quantity.high - outcomes.outcome.quantity.low) * self.scale
        self.fallen: dict[int, set[int]] = {}
        self.pools: dict[tuple[str, ...], tuple[float, int]] = {}
        for i, cell in enumerate(self.cells):
            worse = {r.seed: self.sign * r.score * self.scale for r in cell.runs if r.score is not None}
            middle = np.median(list(worse.values())) if worse else 0.0
            by = 10 * outcomes.outcome.margin
            far = {seed for seed, value in worse.items() if value - middle > by}
            self.fallen[i] = far if len(worse) > 2 and by > 0 else set()

    def at(self, arm_name: str, clock: str = "absolute", **values: int) -> int | None:
        """Which cell of an arm has those values; None without it."""
        for i, cell in enumerate(self.cells):
            if cell.arm == arm_name and cell.clock == clock and values.items() <= dict(cell.values).items():
                return i
        return None

    def numbers(self, quantity: tuple[str, ...]) -> list[dict[int, float]]:
        """A quantity by cell and seed, without what collapsed."""
        found = []
        for i, cell in enumerate(self.cells):
            values: dict[int, float] = {}
            for run in cell.runs:
                if run.score is None or run.seed in self.fallen[i]:
                    continue
                if quantity[0] == "worse":
                    values[run.seed] = self.sign * self.scale * run.score
                elif quantity[0] == "alone":
                    values[run.seed] = self.scale * run.alone[quantity[1]]
                else:
                    values[run.seed] = run.layers[quantity[0]][quantity[1]]
            found.append(values)
        return found

    def pool(self, quantity: tuple[str, ...]) -> tuple[float, int]:
        """The residual variance of a run after its cell and its seed, and its degrees of freedom."""
        if quantity not in self.pools:
            rows = [(i, seed, y) for i, values in enumerate(self.numbers(quantity)) for seed, y in values.items()]
            i, seed, y = (np.array(column) for column in zip(*rows, strict=True))
            design = np.hstack([i[:, None] == np.arange(len(self.cells)), seed[:, None] == np.arange(9)]).astype(float)
            left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
            nu = len(rows) - int(np.linalg.matrix_rank(design))
            self.pools[quantity] = (float((left**2).sum() / max(1, nu)), nu)
        return self.pools[quantity]

    def contrast(
        self, quantity: tuple[str, ...], *parts: tuple[int | None, float], level: float = 0.95
    ) -> Interval | None:
        """The weighted sum of cells with its interval; None without any."""
        weights: dict[int, float] = {}
        for i, weight in parts:
            if i is None:
                return None
            weights[i] = weights.get(i, 0.0) + weight
        weights = {i: w for i, w in weights.items() if w}
        numbers = self.numbers(quantity)
        every = set().union(*(numbers[i] for i in weights))
        shared = sorted(seed for seed in every if all(seed in numbers[i] for i in weights))
        if not shared:
            return None
        each = np.array([sum(w * numbers[i][seed] for i, w in weights.items()) for seed in shared])
        n, mean = len(each), float(each.mean())
        if n < 2 or 2 * n < len(every):
            return mean, None, None
        variance, freedom = each.var(ddof=1), n - 1
        residual, nu = self.pool(quantity)
        if nu > 0:
            pooled = sum(w * w for w in weights.values()) * residual
            variance, freedom = (4 * pooled + (n - 1) * each.var(ddof=1)) / (n + 3), min(n + 3, nu)
        half = float(student.ppf((1 + level) / 2, freedom) * np.sqrt(variance / n))
        span = {"worse": self.reach, "alone": self.reach}.get(quantity[0], 2.0 if quantity[-1] == "rsv_mean" else 1.0)
        reach = sum(map(abs, weights.values())) / 2 * span
        return mean, max(-reach, mean - half), min(reach, mean + half)

    def control(self, i: int | None) -> int | None:
        """The clean cell that a cell of these studies is held against."""
        if i is None:
            return None
        cell = self.cells[i]
        if cell.arm in ("fresh", "longer", "wide"):
            return self.at(cell.arm, cell.clock, d=0)
        own = self.at("duration", cell.clock, d=0)
        return own if own is not None else self.at("control")

    def as_long(self, i: int | None) -> int | None:
        """The clean cell that trained for as many epochs in all."""
        if i is None:
            return None
        epochs, constant = self.cells[i].timeline.epochs, self.cells[i].clock == "constant"
        for j, cell in enumerate(self.cells):
            alike = cell.arm != "fresh" and (cell.clock == "constant") == constant
            if not cell.duration and cell.timeline.epochs == epochs and alike:
                return j
        return None

    def cost(self, i: int | None, level: float = 0.95) -> Interval | None:
        """What a cell costs against its control."""
        return self.contrast(("worse",), (i, 1), (self.control(i), -1), level=level)

    def excess(self, i: int | None, j: int | None, sign: int = 1) -> Interval | None:
        """What the first costs more than the second."""
        return self.contrast(("worse",), (i, sign), (self.control(i), -sign), (j, -sign), (self.control(j), sign))


def turned(interval: Interval | None) -> Interval | None:
    """The interval of the same number with the other sign."""
    if interval is None or interval[1] is None or interval[2] is None:
        return None if interval is None else (-interval[0], None, None)
    return -interval[0], -interval[2], -interval[1]


def expected(outcomes: StudyOutcomes, raw: Raw, about: str) -> tuple[list[Interval | None], list[Interval | None]]:
    """What a finding may rest on, and what else its sentence may quote."""
    tag, _, detail = about.partition(", ")
    clock = next((c for c, words in CLOCK_WORDS.items() if words == detail), "absolute")
    long = max(
        (i for i, c in enumerate(raw.cells) if c.arm == "duration" and c.clock == clock and c.duration), default=None
    )
    free = raw.control(long)
    shifts = {
        (layer, q): raw.contrast((layer, q), (long, 1), (free, -1))
        for layer in outcomes.layers
        for q in ("rsv_mean", "rsv_sd", "synergy_mean")
    }
    if tag in ("window", "clocks", "late", "middle"):
        return _of_onsets(raw, tag, clock)
    if tag in ("cost", "constant"):
        clock = "constant" if tag == "constant" else clock
        costs = {
            c.values["d"]: raw.cost(i)
            for i, c in enumerate(raw.cells)
            if c.arm == "duration" and c.clock == clock and c.duration
        }
        return [costs[max(costs)]], [*costs.values()]
    if tag == "deficit":
        name = "noise" if detail.startswith("noise") else "dissociate"
        return [raw.cost(raw.at(name, d=80))], []
    if tag == "other curves":
        return [raw.cost(raw.at("wide", d=80))], []
    if tag == "units":
        return [shifts[layer, "rsv_mean"] for layer in outcomes.layers], [*shifts.values()]
    if tag == "units window":
        return _of_units_window(outcomes, raw)
    if tag == "spread":
        clocks = []
        for other in outcomes.clocks[1:]:
            i = raw.at("duration", other, d=80)
            clocks += [raw.contrast((layer, "rsv_sd"), (i, 1), (raw.control(i), -1)) for layer in outcomes.layers]
        return [shifts[layer, "rsv_sd"] for layer in outcomes.layers], clocks
    if tag == "silent":
        return [shifts[layer, "rsv_mean"] for layer in outcomes.layers], [raw.cost(long)]
    if tag == "single":
        return [raw.contrast(("alone", s), (long, 1), (free, -1)) for s in outcomes.sources], []
    if tag == "restart":
        again = raw.at("duration", "since_release", d=80)
        won = raw.contrast(("worse",), (long, 1), (again, -1))
        left = raw.contrast(("worse",), (again, 1), (free, -1))
        return [won], [raw.cost(long), left, _share(raw, long, again, free)]
    if tag == "mirror":
        i = max(j for j, c in enumerate(raw.cells) if c.arm == "mirror")
        first = raw.at("duration", d=raw.cells[i].values["d"])
        if detail == "units":
            parts = [(i, 1), (raw.control(i), -1), (first, 1), (raw.control(first), -1)]
            return [raw.contrast((outcomes.layers[0], "rsv_mean"), *parts)], []
        return [raw.excess(i, first)], [raw.cost(i), raw.cost(first)]
    if tag in ("fresh", "longer"):
        i, first = raw.at(tag, "constant", d=80), raw.at("duration", "constant", d=80)
        return [raw.excess(first, i)], [raw.cost(i), raw.cost(first)]
    if tag == "alone":
        above, level = _alone(outcomes, raw)
        return [above], [level]
    assert tag == "total"
    clean = raw.at("duration", d=0)
    better = [raw.contrast(("worse",), (clean, 1), (i, -1)) for i, c in enumerate(raw.cells) if c.arm == "total"]
    ends = [
        max((i for i, c in enumerate(raw.cells) if c.arm == "duration" and c.clock == k), default=None) for k in CLOCKS
    ]
    return better, [raw.contrast(("worse",), (i, 1), (raw.as_long(i), -1)) for i in ends]


def _of_onsets(raw: Raw, tag: str, clock: str) -> tuple[list[Interval | None], list[Interval | None]]:
    onsets = {c.onset or 0: i for i, c in enumerate(raw.cells) if c.arm == "onset" and c.clock == clock}
    if 0 not in onsets and (start := raw.at("duration", clock, d=40)) is not None:
        onsets[0] = start
    order = [onsets[t] for t in sorted(onsets)]
    pairs = {
        "late": [(order[-1], order[0])],
        "middle": [(i, j) for i in order[1:-1] for j in (order[0], order[-1])],
    }.get(tag, [(order[0], order[-1])])
    level = 0.98 if tag == "window" else 0.95
    rests = [raw.contrast(("worse",), (i, 1), (j, -1), level=level) for i, j in pairs]
    said: list[Interval | None] = []
    for i, j in pairs:
        said += [raw.cost(i), raw.cost(j), raw.contrast(("worse",), (i, 1), (j, -1))]
        clean = [raw.as_long(k) if raw.as_long(k) is not None else raw.control(k) for k in (i, j)]
        said.append(raw.contrast(("worse",), (i, 1), (clean[0], -1), (j, -1), (clean[1], 1)))
    return rests, said


def _of_units_window(outcomes: StudyOutcomes, raw: Raw) -> tuple[list[Interval | None], list[Interval | None]]:
    onsets = {c.onset or 0: i for i, c in enumerate(raw.cells) if c.arm == "onset" and c.clock == "absolute"}
    if 0 not in onsets and (start := raw.at("duration", d=40)) is not None:
        onsets[0] = start
    first, last = onsets[min(onsets)], onsets[max(onsets)]
    further, shifts = [], []
    for layer in outcomes.layers:
        name = (layer, "rsv_mean")
        shift = raw.contrast(name, (first, 1), (raw.control(first), -1))
        sign = 1 if shift is None or shift[0] >= 0 else -1
        further.append(raw.contrast(name, (first, sign), (last, -sign)))
        shifts += [shift, turned(shift), raw.contrast(name, (last, 1), (raw.control(last), -1))]
    return further, shifts


def _alone(outcomes: StudyOutcomes, raw: Raw) -> tuple[Interval | None, Interval | None]:
    """By how much the lone source beats chance, and what it reaches."""
    cell = raw.cells[raw.at("alone") or 0]
    chance = (outcomes.outcome.chance or 0.0) * raw.scale
    scores = np.array([raw.scale * run.alone[cell.lone] for run in cell.runs if run.score is not None])
    if not len(scores):
        return None, None
    above, mean = -raw.sign * (scores - chance), float(scores.mean())
    if len(scores) < 2:
        return (float(above.mean()), None, None), None
    half = student.ppf(0.975, len(above) - 1) * above.std(ddof=1) / np.sqrt(len(above))
    level = mean, max(0.0, mean - half), min(raw.reach, mean + half)
    return (float(above.mean()), float(above.mean() - half), float(above.mean() + half)), level


def _share(raw: Raw, long: int | None, again: int | None, free: int | None) -> Interval | None:
    """The share of a loss that is won back, in per cent, with its jackknife interval."""
    numbers = raw.numbers(("worse",))
    if long is None or again is None or free is None:
        return None
    seeds = sorted(set(numbers[long]) & set(numbers[again]) & set(numbers[free]))
    n = len(seeds)
    if n < 3:
        return None
    won = np.array([numbers[long][s] - numbers[again][s] for s in seeds])
    lost = np.array([numbers[long][s] - numbers[free][s] for s in seeds])
    without = np.array([np.delete(won, k).sum() / np.delete(lost, k).sum() for k in range(n)])
    half = student.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    share = won.mean() / lost.mean()
    return 100 * float(share), 100 * float(share - half), 100 * float(share + half)


# -- what the sentences say ------------------------------------------------------------------------------------------

NUMBER = r"([−+]?\d+(?:\.\d+)?)"
QUOTED = re.compile(rf"{NUMBER}(?: points?| %)? \[{NUMBER}(?: %)?, {NUMBER}(?: %)?\]")


def quoted(text: str) -> Iterator[tuple[tuple[float, ...], float]]:
    """Every number with an interval in a text, and half a step of its last decimal."""
    for match in QUOTED.finditer(text):
        digits = len(match[2].partition(".")[2])
        yield tuple(float(part.replace("−", "-")) for part in match.groups()), 0.5 * 10.0**-digits + 1e-6


def agrees(numbers: tuple[float, ...], step: float, interval: Interval | None) -> bool:
    """Whether printed numbers are those of an interval, rounded."""
    if interval is None or interval[1] is None or interval[2] is None:
        return False
    return all(abs(a - b) <= step for a, b in zip(numbers, (interval[0], interval[1], interval[2]), strict=True))


def studies() -> list[Any]:
    return [pytest.param(name, number, id=f"{name}-{number}") for name in SHAPES for number in range(6)]


@pytest.mark.parametrize(("name", "number"), studies())
def test_every_number_is_that_of_the_raw_runs(name: str, number: int) -> None:
    outcomes = drawn(SHAPES[name], zlib.crc32(f"{name} {number}".encode()))
    raw = Raw(outcomes)
    checked = 0
    for finding in reading(outcomes):
        if finding.evidence is None:
            continue
        rests, said = expected(outcomes, raw, finding.about)
        found = finding.evidence.difference
        if found is None:
            # Of a mirror the control that both sides share cancels, yet nobody knows what either costs.
            lost = SHAPES[name].controls_lost and finding.about == "mirror"
            assert lost or all(rest is None for rest in rests), finding
            continue
        means = [rest[0] for rest in rests if rest is not None]
        assert min(abs(found.mean - mean) for mean in means) < 1e-6, (finding, rests)
        allowed = [*rests, *map(turned, rests), *said]
        for numbers, step in quoted(finding.text):
            assert any(agrees(numbers, step, interval) for interval in allowed), (finding.text, numbers, allowed)
            checked += 1
        if found.error is not None and "silent" not in finding.about and finding.verdict != "absent":
            main = [
                i for i in (*rests, *map(turned, rests)) if i is not None and abs(abs(i[0]) - abs(found.mean)) < 1e-6
            ]
            shown = [*quoted(finding.text)]
            if "no seed has a result" not in finding.text and "{amount}" in says(finding.about, finding.verdict):
                assert any(agrees(numbers, step, i) for numbers, step in shown for i in main), (finding.text, main)
    assert checked or SHAPES[name].seeds == 1 or SHAPES[name].controls_lost or name == "no control"


def says(about: str, verdict: str) -> str:
    """The template of a question's sentence."""
    from chiasm.registry import tag_of
    from chiasm.report.questions import questions

    templates: dict[str, Mapping[str, str]] = {tag_of(question): question.says for question in questions()}
    return templates[about.split(", ", maxsplit=1)[0]].get(verdict, "")


@pytest.mark.parametrize(("name", "number"), studies())
def test_sentences_claim_what_their_verdict_does(name: str, number: int) -> None:
    outcomes = drawn(SHAPES[name], zlib.crc32(f"{name} {number}".encode()))
    findings = reading(outcomes)
    assert len({finding.about for finding in findings}) == len(findings)
    for finding in findings:
        text = finding.text
        for broken in ("{", "}", "None", "nan", "inf ", "inf]", "  ", "[]", "[,", " ,", "..", "()", " ."):
            assert broken not in text.replace("...", ""), (broken, text)
            assert broken not in finding.condition
        assert text[0] == text[0].upper()
        assert text.endswith("."), text
        if finding.verdict == "unsettled":
            for claim in CLAIMS:
                assert claim not in text, (claim, text)
            assert finding.condition == ""
    assert "  " not in rule(outcomes)
