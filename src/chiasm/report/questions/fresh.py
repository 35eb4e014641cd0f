"""How much of the cost is gone when the training data are new in every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.report.evidence import Condition, Evidence
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import level, stretch
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.yardstick import is_positive


@final
class FreshQuestion(Question):
    """How much of the cost is gone when the training data are new in every epoch."""

    tag: ClassVar[str] = "fresh"
    question: ClassVar[str] = "Does the cost come with a fixed training set, which can be memorised?"
    topic: ClassVar[str] = "Fresh data"
    role: ClassVar[str] = "fresh"
    needs: ClassVar[str] = "an arm of role fresh with its control, and an equal deficit on a fixed training set"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 40
    says: ClassVar[Mapping[str, str]] = {
        "present": "With fresh data {what} costs {fresh}, on the fixed training set {fixed}: {amount} {come}{worst}.",
        "reversed": "With fresh data {what} costs {fresh}, {size} more than on the fixed training set{worst}.",
        "absent": "With fresh data {what} costs {fresh}, on the fixed training set {fixed}: the same within {counts} "
        "({amount}){worst}.",
        "unsettled": "Whether the cost comes with a fixed training set is unsettled: with fresh data {what} costs "
        "{fresh}, on the fixed set {fixed}, {amount} more{worst}. {open}",
    }
    conditions: ClassVar[Mapping[str, str]] = {
        "present": "on a fixed training set (with fresh data the longest deficit costs {fresh})",
        "absent": "with fresh data as on a fixed training set",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Hold the longest deficit with fresh data against its control, and against that with a fixed set."""
        pair = outcomes.paired_with("fresh")
        if pair is None:
            return None
        (cell, partner), scale = pair, outcomes.yardstick
        less = outcomes.excess(partner, cell)
        fresh, fixed = outcomes.cost(cell), outcomes.cost(partner)
        facts = {
            "come": "of the cost come with the fixed set" if is_positive(fixed) else "more than with fresh data",
            "what": stretch(cell.timeline),
            "fresh": scale.written(fresh),
            "fixed": scale.written(fixed),
            "worst": _worst(outcomes, cell),
        }
        return Evidence((Condition("what comes with a fixed set", less),), scale, facts=facts)


def _worst(outcomes: StudyOutcomes, cell: CellOutcome) -> str:
    """Where the worst cell with fresh data ends, as a clause; empty where there is one only."""
    cells = outcomes.of("fresh", cell.clock)
    ends = [score.mean for score in map(outcomes.mean_score, cells) if score is not None]
    if len(cells) < 2 or not ends:
        return ""
    worst, beyond = (min(ends), "below") if outcomes.outcome.higher_is_better else (max(ends), "above")
    return f"; the mean of no cell with fresh data lies {beyond} {level(worst, outcomes.outcome, fine=True)}"
