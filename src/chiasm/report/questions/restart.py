"""How much of the loss at the longest deficit a restart of the learning rate at release wins back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, final

from chiasm.pictures.words import percent
from chiasm.report.evidence import Condition, Evidence
from chiasm.report.questions.question import Question, Section
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.yardstick import is_positive
from chiasm.statistics import Estimate, jackknife_error, t_quantile


@final
class RestartQuestion(Question):
    """How much of the loss at the longest deficit a restart of the learning rate at release wins back."""

    tag: ClassVar[str] = "restart"
    question: ClassVar[str] = "Does restarting the learning rate at release win the loss back?"
    topic: ClassVar[str] = "Learning rate restarted"
    needs: ClassVar[str] = "the clock since_release beside the clock absolute, with a run without a deficit"
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 10
    says: ClassVar[Mapping[str, str]] = {
        "present": "Restarting the learning rate at release {wins} {amount}{of_lost}.",
        "reversed": "Restarting the learning rate at release makes the longest deficit cost {size} more.",
        "absent": "Restarting the learning rate at release changes nothing that counts: the longest deficit costs "
        "{lost} on absolute epochs, {amount} less with the restart, within {counts}.",
        "unsettled": "Whether restarting the learning rate at release wins anything back is unsettled: the longest "
        "deficit costs {lost} on absolute epochs, {amount} less with the restart. {open}",
    }
    conditions: ClassVar[Mapping[str, str]] = {
        "present": "restarting the learning rate at release {wins} {brief_share}",
        "absent": "restarting the learning rate at release wins nothing back",
    }

    def collect(self, outcomes: StudyOutcomes) -> Evidence | None:
        """Hold the longest deficit on absolute epochs against that with a restart."""
        absolute, again = (outcomes.longest(clock) for clock in ("absolute", "since_release"))
        control = outcomes.control(absolute) if absolute else None
        if absolute is None or again is None or control is None or absolute.duration != again.duration:
            return None
        scale = outcomes.yardstick
        won, lost, left = (
            outcomes.worse(weights)
            for weights in ({absolute: 1, again: -1}, {absolute: 1, control: -1}, {again: 1, control: -1})
        )
        share, costs = _share(won, lost), f"{scale.written(lost)} that the longest deficit costs on absolute epochs"
        of_lost = f" of the {costs}{f', {share}' if share else ''}; {scale.written(left)} remain"
        of_none = f"; it costs {scale.written(lost)} on absolute epochs, {scale.written(left)} with the restart"
        there = is_positive(lost)
        facts = {
            "lost": scale.written(lost),
            "wins": "wins back" if there else "lowers what the longest deficit costs by",
            "of_lost": of_lost if there else of_none,
            "brief_share": share.partition(" [")[0] if share else scale.brief(won) if won else "",
        }
        conditions = (Condition("what a restart wins back", won), Condition("what the longest deficit costs", lost))
        return Evidence(conditions, scale, facts=facts)


def _share(won: Estimate | None, lost: Estimate | None) -> str:
    """Return the share of a loss that was won back with its jackknife interval; "" where the loss may be none."""
    if won is None or lost is None or won.n != lost.n or not is_positive(lost):
        return ""
    n, share = won.n, won.mean / lost.mean
    if n < 3:  # two values of a ratio say nothing of its spread
        return f"{percent(share)} of it (no interval from {n} seeds)"
    totals = math.fsum(won.values), math.fsum(lost.values)
    without = [(totals[0] - back) / (totals[1] - gone) for back, gone in zip(won.values, lost.values, strict=True)]
    half = t_quantile(0.95, n - 1) * float(jackknife_error(without))
    return f"{percent(share)} [{percent(share - half)}, {percent(share + half)}] of it"
