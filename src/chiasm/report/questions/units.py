"""Whether the units turn to one source, after the longest deficit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.pictures.words import listed, number, percent
from chiasm.report.evidence import Condition, Evidence
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import healthy, pair_words, stretch, touched
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.unit_shifts import clearest, elsewhere, known
from chiasm.statistics import Estimate


@final
class UnitsQuestion(Question):
    """Whether the units turn to one source, after the longest deficit."""

    tag: ClassVar[str] = "units"
    question: ClassVar[str] = "Do the units turn to one source, after the longest deficit?"
    topic: ClassVar[str] = "Units"
    needs: ClassVar[str] = "measured units after the longest deficit of a duration arm, and in its control"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 50
    says: ClassVar[Mapping[str, str]] = {
        "present": "After {what}, the units of layer {layer} turn {toward}: {where}, a shift of {amount}.{more}",
        "absent": "After {what}, the units turn to no source: {where}, a shift of {amount} in layer {layer}, within "
        "{counts}.{more}",
        "unsettled": "Whether the units turn to one source after {what} is unsettled: {where}, a shift of {amount} in "
        "layer {layer}. {open}{more}",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Hold the mean RSV of every layer against the control's; the clearest shift is quoted."""
        cell = outcomes.longest(outcomes.clock)
        control = outcomes.control(cell) if cell else None
        if cell is None or control is None:
            return None
        shifts = known(outcomes, cell, "rsv_mean")
        if not shifts:
            return None
        layer = clearest(shifts)
        before, after = (c.mean_layer(layer, "rsv_mean", (-1, 1)) for c in (control, cell))
        where = f"mean RSV{pair_words(outcomes.sources)} {_mean(before)} in the control, {_mean(after)} after it"
        where += f" (+1: {outcomes.sources[0]} only)" if outcomes.sources else ""
        facts = {
            "what": stretch(cell.timeline),
            "layer": layer or "the output",
            "toward": _toward(outcomes, cell, shifts[layer].mean),
            "where": where,
            "more": _beyond(cell, control, layer, shifts[layer].mean)
            + elsewhere(shifts, layer)
            + _synergy(outcomes, cell, control, layer)
            + _shares(outcomes, cell, control, layer),
        }
        rest = tuple(shift for name, shift in shifts.items() if name != layer)
        condition = Condition("the shift of the mean RSV", shifts[layer])
        return Evidence((condition,), outcomes.rsv_yardstick, rest=rest, facts=facts)


def _mean(mean: Estimate | None) -> str:
    return "unknown" if mean is None else number(mean.mean, 2, True)


def _toward(outcomes: StudyOutcomes, cell: CellOutcome, moved: float) -> str:
    name = (*outcomes.sources, "the first source", "the second source")[0 if moved > 0 else 1]
    if len(outcomes.sources) > 2:  # what turns from one of two to the other may listen to a third one all along
        return f"from {outcomes.sources[1 if moved > 0 else 0]} to {name}"
    kind = "impaired" if name in touched(cell.timeline) else "healthy"
    whose = f", the {kind} source" if name in healthy(cell.timeline, outcomes.sources) or kind == "impaired" else ""
    return f"to {name}{whose}"


def _beyond(cell: CellOutcome, control: CellOutcome, layer: str, moved: float) -> str:
    shares = []
    for c in (control, cell):
        above, either = (c.mean_layer(layer, q, (0, 1)) for q in ("rsv_beyond", "polarised"))
        if above is None or (moved < 0 and either is None):
            return ""
        shares.append(above.mean if moved > 0 else (either.mean if either else 0.0) - above.mean)
    side = "above +0.5" if moved > 0 else "below −0.5"
    return f" {percent(shares[1])} of the live units lie {side}, {percent(shares[0])} in the control."


def _synergy(outcomes: StudyOutcomes, cell: CellOutcome, control: CellOutcome, layer: str) -> str:
    moved = outcomes.moved(layer, "synergy_mean", {cell: 1, control: -1})
    mean, before = (c.mean_layer(layer, "synergy_mean", (0, 1)) for c in (cell, control))
    if moved is None or mean is None or before is None:
        return ""
    change = f"from {number(before.mean)} to {number(mean.mean)}, by {outcomes.rsv_yardstick.written(moved)}"
    return f" Synergy, the share of variance that takes more than one source, goes {change}."


def _shares(outcomes: StudyOutcomes, cell: CellOutcome, control: CellOutcome, layer: str) -> str:
    """What every one of three sources or more has of the total effects, where RSV tells of two."""
    parts = []
    for source in outcomes.sources if len(outcomes.sources) > 2 else ():
        mean, before = (c.mean_layer(layer, f"share_mean {source}", (0, 1)) for c in (cell, control))
        if mean is not None and before is not None:
            parts.append(f"{source} from {percent(before.mean)} to {percent(mean.mean)}")
    return f" Mean shares of total effects, control against deficit: {listed(parts)}." if parts else ""
