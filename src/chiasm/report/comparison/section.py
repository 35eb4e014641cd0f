"""The section of a study's report that compares its numbers with the theory's, as data for its template."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from chiasm.errors import ChiasmError
from chiasm.files import write_whole
from chiasm.pictures.table import Entry, PageTable, RowGroup
from chiasm.report.comparison.comparison import Comparison, compare, small, summary

if TYPE_CHECKING:
    from chiasm.study.results import Results

HEADS = [["quantity"], ["layer"], ["source"], ["numbers"], ["largest measured"], ["largest difference"]]


def comparison_of(results: Results) -> Comparison | str:
    """Return a study's comparison with the theory, or why there is none; "" for any other network."""
    if results.study.sections.get("network", {}).get("kind") != "deep_linear":
        return ""
    try:
        return compare(results)
    except ChiasmError as error:
        return str(error)


def differences(comparison: Comparison) -> PageTable:
    """Return the table of the largest differences, a row a quantity, layer and source."""
    rows = [
        [
            Entry(quantity),
            Entry(layer or "–"),
            Entry(source or "–"),
            Entry(str(numbers)),
            *map(Entry, map(small, sizes)),
        ]
        for quantity, layer, source, numbers, *sizes in summary(comparison).iter_rows()
    ]
    return PageTable("Table of the differences", HEADS, [RowGroup(rows)], words=3)


def write_predictions(comparison: Comparison, folder: Path) -> None:
    """Write prediction.parquet, the table that `prediction_table` returns."""
    buffer = io.BytesIO()
    comparison.table().write_parquet(buffer)
    write_whole(folder / "prediction.parquet", buffer.getvalue())
