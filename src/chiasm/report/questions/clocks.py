"""Whether there is a critical period under the clocks that are not the study's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, final

from chiasm.report.evidence import Evidence
from chiasm.report.onsets import window
from chiasm.report.phrases import clock_words, with_clock
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes


@final
class OtherClocksQuestion(Question):
    """Whether there is a critical period under the clocks that are not the study's own."""

    tag: ClassVar[str] = "clocks"
    question: ClassVar[str] = "Is there a critical period under other learning-rate schedules?"
    topic: ClassVar[str] = "Other schedules"
    needs: ClassVar[str] = "the same onsets under another clock of the learning rate"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 20
    says: ClassVar[Mapping[str, str]] = {
        "present": "{with}, {what} cost {costs}, {amount} more {worst}: a critical period too.{unchecked}",
        "absent": "{with} there is no critical period of {counts} or more: {decisive}.",
        "unsettled": "{with}, whether there is a critical period is unsettled: early minus late {amount}. {open}",
    }

    conditions: ClassVar[Mapping[str, str]] = {"absent": "{with} there is none of {counts} or more"}

    def collect(self, outcomes: StudyOutcomes) -> list[Evidence] | None:
        """Compare earliest and latest onset under every other clock."""
        windows = [(clock, window(outcomes, clock)) for clock in outcomes.clocks[1:]]
        return [
            replace(evidence, about=clock_words(clock), facts={**evidence.facts, "with": with_clock(clock)})
            for clock, evidence in windows
            if evidence is not None
        ] or None
