"""What the study `linear-pathways` shows: its figures, and its findings in plain sentences."""

from __future__ import annotations

from chiasm.pictures.style import Panel
from chiasm.theory.pathway.findings import findings
from chiasm.theory.pathway.large_steps import courses, edges
from chiasm.theory.pathway.onsets import by_depth, by_mode, closing, lessons
from chiasm.theory.pathway.planes import doses, planes
from chiasm.theory.pathway.result import PathwaysResult
from chiasm.theory.pathway.training_curves import lesion, matrices, portraits

__all__ = ["findings", "panels"]


def panels(result: PathwaysResult) -> list[Panel]:
    """Return the figures, in the order in which they tell their story."""
    return [
        *by_depth(result),
        *by_mode(result),
        *closing(result),
        *planes(result),
        lessons(result),
        *doses(result),
        *portraits(result),
        *matrices(result),
        lesion(result),
        *edges(result),
        *courses(result),
    ]
