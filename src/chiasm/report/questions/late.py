"""Whether the same deficit costs more late than early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.report.evidence import Evidence
from chiasm.report.onsets import late
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes


@final
class LateQuestion(Question):
    """Whether the same deficit costs more late than early."""

    tag: ClassVar[str] = "late"
    question: ClassVar[str] = "Does the same deficit cost more late than early?"
    topic: ClassVar[str] = "Late deficits"
    needs: ClassVar[str] = "equal deficits at different onsets, and a run without any"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 12
    says: ClassVar[Mapping[str, str]] = {
        "present": "The late deficit costs more than the early one: {what} cost {costs}, {amount} more {worst} "
        "({clock}).{unchecked}",
        "absent": "The late deficit costs no more than the early one, by {counts} or more: {decisive} ({clock}).",
        "unsettled": "Whether the late deficit costs more than the early one is unsettled: late minus early {amount} "
        "({clock}). {open}",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Compare the latest with the earliest onset, and with no deficit, under the study's own clock."""
        return late(outcomes, outcomes.clock)
