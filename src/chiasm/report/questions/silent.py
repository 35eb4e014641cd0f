"""Whether the units turn to one source where the outcome is shown not to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.report.evidence import Condition, Evidence
from chiasm.report.phrases import pair_words, stretch
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.unit_shifts import clearest, known


@final
class SilentQuestion(Question):
    """Whether the units turn to one source where the outcome is shown not to change."""

    tag: ClassVar[str] = "silent"
    question: ClassVar[str] = "Does it fail silently: do the units turn to one source while the outcome stays?"
    topic: ClassVar[str] = "Silent failure"
    needs: ClassVar[str] = "measured units and an outcome after the longest deficit of a duration arm, and a control"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 80
    says: ClassVar[Mapping[str, str]] = {
        "present": "It fails silently: {what} moves the mean RSV of layer {layer} by {amount}, while {label} stays "
        "within {quiet_counts} of the control (worse by {cost}).",
        "absent": "It does not fail silently: after {what}, the mean RSV of layer {layer} moves by {amount}, and "
        "{label} is worse by {cost}.",
        "unsettled": "Whether it fails silently is unsettled: {what} moves the mean RSV of layer {layer} by {amount} "
        "and leaves {label} worse by {cost}. {open}",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Hold the mean RSV and the outcome after the longest deficit against the control's."""
        cell = outcomes.longest(outcomes.clock)
        lost = outcomes.cost(cell) if cell else None
        shifts = known(outcomes, cell, "rsv_mean") if cell else {}
        if cell is None or lost is None or not shifts:
            return None
        layer, scale = clearest(shifts), outcomes.yardstick
        facts = {
            "what": stretch(cell.timeline),
            "layer": (layer or "the output") + pair_words(outcomes.sources),
            "label": outcomes.outcome.quantity.label,
            "quiet_counts": scale.counts,
            "cost": scale.written(lost),
        }
        condition = Condition("the shift of the mean RSV", shifts[layer])
        rest = tuple(shift for name, shift in shifts.items() if name != layer)
        return Evidence((condition,), outcomes.rsv_yardstick, rest=rest, quiet=(lost, scale), facts=facts)
