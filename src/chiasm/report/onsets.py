"""Equal deficits at different onsets, as evidence: whether one costs more than the others, and more than none."""

from __future__ import annotations

from chiasm.pictures.words import count, listed
from chiasm.report.evidence import Condition, Evidence
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import clock_words, doing
from chiasm.report.study_outcomes import StudyOutcomes, weighted


def window(outcomes: StudyOutcomes, clock: str) -> Evidence | None:
    """Return the evidence that the earliest onset costs more than the latest; None without both and a control."""
    onsets = outcomes.onsets(clock)
    return _worst(outcomes, onsets[0], onsets[-1:]) if len(onsets) > 1 else None


def late(outcomes: StudyOutcomes, clock: str) -> Evidence | None:
    """Return the evidence that the latest onset costs more than the earliest."""
    onsets = outcomes.onsets(clock)
    return _worst(outcomes, onsets[-1], onsets[:1]) if len(onsets) > 1 else None


def middle(outcomes: StudyOutcomes, clock: str) -> Evidence | None:
    """Return the evidence that some onset between costs more than the earliest and the latest; None without any."""
    onsets = outcomes.onsets(clock)
    every = [_worst(outcomes, cell, [onsets[0], onsets[-1]]) for cell in onsets[1:-1]]
    there = [evidence for evidence in every if evidence is not None]
    if not there:
        return None
    first = min(there, key=lambda evidence: evidence.p())
    rest = [_nearest_to_no(evidence) for evidence in there if evidence is not first]
    return Evidence(
        first.conditions,
        first.scale,
        directed=True,
        rest=tuple(condition.difference for condition in rest if condition.difference is not None),
        facts=first.facts,
    )


def _worst(outcomes: StudyOutcomes, worst: CellOutcome, others: list[CellOutcome]) -> Evidence | None:
    """The evidence that a deficit costs more at its onset than at others, and more than none; None without a control.

    Runs that begin their deficit later train for longer in total. Where clean runs as long as both were trained, what
    each costs against its own must differ too.
    """
    control = outcomes.control(worst) or outcomes.as_long(worst)
    if control is None:
        return None
    conditions = []
    for other in others:
        than = f"the deficit {starts(worst)} rather than {starts(other)}"
        conditions.append(Condition(f"the cost of {than}", outcomes.worse({worst: 1, other: -1})))
    conditions.append(Condition(f"the cost of the deficit {starts(worst)}", outcomes.worse({worst: 1, control: -1})))
    for other in others:
        longer = max(worst, other, key=lambda cell: cell.timeline.epochs)
        clean = [outcomes.as_long(cell) or outcomes.control(cell) for cell in (worst, other)]
        if outcomes.as_long(longer) is None or clean[0] is None or clean[1] is None:
            continue
        what = f"the cost {starts(worst)} less that {starts(other)}, each against a clean run as long"
        weights = weighted((worst, 1), (clean[0], -1), (other, -1), (clean[1], 1))
        conditions.append(Condition(what, outcomes.worse(weights)))
    scale = outcomes.yardstick
    return Evidence(tuple(conditions), scale, directed=True, facts=_facts(outcomes, worst, others))


def _facts(outcomes: StudyOutcomes, worst: CellOutcome, others: list[CellOutcome]) -> dict[str, str]:
    scale = outcomes.yardstick
    more = {cell: outcomes.worse({worst: 1, cell: -1}) for cell in others}
    costs = {cell: outcomes.cost(cell) for cell in (worst, *others)}
    written = [f"{scale.written(cost)} {starts(cell)}" for cell, cost in costs.items() if cost is not None]
    lasted = f"{count(worst.duration, 'epoch')} of {doing(worst.timeline)}"
    return {
        "what": lasted,
        "costs": listed(written) if written else "nothing that can be told",
        "worst": starts(worst),
        "each": listed(
            [f"{scale.written(difference)} more {starts(worst)} than {starts(c)}" for c, difference in more.items()]
        ),
        "unchecked": _unchecked(outcomes, worst, others),
        "clock": clock_words(worst.clock),
    }


def _unchecked(outcomes: StudyOutcomes, worst: CellOutcome, others: list[CellOutcome]) -> str:
    """That no clean run shows what the epochs in total did, as a sentence; "" where one does."""
    longest = max((worst, *others), key=lambda cell: cell.timeline.epochs)
    alike = all(cell.timeline.epochs == longest.timeline.epochs for cell in (worst, *others))
    if alike or outcomes.as_long(longest) is not None:
        return ""
    return (
        f" The deficit {starts(longest)} comes with {count(longest.timeline.epochs, 'epoch')} in total, the most of "
        "these; no clean run of that length shows whether that alone changes where a run ends."
    )


def _nearest_to_no(evidence: Evidence) -> Condition:
    ends = [
        (c.difference.high, i)
        for i, c in enumerate(evidence.conditions)
        if c.difference and c.difference.high is not None
    ]
    return evidence.conditions[min(ends)[1]] if ends else evidence.conditions[0]


def starts(cell: CellOutcome) -> str:
    """When a cell's deficit starts: "at the start", "from epoch 80"."""
    return f"from epoch {cell.onset}" if cell.onset else "at the start"
