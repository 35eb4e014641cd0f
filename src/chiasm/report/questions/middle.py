"""Whether the same deficit costs more at an onset between the earliest and the latest than at both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.report.evidence import Evidence
from chiasm.report.onsets import middle
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes


@final
class MiddleQuestion(Question):
    """Whether the same deficit costs more at an onset between the earliest and the latest than at both."""

    tag: ClassVar[str] = "middle"
    question: ClassVar[str] = "Is there a window in between: does the same deficit cost more at an onset between?"
    topic: ClassVar[str] = "Window in between"
    needs: ClassVar[str] = "equal deficits at three onsets or more, and a run without any"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 14
    says: ClassVar[Mapping[str, str]] = {
        "present": "There is a window in between: {what} cost {costs}, {each} ({clock}).{unchecked}",
        "absent": "No onset in between costs more than the earliest and the latest, by {counts} or more: {decisive} "
        "({clock}).",
        "unsettled": "Whether there is a window in between is unsettled: {what} cost {costs} ({clock}). {open}",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Compare every onset between with both ends, and with no deficit; the clearest is quoted."""
        return middle(outcomes, outcomes.clock)
