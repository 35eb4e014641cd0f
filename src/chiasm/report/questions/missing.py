"""Whether any run ended without a result."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.pictures.words import count
from chiasm.report.finding import Finding
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.questions.question import Question, Section


@final
class MissingQuestion(Question):
    """Whether any run ended without a result."""

    tag: ClassVar[str] = "missing"
    question: ClassVar[str] = "Did any run end without a result?"
    topic: ClassVar[str] = "Incomplete runs"
    section: ClassVar[Section] = "caveats"
    order: ClassVar[int] = 30

    def answer(self, outcomes: StudyOutcomes) -> Finding | None:
        """Count the runs that neither diverged nor have an outcome at their last epoch."""
        runs = [run for cell in outcomes for run in cell.runs]
        lost = [run for run in runs if run.diverged is None and run.score is None]
        if not lost:
            return None
        label = outcomes.outcome.quantity.label
        text = f"{len(lost)} of {count(len(runs), 'run')} have no {label} at their last epoch and are in no mean"
        return self.finding("incomplete runs", text)
