"""Whether the deficit on the other source does the same, with the RSV turned round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.pictures.words import number
from chiasm.report.evidence import Condition, Evidence
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import doing, pair_words, stretch, touched
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes, weighted


@final
class MirrorQuestion(Question):
    """Whether the deficit on the other source does the same, with the RSV turned round."""

    tag: ClassVar[str] = "mirror"
    question: ClassVar[str] = "Are the sources unlike: does the same deficit on the other one do something else?"
    topic: ClassVar[str] = "Mirror"
    role: ClassVar[str] = "mirror"
    needs: ClassVar[str] = "an arm of role mirror with its control, and the equal deficit on the first side"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 30
    says: ClassVar[Mapping[str, str]] = {
        "present": "The mirror differs: {sides}, {amount} {apart}.",
        "absent": "The mirror does the same within {counts}: {sides}, {amount} {apart}.",
        "unsettled": "Whether the mirror does the same is unsettled: {sides}, {amount} {apart}. {open}",
    }
    conditions: ClassVar[Mapping[str, str]] = {"present": "the other side differs by {brief}"}

    def collect(self, outcomes: StudyOutcomes) -> list[Evidence] | None:
        """Hold the longest mirrored deficit against the equal one of the main curves, in outcome and in RSV."""
        pair = outcomes.paired_with("mirror")
        if pair is None:
            return None
        (cell, partner), scale = pair, outcomes.yardstick
        costs = [outcomes.cost(c) for c in (cell, partner)]
        sides = f"{stretch(cell.timeline)} costs {scale.written(costs[0])}, {doing(partner.timeline)} "
        sides += scale.written(costs[1])
        # A control that both share cancels; without its results nobody knows what either costs.
        apart = Condition("how far the two costs are apart", outcomes.excess(cell, partner) if all(costs) else None)
        return [Evidence((apart,), scale, facts={"sides": sides, "apart": "apart"}), *_units(outcomes, cell, partner)]


def _units(outcomes: StudyOutcomes, cell: CellOutcome, partner: CellOutcome) -> list[Evidence]:
    """The sum of both shifts of the mean RSV, which mirror images would leave at 0."""
    # Of three sources or more, RSV turns round only where the deficits are on the two that it compares.
    concerned = {*touched(partner.timeline), *touched(cell.timeline)} <= {*outcomes.sources[:2]}
    controls = outcomes.control(cell), outcomes.control(partner)
    if not outcomes.layers or not concerned or controls[0] is None or controls[1] is None:
        return []
    layer = outcomes.layers[0]
    weights = weighted((cell, 1), (partner, 1), (controls[0], -1), (controls[1], -1))
    shifts = [outcomes.shift(c, layer) for c in (cell, partner)]
    moved = [number(shift.mean, 2, True) for shift in shifts if shift is not None]
    if len(moved) < 2:
        return []
    sides = f"the mean RSV{pair_words(outcomes.sources)} of layer {layer} moves by {moved[0]}, and by {moved[1]} on "
    sides += "the first side, where mirror images would add up to 0"
    both = Condition("what both shifts add up to", outcomes.moved(layer, "rsv_mean", weights))
    return [Evidence((both,), outcomes.rsv_yardstick, facts={"sides": sides, "apart": "in sum"}, about="units")]
