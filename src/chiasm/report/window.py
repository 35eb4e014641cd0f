"""Is there a critical period: the same deficit early and late, in accuracy and in what the units listen to."""

from __future__ import annotations

from collections.abc import Collection

from chiasm.intervals import Estimate, clear, difference
from chiasm.pictures.words import count, number_between
from chiasm.report.confounds import restart
from chiasm.report.finding import SHIFT, Finding, Judgement, allows, judge, started
from chiasm.report.outcomes import CellOutcome, StudyOutcomes
from chiasm.report.phrases import amount_between, clock_words, doing, level, pair_words, worsens

#: Verdicts on a restart of the learning rate that leaves nothing measurable of a deficit's cost.
UNDONE = ("explains the loss", "may explain all of it")
#: What the window does under another clock than the study's own.
SHOWN = {"cost": "there is an early window", "gain": "it is the late one that costs more", "none": "there is none"}


def _ends(outcomes: StudyOutcomes, clock: str) -> tuple[CellOutcome, CellOutcome] | None:
    """The earliest and the latest onset of equal deficits."""
    curve = outcomes.onsets(clock)
    return (curve[0], curve[-1]) if len(curve) > 1 else None


def early_loss(outcomes: StudyOutcomes, clock: str) -> Estimate | None:
    """Points by which the same deficit costs more at the earliest onset than at the latest, paired by seed."""
    ends = _ends(outcomes, clock)
    return ends and outcomes.worse(ends[0].scores(), ends[1].scores())


def window_at(outcomes: StudyOutcomes, clock: str) -> Judgement:
    """What equal deficits at different onsets show under a clock; an early window takes an early deficit that costs."""
    verdict, ends = judge(early_loss(outcomes, clock), outcomes.outcome), _ends(outcomes, clock)
    return (
        "none"
        if verdict == "cost" and ends and judge(outcomes.cost(ends[0]), outcomes.outcome) in ("none", "gain")
        else verdict
    )


def window(outcomes: StudyOutcomes) -> Finding:
    """Whether there is a critical period: the same deficit early and late, under the study's own clock."""
    clock = outcomes.clock
    ends, more = _ends(outcomes, clock), early_loss(outcomes, clock)
    if ends is None or more is None:
        text = "Whether there is a critical period was not tested here: that takes equal deficits at different onsets."
        if ends is not None:
            text = "Cannot tell whether there is a critical period: no seed has a result at both onsets."
        return Finding("window", "not tested here" if ends is None else "cannot tell", text)
    early, late = ends
    told = _told(outcomes, early, late)
    verdict = window_at(outcomes, clock)
    if verdict == "cannot tell":
        text = f"Cannot tell whether there is a critical period: {count(more.n, 'seed')} gives no interval. {told}."
        return Finding("window", "cannot tell", text)
    elsewhere = {window_at(outcomes, other) for other in outcomes.clocks[1:]}
    if verdict == "cost":
        text = f"{told}: an early window, {amount_between(more, outcomes.outcome)} apart."
        return Finding("window", "critical period" + _doubt(outcomes, elsewhere), text)
    if judge(more, outcomes.outcome) == "cost":
        higher = "higher" if outcomes.outcome.higher_is_better else "lower"
        text = f"No critical period: not even the early deficit {worsens(outcomes.outcome)}. {told}: the late one ends "
        text += f"{amount_between(more, outcomes.outcome)} {higher}, after {late.timeline.epochs} epochs in total, the early one after "
        text += f"{early.timeline.epochs}."
    elif verdict == "gain":
        text = f"No critical period: the late deficit costs more than the early one. {told}."
    else:
        why = (
            "an interval that includes 0"
            if not more.excludes(0)
            else f"below the smallest effect of {outcomes.outcome.margin:g}"
        )
        text = f"No critical period. {told}: the difference is {amount_between(more, outcomes.outcome)}, {why}{allows(more, outcomes.outcome)}."
    return Finding("window", "no critical period" + _elsewhere(outcomes, elsewhere), text)


def _told(outcomes: StudyOutcomes, early: CellOutcome, late: CellOutcome) -> str:
    costs = [outcomes.cost(cell) for cell in (early, late)]
    what, under = f"{count(early.duration, 'epoch')} of {doing(early.timeline)}", clock_words(early.clock)
    if costs[0] is None or costs[1] is None:
        ends = f"{outcomes.outcome.quantity.label} ends at {_level(outcomes, early)}, {started(late)} at {_level(outcomes, late)}"
        return f"After {what} {started(early)} {ends} ({under})"
    first, last = amount_between(costs[0], outcomes.outcome), amount_between(costs[1], outcomes.outcome)
    return f"The same {what} cost {first} {started(early)} and {last} {started(late)} ({under})"


def _doubt(outcomes: StudyOutcomes, elsewhere: Collection[Judgement]) -> str:
    """What a critical period hangs on."""
    if {"none", "gain"} & {*elsewhere}:
        return ", but not under every clock"
    return ", undone by a restarted learning rate" if restart(outcomes).verdict in UNDONE else ""


def _elsewhere(outcomes: StudyOutcomes, elsewhere: Collection[Judgement]) -> str:
    """Where there is a critical period after all."""
    if "cost" in elsewhere:
        return ", but one under another clock"
    return f" in {outcomes.outcome.quantity.label}, one in the units" if units_window(outcomes) is not None else ""


def other_clocks(outcomes: StudyOutcomes) -> Finding | None:
    """What the same onsets show under the clocks that are not the study's own."""
    said = []
    for clock in outcomes.clocks[1:]:
        more = early_loss(outcomes, clock)
        verdict = window_at(outcomes, clock)
        if more is None or verdict == "cannot tell":
            continue
        shown = SHOWN[verdict]
        rest = allows(more, outcomes.outcome) if verdict == "none" else ""
        said.append(f"With {_a(clock)} {shown}: early minus late {amount_between(more, outcomes.outcome)}{rest}.")
    return Finding("window elsewhere", "other clocks", " ".join(said)) if said else None


def _a(clock: str) -> str:
    article = "the" if clock in ("absolute", "since_release") else "a"
    return f"{article} {clock_words(clock)}"


def _level(outcomes: StudyOutcomes, cell: CellOutcome) -> str:
    made = outcomes.mean_score(cell)
    return "no result" if made is None else level(made.mean, outcomes.outcome)


def units_window(outcomes: StudyOutcomes) -> Finding | None:
    """Whether the same deficit moves the units more at the earliest onset than at the latest: a window of their own."""
    onsets = outcomes.onsets(outcomes.clock)
    if len(onsets) < 2:
        return None
    early, late = onsets[0], onsets[-1]
    apart = {
        layer: difference(early.layer(layer, "rsv_mean"), late.layer(layer, "rsv_mean"), (-2, 2))
        for layer in outcomes.layers
    }
    told = {layer: m for layer, m in apart.items() if m is not None and abs(m.mean) >= SHIFT and m.excludes(0)}
    if not told:
        return None
    layer = max(told, key=lambda layer: clear(told[layer]))
    shifts = [outcomes.shift(cell, layer) for cell in (early, late)]
    if shifts[0] is None or shifts[1] is None or abs(shifts[0].mean) <= abs(shifts[1].mean):
        return None
    text = f"The same {count(early.duration, 'epoch')} of {doing(early.timeline)} move the mean RSV"
    text += f"{pair_words(outcomes.sources)} of layer {layer} by {number_between(shifts[0], 2, True)} {started(early)} "
    text += f"and by {number_between(shifts[1], 2, True)} {started(late)} ({clock_words(outcomes.clock)})."
    return Finding("units window", "early window of the units", text)
