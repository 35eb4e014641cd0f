"""Whether there is a critical period: whether the same deficit costs more early than late."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar, final

from chiasm.objectives import Outcome
from chiasm.pictures.words import count
from chiasm.report.finding import UNTESTED, Finding, Judgement, allows, judge, started
from chiasm.report.onsets import earliest_and_latest, early_loss, window_at
from chiasm.report.outcomes import CellOutcome, StudyOutcomes
from chiasm.report.phrases import amount_between, clock_words, doing, level, worsens
from chiasm.report.questions.question import Question, Section
from chiasm.report.questions.restart import RestartQuestion
from chiasm.report.questions.units_window import UnitsWindowQuestion

#: Verdicts on a restart of the learning rate that leaves nothing measurable of a deficit's cost.
UNDONE = ("explains the loss", "may explain all of it")


@final
class WindowQuestion(Question):
    """Whether there is a critical period: whether the same deficit costs more early than late."""

    tag: ClassVar[str] = "window"
    question: ClassVar[str] = "Is there a critical period: does the same deficit cost more early than late?"
    topic: ClassVar[str] = "Critical period"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 10

    def answer(self, outcomes: StudyOutcomes) -> Finding:
        """Compare the earliest with the latest onset, under the study's own clock."""
        clock, outcome = outcomes.clock, outcomes.outcome
        ends, more = earliest_and_latest(outcomes, clock), early_loss(outcomes, clock)
        if ends is None:
            text = "Whether there is a critical period was not tested here: that takes equal deficits at different "
            return self.finding(UNTESTED, text + "onsets")
        if more is None:
            text = "Cannot tell whether there is a critical period: no seed has a result at both onsets"
            return self.finding("cannot tell", text)
        early, late = ends
        both, verdict = _both(outcomes, early, late), window_at(outcomes, clock)
        if verdict == "cannot tell":
            text = f"Cannot tell whether there is a critical period: {count(more.n, 'seed')} gives no interval. {both}"
            return self.finding("cannot tell", text)
        elsewhere = {window_at(outcomes, other) for other in outcomes.clocks[1:]}
        apart = amount_between(more, outcome)
        if verdict == "cost":
            text = f"{both}: an early window, {apart} apart"
            return self.finding("critical period" + _doubt(outcomes, elsewhere), text)
        if judge(more, outcome) == "cost":
            higher = "higher" if outcome.higher_is_better else "lower"
            text = (
                f"No critical period: not even the early deficit {worsens(outcome)}. {both}: the late one ends {apart} "
            )
            text += (
                f"{higher}, after {late.timeline.epochs} epochs in total, the early one after {early.timeline.epochs}"
            )
        elif verdict == "gain":
            text = f"No critical period: the late deficit costs more than the early one. {both}"
        else:
            small = f"below the smallest effect of {outcome.margin:.4g}"
            why = small if more.excludes(0) else "an interval that includes 0"
            text = f"No critical period. {both}: the difference is {apart}, {why}{allows(more, outcome)}"
        return self.finding("no critical period" + _elsewhere(outcomes, elsewhere), text)

    def rules(self, outcome: Outcome) -> Sequence[str]:
        """Return what counts as a critical period."""
        return [
            "A critical period is such a difference between the same deficit at the latest and at the earliest onset, "
            f"after equally many clean epochs, where the earliest one {worsens(outcome)} against its control."
        ]


def _both(outcomes: StudyOutcomes, early: CellOutcome, late: CellOutcome) -> str:
    """What both deficits cost; where they end if a control is missing."""
    costs = [outcomes.cost(cell) for cell in (early, late)]
    what, under = f"{count(early.duration, 'epoch')} of {doing(early.timeline)}", clock_words(early.clock)
    if costs[0] is None or costs[1] is None:
        first, last = (_level(outcomes, cell) for cell in (early, late))
        ends = f"{outcomes.outcome.quantity.label} ends at {first}, {started(late)} at {last}"
        return f"After {what} {started(early)} {ends} ({under})"
    first, last = (amount_between(cost, outcomes.outcome) for cost in costs if cost is not None)
    return f"The same {what} cost {first} {started(early)} and {last} {started(late)} ({under})"


def _level(outcomes: StudyOutcomes, cell: CellOutcome) -> str:
    score = outcomes.mean_score(cell)
    return "no result" if score is None else level(score.mean, outcomes.outcome)


def _doubt(outcomes: StudyOutcomes, elsewhere: Collection[Judgement]) -> str:
    """What a critical period hangs on."""
    if {"none", "gain"} & {*elsewhere}:
        return ", but not under every clock"
    return ", undone by a restarted learning rate" if RestartQuestion().answer(outcomes).verdict in UNDONE else ""


def _elsewhere(outcomes: StudyOutcomes, elsewhere: Collection[Judgement]) -> str:
    """Where there is a critical period after all."""
    if "cost" in elsewhere:
        return ", but one under another clock"
    units = UnitsWindowQuestion().answer(outcomes)
    return f" in {outcomes.outcome.quantity.label}, one in the units" if units is not None else ""
