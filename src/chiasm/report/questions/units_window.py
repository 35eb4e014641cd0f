"""Whether the units have a window of their own: the same deficit moves them more early than late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.pictures.words import count
from chiasm.report.evidence import Condition, Evidence
from chiasm.report.onsets import starts
from chiasm.report.phrases import clock_words, doing, pair_words
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.unit_shifts import clearest
from chiasm.statistics import Estimate


@final
class UnitsWindowQuestion(Question):
    """Whether the units have a window of their own: the same deficit moves them more early than late."""

    tag: ClassVar[str] = "units window"
    question: ClassVar[str] = "Have the units an early window: does the same deficit move them more early than late?"
    topic: ClassVar[str] = "Window of the units"
    needs: ClassVar[str] = "measured units under equal deficits at different onsets, and in a control"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 60
    says: ClassVar[Mapping[str, str]] = {
        "present": "The units have an early window: {what} move the mean RSV of layer {layer} by {first} {early} and "
        "by {last} {late}, {amount} further ({clock}).",
        "absent": "The units have no early window: {what} move the mean RSV of layer {layer} by {first} {early} and by "
        "{last} {late} ({clock}): {decisive}, where {counts} would count.",
        "unsettled": "Whether the units have an early window is unsettled: {what} move the mean RSV of layer {layer} "
        "by {first} {early} and by {last} {late} ({clock}). {open}",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Compare the shifts at the earliest and at the latest onset, layer by layer; the clearest is quoted."""
        onsets = outcomes.onsets(outcomes.clock)
        if len(onsets) < 2:
            return None
        early, late = onsets[0], onsets[-1]
        further: dict[str, Estimate] = {}
        for layer in outcomes.layers:
            shift, apart = outcomes.shift(early, layer), outcomes.moved(layer, "rsv_mean", {early: 1, late: -1})
            if shift is not None and apart is not None:
                further[layer] = apart.scaled(1 if shift.mean >= 0 else -1)
        if not further:
            return None
        layer, scale = clearest(further), outcomes.rsv_yardstick
        first, last = (outcomes.shift(cell, layer) for cell in (early, late))
        sign = 1 if first is None or first.mean >= 0 else -1
        conditions = (
            Condition("how much further the early deficit moves it", further[layer]),
            Condition("how far the early deficit moves it", first.scaled(sign) if first else None),
        )
        facts = {
            "what": f"the same {count(early.duration, 'epoch')} of {doing(early.timeline)}",
            "layer": (layer or "the output") + pair_words(outcomes.sources),
            "first": scale.written(first),
            "last": scale.written(last),
            "early": starts(early),
            "late": starts(late),
            "clock": clock_words(early.clock),
        }
        rest = tuple(apart for name, apart in further.items() if name != layer)
        return Evidence(conditions, scale, directed=True, rest=rest, facts=facts)
