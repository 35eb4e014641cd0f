"""How well the network does with each source alone, before and after the longest deficit."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.pictures.words import listed
from chiasm.report.finding import Finding
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import level, signed_between, stretch
from chiasm.report.questions.question import Question, Section


@final
class SingleQuestion(Question):
    """How well the network does with each source alone, before and after the longest deficit."""

    tag: ClassVar[str] = "single"
    question: ClassVar[str] = (
        "How well does the network do with each source alone, before and after the longest deficit?"
    )
    topic: ClassVar[str] = "One source at a time"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 90

    def answer(self, outcomes: StudyOutcomes) -> Finding | None:
        """Return the outcome with each source alone, control against deficit; None where it was not measured."""
        cell, outcome = outcomes.longest(outcomes.clock), outcomes.outcome
        control = outcomes.control(cell) if cell else None
        if cell is None or control is None:
            return None
        clauses = []
        for source in outcomes.sources:
            scores, before = cell.scores_alone(source), control.scores_alone(source)
            moved = outcomes.change(scores, before)
            if moved is not None:
                both = scores.keys() & before.keys()
                first, last = (
                    level(outcome.quantity.scale * (sum(by[seed] for seed in both) / len(both)), outcome)
                    for by in (before, scores)
                )
                clauses.append(f"with {source} alone from {first} to {last} ({signed_between(moved, outcome)})")
        if not clauses:
            return None
        text = f"Tested with one source while the rest is silenced, {outcome.quantity.label} goes {listed(clauses)}: "
        return self.finding("one source at a time", f"{text}control against {stretch(cell.timeline)}")
