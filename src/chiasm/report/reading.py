"""What a study says, in plain sentences that follow from its numbers by stated rules."""

from __future__ import annotations

from chiasm.pictures.words import count, percent
from chiasm.report.confounds import confounds, restart
from chiasm.report.finding import (
    SMALLEST,
    Finding,
    allows,
    costs,
    judge,
    measured,
    sentence,
    started,
)
from chiasm.report.intervals import Estimate, difference
from chiasm.report.listening import silent, single, spread, units
from chiasm.report.outcomes import Outcome, Outcomes, brief_name, curve_name, in_points
from chiasm.report.wording import clock_words, doing, points, points_between, stretch

#: Verdicts on a restart of the learning rate that leaves nothing measurable of a deficit's cost.
UNDONE = ("explains the loss", "may explain all of it")
#: What the window does under another clock than the study's own.
SHOWN = {"cost": "there is an early window", "gain": "it is the late one that costs more", "none": "there is none"}


def reading(outcomes: Outcomes) -> list[Finding]:
    """Read a study: the verdict on a critical period first, then cost, window, units, confounds, and what is missing.

    Args:
        outcomes: the cells of a study.

    Returns:
        One finding a topic, in reading order; topics without any data are left out, apart from the confounds, which
        say when they were not tested.
    """
    main = [window(outcomes), _other_clocks(outcomes), cost(outcomes), *_others(outcomes)]
    found = [*main, units(outcomes), spread(outcomes), silent(outcomes), single(outcomes)]
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
    elsewhere = {judge(early_loss(outcomes, other)) for other in outcomes.clocks[1:]}
    if verdict == "cost":
        text = f"{told}: an early window, {points_between(more)} apart."
        named = "critical period"
        if {"none", "gain"} & elsewhere:
            named += ", but not under every clock"
        elif restart(outcomes).verdict in UNDONE:
            named += ", undone by a restarted learning rate"
        return Finding("window", named, text)
    if verdict == "gain":
        text = f"No critical period: the late deficit costs more than the early one. {told}."
    else:
        why = "an interval that includes 0" if not more.excludes(0) else f"below the smallest effect of {SMALLEST:g}"
        text = f"No critical period. {told}: the difference is {points_between(more)}, {why}{allows(more)}."
    named = "no critical period" + (", but one under another clock" if "cost" in elsewhere else "")
    return Finding("window", named, text)


def _other_clocks(outcomes: Outcomes) -> Finding | None:
    """What the same onsets show under the clocks that are not the study's own."""
    said = []
    for clock in outcomes.clocks[1:]:
        more = early_loss(outcomes, clock)
        verdict = judge(more)
        if more is None or verdict == "cannot tell":
            continue
        shown = SHOWN[verdict]
        rest = allows(more) if verdict == "none" else ""
        said.append(f"With {_a(clock)} {shown}: early minus late {points_between(more)}{rest}.")
    return Finding("window elsewhere", "other clocks", " ".join(said)) if said else None


def _a(clock: str) -> str:
    article = "the" if clock in ("absolute", "since_release") else "a"
    return f"{article} {clock_words(clock)}"


def _level(cell: Outcome) -> str:
    made = cell.mean_accuracy()
    return "no result" if made is None else percent(made.mean)


def cost(outcomes: Outcomes) -> Finding | None:
    """What the longest deficit costs, under the study's own clock."""
    cell = outcomes.longest(outcomes.clock)
    if cell is None:
        return None
    lost, control, what = outcomes.cost(cell), outcomes.control(cell), stretch(cell.timeline)
    made, whole = cell.mean_accuracy(), control.mean_accuracy() if control else None
    if made is None or lost is None or whole is None:
        left = "no run with a final accuracy" if made is None else f"an accuracy of {percent(made.mean)}"
        text = f"{what} leaves {left}; there is no control to hold it against"
        return Finding("cost", "cannot tell", sentence(text if made else f"{what} leaves {left}"))
    digits = 0 if abs(lost.mean) >= 9.95 else 1
    change = f"({percent(whole.mean, digits)} to {percent(made.mean, digits)})"
    clean = f"after {count(cell.after, 'clean epoch')}"
    verdict = judge(lost)
    if verdict == "cannot tell":
        does = f"costs {points_between(lost)}" if lost.mean >= 0 else f"raises accuracy by {points(-lost.mean)}"
        text = f"With {count(lost.n, 'seed')}, {what} {does} {change}, {clean}; "
        return Finding("cost", "cannot tell", sentence(text + "without an interval this cannot be told from chance"))
    if verdict == "cost":
        text = f"{what} costs {points_between(lost)} of accuracy {change}, {clean}"
        return Finding("cost", "lasting cost", sentence(text) + _shortest(outcomes))
    if verdict == "gain":
        text = f"{what} raises accuracy by {points(-lost.mean)} {change}, {clean}"
    else:
        size = "little" if measured(lost) else "no measurable"
        text = f"{what} has {size} cost in accuracy: {points_between(lost)} {change}, {clean}{allows(lost)}"
    return Finding("cost", "no cost", sentence(text))


def _shortest(outcomes: Outcomes) -> str:
    for cell in outcomes.durations(outcomes.clock):
        lost = outcomes.cost(cell)
        if cell is not outcomes.longest(outcomes.clock) and lost is not None and judge(lost) == "cost":
            lasted = count(cell.duration, "epoch")
            return f" The shortest deficit with a measurable cost lasted {lasted} ({points_between(lost)})."
    return ""


def _others(outcomes: Outcomes) -> list[Finding]:
    """What the longest deficit of every other duration curve costs, a finding each."""
    found, curves = [], outcomes.curves("duration", outcomes.clock)
    for curve in curves[1:]:
        lost = outcomes.cost(curve[-1])
        if lost is not None:
            text = sentence(f"with {curve_name(curve)}, {stretch(curve[-1].timeline)} {costs(lost)}")
            found.append(Finding(f"cost, {brief_name(curve, curves)}", judge(lost), text))
    return found


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
