"""Which curve of a study lies beside which published one, and where on it each point belongs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import clock_words, setting_words, touched
from chiasm.report.published.sets import ACCURACY, Histogram, PublishedSet, published_sets
from chiasm.report.study_outcomes import StudyOutcomes

if TYPE_CHECKING:
    from chiasm.study.results import Results

#: Epochs by which two clean phases may differ and count as equal: the paper's text says 180 where its code does 179.
ALIKE = 1
#: Share of the longest deficit within which a published histogram is taken to be of the same length.
NEAR = 0.03
STAGE = re.compile(r"trunk\.stage(\d+)( per position)?")
PLACES = " per position"


@dataclass(frozen=True)
class Pairing:
    """A published curve and one of ours.

    Attributes:
        key: unique in a report, for the names of figures.
        published: what was published; its sides exchanged where ours impairs the other source.
        cells: ours, from the shortest deficit.
        arm: the arm's name.
        clock: what the learning rate counts in ours; "constant" where it does not decay, whatever it counts.
        settings: what else the arm sets for this curve, in words.
        momentum: "drop" or "keep": what ours does with the optimiser's memory at a switch.
        scaled: whether lengths are matched as shares of each side's longest, not epoch by epoch.
        mirrored: whether ours impairs the first source where the paper impairs the second.
    """

    key: str
    published: PublishedSet
    cells: tuple[CellOutcome, ...]
    arm: str
    clock: str
    settings: str
    momentum: str
    scaled: bool
    mirrored: bool

    @property
    def own(self) -> bool:
        """Whether ours has the paper's protocol: its clock, and momentum dropped at a switch."""
        return self.clock == self.published.clock and self.momentum == "drop"

    @property
    def title(self) -> str:
        """The arm, its clock and settings in words."""
        return ", ".join(part for part in (f"Arm {self.arm}", clock_words(self.clock), self.settings) if part)

    @property
    def longest(self) -> CellOutcome:
        """Our longest deficit."""
        return self.cells[-1]

    def there(self, cell: CellOutcome) -> float:
        """Epochs of the published deficit that a cell of ours belongs to."""
        epochs = cell.duration * self.published.longest / self.longest.duration if self.scaled else cell.duration
        near = min(self.published.durations, key=lambda n: abs(n - epochs))
        return float(near if abs(near - epochs) < 0.5 else epochs)

    def histogram(self, cell: CellOutcome) -> tuple[int, Histogram] | None:
        """The published length nearest to a cell's that has a histogram, and that; None without one near it."""
        histograms, there = self.published.rsv, self.there(cell)
        near = min(histograms, key=lambda n: abs(n - there), default=None)
        return None if near is None or abs(near - there) > NEAR * self.published.longest else (near, histograms[near])


def pairings(results: Results, outcomes: StudyOutcomes) -> list[Pairing]:
    """Return every curve of an arm beside published numbers; of each arm those with the paper's protocol first.

    There are none in a study whose outcome is not accuracy.
    """
    pairs: list[Pairing] = []
    training = results.study.sections.get("training", {})
    sets = published_sets(results.study) if outcomes.outcome.quantity == ACCURACY.quantity else {}
    for arm, there in sets.items():
        clocks = sorted(outcomes.clocks, key=lambda clock: clock != there.clock)
        of_arm = []
        for clock in clocks:
            for curve in outcomes.curves("duration", clock):
                if curve[0].arm != arm or not curve[-1].duration:
                    continue
                chosen = training | {key.removeprefix("training."): value for key, value in curve[-1].settings}
                decays = float(chosen.get("decay", 1)) != 1
                mirrored = touched(curve[-1].timeline) == outcomes.sources[:1]
                scaled = abs(curve[-1].after - there.clean) > ALIKE
                of_arm.append(
                    Pairing(
                        "",
                        there.mirrored() if mirrored else there,
                        tuple(curve),
                        arm,
                        clock if decays else "constant",
                        setting_words(curve[-1].settings),
                        str(chosen.get("momentum_at_switch", "keep")),
                        scaled,
                        mirrored,
                    )
                )
        pairs += sorted(of_arm, key=lambda pair: not pair.own)
    return [replace(pair, key=f"published-{i + 1}") for i, pair in enumerate(pairs)]


def rsv_layer(outcomes: StudyOutcomes) -> str | None:
    """The layer to hold against the published histograms: the last stage of the trunk, per position where measured."""
    stages = [(int(m[1]), bool(m[2]), m[0]) for layer in outcomes.layers if (m := STAGE.fullmatch(layer))]
    if stages:
        return max(stages)[2]
    placed = [layer for layer in outcomes.layers if layer.endswith(PLACES)]
    return next(iter([*placed[-1:], *outcomes.layers]), None)


def read_at(values: Mapping[int, float], there: float) -> float | None:
    """Read a published quantity at a length, between its points on a straight line; None beyond its last point.

    >>> read_at({0: 1.0, 20: 3.0}, 5), read_at({0: 1.0, 20: 3.0}, 30)
    (1.5, None)
    """
    points = sorted(values)
    if not points or there > points[-1]:
        return None
    return float(np.interp(there, points, [values[n] for n in points]))
