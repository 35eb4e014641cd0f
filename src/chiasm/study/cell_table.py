"""Tables of a study's results: rows that are wanted, and one row a cell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from chiasm.errors import ChiasmError, unknown

#: What is known of every cell, columns of the tidy table.
OF_CELLS = ("arm", "role", "cell", "timeline", "onset", "duration", "after", "clock")
#: A mistaken number is answered with those that are there, up to so many.
LISTED = 20


def filtered(table: pl.DataFrame, wanted: Mapping[str, Any]) -> pl.DataFrame:
    """Return the rows of a table whose columns have these values; None stands for null.

    Raises:
        ChiasmError: an unknown column, or a value that never occurs in its column.
    """
    rows = table
    for column, value in wanted.items():
        if column not in table.columns:
            raise unknown("column", column, table.columns)
        known = table[column].unique().to_list()
        boolean = table.schema[column] == pl.Boolean
        if not (isinstance(value, bool) if boolean else value in known and not isinstance(value, bool)):
            raise _never(column, value, [True, False] if boolean else known)
        rows = rows.filter(pl.col(column).eq_missing(pl.lit(value, dtype=table.schema[column])))
    return rows


def _never(column: str, value: object, known: Sequence[Any]) -> ChiasmError:
    there = [x for x in known if x is not None]
    if all(isinstance(x, str) for x in there):
        return unknown(column, str(value), there)
    listed = ", ".join(map(str, sorted(there))) if len(there) <= LISTED else f"from {min(there)} to {max(there)}"
    return ChiasmError(f"no row has {column} = {value!r}; known values: {listed}")


def cell_table(table: pl.DataFrame, varied: Mapping[tuple[str, str], Mapping[str, Any]]) -> pl.DataFrame:
    """Return one row a cell: `OF_CELLS`, then a column for every key that any arm varies.

    Args:
        table: the tidy table, in whose order the cells stand.
        varied: the values of each cell by arm and cell, as `Study.varied` returns them.
    """
    cells = table.unique(["arm", "cell"], keep="first", maintain_order=True).select(OF_CELLS)
    points = [varied.get((arm, cell or ""), {}) for arm, cell in cells.select("arm", "cell").iter_rows()]
    keys = dict.fromkeys(key for values in varied.values() for key in values)
    # A placeholder may bear the name of a column; it stands in braces then, as in the timeline.
    columns = [_typed(f"{{{key}}}" if key in OF_CELLS else key, [point.get(key) for point in points]) for key in keys]
    return cells.with_columns(columns)


def _typed(name: str, values: Sequence[Any]) -> pl.Series:
    """Put values into a column of their type; text in JSON where they have no type in common."""
    there = [value for value in values if value is not None]
    if there and all(isinstance(value, list) for value in there):
        inner = _common([entry for value in there for entry in value])
        if inner is not None:
            return pl.Series(name, values, dtype=pl.List(inner), strict=False)
    kind = _common(there)
    if kind is not None:
        return pl.Series(name, values, dtype=kind, strict=False)
    text = [None if value is None else json.dumps(value, default=str) for value in values]
    return pl.Series(name, text, dtype=pl.String)


def _common(values: Sequence[Any]) -> type[pl.DataType] | None:
    types = {type(value) for value in values}
    for kinds, column in (({bool}, pl.Boolean), ({int}, pl.Int64), ({int, float}, pl.Float64), ({str}, pl.String)):
        if types and types <= kinds:
            return column
    return None
