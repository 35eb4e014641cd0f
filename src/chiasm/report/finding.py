"""A finding is a sentence that follows from numbers by a stated rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chiasm.intervals import Estimate
from chiasm.pictures.words import count
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import capital, points, points_between

#: Points of accuracy below which a difference counts as none, however narrow its interval.
SMALLEST = 2.0
#: A deficit fails silently where accuracy falls by less than this many points ...
SILENT_DROP = 3.0
#: ... while the mean RSV of the layer moves by at least this much.
SHIFT = 0.2
#: The units part ways, or draw together, where the spread of their RSV moves by at least this much.
SPREAD = 0.1
#: Points from chance within which one source alone counts as being at chance.
NEAR_CHANCE = 5.0

Judgement = Literal["cost", "gain", "none", "cannot tell", "not tested"]

RULES = (
    f"A difference in accuracy counts when its 95 % interval over seeds leaves 0 out and its mean is {SMALLEST:g} "
    "points or more; otherwise the page says that there is none, and how much the interval still allows.",
    "A critical period is such a difference between the same deficit at the latest and at the earliest onset, after "
    "equally many clean epochs, where the earliest one costs accuracy against its control.",
    f"The units have a window of their own where the same deficit moves the mean RSV of a layer by {SHIFT:g} or more "
    "further at the earliest onset than at the latest, with an interval that leaves 0 out.",
    "With fewer than two seeds there is no interval, and the page says that it cannot tell.",
    f"Accuracy “does not show it” where it falls by less than {SILENT_DROP:g} points while the mean RSV of the units "
    f"moves by {SHIFT:g} or more, with an interval that leaves 0 out.",
    "Units part ways where the spread of RSV, its standard deviation over the live units of a layer, grows by "
    f"{SPREAD:g} or more, with an interval that leaves 0 out; where it falls as much, they draw together.",
    f"One source alone counts as being at chance within {NEAR_CHANCE:g} points of the best constant answer.",
    "A restart of the learning rate undoes a critical period where no measurable cost of the longest deficit is left.",
    "The share that a restart of the learning rate wins back is (accuracy with restart − without) / (control − "
    "without), in means over the seeds, at the longest deficit.",
)


@dataclass(frozen=True)
class Finding:
    """One sentence or two of the reading.

    Attributes:
        about: what it speaks of ("window", "cost", "mirror" ...), unique in a reading.
        verdict: in two or three words ("critical period", "not tested here").
        text: the sentences, plain text.
    """

    about: str
    verdict: str
    text: str


def judge(lost: Estimate | None) -> Judgement:
    """Say what a difference in points amounts to; positive numbers are a cost."""
    if lost is None:
        return "not tested"
    if lost.n < 2:
        return "cannot tell"
    if lost.excludes(0) and abs(lost.mean) >= SMALLEST:
        return "cost" if lost.mean > 0 else "gain"
    return "none"


def explains(left: Estimate, whole: float) -> str:
    """How much of a loss of `whole` points a control explains that leaves `left` of it."""
    if judge(left) == "cost":
        return "explains most" if left.mean <= whole / 2 else "explains part"
    # Nothing measurable is left; but is the interval narrow enough to say that nothing is?
    sure = left.high is not None and left.high <= max(SMALLEST, whole / 10)
    return "explains the loss" if sure else "may explain all of it"


def measured(lost: Estimate) -> bool:
    """Whether a cost is surely above 0, even where it is too small to count."""
    return lost.low is not None and lost.low > 0


def allows(lost: Estimate) -> str:
    """What an interval that shows no cost still allows, as a clause; empty where that is next to nothing."""
    if lost.high is None or lost.high < SMALLEST:
        return ""
    if measured(lost):
        return f", in the mean below the {SMALLEST:g} points that count here"
    return f" (with {count(lost.n, 'seed')} a cost of up to {points(lost.high)} cannot be ruled out)"


def costs(lost: Estimate) -> str:
    """What a difference in points amounts to, as a verb with its numbers: "costs 60 points [58, 63]"."""
    verdict = judge(lost)
    if verdict == "none":
        much = "little" if measured(lost) else "nothing measurable"
        return f"costs {much}: {points_between(lost)}{allows(lost)}"
    if verdict == "gain":
        low, high = (None if end is None else -end for end in (lost.high, lost.low))
        return f"gains {points_between(Estimate(-lost.mean, low, high, lost.values))}"
    return f"costs {points_between(lost)}"


def started(cell: CellOutcome) -> str:
    """When a cell's deficit starts: "at the start", "from epoch 80"."""
    return f"from epoch {cell.onset}" if cell.onset else "at the start"


def sentence(text: str) -> str:
    """The text as a sentence: first letter large, a full stop at the end."""
    return capital(text) + ("" if text.endswith((".", ":")) else ".")
