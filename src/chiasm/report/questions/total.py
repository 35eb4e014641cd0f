"""Whether more clean epochs in total, without any deficit, change where the control ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.pictures.words import count, listed
from chiasm.report.evidence import Condition, Evidence
from chiasm.report.phrases import clock_words
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.yardstick import Yardstick


@final
class TotalQuestion(Question):
    """Whether more clean epochs in total, without any deficit, change where the control ends."""

    tag: ClassVar[str] = "total"
    question: ClassVar[str] = "Does it matter that runs trained for different numbers of epochs in total?"
    topic: ClassVar[str] = "Epochs in total"
    role: ClassVar[str] = "total"
    needs: ClassVar[str] = "an arm of role total, of clean runs that train for longer than the control"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 90
    says: ClassVar[Mapping[str, str]] = {
        "present": "Without any deficit, training for longer changes where a run ends: {each} better than after the "
        "control's {control} ({clock}).{against}",
        "reversed": "Without any deficit, training for longer changes where a run ends: {each} better than after the "
        "control's {control} ({clock}).{against}",
        "absent": "Without any deficit, training for longer changes nothing that counts: {each} better than after the "
        "control's {control}, within {counts} ({clock}).{against}",
        "unsettled": "Whether training for longer without any deficit changes anything is unsettled: {each} better "
        "than after the control's {control} ({clock}).{against} {open}",
    }
    conditions: ClassVar[Mapping[str, str]] = {
        "present": "clean runs that train for longer end {brief} better",
        "reversed": "clean runs that train for longer end {worse} worse",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Hold clean runs of several lengths against the control."""
        clock = outcomes.clock_of("total")
        cells = sorted((c for c in outcomes.of("total", clock) if not c.duration), key=lambda c: c.after)
        control = next((c for c in outcomes.durations(clock) if not c.duration), None) if clock else None
        if not cells or control is None:
            return None
        scale = outcomes.yardstick
        better = [(cell, outcomes.worse({control: 1, cell: -1})) for cell in cells if cell is not control]
        known = [(cell, difference) for cell, difference in better if difference is not None]
        if not known:
            return None
        first = min(known, key=lambda pair: pair[1].p())[1]
        return Evidence(
            (Condition("the difference", first),),
            scale,
            rest=tuple(difference for _, difference in known if difference is not first),
            facts={
                "worse": scale.brief(first.scaled(-1)),
                "each": listed(
                    [f"after {count(c.after, 'epoch')} {scale.written(difference)}" for c, difference in known]
                ),
                "control": str(control.after),
                "clock": clock_words(control.clock),
                "against": _as_long(outcomes, scale),
            },
        )


def _as_long(outcomes: StudyOutcomes, scale: Yardstick) -> str:
    """What the longest deficit costs, clock by clock, against runs without any that trained for as many epochs."""
    clauses = []
    for clock in outcomes.clocks:
        cell = outcomes.longest(clock)
        as_long = outcomes.as_long(cell) if cell else None
        lost = outcomes.worse({cell: 1, as_long: -1}) if cell and as_long else None
        if lost is not None:
            clauses.append(f"{scale.written(lost)} ({clock_words(clock)})")
    return (
        f" Against clean runs of as many epochs in total, the longest deficit costs {listed(clauses)}."
        if clauses
        else ""
    )
