"""How differences are written in words, and from which size on they count."""

from __future__ import annotations

from dataclasses import dataclass

from chiasm.objectives import Outcome
from chiasm.pictures.words import number, telling
from chiasm.report.phrases import amount, amount_between, counted
from chiasm.statistics import LEVEL, Estimate


@dataclass(frozen=True)
class Yardstick:
    """How differences of a quantity are written, and from which size on they count.

    Attributes:
        margin: the least that counts; 0 where nothing is set, so that no absence can be shown.
        outcome: whose differences these are; None: of RSV, or of its spread.

    >>> from chiasm.statistics import estimate
    >>> yardstick = Yardstick(0.1)
    >>> yardstick.written(estimate([0.4, 0.5, 0.45])), yardstick.counts
    ('+0.45 [+0.33, +0.57]', '0.1 of RSV')
    """

    margin: float
    outcome: Outcome | None = None

    def written(self, difference: Estimate | None, level: float = LEVEL) -> str:
        """Write an estimate with its interval: "61 points [58, 64]", "+0.42 [+0.37, +0.47]"."""
        if difference is None:
            return "no number"
        if self.outcome is not None:
            return amount_between(difference, self.outcome, level=level)
        ends = difference.interval(level)
        digits = telling(2, ends)
        text = number(difference.mean, digits, True)
        return text if ends is None else f"{text} [{number(ends[0], digits, True)}, {number(ends[1], digits, True)}]"

    def brief(self, difference: Estimate) -> str:
        """Write an estimate without its interval."""
        return number(difference.mean, 2, True) if self.outcome is None else amount(difference.mean, self.outcome)

    @property
    def counts(self) -> str:
        """What counts as a difference: "2 points", "0.1 of RSV"."""
        return f"{self.margin:.4g} of RSV" if self.outcome is None else counted(self.margin, self.outcome)


def is_positive(difference: Estimate | None) -> bool:
    """Whether a difference is shown to be above 0, however small."""
    return difference is not None and difference.mean > 0 and difference.excludes(0)
