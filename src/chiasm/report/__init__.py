"""What people look at: a study's report, one HTML file that opens offline, and the picture of a timeline."""

from chiasm.report.strip import picture
from chiasm.report.writing import write_report

__all__ = ["picture", "write_report"]
