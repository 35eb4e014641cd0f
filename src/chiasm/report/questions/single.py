"""How well the network does with each source alone, before and after the longest deficit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.pictures.words import listed
from chiasm.report.evidence import Condition, Evidence
from chiasm.report.phrases import level, signed_between, stretch
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes


@final
class SingleQuestion(Question):
    """How well the network does with each source alone, before and after the longest deficit."""

    tag: ClassVar[str] = "single"
    question: ClassVar[str] = "Does the network do otherwise with one source alone after the longest deficit?"
    topic: ClassVar[str] = "One source at a time"
    needs: ClassVar[str] = "the outcome with one source at a time, after the longest deficit and in its control"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 90
    says: ClassVar[Mapping[str, str]] = {
        "present": "Tested with one source while the rest is silenced, {label} goes {each}: control against {what}.",
        "absent": "Tested with one source while the rest is silenced, {label} stays as it was within {counts}: {each}, "
        "control against {what}.",
        "unsettled": "Whether {label} with one source while the rest is silenced changes is unsettled: {each}, control "
        "against {what}. {open}",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Hold the outcome with each source alone against the control's; the clearest change is quoted."""
        cell, outcome = outcomes.longest(outcomes.clock), outcomes.outcome
        control = outcomes.control(cell) if cell else None
        if cell is None or control is None:
            return None
        changes = {
            source: change
            for source in outcomes.sources
            if (change := outcomes.changed_alone(source, {cell: 1, control: -1})) is not None
        }
        if not changes:
            return None
        first = min(changes, key=lambda source: changes[source].p())
        each = []
        for source, change in changes.items():
            ends = [outcomes.mean_score(c, source) for c in (control, cell)]
            levels = [level(end.mean, outcome) for end in ends if end is not None]
            each.append(f"with {source} alone from {' to '.join(levels)} ({signed_between(change, outcome)})")
        facts = {"label": outcome.quantity.label, "each": listed(each), "what": stretch(cell.timeline)}
        rest = tuple(change for source, change in changes.items() if source != first)
        condition = Condition("the change", changes[first])
        return Evidence((condition,), outcomes.yardstick, rest=rest, facts=facts)
