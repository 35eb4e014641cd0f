"""What a study says, in plain sentences that follow from its numbers by stated rules."""

from __future__ import annotations

from chiasm.pictures.words import count
from chiasm.report.confounds import confounds
from chiasm.report.finding import (
    Finding,
    allows,
    costs,
    judge,
    measured,
    sentence,
)
from chiasm.report.outcomes import StudyOutcomes, brief_name, curve_name
from chiasm.report.phrases import amount, amount_between, article, better, is_small, level, stretch
from chiasm.report.unit_findings import silent, single, spread, units
from chiasm.report.window import other_clocks, units_window, window


def reading(outcomes: StudyOutcomes) -> list[Finding]:
    """Read a study: the verdict on a critical period first, then cost, window, units, confounds, and what is missing.

    Args:
        outcomes: the cells of a study.

    Returns:
        One finding a topic, in reading order; topics without any data are left out, apart from the confounds, which
        say when they were not tested.
    """
    main = [window(outcomes), other_clocks(outcomes), cost(outcomes), *_others(outcomes)]
    found = [*main, units(outcomes), units_window(outcomes), spread(outcomes), silent(outcomes), single(outcomes)]
    return [f for f in found if f is not None] + confounds(outcomes) + _caveats(outcomes)


def cost(outcomes: StudyOutcomes) -> Finding | None:
    """What the longest deficit costs, under the study's own clock."""
    cell = outcomes.longest(outcomes.clock)
    if cell is None:
        return None
    lost, control, what = outcomes.cost(cell), outcomes.control(cell), stretch(cell.timeline)
    made, whole = outcomes.mean_score(cell), outcomes.mean_score(control) if control else None
    if made is None or lost is None or whole is None:
        left = (
            f"no run with a final {outcomes.outcome.quantity.label}"
            if made is None
            else f"{article(outcomes.outcome.quantity.label)} of {level(made.mean, outcomes.outcome)}"
        )
        text = f"{what} leaves {left}; there is no control to hold it against"
        return Finding("cost", "cannot tell", sentence(text if made else f"{what} leaves {left}"))
    fine = is_small(lost.mean, outcomes.outcome)
    change = f"({level(whole.mean, outcomes.outcome, fine)} to {level(made.mean, outcomes.outcome, fine)})"
    clean = f"after {count(cell.after, 'clean epoch')}"
    verdict = judge(lost, outcomes.outcome)
    if verdict == "cannot tell":
        does = (
            f"costs {amount_between(lost, outcomes.outcome)}"
            if lost.mean >= 0
            else f"{better(outcomes.outcome)} by {amount(-lost.mean, outcomes.outcome)}"
        )
        text = f"With {count(lost.n, 'seed')}, {what} {does} {change}, {clean}; "
        return Finding("cost", "cannot tell", sentence(text + "without an interval this cannot be told from chance"))
    if verdict == "cost":
        text = f"{what} costs {amount_between(lost, outcomes.outcome)} of {outcomes.outcome.quantity.label} {change}, {clean}"
        return Finding("cost", "lasting cost", sentence(text) + _shortest(outcomes))
    if verdict == "gain":
        text = f"{what} {better(outcomes.outcome)} by {amount(-lost.mean, outcomes.outcome)} {change}, {clean}"
    else:
        size = "little" if measured(lost) else "no measurable"
        text = f"{what} has {size} cost in {outcomes.outcome.quantity.label}: {amount_between(lost, outcomes.outcome)} {change}, {clean}{allows(lost, outcomes.outcome)}"
    return Finding("cost", "no cost", sentence(text))


def _shortest(outcomes: StudyOutcomes) -> str:
    for cell in outcomes.durations(outcomes.clock):
        lost = outcomes.cost(cell)
        if (
            cell is not outcomes.longest(outcomes.clock)
            and lost is not None
            and judge(lost, outcomes.outcome) == "cost"
        ):
            lasted = count(cell.duration, "epoch")
            return f" The shortest deficit with a measurable cost lasted {lasted} ({amount_between(lost, outcomes.outcome)})."
    return ""


def _others(outcomes: StudyOutcomes) -> list[Finding]:
    """What the longest deficit of every other duration curve costs, a finding each."""
    found, curves = [], outcomes.curves("duration", outcomes.clock)
    for curve in curves[1:]:
        lost = outcomes.cost(curve[-1])
        if lost is not None:
            text = sentence(f"with {curve_name(curve)}, {stretch(curve[-1].timeline)} {costs(lost, outcomes.outcome)}")
            found.append(Finding(f"cost, {brief_name(curve, curves)}", judge(lost, outcomes.outcome), text))
    return found


def _caveats(outcomes: StudyOutcomes) -> list[Finding]:
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
    lost = [run for _, run in runs if run.diverged is None and run.score is None]
    if lost:
        text = f"{len(lost)} of {count(len(runs), 'run')} have no {outcomes.outcome.quantity.label} at their last epoch and are in no mean."
        found.append(Finding("missing", "incomplete runs", text))
    return found
