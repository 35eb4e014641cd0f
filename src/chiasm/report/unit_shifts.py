"""How a quantity of the units shifts, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping

from chiasm.pictures.words import listed
from chiasm.report.outcomes import CellOutcome
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.yardstick import Yardstick
from chiasm.statistics import Estimate

#: Layers that a sentence names.
MOST = 5


def known(outcomes: StudyOutcomes, cell: CellOutcome, quantity: str) -> dict[str, Estimate]:
    """How a quantity of each layer differs from the control's, where that is known."""
    shifts = {layer: outcomes.shift(cell, layer, quantity) for layer in outcomes.layers}
    return {layer: shift for layer, shift in shifts.items() if shift is not None}


def clearest(shifts: Mapping[str, Estimate]) -> str:
    """The layer whose shift is the least likely to be none; the first of those that are alike."""
    return min(shifts, key=lambda layer: shifts[layer].p())


def elsewhere(shifts: Mapping[str, Estimate], layer: str) -> str:
    """How the quantity shifts in other layers, as a sentence."""
    scale = Yardstick(0)
    parts = [f"{name} {scale.written(shift)}" for name, shift in shifts.items() if name != layer]
    more = f" ({len(parts) - MOST} more in the table)" if len(parts) > MOST else ""
    return f" In other layers the shift is {listed(parts[:MOST])}{more}." if parts else ""
