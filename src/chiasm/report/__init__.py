"""What people look at: the reading in plain words, the figures, the page, and the picture of a timeline."""

from chiasm.report.finding import Finding
from chiasm.report.strip import picture
from chiasm.report.writing import read_results, write_report

__all__ = ["Finding", "picture", "read_results", "write_report"]
