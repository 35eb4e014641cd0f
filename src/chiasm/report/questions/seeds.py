"""Whether there is more than one seed."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.report.finding import Finding
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.questions.question import Question, Section


@final
class SeedsQuestion(Question):
    """Whether there is more than one seed."""

    tag: ClassVar[str] = "seeds"
    question: ClassVar[str] = "Is there more than one seed?"
    topic: ClassVar[str] = "Seeds"
    section: ClassVar[Section] = "caveats"
    order: ClassVar[int] = 10

    def answer(self, outcomes: StudyOutcomes) -> Finding | None:
        """Warn of a single seed."""
        if len({run.seed for cell in outcomes for run in cell.runs}) > 1:
            return None
        text = "There is one seed: no number here has an interval, and another seed may say otherwise"
        return self.finding("one seed", text)
