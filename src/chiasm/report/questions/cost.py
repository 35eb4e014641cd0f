"""What the longest deficit costs, under the study's own clock."""

from __future__ import annotations

from typing import ClassVar, final

from chiasm.pictures.words import count
from chiasm.report.finding import Finding, allows, judge, measured
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import amount, amount_between, improves, is_small, level, stretch, with_article
from chiasm.report.questions.question import Question, Section


@final
class CostQuestion(Question):
    """What the longest deficit costs, under the study's own clock."""

    tag: ClassVar[str] = "cost"
    question: ClassVar[str] = "What does the longest deficit cost, under the study's own clock?"
    topic: ClassVar[str] = "Cost"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 30

    def answer(self, outcomes: StudyOutcomes) -> Finding | None:
        """Hold the longest deficit against its control; None without any deficit."""
        cell, outcome = outcomes.longest(outcomes.clock), outcomes.outcome
        if cell is None:
            return None
        label, what = outcome.quantity.label, stretch(cell.timeline)
        lost, control, score = outcomes.cost(cell), outcomes.control(cell), outcomes.mean_score(cell)
        before = outcomes.mean_score(control) if control else None
        if score is None:
            return self.finding("cannot tell", f"{what} leaves no run with a final {label}")
        if lost is None or before is None:
            text = f"{what} leaves {with_article(label)} of {level(score.mean, outcome)}"
            return self.finding("cannot tell", f"{text}; there is no control to hold it against")
        fine = is_small(lost.mean, outcome)
        change = f"({level(before.mean, outcome, fine)} to {level(score.mean, outcome, fine)})"
        after = f"{change}, after {count(cell.after, 'clean epoch')}"
        verdict = judge(lost, outcome)
        gains = f"{improves(outcome)} by {amount(-lost.mean, outcome)}"
        if verdict == "cannot tell":
            does = f"costs {amount_between(lost, outcome)}" if lost.mean >= 0 else gains
            text = f"With {count(lost.n, 'seed')}, {what} {does} {after}; without an interval this cannot be told from "
            return self.finding("cannot tell", text + "chance")
        if verdict == "cost":
            text = f"{what} costs {amount_between(lost, outcome)} of {label} {after}."
            return self.finding("lasting cost", text + _shortest(outcomes))
        size = "little" if measured(lost) else "no measurable"
        text = f"{what} has {size} cost in {label}: {amount_between(lost, outcome)} {after}{allows(lost, outcome)}"
        return self.finding("no cost", f"{what} {gains} {after}" if verdict == "gain" else text)


def _shortest(outcomes: StudyOutcomes) -> str:
    """The shortest deficit with a measurable cost, as a sentence; empty where it is the longest."""
    for cell in outcomes.durations(outcomes.clock):
        lost = outcomes.cost(cell)
        if cell is outcomes.longest(outcomes.clock) or lost is None or judge(lost, outcomes.outcome) != "cost":
            continue
        much = amount_between(lost, outcomes.outcome)
        return f" The shortest deficit with a measurable cost lasted {count(cell.duration, 'epoch')} ({much})."
    return ""
