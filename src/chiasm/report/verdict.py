"""The rule by which evidence becomes one of four verdicts; worked out by simulation, see `benchmarks/verdicts.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from chiasm.report.evidence import Condition, Evidence
from chiasm.report.yardstick import Yardstick
from chiasm.statistics import LEVEL, Estimate, holm, seeds_to_settle

Verdict = Literal["present", "absent", "unsettled", "not tested"]

#: Coverage of the intervals that must leave 0 out for a critical period; level of Holm's test of all other questions.
#: At 5 % any false yes stays below one study in ten where cells spread unlike each other too; at 10 % it does not.
HEADLINE, FAMILY = 0.98, 0.05
#: Numbers closer to the margin than this share of it are as large as it: float arithmetic.
CLOSE = 1 - 1e-9


def judged(headline: Sequence[Evidence], others: Sequence[Evidence]) -> tuple[list[Verdict], list[Verdict]]:
    """Return the verdicts on the evidence for a critical period, and on that for every other question.

    *present*: every number reaches the margin, in the right direction, and its interval leaves 0 out: one of 98 % for
    the critical period, which is asked first; for the others one of 95 %, and Holm's test over all of them at 5 %.
    *absent*: the 95 % interval shows that no difference of the margin or more is there. *unsettled*: anything else.
    """
    first = [_verdict(e, e.p() <= 1 - HEADLINE) for e in headline]
    adjusted = holm([e.p() for e in others])
    rest = [_verdict(e, e.p() <= 1 - LEVEL and p <= FAMILY) for e, p in zip(others, adjusted, strict=True)]
    return first, rest


def _verdict(evidence: Evidence, shown: bool) -> Verdict:
    if shown and all(reaches(c.difference, evidence) for c in evidence.conditions) and _is_quiet(evidence):
        return "present"
    return "absent" if decisive(evidence) is not None else "unsettled"


def reaches(difference: Estimate | None, evidence: Evidence) -> bool:
    """Whether a number is as large as the margin, in the right direction."""
    if difference is None:
        return False
    return (difference.mean if evidence.directed else abs(difference.mean)) >= CLOSE * evidence.scale.margin


def decisive(evidence: Evidence) -> Condition | None:
    """Return the condition that is shown not to be there, which makes the answer no; None without one."""
    margin, first = evidence.scale.margin, evidence.conditions[0]
    if evidence.quiet is not None and _is_loud(*evidence.quiet):
        return Condition("what it costs", evidence.quiet[0])
    if evidence.directed:
        if not all(_is_below(difference, margin) for difference in evidence.rest):
            return None
        return next((c for c in evidence.conditions if _is_below(c.difference, margin)), None)
    every = [first.difference, *evidence.rest]
    return first if all(difference is not None and difference.within(margin) for difference in every) else None


def _is_below(difference: Estimate | None, margin: float) -> bool:
    return difference is not None and difference.high is not None and difference.high < margin


def _is_loud(difference: Estimate, scale: Yardstick) -> bool:
    """Whether a number is shown to be as large as its margin or larger."""
    ends = difference.interval()
    return ends is not None and scale.margin > 0 and (ends[0] >= scale.margin or ends[1] <= -scale.margin)


def _is_quiet(evidence: Evidence) -> bool:
    return evidence.quiet is None or evidence.quiet[0].within(evidence.quiet[1].margin)


def seeds_wanted(evidence: Evidence, level: float) -> int | None:
    """Return about how many seeds would settle a question; None where more than a thousand would not."""
    wanted = []
    for difference, scale in _open(evidence, level):
        n = seeds_to_settle(difference, scale.margin, level)
        if n is None:
            return None
        wanted.append(n)
    return max(wanted, default=None)


def _open(evidence: Evidence, level: float) -> list[tuple[Estimate, Yardstick]]:
    """The numbers of unsettled evidence that are not yet what the answer yes takes."""
    open_ = [
        (c.difference, evidence.scale)
        for c in evidence.conditions
        if c.difference is not None and not (reaches(c.difference, evidence) and c.difference.excludes(0, level))
    ]
    if evidence.quiet is not None and not _is_quiet(evidence):
        open_.append(evidence.quiet)
    return open_ or [(c.difference, evidence.scale) for c in evidence.conditions if c.difference is not None]
