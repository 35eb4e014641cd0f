"""Whether any run diverged."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.pictures.words import count
from chiasm.report.finding import Finding
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.questions.question import Question, Section

#: Runs that the sentence names.
MOST = 8


@final
class DivergedQuestion(Question):
    """Whether any run diverged."""

    tag: ClassVar[str] = "diverged"
    question: ClassVar[str] = "Did any run diverge?"
    topic: ClassVar[str] = "Diverged runs"
    section: ClassVar[Section] = "caveats"
    order: ClassVar[int] = 20

    def answer(self, outcomes: StudyOutcomes) -> Finding | None:
        """Name the runs whose loss became non-finite, the first eight of them."""
        runs = [(cell, run) for cell in outcomes for run in cell.runs]
        bad = [
            f"{cell.label} seed {run.seed} at epoch {run.diverged}" for cell, run in runs if run.diverged is not None
        ]
        if not bad:
            return None
        more = f" and {len(bad) - MOST} more" if len(bad) > MOST else ""
        text = f"{len(bad)} of {count(len(runs), 'run')} diverged (the loss became infinite or not a number) and "
        text += f"{'is' if len(bad) == 1 else 'are'} left out of every mean: {'; '.join(bad[:MOST])}{more}"
        return self.finding("diverged runs", text)
