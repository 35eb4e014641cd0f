"""What the longest deficit costs at a constant learning rate."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.report.finding import Finding, costs, judge
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import stretch
from chiasm.report.questions.question import Question, Section


@final
class ConstantQuestion(Question):
    """What the longest deficit costs at a constant learning rate."""

    tag: ClassVar[str] = "constant"
    question: ClassVar[str] = "Does it need a decaying learning rate at all?"
    topic: ClassVar[str] = "Learning rate constant"
    tested_by: ClassVar[str] = "clock constant"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 20

    def answer(self, outcomes: StudyOutcomes) -> Finding:
        """Hold the longest deficit at a constant rate against its control."""
        cell = outcomes.longest("constant")
        if cell is None:
            return self.untested("a constant learning rate")
        lost = outcomes.cost(cell)
        if lost is None:
            return self.uncontrolled(cell, outcomes)
        text = f"At a constant learning rate {stretch(cell.timeline)} {costs(lost, outcomes.outcome)}"
        verdict = judge(lost, outcomes.outcome)
        if verdict == "cannot tell":
            return self.finding("cannot tell", f"{text}; one seed cannot tell")
        if verdict == "cost":
            return self.finding("cost without decay", f"{text}; the cost does not need a decaying rate")
        return self.finding("no cost without decay", text)
