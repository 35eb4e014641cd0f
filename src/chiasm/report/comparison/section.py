"""The section of a study's report that compares its numbers with the theory's."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from chiasm.errors import ChiasmError
from chiasm.files import write_whole
from chiasm.pictures.frame import bullets, gallery, lead, scroll
from chiasm.pictures.style import Panel
from chiasm.report.comparison.comparison import Comparison, compare, findings, small, summary

if TYPE_CHECKING:
    from chiasm.study.results import Results

TITLE = "Theory beside measurement"
LEAD = (
    "Each mode of the target has one strength in each pathway, and how it grows can be computed from the initial "
    "weights and the timeline alone. Nothing is fitted."
)


def comparison_of(results: Results) -> Comparison | str:
    """Return a study's comparison with the theory, or why there is none; "" for any other network."""
    if results.study.sections.get("network", {}).get("kind") != "deep_linear":
        return ""
    try:
        return compare(results)
    except ChiasmError as error:
        return str(error)


def section(comparison: Comparison | str, drawn: Sequence[tuple[Panel, str]]) -> list[tuple[str, str, str]]:
    """Return the section as (id, title, HTML), to stand among those of the page; none for any other network.

    Args:
        comparison: what `comparison_of` returned.
        drawn: the panels of `panels.panels`, each with its SVG document.

    >>> section("", []), section("study 'mine' cannot be predicted", [])[0][:2]
    ([], ('theory', 'Theory beside measurement'))
    """
    if isinstance(comparison, str):
        return [("theory", TITLE, lead(f"{comparison}."))] if comparison else []
    text = lead(LEAD) + bullets(findings(comparison)) + gallery(drawn)
    return [("theory", TITLE, text + scroll(_table(comparison), "Table of the differences"))]


def write_predictions(comparison: Comparison, folder: Path) -> None:
    """Write prediction.parquet, the table that `prediction_table` returns."""
    buffer = io.BytesIO()
    comparison.table().write_parquet(buffer)
    write_whole(folder / "prediction.parquet", buffer.getvalue())


def _table(comparison: Comparison) -> str:
    heads = ("quantity", "layer", "source", "numbers", "largest measured", "largest difference")
    rows = []
    for quantity, layer, source, numbers, measured, difference in summary(comparison).iter_rows():
        cells = (layer or "–", source or "–", str(numbers), small(measured), small(difference))
        columns = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{escape(quantity)}</th>{columns}</tr>')
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    body = "\n".join(rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
