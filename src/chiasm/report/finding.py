"""A finding is a sentence that follows from numbers by a stated rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chiasm.intervals import Estimate, negative
from chiasm.objectives import Outcome
from chiasm.pictures.words import count
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import amount, amount_between, capital, margin

#: The units of a layer turn to another source where their mean RSV moves by at least this much.
SHIFT = 0.2
#: The verdict on a question that no run of the study tests.
UNTESTED = "not tested here"

Judgement = Literal["cost", "gain", "none", "cannot tell", "not tested"]


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


def judge(lost: Estimate | None, outcome: Outcome) -> Judgement:
    """Say what a difference between scores amounts to; positive numbers are a cost."""
    if lost is None:
        return "not tested"
    if lost.n < 2:
        return "cannot tell"
    if lost.excludes(0) and abs(lost.mean) >= outcome.margin:
        return "cost" if lost.mean > 0 else "gain"
    return "none"


def explains(left: Estimate, loss: float, outcome: Outcome) -> str:
    """How much of a loss a control explains that leaves `left` of it."""
    if judge(left, outcome) == "cost":
        return "explains most" if left.mean <= loss / 2 else "explains part"
    # Nothing measurable is left; but is the interval narrow enough to say that nothing is?
    sure = left.high is not None and left.high <= max(outcome.margin, loss / 10)
    return "explains the loss" if sure else "may explain all of it"


def measured(lost: Estimate) -> bool:
    """Whether a cost is surely above 0, even where it is too small to count."""
    return lost.low is not None and lost.low > 0


def allows(lost: Estimate, outcome: Outcome) -> str:
    """What an interval that shows no cost still allows, as a clause; empty where that is next to nothing."""
    if lost.high is None or lost.high < outcome.margin:
        return ""
    if measured(lost):
        return f", in the mean below the {margin(outcome)} that count here"
    return f" (with {count(lost.n, 'seed')} a cost of up to {amount(lost.high, outcome)} cannot be ruled out)"


def costs(lost: Estimate, outcome: Outcome) -> str:
    """What a difference between scores amounts to, as a verb with its numbers: "costs 60 points [58, 63]"."""
    verdict = judge(lost, outcome)
    if verdict == "none":
        size = "little" if measured(lost) else "nothing measurable"
        return f"costs {size}: {amount_between(lost, outcome)}{allows(lost, outcome)}"
    if verdict == "gain":
        return f"{'gains' if outcome.higher_is_better else 'saves'} {amount_between(negative(lost), outcome)}"
    return f"costs {amount_between(lost, outcome)}"


def started(cell: CellOutcome) -> str:
    """When a cell's deficit starts: "at the start", "from epoch 80"."""
    return f"from epoch {cell.onset}" if cell.onset else "at the start"


def sentence(text: str) -> str:
    """The text as a sentence: first letter large, a full stop at the end."""
    return capital(text) + ("" if text.endswith((".", ":")) else ".")


def rules(outcome: Outcome) -> list[str]:
    """The rules that every question shares, a sentence each."""
    counts = f" and its mean is {margin(outcome)} or more" if outcome.margin else ""
    return [
        f"A difference in {outcome.quantity.label} counts when its 95 % interval over seeds leaves 0 out{counts}; "
        "otherwise the page says that there is none, and how much the interval still allows.",
        "With fewer than two seeds there is no interval, and the page says that it cannot tell.",
    ]
