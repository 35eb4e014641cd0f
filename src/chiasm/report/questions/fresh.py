"""What the deficit costs when the training data are new in every epoch."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.report.finding import Finding, costs, explains, judge
from chiasm.report.outcomes import CellOutcome, StudyOutcomes
from chiasm.report.phrases import amount, level, stretch
from chiasm.report.questions.question import Question, Section


@final
class FreshQuestion(Question):
    """What the deficit costs when the training data are new in every epoch."""

    tag: ClassVar[str] = "fresh"
    question: ClassVar[str] = "Is it that a fixed training set is memorised?"
    topic: ClassVar[str] = "Fresh data"
    role: ClassVar[str] = "fresh"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 40

    def answer(self, outcomes: StudyOutcomes) -> Finding:
        """Hold the longest deficit with fresh data against its control, and against that with a fixed set."""
        cell, outcome = outcomes.longest_of("fresh"), outcomes.outcome
        if cell is None:
            return self.untested("fresh training data instead of a fixed set")
        lost = outcomes.cost(cell)
        if lost is None:
            return self.uncontrolled(cell, outcomes)
        partner = outcomes.partner(cell)
        fixed = outcomes.cost(partner) if partner else None
        text = f"With fresh data {stretch(cell.timeline)} {costs(lost, outcome)}"
        if fixed is not None:
            text += f"; with the fixed training set {amount(fixed.mean, outcome)}"
        text += _worst(outcomes, cell)
        verdict, before = judge(lost, outcome), judge(fixed, outcome)
        if "cannot tell" in (verdict, before):
            return self.finding("cannot tell", f"{text}; one seed cannot tell")
        if fixed is None or before != "cost":
            return self.finding("no loss to explain" if fixed else "cost known", text)
        if verdict != "cost":
            named, end = (
                explains(lost, fixed.mean, outcome),
                "The cost needs a fixed training set, as memorising it would",
            )
        elif lost.mean <= fixed.mean / 2:
            named, end = explains(lost, fixed.mean, outcome), "More than half of it needs a fixed training set"
        else:
            named, end = "does not explain it", "Most of it does not need a fixed training set"
        return self.finding(named, f"{text}. {end}")


def _worst(outcomes: StudyOutcomes, cell: CellOutcome) -> str:
    """Where the worst cell with fresh data ends, as a clause; empty where there is one only."""
    cells = outcomes.of("fresh", cell.clock)
    ends = [score.mean for score in map(outcomes.mean_score, cells) if score is not None]
    if len(cells) < 2 or not ends:
        return ""
    worst, beyond = (min(ends), "below") if outcomes.outcome.higher_is_better else (max(ends), "above")
    return f"; no cell with fresh data ends {beyond} {level(worst, outcomes.outcome)}"
