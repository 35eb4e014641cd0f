"""Whether one source, trained and tested alone, does better than chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.pictures.words import listed
from chiasm.report.evidence import Condition, Evidence
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import level, level_between
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.statistics import Estimate, estimate


@final
class AloneQuestion(Question):
    """Whether one source, trained and tested alone, does better than chance."""

    tag: ClassVar[str] = "alone"
    question: ClassVar[str] = "Can one source alone solve the task, or part of it?"
    topic: ClassVar[str] = "One source only"
    role: ClassVar[str] = "alone"
    lone: ClassVar[bool] = True
    needs: ClassVar[str] = "an arm of role alone, with one source impaired to the end, and a known level of chance"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 60
    says: ClassVar[Mapping[str, str]] = {
        "present": "One source alone does better than chance, by {amount}: trained and tested alone {each}; chance is "
        "{chance}.",
        "absent": "One source alone is at chance within {counts}: trained and tested alone {each}; chance is {chance}.",
        "unsettled": "Whether one source alone does better than chance is unsettled: trained and tested alone {each}; "
        "chance is {chance}. {open}",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Hold every cell that trained on one source against the level of chance."""
        chance, outcome = outcomes.chance, outcomes.outcome
        if chance is None:
            return None
        cells = [cell for cell in outcomes.of("alone", outcomes.clock_of("alone")) if cell.lone]
        above = {cell: better for cell in cells if (better := _above(cell, chance, outcomes)) is not None}
        if not above:
            return None
        first = max(above, key=lambda cell: above[cell].mean)
        scores = [(cell.lone, outcomes.mean_score(cell)) for cell in above]
        each = [f"{source} reaches {level_between(score, outcome)}" for source, score in scores if score is not None]
        return Evidence(
            (Condition(f"what {first.lone} alone does better than chance by", above[first]),),
            outcomes.yardstick,
            directed=True,
            rest=tuple(better for cell, better in above.items() if cell is not first),
            facts={"each": listed(each), "chance": level(chance, outcome)},
        )


def _above(cell: CellOutcome, chance: float, outcomes: StudyOutcomes) -> Estimate | None:
    scores, sign = outcomes.shown(cell.scores_alone(cell.lone)), 1 if outcomes.outcome.higher_is_better else -1
    return estimate([sign * (score - chance) for score in scores.values()])
