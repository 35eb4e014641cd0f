"""How much of the loss at the longest deficit a restart of the learning rate at release wins back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from chiasm.intervals import Estimate
from chiasm.objectives import Outcome
from chiasm.pictures.words import percent
from chiasm.report.finding import Finding, allows, explains, judge, measured
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import amount, amount_between
from chiasm.report.questions.question import Question, Section


@final
class RestartQuestion(Question):
    """How much of the loss at the longest deficit a restart of the learning rate at release wins back."""

    tag: ClassVar[str] = "restart"
    question: ClassVar[str] = "Is it the learning rate, decayed while the deficit lasted?"
    topic: ClassVar[str] = "Learning rate restarted"
    tested_by: ClassVar[str] = "clock since_release"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 10

    def answer(self, outcomes: StudyOutcomes) -> Finding:
        """Hold the longest deficit on absolute epochs against that with a restart."""
        absolute, again = (outcomes.longest(clock) for clock in ("absolute", "since_release"))
        control, outcome = outcomes.control(absolute) if absolute else None, outcomes.outcome
        if absolute is None or again is None or control is None or absolute.duration != again.duration:
            return self.untested("a learning rate restarted at release, beside the one on absolute epochs")
        curves = [cell.scores() for cell in (control, absolute, again)]
        # One set of seeds throughout: a share of two means over different ones would mean nothing.
        common = sorted(set.intersection(*(set(by_seed) for by_seed in curves)))
        clean, without, with_restart = ({seed: by_seed[seed] for seed in common} for by_seed in curves)
        lost, won, left = outcomes.worse(without, clean), outcomes.worse(without, with_restart), outcomes.cost(again)
        if lost is None or won is None or left is None or min(lost.n, won.n) < 2:
            text = "Cannot tell what a restart of the learning rate wins back: one seed"
            return self.finding("cannot tell", text)
        if judge(lost, outcome) != "cost":
            little = "too little a cost to count" if measured(lost) else "no measurable cost"
            text = f"On absolute epochs the longest deficit has {little}: a restart has nothing to win back"
            return self.finding("no loss to explain", text)
        back, remains = amount_between(won, outcome), _remains(left, outcome)
        if judge(won, outcome) != "cost":
            text = f"A restart of the learning rate at release wins back nothing measurable ({back}); {remains}"
            return self.finding("does not explain it", text)
        means = [sum(outcomes.shown(by_seed).values()) / len(common) for by_seed in (clean, without, with_restart)]
        share, gap = (means[2] - means[1]) / (means[0] - means[1]), abs(means[0] - means[1])
        text = f"A restart of the learning rate at release wins back {percent(share)} of the loss: {back} of "
        text += f"{amount(gap, outcome, unit=False)}; {remains}"
        return self.finding(explains(left, gap, outcome), text)

    def rules(self, outcome: Outcome) -> Sequence[str]:
        """Return when a restart undoes a critical period, and which share it wins back."""
        return [
            "A restart of the learning rate undoes a critical period where no measurable cost of the longest deficit "
            "is left.",
            f"The share that a restart of the learning rate wins back is ({outcome.quantity.label} with restart − "
            "without) / (control − without), in means over the seeds, at the longest deficit.",
        ]


def _remains(left: Estimate, outcome: Outcome) -> str:
    if judge(left, outcome) == "cost":
        return f"{amount_between(left, outcome)} remain"
    size = "little" if measured(left) else "nothing measurable"
    return f"{size} remains: {amount_between(left, outcome)}{allows(left, outcome)}"
