"""What the units listen to, in plain sentences: RSV, synergy, accuracy with one source, and failing silently."""

from __future__ import annotations

from chiasm.intervals import clear, difference, negative
from chiasm.pictures.words import listed, number, number_between, percent
from chiasm.report.finding import SHIFT, SILENT, SPREAD, Finding, sentence
from chiasm.report.outcomes import CellOutcome, StudyOutcomes
from chiasm.report.phrases import (
    amount_between,
    capital,
    clock_words,
    healthy,
    level,
    margin,
    pair_words,
    signed_between,
    stretch,
    touched,
)

MOST = 5  # layers that a sentence names


def units(outcomes: StudyOutcomes) -> Finding | None:
    """What the longest deficit does to the units of the first layer."""
    cell = outcomes.longest(outcomes.clock)
    control = outcomes.control(cell) if cell else None
    if cell is None or control is None or not outcomes.layers:
        return None
    layer = outcomes.layers[0]
    moved = outcomes.shift(cell, layer)
    made, whole = (c.mean_layer(layer, "rsv_mean", (-1, 1)) for c in (cell, control))
    if moved is None or made is None or whole is None:
        return None
    before, after = number(whole.mean, 2, True), number_between(made, 2, True)
    means = f"mean RSV{pair_words(outcomes.sources)} {before} in the control, {after} after it"
    where = f"{means} (+1: {outcomes.sources[0]} only)" if outcomes.sources else means
    if moved.n < 2:
        text = f"Cannot tell whether the units of layer {layer} turn to one source: with one seed, {where}."
        return Finding("units", "cannot tell", text)
    shift, shares = f"a shift of {number_between(moved, 2, True)}", _shares(outcomes, cell, control, layer)
    if abs(moved.mean) < SHIFT or not moved.excludes(0):
        how = "turn little" if moved.excludes(0) else "do not turn measurably"
        text = f"The units of layer {layer} {how} to one source: {where}, "
        return Finding("units", "no shift", f"{text}{shift}.{_elsewhere(outcomes, cell)}{shares}")
    text = f"After {stretch(cell.timeline)}, the units of layer {layer} turn {_toward(outcomes, cell, moved.mean)}: "
    text += f"{where}, {shift}." + _beyond(cell, control, layer, moved.mean)
    text += _elsewhere(outcomes, cell) + _synergy(cell, control, layer) + shares
    return Finding("units", "units turn", text)


def _elsewhere(outcomes: StudyOutcomes, cell: CellOutcome) -> str:
    """How the mean RSV shifts in the layers after the first."""
    moves = [(layer, outcomes.shift(cell, layer)) for layer in outcomes.layers[1:MOST]]
    said = [f"{layer} {number_between(moved, 2, True)}" for layer, moved in moves if moved is not None]
    more = f" ({len(outcomes.layers) - MOST} more in the table)" if len(outcomes.layers) > MOST else ""
    return f" In other layers the shift is {listed(said)}{more}." if said else ""


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
    made, whole = (c.mean_layer(layer, "synergy_mean", (0, 1)) for c in (cell, control))
    if moved is None or made is None or whole is None:
        return ""
    before, after = number(whole.mean), number(made.mean)
    if not moved.excludes(0) or before == after:
        return f" Synergy, the share of variance that needs more than one source, stays near {after}."
    verb = "falls" if moved.mean < 0 else "rises"
    return f" Synergy, the share of variance that needs more than one source, {verb} from {before} to {after}."


def _shares(outcomes: StudyOutcomes, cell: CellOutcome, control: CellOutcome, layer: str) -> str:
    """What every one of three sources or more has of the total effects, where RSV tells of two."""
    said = []
    for source in outcomes.sources if len(outcomes.sources) > 2 else ():
        made, whole = (c.mean_layer(layer, f"share_mean {source}", (0, 1)) for c in (cell, control))
        if made is not None and whole is not None:
            said.append(f"{source} from {percent(whole.mean)} to {percent(made.mean)}")
    return f" Mean shares of total effects, control against deficit: {listed(said)}." if said else ""


def spread(outcomes: StudyOutcomes) -> Finding | None:
    """Whether the units part ways: the spread of RSV over the units of each layer, after the longest deficit."""
    cell = outcomes.longest(outcomes.clock)
    control = outcomes.control(cell) if cell else None
    if cell is None or control is None:
        return None
    moves = {layer: outcomes.shift(cell, layer, "rsv_sd") for layer in outcomes.layers}
    told = {layer: m for layer, m in moves.items() if m is not None and abs(m.mean) >= SPREAD and m.excludes(0)}
    if not told:
        return None
    first = max(told, key=lambda layer: clear(told[layer]))
    before, after = (c.mean_layer(first, "rsv_sd", (0, 1)) for c in (control, cell))
    if before is None or after is None:
        return None
    how = "part ways" if told[first].mean > 0 else "draw together"
    text = f"After {stretch(cell.timeline)}, the units of layer {first} {how}: the spread of their RSV"
    text += f"{pair_words(outcomes.sources)} (standard deviation over units) goes from "
    text += f"{number(before.mean)} to {number(after.mean)}, by {number_between(told[first], 2, True)}"
    beyond = [c.mean_layer(first, "polarised", (0, 1)) for c in (cell, control)]
    if beyond[0] is not None and beyond[1] is not None:
        text += f"; {percent(beyond[0].mean)} lie beyond ±0.5, {percent(beyond[1].mean)} in the control"
    others = [f"{layer} {number_between(moved, 2, True)}" for layer, moved in told.items() if layer != first]
    text += f". Likewise {listed(others)}." if others else "."
    return Finding("spread", f"units {how}", text + _clocks(outcomes, first))


def _clocks(outcomes: StudyOutcomes, layer: str) -> str:
    """How the spread of a layer's RSV moves under the other clocks."""
    said = []
    for clock in outcomes.clocks[1:]:
        cell = outcomes.longest(clock)
        moved = outcomes.shift(cell, layer, "rsv_sd") if cell else None
        if moved is not None and moved.n > 1:
            said.append(f"{number_between(moved, 2, True)} ({clock_words(clock)})")
    return f" Under other clocks the spread moves by {listed(said)}." if said else ""


def silent(outcomes: StudyOutcomes) -> Finding | None:
    """Where the units turn to one source and accuracy does not show it."""
    if not outcomes.layers:
        return None
    layer, of_two = outcomes.layers[0], pair_words(outcomes.sources)
    said: list[str] = []
    for clock in outcomes.clocks:
        cell = outcomes.longest(clock)
        lost, moved = (outcomes.cost(cell), outcomes.shift(cell, layer)) if cell else (None, None)
        if cell is None or lost is None or moved is None or lost.n < 2:
            continue
        if lost.mean < SILENT * outcomes.outcome.margin and abs(moved.mean) >= SHIFT and moved.excludes(0):
            change, shift = amount_between(negative(lost), outcomes.outcome), number_between(moved, 2, True)
            if said:
                said.append(f"{clock_words(clock)} ({change}, {shift})")
            else:
                moves = f"changes {outcomes.outcome.quantity.label} by {change} while the mean RSV{of_two} of layer {layer} moves by {shift}"
                said.append(f"{stretch(cell.timeline)} {moves} ({clock_words(clock)})")
    if not said:
        return None
    drop = "drop" if outcomes.outcome.higher_is_better else "rise"
    also = f" Likewise: {listed(said[1:])}." if said[1:] else ""
    return Finding(
        "silent",
        "fails silently",
        f"{capital(outcomes.outcome.quantity.label)} does not show it (a {drop} below {margin(outcomes.outcome, SILENT)}): {said[0]}.{also}",
    )


def single(outcomes: StudyOutcomes) -> Finding | None:
    """Accuracy with each source alone, before and after the longest deficit."""
    cell = outcomes.longest(outcomes.clock)
    control = outcomes.control(cell) if cell else None
    if cell is None or control is None:
        return None
    said = []
    for source in outcomes.sources:
        moved = outcomes.change(cell.scores_alone(source), control.scores_alone(source))
        if moved is None:
            continue
        both = control.scores_alone(source).keys() & cell.scores_alone(source).keys()
        before, after = (
            sum(c.scores_alone(source)[seed] for seed in both) / len(both) * outcomes.outcome.quantity.scale
            for c in (control, cell)
        )
        said.append(
            f"with {source} alone from {level(before, outcomes.outcome)} to {level(after, outcomes.outcome)} ({signed_between(moved, outcomes.outcome)})"
        )
    if not said:
        return None
    text = f"Tested with one source while the rest is silenced, {outcomes.outcome.quantity.label} goes {listed(said)}: control against "
    return Finding("single", "one source at a time", sentence(text + stretch(cell.timeline)))
