"""The outcome of a study: what an objective scores, and how people read it."""

from __future__ import annotations

from dataclasses import dataclass

from chiasm.quantity import Quantity


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an objective scores on held-out data.

    Attributes:
        quantity: its name in the table of results, its label, unit and range: "accuracy", in percent.
        chance: what the best constant answer scores, as in the table; None where nobody knows.
        higher_is_better: which way is better.
        margin: a difference below it counts as none, in the unit that is shown.
        difference: what a difference is counted in ("points"); "" for the plain unit.
    """

    quantity: Quantity
    chance: float | None = None
    higher_is_better: bool = True
    margin: float = 0.0
    difference: str = ""
