"""What people look at: the reading in plain words, the figures, the page, and the picture of a timeline."""

from chiasm.report.finding import Finding
from chiasm.report.timeline_figure import picture
from chiasm.report.writing import findings, write_report

__all__ = ["Finding", "findings", "picture", "write_report"]
