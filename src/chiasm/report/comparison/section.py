"""The section of a study's report that holds its numbers against the theory's."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from chiasm.errors import ChiasmError
from chiasm.pictures.frame import bullets, gallery, lead, scroll
from chiasm.pictures.style import Panel
from chiasm.report.comparison.comparison import Beside, applies, beside, findings, small, summary

if TYPE_CHECKING:
    from chiasm.study.results import Results

TITLE = "Theory beside measurement"
LEAD = (
    "Each mode of the target has one strength in each pathway, and how it grows can be computed from the initial "
    "weights and the timeline alone. Nothing is fitted."
)


def companion(results: Results) -> Beside | str:
    """Return a study beside the theory, or why the theory says nothing of it; "" for any other network."""
    if not applies(results):
        return ""
    try:
        return beside(results)
    except ChiasmError as error:
        return str(error)


def section(made: Beside | str, drawn: Sequence[tuple[Panel, str]]) -> list[tuple[str, str, str]]:
    """Return the section as (id, title, HTML), to stand among those of the page; none for any other network.

    Args:
        made: what `companion` returned.
        drawn: the panels of `prediction.panels`, each with its SVG document.

    >>> section("", []), section("study 'mine' cannot be predicted", [])[0][:2]
    ([], ('theory', 'Theory beside measurement'))
    """
    if isinstance(made, str):
        return [("theory", TITLE, lead(f"{made}."))] if made else []
    said = lead(LEAD) + bullets(findings(made)) + gallery(drawn)
    return [("theory", TITLE, said + scroll(_table(made), "Table of the differences"))]


def write_predictions(made: Beside, folder: Path) -> None:
    """Write prediction.parquet, the table that `prediction_table` returns."""
    import io

    from chiasm.files import write_whole

    buffer = io.BytesIO()
    made.table().write_parquet(buffer)
    write_whole(folder / "prediction.parquet", buffer.getvalue())


def _table(made: Beside) -> str:
    heads = ("quantity", "layer", "source", "numbers", "largest measured", "largest difference")
    rows = []
    for quantity, layer, source, numbers, measured, difference in summary(made).iter_rows():
        cells = (layer or "–", source or "–", str(numbers), small(measured), small(difference))
        told = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{escape(quantity)}</th>{told}</tr>')
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    body = "\n".join(rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
