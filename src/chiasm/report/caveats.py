"""What a reader must know beside the answers: facts of the runs, and the limits of the method and of this study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chiasm.pictures.words import count, listed
from chiasm.report.phrases import capital, plural
from chiasm.report.study_outcomes import StudyOutcomes

#: Runs, or cells, that a sentence names.
MOST = 8


def caveats(outcomes: StudyOutcomes) -> list[str]:
    """Return what is unusual about the runs of a study, one sentence each; none where nothing is."""
    every = (_seeds, _diverged, _missing, _collapsed, _unusual, _clean_phases)
    return [sentence for check in every if (sentence := check(outcomes))]


def _seeds(outcomes: StudyOutcomes) -> str:
    return "" if outcomes.seeds > 1 else "One seed: no number here has an interval, and another seed may say otherwise."


def _diverged(outcomes: StudyOutcomes) -> str:
    runs = [(cell, run) for cell in outcomes for run in cell.runs]
    bad = [
        f"{outcomes.called(cell)} seed {run.seed} at epoch {run.diverged}"
        for cell, run in runs
        if run.diverged is not None
    ]
    if not bad:
        return ""
    return (
        f"{len(bad)} of {count(len(runs), 'run')} diverged (the loss became infinite or not a number) and {_are(bad)} "
        f"left out of every mean: {_some(bad)}."
    )


def _missing(outcomes: StudyOutcomes) -> str:
    runs = [run for cell in outcomes for run in cell.runs]
    lost = [run for run in runs if run.diverged is None and run.score is None]
    label = outcomes.outcome.quantity.label
    words = f"{len(lost)} of {count(len(runs), 'run')} have no {label} at their last epoch and are in no mean."
    return words if lost else ""


def _collapsed(outcomes: StudyOutcomes) -> str:
    lost = [f"{outcomes.called(cell)} seed {seed}" for cell in outcomes for seed in outcomes.collapsed(cell)]
    if not lost:
        return ""
    return (
        f"{count(len(lost), 'run')} collapsed, far below the other seeds of the same cell, and {_are(lost)} in no "
        f"answer, though in the means of tables and figures: {_some(lost)}. A deficit may be what makes runs collapse."
    )


def _unusual(outcomes: StudyOutcomes) -> str:
    cells = [outcomes.called(cell) for cell in outcomes.unusual()]
    if not cells:
        return ""
    return (
        f"Seeds spread more than three times as far as usual in {_some(cells)}: intervals that rest on "
        f"{'it' if len(cells) == 1 else 'them'} may be too narrow, of 95 % down to 70 %."
    )


def _clean_phases(outcomes: StudyOutcomes) -> str:
    lengths = sorted({cell.after for role in ("duration", "onset") for cell in outcomes.of(role)})
    totals = {cell.timeline.epochs for role in ("duration", "onset") for cell in outcomes.of(role)}
    if len(lengths) < 2 or len(totals) == 1:  # of a fixed budget
        return ""
    labels = capital(plural(outcomes.outcome.quantity.label))
    return (
        f"Clean phases after the deficits differ ({listed([str(n) for n in lengths])} epochs): {labels} after "
        "different lengths do not compare."
    )


def _are(things: list[str]) -> str:
    return "is" if len(things) == 1 else "are"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"{'; '.join(names[:MOST])}{more}"


def limits(training: Mapping[str, Any], outcomes: StudyOutcomes) -> list[str]:
    """Return the known limits, one sentence or two each: first this study's, then the method's.

    Args:
        training: the study's table [training].
        outcomes: its outcomes.
    """
    sentences = [
        f"{count(outcomes.seeds, 'seed')}: intervals rest on differences between seeds being roughly normal. Heavy "
        "tails break them: of five seeds of which one in ten collapses, the 95 % interval of a mean covers that of "
        "all seeds in fewer than half of the studies, so runs that collapse are named and left out of the answers.",
    ]
    if not training.get("weight_decay", 0):
        sentences.append(
            "The study trains, where an arm does not say otherwise, without weight decay, which decides whether an "
            "effect is permanent: with it, or after more clean epochs than were run, a loss may go away."
        )
    else:
        sentences.append("Weight decay decides whether an effect is permanent; the main arms have one value of it.")
    sentences.append("One task, one network and one optimiser: what holds here need not hold elsewhere.")
    if outcomes.layers:
        sentences += [
            "RSV and synergy are measured with the sources drawn independently of each other, from the test set. Where "
            "real sources depend on each other this shows the network pairs that the data would not.",
            "RSV says what moves a unit, not whether that helps the task; synergy counts any interaction, useful or "
            "not.",
            "Units that few pairs wake (about 2 % of them) have intervals that cover slightly less than they say.",
        ]
        layer = outcomes.layers[0]
        dead = sum(value for cell in outcomes for value in cell.layer(layer, "dead").values())
        if dead:
            sentences.append(
                f"Over all runs {count(round(dead), 'dead unit')} of layer {layer or 'the output'} are masked: a unit "
                "that does not vary has no RSV."
            )
    if len(outcomes.sources) > 2:
        sentences.append(
            f"RSV compares the first two of {len(outcomes.sources)} sources, {outcomes.sources[0]} and "
            f"{outcomes.sources[1]}; what the others do to a unit shows in its shares of total effects and its synergy."
        )
    return sentences
