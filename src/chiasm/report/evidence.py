"""What a question rests on: an estimate with what was compared, and from which size on it counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chiasm.report.yardstick import Yardstick
from chiasm.statistics import Estimate


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
