"""Whether the units part ways: the spread of their RSV grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from chiasm.intervals import clear
from chiasm.objectives import Outcome
from chiasm.pictures.words import listed, number, number_between, percent
from chiasm.report.finding import Finding
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import clock_words, pair_words, stretch
from chiasm.report.questions.question import Question, Section

#: The units part ways, or draw together, where the spread of their RSV moves by at least this much.
SPREAD = 0.1


@final
class SpreadQuestion(Question):
    """Whether the units part ways: the spread of their RSV grows."""

    tag: ClassVar[str] = "spread"
    question: ClassVar[str] = "Do the units part ways: does the spread of their RSV grow?"
    topic: ClassVar[str] = "Spread of the units"
    section: ClassVar[Section] = "reading"
    order: ClassVar[int] = 70

    def answer(self, outcomes: StudyOutcomes) -> Finding | None:
        """Return the layers whose spread moves, the clearest first; None without any."""
        cell = outcomes.longest(outcomes.clock)
        control = outcomes.control(cell) if cell else None
        if cell is None or control is None:
            return None
        shifts = {layer: outcomes.shift(cell, layer, "rsv_sd") for layer in outcomes.layers}
        moves = {layer: m for layer, m in shifts.items() if m is not None and abs(m.mean) >= SPREAD and m.excludes(0)}
        if not moves:
            return None
        first = max(moves, key=lambda layer: clear(moves[layer]))
        before, after = (c.mean_layer(first, "rsv_sd", (0, 1)) for c in (control, cell))
        if before is None or after is None:
            return None
        how = "part ways" if moves[first].mean > 0 else "draw together"
        text = f"After {stretch(cell.timeline)}, the units of layer {first} {how}: the spread of their RSV"
        text += f"{pair_words(outcomes.sources)} (standard deviation over units) goes from "
        text += f"{number(before.mean)} to {number(after.mean)}, by {number_between(moves[first], 2, True)}"
        beyond = [c.mean_layer(first, "polarised", (0, 1)) for c in (cell, control)]
        if beyond[0] is not None and beyond[1] is not None:
            text += f"; {percent(beyond[0].mean)} lie beyond ±0.5, {percent(beyond[1].mean)} in the control"
        others = [f"{layer} {number_between(moved, 2, True)}" for layer, moved in moves.items() if layer != first]
        text += f". Likewise {listed(others)}." if others else "."
        return self.finding(f"units {how}", text + _clocks(outcomes, first))

    def rules(self, outcome: Outcome) -> Sequence[str]:
        """Return what counts as parting ways."""
        return [
            "Units part ways where the spread of RSV, its standard deviation over the live units of a layer, grows by "
            f"{SPREAD:g} or more, with an interval that leaves 0 out; where it falls as much, they draw together."
        ]


def _clocks(outcomes: StudyOutcomes, layer: str) -> str:
    """How the spread of a layer's RSV moves under the other clocks."""
    parts = []
    for clock in outcomes.clocks[1:]:
        cell = outcomes.longest(clock)
        moved = outcomes.shift(cell, layer, "rsv_sd") if cell else None
        if moved is not None and moved.n > 1:
            parts.append(f"{number_between(moved, 2, True)} ({clock_words(clock)})")
    return f" Under other clocks the spread moves by {listed(parts)}." if parts else ""
