"""What a study says, in plain sentences that follow from its numbers by stated rules."""

from __future__ import annotations

from chiasm.report.confounds import confounds
from chiasm.report.finding import (
    SHIFT,
    SILENT_DROP,
    SMALLEST,
    Finding,
    allows,
    judge,
    sentence,
    started,
)
from chiasm.report.intervals import Estimate, difference
from chiasm.report.outcomes import Outcome, Outcomes, in_points
from chiasm.report.wording import (
    clock_words,
    count,
    doing,
    healthy,
    listed,
    number,
    number_between,
    percent,
    points,
    points_between,
    stretch,
    touched,
)


def reading(outcomes: Outcomes) -> list[Finding]:
    """Read a study: the verdict on a critical period first, then cost, window, units, confounds, and what is missing.

    Args:
        outcomes: the cells of a study.

    Returns:
        One finding a topic, in reading order; topics without any data are left out, apart from the confounds, which
        say when they were not tested.
    """
    found = [window(outcomes), cost(outcomes), *_others(outcomes), units(outcomes), silent(outcomes), single(outcomes)]
    return [f for f in found if f is not None] + confounds(outcomes) + _caveats(outcomes)


def _ends(outcomes: Outcomes, clock: str) -> tuple[Outcome, Outcome] | None:
    """The earliest and the latest onset of equal deficits."""
    curve = outcomes.onsets(clock)
    return (curve[0], curve[-1]) if len(curve) > 1 else None


def early_loss(outcomes: Outcomes, clock: str) -> Estimate | None:
    """Points by which the same deficit costs more at the earliest onset than at the latest, paired by seed."""
    ends = _ends(outcomes, clock)
    return ends and difference(in_points(ends[1].accuracy()), in_points(ends[0].accuracy()), (-100, 100))


def window(outcomes: Outcomes) -> Finding:
    """Whether there is a critical period: the same deficit early and late, under the study's own clock."""
    clock = outcomes.clock
    ends, more = _ends(outcomes, clock), early_loss(outcomes, clock)
    if ends is None or more is None:
        text = "Whether there is a critical period was not tested here: that takes equal deficits at different onsets."
        if ends is not None:
            text = "Cannot tell whether there is a critical period: no seed has a result at both onsets."
        return Finding("window", "not tested here" if ends is None else "cannot tell", text)
    early, late = ends
    costs = [outcomes.cost(cell) for cell in ends]
    under = clock_words(clock)
    if costs[0] is not None and costs[1] is not None:
        first, last = points_between(costs[0]), points_between(costs[1])
        told = (
            f"The same {count(early.duration, 'epoch')} of {doing(early.timeline)} cost {first} {started(early)} and "
        )
        told += f"{last} {started(late)} ({under})"
    else:
        told = f"After {count(early.duration, 'epoch')} of {doing(early.timeline)} {started(early)} accuracy ends at "
        told += f"{_level(early)}, {started(late)} at {_level(late)} ({under})"
    verdict = judge(more)
    if verdict == "cannot tell":
        text = f"Cannot tell whether there is a critical period: {count(more.n, 'seed')} gives no interval. {told}."
        return Finding("window", "cannot tell", text)
    if verdict == "cost":
        text = f"{told}: an early window, {points_between(more)} apart."
        alike = [judge(early_loss(outcomes, other)) for other in outcomes.clocks[1:]]
        named = "critical period" + (", but not under every clock" if {"none", "gain"} & set(alike) else "")
        return Finding("window", named, text + _other_clocks(outcomes))
    if verdict == "gain":
        text = f"No critical period: the late deficit costs more than the early one. {told}."
    else:
        why = "an interval that includes 0" if not more.excludes(0) else f"below the smallest effect of {SMALLEST:g}"
        text = f"No critical period. {told}: the difference is {points_between(more)}, {why}{allows(more)}."
    return Finding("window", "no critical period", text + _other_clocks(outcomes))


def _other_clocks(outcomes: Outcomes) -> str:
    said = ""
    for clock in outcomes.clocks[1:]:
        more = early_loss(outcomes, clock)
        verdict = judge(more)
        if more is None or verdict == "cannot tell":
            continue
        shown = {"cost": "it shows as well", "gain": "it is the late one that costs more", "none": "there is none"}[
            verdict
        ]
        gap = points_between(more) + (allows(more) if verdict == "none" else "")
        said += f" With {_a(clock)} {shown}: the early one costs {gap} more."
    return said


def _a(clock: str) -> str:
    return {"absolute": "the learning rate on absolute epochs", "since_release": "the learning rate restarted at release"
            }.get(clock, f"a {clock_words(clock)}")  # fmt: skip


def _level(cell: Outcome) -> str:
    made = cell.mean_accuracy()
    return "no result" if made is None else percent(made.mean)


def cost(outcomes: Outcomes) -> Finding | None:
    """What the longest deficit costs, under the study's own clock."""
    cell = outcomes.longest(outcomes.clock)
    if cell is None:
        return None
    lost, control = outcomes.cost(cell), outcomes.control(cell)
    made, whole = cell.mean_accuracy(), control.mean_accuracy() if control else None
    if made is None:
        return Finding("cost", "cannot tell", sentence(f"{stretch(cell.timeline)}: no run has a final accuracy"))
    if lost is None or whole is None:
        text = f"{stretch(cell.timeline)} leaves an accuracy of {percent(made.mean)}; there is no control to hold it against"
        return Finding("cost", "cannot tell", sentence(text))
    digits = 0 if abs(lost.mean) >= 9.95 else 1
    change = f"({percent(whole.mean, digits)} to {percent(made.mean, digits)})"
    clean = f"after {count(cell.after, 'clean epoch')}"
    verdict = judge(lost)
    if verdict == "cannot tell":
        text = (
            f"With {count(lost.n, 'seed')}, {stretch(cell.timeline)} costs {points_between(lost)} {change}, {clean}; "
        )
        return Finding("cost", "cannot tell", sentence(text + "without an interval this cannot be told from chance"))
    if verdict == "cost":
        text = f"{stretch(cell.timeline)} costs {points_between(lost)} of accuracy {change}, {clean}"
        return Finding("cost", "lasting cost", sentence(text) + _shortest(outcomes))
    if verdict == "gain":
        text = f"{stretch(cell.timeline)} raises accuracy by {points(-lost.mean)} {change}, {clean}"
        return Finding("cost", "no cost", sentence(text))
    text = f"{stretch(cell.timeline)} has no measurable cost in accuracy: {points_between(lost)} {change}, {clean}"
    return Finding("cost", "no cost", sentence(text + allows(lost)))


def _shortest(outcomes: Outcomes) -> str:
    for cell in outcomes.durations(outcomes.clock):
        lost = outcomes.cost(cell)
        if lost is not None and judge(lost) == "cost":
            lasted = count(cell.duration, "epoch")
            return f" The shortest deficit with a measurable cost lasted {lasted} ({points_between(lost)})."
    return ""


def _others(outcomes: Outcomes) -> list[Finding]:
    """The duration curve at other settings than the main ones, a finding each."""
    found = []
    seen = {outcomes.settings}
    for cell in outcomes.of("duration", outcomes.clock):
        if cell.settings in seen:
            continue
        seen.add(cell.settings)
        same = [c for c in outcomes.of("duration", outcomes.clock) if c.settings == cell.settings]
        longest = max(same, key=lambda c: c.duration)
        lost = outcomes.cost(longest)
        if lost is not None:
            setting = listed([f"{key} = {value}" for key, value in sorted(cell.settings)])
            text = sentence(f"with {setting}, {stretch(longest.timeline)} costs {points_between(lost)}")
            found.append(Finding(f"cost at {setting}", judge(lost), text))
    return found


def units(outcomes: Outcomes) -> Finding | None:
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
    means = f"mean RSV {number(whole.mean, 2, True)} in the control, {number_between(made, 2, True)} after it"
    where = f"{means} (+1: {outcomes.sources[0]} only)" if outcomes.sources else means
    if moved.n < 2:
        text = f"Cannot tell whether the units of layer {layer} turn to one source: with one seed, {where}."
        return Finding("units", "cannot tell", text)
    if abs(moved.mean) < SHIFT or not moved.excludes(0):
        text = f"The units of layer {layer} do not turn measurably to one source: {where}, a shift of "
        return Finding("units", "no shift", text + f"{number_between(moved, 2, True)}.")
    text = f"After {stretch(cell.timeline)}, the units of layer {layer} turn {_toward(outcomes, cell, moved.mean)}: {where}, a "
    text += f"shift of {number_between(moved, 2, True)}." + _beyond(cell, control, layer, moved.mean)
    return Finding("units", "units turn", text + _synergy(cell, control, layer))


def _toward(outcomes: Outcomes, cell: Outcome, moved: float) -> str:
    first, *rest = outcomes.sources or ("the first source",)
    if moved > 0 or len(rest) == 1:
        name = first if moved > 0 else rest[0]
        kind = "impaired" if name in touched(cell.timeline) else "healthy"
        whose = f", the {kind} source" if name in healthy(cell.timeline, outcomes.sources) or kind == "impaired" else ""
        return f"to {name}{whose}"
    return f"away from {first}"


def _beyond(cell: Outcome, control: Outcome, layer: str, moved: float) -> str:
    shares = []
    for c in (control, cell):
        above, either = (c.mean_layer(layer, q, (0, 1)) for q in ("rsv_beyond", "polarised"))
        if above is None or (moved < 0 and either is None):
            return ""
        shares.append(above.mean if moved > 0 else (either.mean if either else 0.0) - above.mean)
    side = "above +0.5" if moved > 0 else "below −0.5"
    return f" {percent(shares[1])} of the live units lie {side}, {percent(shares[0])} in the control."


def _synergy(cell: Outcome, control: Outcome, layer: str) -> str:
    moved = difference(cell.layer(layer, "synergy_mean"), control.layer(layer, "synergy_mean"), (-1, 1))
    made, whole = (c.mean_layer(layer, "synergy_mean", (0, 1)) for c in (cell, control))
    if moved is None or made is None or whole is None:
        return ""
    before, after = number(whole.mean), number(made.mean)
    if not moved.excludes(0) or before == after:
        return f" Synergy, the share of variance that needs more than one source, stays near {after}."
    verb = "falls" if moved.mean < 0 else "rises"
    return f" Synergy, the share of variance that needs more than one source, {verb} from {before} to {after}."


def silent(outcomes: Outcomes) -> Finding | None:
    """Where the units turn to one source and accuracy does not show it."""
    if not outcomes.layers:
        return None
    layer, said = outcomes.layers[0], []
    for clock in outcomes.clocks:
        cell = outcomes.longest(clock)
        lost, moved = (outcomes.cost(cell), outcomes.shift(cell, layer)) if cell else (None, None)
        if cell is None or lost is None or moved is None or lost.n < 2:
            continue
        if lost.mean < SILENT_DROP and abs(moved.mean) >= SHIFT and moved.excludes(0):
            said.append(
                f"{stretch(cell.timeline)} changes accuracy by {points_between(_negative(lost))} while the mean RSV of layer "
                f"{layer} moves by {number_between(moved, 2, True)} ({clock_words(clock)})"
            )
    if not said:
        return None
    return Finding("silent", "fails silently", f"Accuracy does not show it: {'; '.join(said)}.")


def _negative(made: Estimate) -> Estimate:
    low, high = (None if end is None else -end for end in (made.high, made.low))
    return Estimate(-made.mean, low, high, tuple(-value for value in made.values))


def single(outcomes: Outcomes) -> Finding | None:
    """Accuracy with each source alone, before and after the longest deficit."""
    cell = outcomes.longest(outcomes.clock)
    control = outcomes.control(cell) if cell else None
    if cell is None or control is None:
        return None
    said = []
    for source in outcomes.sources:
        moved = difference(in_points(cell.alone(source)), in_points(control.alone(source)), (-100, 100))
        if moved is None:
            continue
        both = control.alone(source).keys() & cell.alone(source).keys()
        before, after = (sum(c.alone(source)[seed] for seed in both) / len(both) for c in (control, cell))
        said.append(f"with {source} alone from {percent(before)} to {percent(after)} ({_signed(moved)})")
    if not said:
        return None
    text = f"Tested with one source while the rest is silenced, accuracy goes {listed(said)}: control against "
    return Finding("single", "one source at a time", sentence(text + stretch(cell.timeline)))


def _signed(moved: Estimate) -> str:
    digits = 1 if abs(moved.mean) < 9.95 else 0
    return f"{number_between(moved, digits, True)} points"


def _caveats(outcomes: Outcomes) -> list[Finding]:
    runs = [(cell, run) for cell in outcomes for run in cell.runs]
    seeds = {run.seed for _, run in runs}
    found = []
    if len(seeds) < 2:
        text = "There is one seed: no number here has an interval, and another seed may say otherwise."
        found.append(Finding("seeds", "one seed", text))
    bad = [(cell, run) for cell, run in runs if run.diverged is not None]
    if bad:
        named = [f"{cell.label} seed {run.seed} at epoch {run.diverged}" for cell, run in bad]
        more = f" and {len(named) - 8} more" if len(named) > 8 else ""
        text = f"{len(bad)} of {count(len(runs), 'run')} diverged (the loss became infinite or not a number) and "
        text += f"{'is' if len(bad) == 1 else 'are'} left out of every mean: {'; '.join(named[:8])}{more}."
        found.append(Finding("diverged", "diverged runs", text))
    lost = [run for _, run in runs if run.diverged is None and run.accuracy is None]
    if lost:
        text = f"{len(lost)} of {count(len(runs), 'run')} have no accuracy at their last epoch and are in no mean."
        found.append(Finding("missing", "incomplete runs", text))
    return found
