"""What a report cannot say: the limits of the method, and of this study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chiasm.pictures.words import count
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import margin

if TYPE_CHECKING:
    from chiasm.study.results import Results


def limits(results: Results, outcomes: StudyOutcomes) -> list[str]:
    """Return the known limits, one sentence or two each: first this study's, then the method's."""
    training = results.study.sections.get("training", {})
    seeds = len({run.seed for cell in outcomes for run in cell.runs})
    sentences = []
    if seeds < 2:
        sentences.append("One seed: nothing here has an interval.")
    elif seeds < 5:
        sentences.append(
            f"{count(seeds, 'seed')}: intervals are wide, and rest on differences between seeds being roughly normal."
        )
    else:
        sentences.append(f"{count(seeds, 'seed')}: intervals rest on differences between seeds being roughly normal.")
    sentences.append(
        "Intervals are not corrected for the number of comparisons on this page: of twenty true zeros one would be "
        f"missed by its interval. Differences below {margin(outcomes.outcome)} are not counted as effects."
    )
    if not training.get("weight_decay", 0):
        sentences.append(
            "The study trains, where an arm does not say otherwise, without weight decay, which decides whether an "
            "effect is permanent: with it, or after more clean epochs than were run, a loss may heal."
        )
    else:
        sentences.append("Weight decay decides whether an effect is permanent; the main arms have one value of it.")
    sentences.append("One task, one network and one optimiser: what holds here need not hold elsewhere.")
    if outcomes.layers:
        sentences.append(
            "RSV and synergy are measured with the sources drawn independently of each other, from the test set. Where "
            "real sources depend on each other this shows the network pairs that the data would not."
        )
        sentences.append(
            "RSV says what moves a unit, not whether that helps the task; synergy counts any interaction, useful or "
            "not."
        )
        dead = sum(
            value for cell in outcomes for v in (cell.layer(outcomes.layers[0], "dead"),) for value in v.values()
        )
        if dead:
            sentences.append(
                f"Over all runs {count(round(dead), 'dead unit')} of layer {outcomes.layers[0]} are masked: a unit "
                "that does not vary has no RSV."
            )
    if len(outcomes.sources) > 2:
        sentences.append(
            f"RSV compares the first two of {len(outcomes.sources)} sources, {outcomes.sources[0]} and "
            f"{outcomes.sources[1]}; what the others do to a unit shows in its shares of total effects and its synergy."
        )
    return sentences
