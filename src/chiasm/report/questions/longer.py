"""Whether the loss heals when the clean phase goes on."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.pictures.words import count
from chiasm.report.finding import Finding, costs, judge
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import amount, stretch
from chiasm.report.questions.question import Question, Section


@final
class LongerQuestion(Question):
    """Whether the loss heals when the clean phase goes on."""

    tag: ClassVar[str] = "longer"
    question: ClassVar[str] = "Would a longer clean phase heal it?"
    topic: ClassVar[str] = "Longer clean phase"
    role: ClassVar[str] = "longer"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 50

    def answer(self, outcomes: StudyOutcomes) -> Finding:
        """Hold the longest deficit with a longer clean phase against its control, and against the usual one."""
        cells = [cell for cell in outcomes.of("longer", outcomes.clock_of("longer")) if cell.duration]
        cell = max(cells, key=lambda c: (c.duration, c.after), default=None)
        if cell is None:
            return self.untested("a longer clean phase")
        lost, outcome = outcomes.cost(cell), outcomes.outcome
        if lost is None:
            return self.uncontrolled(cell, outcomes)
        partner, control = outcomes.partner(cell), outcomes.control(cell)
        before = outcomes.cost(partner) if partner else None
        text = f"After {count(cell.after, 'clean epoch')}, {stretch(cell.timeline)} {costs(lost, outcome)}"
        if before is not None and partner is not None:
            text += f"; after {partner.after} it was {amount(before.mean, outcome)}"
        if control is not None and control.after != cell.after:
            text += f", against a control of {count(control.after, 'epoch')}"
        verdict, was = judge(lost, outcome), judge(before, outcome)
        if verdict == "cannot tell":
            named, end = "cannot tell", "One seed cannot tell"
        elif before is not None and was != "cost":
            named, end = "no loss to explain", "There was nothing to heal"
        elif verdict == "cost" and before is not None and lost.mean <= before.mean / 2:
            named, end = "heals in part", "It heals by more than half"
        elif verdict == "cost":
            named, end = "does not heal", "It is still there"
        else:
            named, end = "heals", "It heals"
        return self.finding(named, f"{text}. {end}")
