"""What other deficits cost, each at its longest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.report.evidence import Condition, Evidence
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import clock_words, stretch
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes, suffered


@final
class OtherDeficitsQuestion(Question):
    """What other deficits cost, each at its longest."""

    tag: ClassVar[str] = "deficit"
    question: ClassVar[str] = "Do other deficits cost anything?"
    topic: ClassVar[str] = "Other deficit"
    role: ClassVar[str] = "deficit"
    needs: ClassVar[str] = "an arm of role deficit, and its control"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 70
    says: ClassVar[Mapping[str, str]] = {
        "present": "{what} costs {amount} ({clock}).",
        "reversed": "{what} leaves the outcome better by {size} ({clock}).",
        "absent": "{what} costs nothing that counts: {amount}, within {counts} ({clock}).",
        "unsettled": "What {what} costs is unsettled: {amount} ({clock}). {open}",
    }

    def collect(self, outcomes: StudyOutcomes) -> list[Evidence] | None:
        """Hold the longest of each kind of deficit against its control."""
        longest: dict[str, CellOutcome] = {}
        for cell in sorted(outcomes.of("deficit", outcomes.clock_of("deficit")), key=lambda c: c.duration):
            if cell.duration and outcomes.control(cell) is not None:
                longest[suffered(cell)] = cell
        scale = outcomes.yardstick
        return [
            Evidence(
                (Condition("the cost", outcomes.cost(cell)),),
                scale,
                facts={"what": stretch(cell.timeline), "clock": clock_words(cell.clock)},
                about=name,
            )
            for name, cell in longest.items()
        ] or None
