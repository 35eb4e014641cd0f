"""What other deficits cost, each at its longest."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.pictures.words import count
from chiasm.report.finding import Finding, costs, judge
from chiasm.report.outcomes import CellOutcome, StudyOutcomes
from chiasm.report.phrases import clock_words, deficits_of, level, stretch
from chiasm.report.questions.question import Question, Section


@final
class OtherDeficitsQuestion(Question):
    """What other deficits cost, each at its longest."""

    tag: ClassVar[str] = "deficit"
    question: ClassVar[str] = "Do other deficits do the same?"
    topic: ClassVar[str] = "Other deficits"
    role: ClassVar[str] = "deficit"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 70

    def answer(self, outcomes: StudyOutcomes) -> Finding:
        """Hold the longest of each kind of deficit against its control."""
        clock, outcome = outcomes.clock_of("deficit"), outcomes.outcome
        longest: dict[str, CellOutcome] = {}
        for cell in sorted(outcomes.of("deficit", clock), key=lambda c: c.duration):
            if cell.duration:
                longest[" + ".join(map(str, deficits_of(cell.timeline)))] = cell
        clauses = []
        for cell in longest.values():
            lost, score = outcomes.cost(cell), outcomes.mean_score(cell)
            if lost is not None:
                unsure = " (one seed cannot tell)" if judge(lost, outcome) == "cannot tell" else ""
                clauses.append(f"{stretch(cell.timeline)} {costs(lost, outcome)}{unsure}")
            elif score is not None:
                clauses.append(f"{stretch(cell.timeline)}: ends at {level(score.mean, outcome)}, without a control")
        if not clauses or clock is None:
            return self.untested("other kinds of deficit")
        return self.finding(count(len(clauses), "other deficit"), f"{'; '.join(clauses)} ({clock_words(clock)})")
