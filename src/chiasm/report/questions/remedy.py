"""How much of a deficit's cost other training wins back, arm by arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.report.evidence import Condition, Evidence
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import setting_words
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes


@final
class RemedyQuestion(Question):
    """How much of a deficit's cost other training wins back, arm by arm."""

    tag: ClassVar[str] = "remedy"
    question: ClassVar[str] = "Does training otherwise win the loss back?"
    topic: ClassVar[str] = "Remedy"
    role: ClassVar[str] = "remedy"
    needs: ClassVar[str] = "an arm of role remedy, and an equal deficit in the main curves with its control"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 80
    says: ClassVar[Mapping[str, str]] = {
        "present": "{what} wins back {amount} of the {lost} that the longest deficit costs; it then costs {left} "
        "against networks that were never impaired{clean}.",
        "reversed": "{what} makes the longest deficit cost {size} more than the {lost} without it{clean}.",
        "absent": "{what} wins back nothing that counts of the {lost} that the longest deficit costs: {amount}, within "
        "{counts}{clean}.",
        "unsettled": "Whether {what} wins anything back of the {lost} that the longest deficit costs is unsettled: "
        "{amount}{clean}. {open}",
    }

    def collect(self, outcomes: StudyOutcomes) -> list[Evidence] | None:
        """Hold every remedy at its longest deficit against the main curve's equal one."""
        longest: dict[tuple[str, object], CellOutcome] = {}
        for cell in sorted(outcomes.of("remedy"), key=lambda c: c.duration):
            if cell.duration:
                longest[cell.arm, (cell.clock, cell.settings)] = cell
        evidence = [self._evidence(outcomes, cell) for cell in longest.values()]
        return [one for one in evidence if one is not None] or None

    def _evidence(self, outcomes: StudyOutcomes, cell: CellOutcome) -> Evidence | None:
        plain = outcomes.partner(cell)
        control = outcomes.control(plain) if plain else None
        if plain is None or control is None:
            return None
        scale = outcomes.yardstick
        others = [c for c in outcomes.of("remedy") if c.arm == cell.arm]
        varied = [(key, value) for key, value in cell.settings if any((key, value) not in c.settings for c in others)]
        clocks = {c.clock for c in others}
        words = [setting_words([(key.rpartition(".")[2], value) for key, value in varied])] if varied else []
        words += [f"clock {cell.clock}"] if len(clocks) > 1 else []
        name = f"{cell.arm} ({', '.join(words)})" if words else cell.arm
        own = outcomes.control(cell)
        clean = outcomes.worse({own: 1, control: -1}) if own and own is not control else None
        return Evidence(
            (Condition("what it wins back", outcomes.worse({plain: 1, cell: -1})),),
            scale,
            facts={
                "what": f"“{name}”",
                "lost": scale.written(outcomes.worse({plain: 1, control: -1})),
                "left": scale.written(outcomes.worse({cell: 1, control: -1})),
                "clean": f"; without a deficit it costs {scale.written(clean)}" if clean else "",
            },
            about=name,
        )
