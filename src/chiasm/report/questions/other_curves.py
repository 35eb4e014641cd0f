"""What the longest deficit of every other duration curve costs."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.report.finding import Finding, costs, judge, sentence
from chiasm.report.outcomes import StudyOutcomes, brief_name, curve_name
from chiasm.report.phrases import stretch
from chiasm.report.questions.question import Question, Section


@final
class OtherCurvesQuestion(Question):
    """What the longest deficit of every other duration curve costs."""

    tag: ClassVar[str] = "other curves"
    question: ClassVar[str] = "What does the longest deficit of every other duration curve cost?"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 40

    def answer(self, outcomes: StudyOutcomes) -> list[Finding]:
        """Return a finding a curve, each under the name of its arm."""
        findings, curves = [], outcomes.curves("duration", outcomes.clock)
        for curve in curves[1:]:
            lost = outcomes.cost(curve[-1])
            if lost is not None:
                text = f"with {curve_name(curve)}, {stretch(curve[-1].timeline)} {costs(lost, outcomes.outcome)}"
                about, verdict = f"cost, {brief_name(curve, curves)}", judge(lost, outcomes.outcome)
                findings.append(Finding(about, verdict, sentence(text)))
        return findings
