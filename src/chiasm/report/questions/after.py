"""Whether the runs of the main curves had equally many clean epochs after release."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.pictures.words import count, listed
from chiasm.report.finding import Finding
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import capital, plural
from chiasm.report.questions.question import Question, Section


@final
class AfterQuestion(Question):
    """Whether the runs of the main curves had equally many clean epochs after release."""

    tag: ClassVar[str] = "after"
    question: ClassVar[str] = "Did every run have equally many clean epochs?"
    topic: ClassVar[str] = "Clean epochs"
    tested_by: ClassVar[str] = "the clean phases"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 80

    def answer(self, outcomes: StudyOutcomes) -> Finding:
        """Compare the clean phases of the duration and onset arms."""
        cells = [*outcomes.of("duration"), *outcomes.of("onset")]
        lengths = sorted({cell.after for cell in cells})
        if not cells:
            return self.untested("there is no duration or onset arm")
        if len(lengths) == 1:
            text = f"Every run of the duration and onset arms had {count(lengths[0], 'clean epoch')} after release"
            return self.finding("equal", text)
        text = f"Clean phases differ: {listed([str(n) for n in lengths])} epochs. "
        labels = capital(plural(outcomes.outcome.quantity.label))
        return self.finding("not equal", f"{text}{labels} after different lengths do not compare")
