"""Whether the units turn to one source where the outcome does not show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from chiasm.intervals import negative
from chiasm.objectives import Outcome
from chiasm.pictures.words import listed, number_between
from chiasm.report.finding import SHIFT, Finding
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import amount_between, capital, clock_words, falls, margin, pair_words, stretch
from chiasm.report.questions.question import Question, Section

#: A deficit fails silently where the outcome gets worse by less than so many times what counts as a difference.
SILENT = 1.5


@final
class SilentQuestion(Question):
    """Whether the units turn to one source where the outcome does not show it."""

    tag: ClassVar[str] = "silent"
    question: ClassVar[str] = "Do the units turn to one source where the outcome does not show it?"
    topic: ClassVar[str] = "Silent failure"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 80

    def answer(self, outcomes: StudyOutcomes) -> Finding | None:
        """Return the clocks under which it fails silently, the study's own first; None where there is none."""
        if not outcomes.layers:
            return None
        layer, of_two, outcome = outcomes.layers[0], pair_words(outcomes.sources), outcomes.outcome
        label = outcome.quantity.label
        clauses: list[str] = []
        for clock in outcomes.clocks:
            cell = outcomes.longest(clock)
            lost, moved = (outcomes.cost(cell), outcomes.shift(cell, layer)) if cell else (None, None)
            if cell is None or lost is None or moved is None or lost.n < 2:
                continue
            if lost.mean < SILENT * outcome.margin and abs(moved.mean) >= SHIFT and moved.excludes(0):
                gain = negative(lost) if outcome.higher_is_better else lost
                change, shift = amount_between(gain, outcome), number_between(moved, 2, True)
                if clauses:
                    clauses.append(f"{clock_words(clock)} ({change}, {shift})")
                else:
                    moves = f"changes {label} by {change} while the mean RSV{of_two} of layer {layer} moves by {shift}"
                    clauses.append(f"{stretch(cell.timeline)} {moves} ({clock_words(clock)})")
        if not clauses:
            return None
        also = f" Likewise: {listed(clauses[1:])}." if clauses[1:] else ""
        text = f"{capital(label)} does not show it (a {_drop(outcome)}): {clauses[0]}.{also}"
        return self.finding("fails silently", text)

    def rules(self, outcome: Outcome) -> Sequence[str]:
        """Return what counts as failing silently."""
        return [
            f"{capital(outcome.quantity.label)} “does not show it” where it {falls(outcome)} by less than "
            f"{margin(outcome, SILENT)} while the mean RSV of the units moves by {SHIFT:g} or more, with an interval "
            "that leaves 0 out."
        ]


def _drop(outcome: Outcome) -> str:
    return f"{'drop' if outcome.higher_is_better else 'rise'} below {margin(outcome, SILENT)}"
