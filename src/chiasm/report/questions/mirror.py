"""Whether the deficit on the other source does the same, with the RSV turned round."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.pictures.words import number
from chiasm.report.finding import SHIFT, Finding, costs, judge
from chiasm.report.outcomes import CellOutcome, StudyOutcomes
from chiasm.report.phrases import amount_between, doing, pair_words, stretch, touched
from chiasm.report.questions.question import Question, Section


@final
class MirrorQuestion(Question):
    """Whether the deficit on the other source does the same, with the RSV turned round."""

    tag: ClassVar[str] = "mirror"
    question: ClassVar[str] = "Is it that the sources are not alike, in the network or in the data?"
    topic: ClassVar[str] = "Mirror"
    role: ClassVar[str] = "mirror"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 30

    def answer(self, outcomes: StudyOutcomes) -> Finding:
        """Hold the longest mirrored deficit against the equal one of the main curves."""
        cell, outcome = outcomes.longest_of("mirror"), outcomes.outcome
        if cell is None:
            return self.untested("the same deficit on the other source")
        mirrored, partner = outcomes.cost(cell), outcomes.partner(cell)
        if mirrored is None:
            return self.uncontrolled(cell, outcomes)
        straight = outcomes.cost(partner) if partner else None
        text = f"Mirrored, {stretch(cell.timeline)} {costs(mirrored, outcome)}"
        if partner is None or straight is None:
            return self.finding("cannot tell", f"{text}; there is no equal deficit on the first side")
        text += f"; {doing(partner.timeline)} {costs(straight, outcome)}"
        verdicts = {judge(mirrored, outcome), judge(straight, outcome)}
        if "cannot tell" in verdicts:
            return self.finding("cannot tell", f"{text}; one seed cannot tell whether they agree")
        shifts, turned = _shifts(outcomes, partner, cell)
        apart = outcomes.worse(cell.scores(), partner.scores())
        if not turned or apart is None:
            verdict, end = "mirror differs", "The mirror does not agree"
        elif judge(apart, outcome) == "none":  # two costs on either side of what counts may still be one and the same
            verdict, end = "mirror agrees", "The mirror agrees"
        elif len(verdicts) > 1:
            verdict, end = "mirror differs", f"The mirror does not agree, {amount_between(apart, outcome)} apart"
        else:
            verdict, end = "agrees in kind", f"The mirror agrees in kind, {amount_between(apart, outcome)} apart"
        return self.finding(verdict, f"{text}{shifts}. {end}")


def _shifts(outcomes: StudyOutcomes, partner: CellOutcome, cell: CellOutcome) -> tuple[str, bool]:
    """How the mean RSV moves on both sides, as a clause, and whether it does not speak against a mirror."""
    # Of three sources or more, RSV turns round only where the deficits are on the two that it compares.
    concerned = {*touched(partner.timeline), *touched(cell.timeline)} <= {*outcomes.sources[:2]}
    if not outcomes.layers or not (concerned or len(outcomes.sources) < 3):
        return "", True
    straight, mirrored = (outcomes.shift(c, outcomes.layers[0]) for c in (partner, cell))
    if straight is None or mirrored is None:
        return "", True
    clause = f"; the mean RSV{pair_words(outcomes.sources)} moves by {number(straight.mean, 2, True)} and, mirrored, "
    clause += f"by {number(mirrored.mean, 2, True)}"
    small = max(abs(straight.mean), abs(mirrored.mean)) < SHIFT
    return clause, straight.mean * mirrored.mean < 0 or small
