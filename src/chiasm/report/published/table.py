"""The table beside the paper: a row a length, there and here."""

from __future__ import annotations

from collections.abc import Sequence

from chiasm.pictures.table import Entry, PageTable, RowGroup, between, plain
from chiasm.pictures.words import number
from chiasm.report.published.quantity import Line, PublishedQuantity

HEADS = (
    ["deficit here,", "epochs"],
    ["in the paper,", "epochs"],
    ["paper"],
    ["here"],
    ["against none,", "paper"],
    ["against none,", "here"],
    ["here −", "paper"],
    ["paper inside", "our interval"],
)
INSIDE = {True: Entry("yes"), False: Entry("", bad="no"), None: Entry()}


def published_table(label: str, quantities: Sequence[PublishedQuantity]) -> PageTable:
    """Return a table with a group of rows a quantity."""
    groups = [RowGroup([_row(line, q) for line in q.lines], q.title) for q in quantities]
    return PageTable(label, HEADS, groups)


def _row(line: Line, quantity: PublishedQuantity) -> list[Entry]:
    digits, signed = quantity.digits, quantity.signed
    return [
        Entry(str(line.cell.duration)),
        Entry(("" if line.stands else "≈ ") + number(line.there, 0)),
        between(line.published, digits, signed),
        between(line.level, digits, signed),
        between(line.published_change, digits, not quantity.losses),
        between(line.change, digits, not quantity.losses),
        plain(line.apart, digits, True),
        INSIDE[line.inside],
    ]
