"""Whether there is a critical period: whether the same deficit costs more early than late, and more than none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.report.evidence import Evidence
from chiasm.report.onsets import window
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes


@final
class WindowQuestion(Question):
    """Whether there is a critical period: whether the same deficit costs more early than late, and more than none."""

    tag: ClassVar[str] = "window"
    question: ClassVar[str] = "Is there a critical period: does the same deficit cost more early than late?"
    topic: ClassVar[str] = "Critical period"
    needs: ClassVar[str] = "equal deficits at different onsets, and a run without any that had as many clean epochs"
    section: ClassVar[Section] = "reading"
    headline: ClassVar[bool] = True
    order: ClassVar[int] = 10
    says: ClassVar[Mapping[str, str]] = {
        "present": "There is a critical period: {what} cost {costs}, {amount} more {worst} ({clock}).{unchecked}",
        "absent": "There is no critical period of {counts} or more for {what}: {decisive} ({clock}).",
        "unsettled": "Whether there is a critical period is unsettled: {what} cost {costs}, the difference is {amount} "
        "({clock}). {open}",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Compare the earliest with the latest onset, and with no deficit, under the study's own clock."""
        return window(outcomes, outcomes.clock)
