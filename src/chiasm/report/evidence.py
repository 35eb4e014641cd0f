"""What a question rests on: an estimate with what was compared, and from which size on it counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class Condition:
    """One number that must be there for an answer to be yes.

    Attributes:
        what: what it is, to stand before "is": "the difference between early and late".
        difference: the number; None where no seed has a result in all of the cells compared.

    >>> from chiasm.statistics import estimate
    >>> Condition("what it costs", estimate([2.0, 3.0])).difference.mean
    2.5
    """

    what: str
    difference: Estimate | None


@dataclass(frozen=True)
class Evidence:
    """What a question rests on.

    Attributes:
        conditions: one or more; the answer is yes where each is shown, and the first is the number that it quotes.
        scale: in what they are, and what counts.
        directed: whether only positive numbers answer yes.
        rest: the same number of other layers, sources or cells, of which the quoted one is the clearest; p values are
            multiplied by how many there are, and all must be within the margin for the answer to be no.
        quiet: a number that must be shown to be within the margin of its own scale for the answer to be yes.
        facts: what the question's sentences name, by placeholder.
        about: what tells it from other evidence of the same question; "" for the only one.

    >>> from chiasm.statistics import estimate
    >>> shift = Condition("the shift", estimate([0.4, 0.5, 0.45]))
    >>> evidence = Evidence((shift,), Yardstick(0.1), rest=(estimate([0.0, 0.1, 0.05]),))
    >>> round(evidence.p(), 4)  # that of the shift, doubled for two looks
    0.0082
    """

    conditions: tuple[Condition, ...]
    scale: Yardstick
    directed: bool = False
    rest: tuple[Estimate, ...] = ()
    quiet: tuple[Estimate, Yardstick] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    about: str = ""

    @property
    def difference(self) -> Estimate | None:
        """The number that the answer quotes."""
        return self.conditions[0].difference

    def p(self) -> float:
        """Return the p value of the answer yes: the largest of its conditions, for as many looks as were taken."""
        ps = []
        for condition in self.conditions:
            difference = condition.difference
            wrong = difference is None or (self.directed and difference.mean <= 0)
            ps.append(1.0 if difference is None or wrong else difference.p())
        return min(1.0, max(ps) * (1 + len(self.rest)))
