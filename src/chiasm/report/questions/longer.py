"""How much of the cost is made good when the clean phase goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.pictures.words import count
from chiasm.report.evidence import Condition, Evidence
from chiasm.report.phrases import stretch
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.yardstick import is_positive


@final
class LongerQuestion(Question):
    """How much of the cost is made good when the clean phase goes on."""

    tag: ClassVar[str] = "longer"
    question: ClassVar[str] = "Does a longer clean phase make the cost good?"
    topic: ClassVar[str] = "Longer clean phase"
    role: ClassVar[str] = "longer"
    needs: ClassVar[str] = "an arm of role longer with its control, and an equal deficit with the usual clean phase"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 50
    says: ClassVar[Mapping[str, str]] = {
        "present": "{made_good} {amount}: {what} costs {long} after {after}, {short} after {before}.",
        "reversed": "After a longer clean phase {what} costs {size} more: {long} after {after}, {short} after "
        "{before}.",
        "absent": "A longer clean phase makes nothing good that counts: {what} costs {long} after {after}, {short} "
        "after {before}, the same within {counts} ({amount}).",
        "unsettled": "Whether a longer clean phase makes anything good is unsettled: {what} costs {long} after "
        "{after}, {short} after {before}, {amount} less. {open}",
    }
    conditions: ClassVar[Mapping[str, str]] = {
        "present": "{brief_good} {brief}",
        "absent": "{after} make nothing good",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Hold the longest deficit with a longer clean phase against its control, and against the usual one."""
        pair = outcomes.paired_with("longer")
        if pair is None:
            return None
        (cell, partner), scale = pair, outcomes.yardstick
        good = outcomes.excess(partner, cell)
        long, short = outcomes.cost(cell), outcomes.cost(partner)
        there = is_positive(short)
        after = count(cell.after, "clean epoch")
        facts = {
            "made_good": "A longer clean phase " + ("makes good" if there else "lowers the cost by"),
            "brief_good": f"{after} make good" if there else f"{after} lower the cost of the longest deficit by",
            "what": stretch(cell.timeline),
            "after": after,
            "before": str(partner.after),
            "long": scale.written(long),
            "short": scale.written(short),
        }
        return Evidence((Condition("what a longer clean phase makes good", good),), scale, facts=facts)
