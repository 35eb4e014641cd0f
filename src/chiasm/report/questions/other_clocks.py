"""What the same onsets show under the clocks that are not the study's own."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.report.finding import Finding, allows
from chiasm.report.onsets import early_loss, window_at
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import amount_between, clock_words
from chiasm.report.questions.question import Question, Section

#: What the window does, by verdict.
WINDOWS = {"cost": "there is an early window", "gain": "it is the late one that costs more", "none": "there is none"}


@final
class OtherClocksQuestion(Question):
    """What the same onsets show under the clocks that are not the study's own."""

    tag: ClassVar[str] = "window elsewhere"
    question: ClassVar[str] = "What do the same onsets show under the clocks that are not the study's own?"
    topic: ClassVar[str] = "Other clocks"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 20

    def answer(self, outcomes: StudyOutcomes) -> Finding | None:
        """Return the window under every other clock that can tell; None without any."""
        sentences = []
        for clock in outcomes.clocks[1:]:
            more, verdict = early_loss(outcomes, clock), window_at(outcomes, clock)
            if more is None or verdict == "cannot tell":
                continue
            article = "the" if clock in ("absolute", "since_release") else "a"
            apart = amount_between(more, outcomes.outcome) + (
                allows(more, outcomes.outcome) if verdict == "none" else ""
            )
            sentences.append(f"With {article} {clock_words(clock)} {WINDOWS[verdict]}: early minus late {apart}.")
        return self.finding("other clocks", " ".join(sentences)) if sentences else None
