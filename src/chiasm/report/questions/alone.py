"""Whether one source, trained and tested alone, is at chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from chiasm.objectives import Outcome
from chiasm.pictures.words import listed
from chiasm.report.finding import Finding
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import level, level_between, margin
from chiasm.report.questions.question import Question, Section

#: One source alone counts as being at chance within so many times what counts as a difference.
NEAR_CHANCE = 2.5


@final
class AloneQuestion(Question):
    """Whether one source, trained and tested alone, is at chance."""

    tag: ClassVar[str] = "alone"
    question: ClassVar[str] = "Can one source alone solve the task?"
    topic: ClassVar[str] = "One source only"
    role: ClassVar[str] = "alone"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 60

    def answer(self, outcomes: StudyOutcomes) -> Finding:
        """Hold every cell that trained on one source against the level of chance."""
        chance, outcome = outcomes.chance, outcomes.outcome
        clauses, off, one_seed = [], False, False
        for cell in outcomes.of("alone", outcomes.clock_of("alone")):
            score, source = outcomes.tested(cell)
            if score is not None:
                clauses.append(f"{f'{source} alone' if source else cell.label} {level_between(score, outcome)}")
                one_seed = one_seed or score.n < 2
                off = off or (chance is not None and abs(score.mean - chance) > NEAR_CHANCE * outcome.margin)
        if not clauses:
            return self.untested("one source trained and tested alone")
        text = f"Trained and tested alone: {listed(clauses)}"
        if chance is None:
            return self.finding("chance unknown", f"{text}; the task's level of chance is not known here")
        text += f"; chance is {level(chance, outcome)}"
        if off:
            return self.finding("above chance", f"{text}: one source alone is not at chance")
        seeds = " (one seed)" if one_seed else ""
        return self.finding("at chance", f"{text}: the task needs more than one source{seeds}")

    def rules(self, outcome: Outcome) -> Sequence[str]:
        """Return how near to chance counts as being at chance."""
        near = margin(outcome, NEAR_CHANCE)
        return [f"One source alone counts as being at chance within {near} of the best constant answer."]
