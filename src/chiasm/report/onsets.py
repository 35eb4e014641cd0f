"""Equal deficits at different onsets: by how much the earliest costs more than the latest."""

from __future__ import annotations

from chiasm.intervals import Estimate
from chiasm.report.finding import Judgement, judge
from chiasm.report.outcomes import CellOutcome, StudyOutcomes


def earliest_and_latest(outcomes: StudyOutcomes, clock: str) -> tuple[CellOutcome, CellOutcome] | None:
    """Return the earliest and the latest onset of equal deficits; None with fewer than two onsets."""
    curve = outcomes.onsets(clock)
    return (curve[0], curve[-1]) if len(curve) > 1 else None


def early_loss(outcomes: StudyOutcomes, clock: str) -> Estimate | None:
    """Return by how much the same deficit costs more at the earliest onset than at the latest, paired by seed."""
    ends = earliest_and_latest(outcomes, clock)
    return ends and outcomes.worse(ends[0].scores(), ends[1].scores())


def window_at(outcomes: StudyOutcomes, clock: str) -> Judgement:
    """Return what equal deficits show under a clock; an early window takes an early deficit that costs."""
    verdict, ends = judge(early_loss(outcomes, clock), outcomes.outcome), earliest_and_latest(outcomes, clock)
    costless = ends is not None and judge(outcomes.cost(ends[0]), outcomes.outcome) in ("none", "gain")
    return "none" if verdict == "cost" and costless else verdict
