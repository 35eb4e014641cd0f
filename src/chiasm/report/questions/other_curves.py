"""What the longest deficit of every other duration curve costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.report.evidence import Condition, Evidence
from chiasm.report.phrases import stretch
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes, brief_name, curve_name


@final
class OtherCurvesQuestion(Question):
    """What the longest deficit of every other duration curve costs."""

    tag: ClassVar[str] = "other curves"
    question: ClassVar[str] = "Does the longest deficit of other duration curves cost anything?"
    topic: ClassVar[str] = "Cost"
    needs: ClassVar[str] = "a second curve over durations"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 40
    says: ClassVar[Mapping[str, str]] = {
        "present": "With {curve}, {what} costs {amount}.",
        "reversed": "With {curve}, {what} leaves the outcome better by {size}.",
        "absent": "With {curve}, {what} costs nothing that counts: {amount}, within {counts}.",
        "unsettled": "With {curve}, what {what} costs is unsettled: {amount}. {open}",
    }

    def collect(self, outcomes: StudyOutcomes) -> list[Evidence]:
        """Hold the longest deficit of each curve against its control."""
        curves, collected = outcomes.curves("duration", outcomes.clock), []
        for curve in curves[1:]:
            if curve[-1].duration and outcomes.control(curve[-1]) is not None:
                facts = {"curve": curve_name(curve), "what": stretch(curve[-1].timeline)}
                scale = outcomes.yardstick
                conditions = (Condition("the cost", outcomes.cost(curve[-1])),)
                collected.append(Evidence(conditions, scale, facts=facts, about=brief_name(curve, curves)))
        return collected
