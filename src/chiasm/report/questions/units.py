"""Whether the units of the first layer turn to one source, after the longest deficit."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.intervals import difference
from chiasm.pictures.words import listed, number, number_between, percent
from chiasm.report.finding import SHIFT, Finding
from chiasm.report.outcomes import CellOutcome, StudyOutcomes
from chiasm.report.phrases import healthy, pair_words, stretch, touched
from chiasm.report.questions.question import Question, Section

#: Layers that a sentence names.
MOST = 5


@final
class UnitsQuestion(Question):
    """Whether the units of the first layer turn to one source, after the longest deficit."""

    tag: ClassVar[str] = "units"
    question: ClassVar[str] = "Do the units of the first layer turn to one source, after the longest deficit?"
    topic: ClassVar[str] = "Units"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 50

    def answer(self, outcomes: StudyOutcomes) -> Finding | None:
        """Return how the mean RSV of the first layer shifts against the control; None where it was not measured."""
        cell = outcomes.longest(outcomes.clock)
        control = outcomes.control(cell) if cell else None
        if cell is None or control is None or not outcomes.layers:
            return None
        layer = outcomes.layers[0]
        moved = outcomes.shift(cell, layer)
        mean, before_mean = (c.mean_layer(layer, "rsv_mean", (-1, 1)) for c in (cell, control))
        if moved is None or mean is None or before_mean is None:
            return None
        before, after = number(before_mean.mean, 2, True), number_between(mean, 2, True)
        means = f"mean RSV{pair_words(outcomes.sources)} {before} in the control, {after} after it"
        where = f"{means} (+1: {outcomes.sources[0]} only)" if outcomes.sources else means
        if moved.n < 2:
            text = f"Cannot tell whether the units of layer {layer} turn to one source: with one seed, {where}."
            return self.finding("cannot tell", text)
        shift, shares = f"a shift of {number_between(moved, 2, True)}", _shares(outcomes, cell, control, layer)
        if abs(moved.mean) < SHIFT or not moved.excludes(0):
            how = "turn little" if moved.excludes(0) else "do not turn measurably"
            text = f"The units of layer {layer} {how} to one source: {where}, "
            return self.finding("no shift", f"{text}{shift}.{_elsewhere(outcomes, cell)}{shares}")
        text = (
            f"After {stretch(cell.timeline)}, the units of layer {layer} turn {_toward(outcomes, cell, moved.mean)}: "
        )
        text += f"{where}, {shift}." + _beyond(cell, control, layer, moved.mean)
        text += _elsewhere(outcomes, cell) + _synergy(cell, control, layer) + shares
        return self.finding("units turn", text)


def _elsewhere(outcomes: StudyOutcomes, cell: CellOutcome) -> str:
    """How the mean RSV shifts in the layers after the first."""
    moves = [(layer, outcomes.shift(cell, layer)) for layer in outcomes.layers[1:MOST]]
    parts = [f"{layer} {number_between(moved, 2, True)}" for layer, moved in moves if moved is not None]
    more = f" ({len(outcomes.layers) - MOST} more in the table)" if len(outcomes.layers) > MOST else ""
    return f" In other layers the shift is {listed(parts)}{more}." if parts else ""


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


def _synergy(cell: CellOutcome, control: CellOutcome, layer: str) -> str:
    moved = difference(cell.layer(layer, "synergy_mean"), control.layer(layer, "synergy_mean"), (-1, 1))
    mean, before_mean = (c.mean_layer(layer, "synergy_mean", (0, 1)) for c in (cell, control))
    if moved is None or mean is None or before_mean is None:
        return ""
    before, after = number(before_mean.mean), number(mean.mean)
    if not moved.excludes(0) or before == after:
        return f" Synergy, the share of variance that needs more than one source, stays near {after}."
    verb = "falls" if moved.mean < 0 else "rises"
    return f" Synergy, the share of variance that needs more than one source, {verb} from {before} to {after}."


def _shares(outcomes: StudyOutcomes, cell: CellOutcome, control: CellOutcome, layer: str) -> str:
    """What every one of three sources or more has of the total effects, where RSV tells of two."""
    parts = []
    for source in outcomes.sources if len(outcomes.sources) > 2 else ():
        mean, before_mean = (c.mean_layer(layer, f"share_mean {source}", (0, 1)) for c in (cell, control))
        if mean is not None and before_mean is not None:
            parts.append(f"{source} from {percent(before_mean.mean)} to {percent(mean.mean)}")
    return f" Mean shares of total effects, control against deficit: {listed(parts)}." if parts else ""
