"""What people look at: the reading in plain words, the figures, the page, and the picture of a timeline.

Names are imported when they are first used: what draws takes a second to import, and many a run draws nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chiasm.report.finding import Finding
    from chiasm.report.timeline_figure import picture
    from chiasm.report.writing import findings, write_report

__all__ = ["Finding", "findings", "picture", "write_report"]

_HOME = {"Finding": "finding", "findings": "writing", "picture": "timeline_figure", "write_report": "writing"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'chiasm.report' has no attribute '{name}'")
    return getattr(import_module(f"chiasm.report.{_HOME[name]}"), name)
