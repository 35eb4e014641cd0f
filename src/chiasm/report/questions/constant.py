"""What the longest deficit costs at a constant learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, final

from chiasm.report.evidence import Condition, Evidence
from chiasm.report.phrases import stretch
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes


@final
class ConstantQuestion(Question):
    """What the longest deficit costs at a constant learning rate."""

    tag: ClassVar[str] = "constant"
    question: ClassVar[str] = "Is the cost there at a constant learning rate too?"
    topic: ClassVar[str] = "Learning rate constant"
    needs: ClassVar[str] = "the clock constant, with a run without a deficit"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 20
    says: ClassVar[Mapping[str, str]] = {
        "present": "At a constant learning rate {what} costs {amount}: a decaying rate is not what it takes.",
        "reversed": "At a constant learning rate {what} leaves the outcome better by {size}.",
        "absent": "At a constant learning rate {what} costs nothing that counts: {amount}, within {counts}.",
        "unsettled": "What {what} costs at a constant learning rate is unsettled: {amount}. {open}",
    }
    conditions: ClassVar[Mapping[str, str]] = {
        "present": "at a constant learning rate the longest deficit costs {brief}",
        "absent": "at a constant learning rate the longest deficit costs nothing that counts",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | Sequence[Evidence] | None:
        """Hold the longest deficit at a constant rate against its control."""
        if outcomes.clock == "constant":
            return ()  # it is the study's own
        cell = outcomes.longest("constant")
        if cell is None or outcomes.control(cell) is None:
            return None
        scale = outcomes.yardstick
        return Evidence((Condition("the cost", outcomes.cost(cell)),), scale, facts={"what": stretch(cell.timeline)})
