"""Whether more clean epochs in total, without any deficit, change where the control ends."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.pictures.words import count, listed
from chiasm.report.finding import Finding, costs, judge
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import amount_between, clock_words
from chiasm.report.questions.question import Question, Section


@final
class TotalQuestion(Question):
    """Whether more clean epochs in total, without any deficit, change where the control ends."""

    tag: ClassVar[str] = "total"
    question: ClassVar[str] = "Is it that runs trained for different numbers of epochs in total?"
    topic: ClassVar[str] = "Epochs in total"
    role: ClassVar[str] = "total"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 90

    def answer(self, outcomes: StudyOutcomes) -> Finding:
        """Hold clean runs of several lengths against the control."""
        clock, outcome = outcomes.clock_of("total"), outcomes.outcome
        cells = sorted((c for c in outcomes.of("total", clock) if not c.duration), key=lambda c: c.after)
        control = next((c for c in outcomes.durations(clock) if not c.duration), None) if clock else None
        if not cells or control is None:
            return self.untested("clean runs that train for as many epochs in total as those with a deficit")
        changes = [outcomes.change(cell.scores(), control.scores()) for cell in cells]
        clauses = [
            f"{count(cell.after, 'epoch')} {amount_between(change, outcome)}"
            for cell, change in zip(cells, changes, strict=True)
            if change is not None
        ]
        text = f"Without any deficit, training for longer than the control's {count(control.after, 'epoch')} changes "
        text += f"{outcome.quantity.label} by: {'; '.join(clauses)} ({clock_words(control.clock)}){_as_long(outcomes)}"
        verdicts = {judge(change, outcome) for change in changes}
        if "cannot tell" in verdicts or "not tested" in verdicts:
            return self.finding("cannot tell", f"{text}. One seed cannot tell")
        if verdicts == {"none"}:
            return self.finding("does not explain it", f"{text}. The number of epochs does not explain it")
        return self.finding("matters", f"{text}. Part of any difference in onset may be that")


def _as_long(outcomes: StudyOutcomes) -> str:
    """What the longest deficit costs, clock by clock, against runs without any that trained for as many epochs."""
    clauses = []
    for clock in outcomes.clocks:
        cell = outcomes.longest(clock)
        as_long = outcomes.as_long(cell) if cell else None
        lost = outcomes.worse(cell.scores(), as_long.scores()) if cell and as_long else None
        if lost is not None:
            clauses.append(f"{costs(lost, outcomes.outcome)} ({clock_words(clock)})")
    return f". Against runs of as many epochs in total, the longest deficit {listed(clauses)}" if clauses else ""
