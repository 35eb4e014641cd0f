"""Figures of the study `linear-pathways` in reading order, and its findings."""

from __future__ import annotations

from chiasm.pictures.style import Panel
from chiasm.theory.pathway.findings import findings
from chiasm.theory.pathway.index_figures import by_onset, closing, doses, edges, lessons, planes
from chiasm.theory.pathway.result import PathwaysResult
from chiasm.theory.pathway.training_curves import large_steps, lesion, matrices, portraits

__all__ = ["FIRST", "findings", "panels"]

#: The pictures that stand first.
FIRST = ("pathways-plane-freeze", "pathways-plane-silence", "pathways-window-closes")


def panels(result: PathwaysResult) -> list[Panel]:
    """Return the figures, in reading order."""
    parts = (by_onset, closing, planes, lessons, doses, portraits, matrices, lesion, edges, large_steps)
    return [panel for draw in parts for panel in draw(result)]
