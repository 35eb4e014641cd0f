"""What the longest deficit costs, under the study's own clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.pictures.words import count
from chiasm.report.evidence import Condition, Evidence
from chiasm.report.phrases import amount_between, is_small, level, stretch
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes


@final
class CostQuestion(Question):
    """What the longest deficit costs, under the study's own clock."""

    tag: ClassVar[str] = "cost"
    question: ClassVar[str] = "Does the longest deficit leave a lasting cost?"
    topic: ClassVar[str] = "Cost"
    needs: ClassVar[str] = "an arm of role duration, and a run without a deficit that had as many clean epochs"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 30
    says: ClassVar[Mapping[str, str]] = {
        "present": "{what} costs {amount} of {label} {change}.{shortest}",
        "reversed": "{what} leaves {label} better by {size} {change}.",
        "absent": "{what} costs nothing that counts: {amount} of {label}, within {counts} {change}.",
        "unsettled": "What {what} costs is unsettled: {amount} of {label} {change}. {open}",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Hold the longest deficit against its control."""
        cell, outcome = outcomes.longest(outcomes.clock), outcomes.outcome
        control = outcomes.control(cell) if cell else None
        if cell is None or control is None:
            return None
        lost, ends = outcomes.cost(cell), [outcomes.mean_score(c) for c in (control, cell)]
        fine = lost is not None and is_small(lost.mean, outcome)
        levels = [level(end.mean, outcome, fine) for end in ends if end is not None]
        after = f"after {count(cell.after, 'clean epoch')}"
        facts = {
            "what": stretch(cell.timeline),
            "label": outcome.quantity.label,
            "change": f"({levels[0]} to {levels[1]}, {after})" if len(levels) == 2 else f"({after})",
            "shortest": _shortest(outcomes),
        }
        return Evidence((Condition("the cost", lost),), outcomes.yardstick, facts=facts)


def _shortest(outcomes: StudyOutcomes) -> str:
    """The shortest deficit with a cost, looked for from the longest down to the first without one, as a sentence."""
    shortest, curve = None, [cell for cell in outcomes.durations(outcomes.clock) if cell.duration]
    for cell in reversed(curve):
        lost = outcomes.cost(cell)
        if lost is None or not lost.excludes(0) or lost.mean < outcomes.outcome.margin:
            break
        shortest = cell, lost
    if shortest is None or shortest[0] is curve[-1]:
        return ""
    cell, lost = shortest
    much = amount_between(lost, outcomes.outcome)
    return f" From the longest down, the cost is there as far as {count(cell.duration, 'epoch')} ({much})."
