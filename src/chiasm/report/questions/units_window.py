"""Whether the units have a window of their own: the same deficit moves them more early than late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from chiasm.intervals import clear, difference
from chiasm.objectives import Outcome
from chiasm.pictures.words import count, number_between
from chiasm.report.finding import SHIFT, Finding, started
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import clock_words, doing, pair_words
from chiasm.report.questions.question import Question, Section


@final
class UnitsWindowQuestion(Question):
    """Whether the units have a window of their own: the same deficit moves them more early than late."""

    tag: ClassVar[str] = "units window"
    question: ClassVar[str] = (
        "Have the units a window of their own: does the same deficit move them more early than late?"
    )
    topic: ClassVar[str] = "Window of the units"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 60

    def answer(self, outcomes: StudyOutcomes) -> Finding | None:
        """Return the layer with the clearest window; None without any."""
        onsets = outcomes.onsets(outcomes.clock)
        if len(onsets) < 2:
            return None
        early, late = onsets[0], onsets[-1]
        layers = {
            layer: difference(early.layer(layer, "rsv_mean"), late.layer(layer, "rsv_mean"), (-2, 2))
            for layer in outcomes.layers
        }
        moves = {layer: m for layer, m in layers.items() if m is not None and abs(m.mean) >= SHIFT and m.excludes(0)}
        if not moves:
            return None
        layer = max(moves, key=lambda layer: clear(moves[layer]))
        shifts = [outcomes.shift(cell, layer) for cell in (early, late)]
        if shifts[0] is None or shifts[1] is None or abs(shifts[0].mean) <= abs(shifts[1].mean):
            return None
        first, last = (number_between(shift, 2, True) for shift in shifts if shift is not None)
        text = f"The same {count(early.duration, 'epoch')} of {doing(early.timeline)} move the mean RSV"
        text += f"{pair_words(outcomes.sources)} of layer {layer} by {first} {started(early)} "
        text += f"and by {last} {started(late)} ({clock_words(outcomes.clock)})."
        return self.finding("early window of the units", text)

    def rules(self, outcome: Outcome) -> Sequence[str]:
        """Return what counts as a window of the units."""
        return [
            f"The units have a window of their own where the same deficit moves the mean RSV of a layer by {SHIFT:g} "
            "or more further at the earliest onset than at the latest, with an interval that leaves 0 out."
        ]
