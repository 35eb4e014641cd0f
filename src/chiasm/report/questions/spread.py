"""Whether the units part ways: the spread of their RSV grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.pictures.words import listed, number, percent
from chiasm.report.evidence import Condition, Evidence
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import clock_words, pair_words, stretch
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.unit_shifts import clearest, elsewhere, known


@final
class SpreadQuestion(Question):
    """Whether the units part ways: the spread of their RSV grows."""

    tag: ClassVar[str] = "spread"
    question: ClassVar[str] = "Do the units part ways: does the spread of their RSV change?"
    topic: ClassVar[str] = "Spread of the units"
    needs: ClassVar[str] = "measured units after the longest deficit of a duration arm, and in its control"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 70
    says: ClassVar[Mapping[str, str]] = {
        "present": "After {what}, the units of layer {layer} part ways: {spread}.{more}",
        "reversed": "After {what}, the units of layer {layer} draw together: {spread}.{more}",
        "absent": "After {what}, the units stay as far apart as in the control, within {counts}: {spread}.{more}",
        "unsettled": "Whether the units part ways after {what} is unsettled: {spread}. {open}{more}",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Hold the spread of RSV of every layer against the control's; the clearest change is quoted."""
        cell = outcomes.longest(outcomes.clock)
        control = outcomes.control(cell) if cell else None
        if cell is None or control is None:
            return None
        shifts = known(outcomes, cell, "rsv_sd")
        if not shifts:
            return None
        layer, scale = clearest(shifts), outcomes.rsv_yardstick
        facts = {
            "what": stretch(cell.timeline),
            "layer": layer or "the output",
            "spread": _spread(outcomes, cell, control, layer) + scale.written(shifts[layer]),
            "more": _polarised(cell, control, layer) + elsewhere(shifts, layer) + _clocks(outcomes, layer),
        }
        rest = tuple(shift for name, shift in shifts.items() if name != layer)
        return Evidence((Condition("the change of the spread", shifts[layer]),), scale, rest=rest, facts=facts)


def _spread(outcomes: StudyOutcomes, cell: CellOutcome, control: CellOutcome, layer: str) -> str:
    means = [c.mean_layer(layer, "rsv_sd", (0, 1)) for c in (control, cell)]
    ends = [number(mean.mean) for mean in means if mean is not None]
    return (
        f"the standard deviation over units of RSV{pair_words(outcomes.sources)} in layer {layer or 'the output'} goes "
        f"from {' to '.join(ends)}, by "
    )


def _polarised(cell: CellOutcome, control: CellOutcome, layer: str) -> str:
    beyond = [c.mean_layer(layer, "polarised", (0, 1)) for c in (cell, control)]
    if beyond[0] is None or beyond[1] is None:
        return ""
    return f" {percent(beyond[0].mean)} lie beyond ±0.5, {percent(beyond[1].mean)} in the control."


def _clocks(outcomes: StudyOutcomes, layer: str) -> str:
    """How the spread of a layer's RSV moves under the other clocks."""
    parts = []
    for clock in outcomes.clocks[1:]:
        cell = outcomes.longest(clock)
        moved = outcomes.shift(cell, layer, "rsv_sd") if cell else None
        if moved is not None:
            parts.append(f"{outcomes.rsv_yardstick.written(moved)} ({clock_words(clock)})")
    return f" Under other clocks the spread moves by {listed(parts)}." if parts else ""
