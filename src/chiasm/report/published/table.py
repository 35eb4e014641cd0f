"""The table beside the paper: a row a length, there and here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from chiasm.pictures.words import number
from chiasm.report.published.quantity import Line, PublishedQuantity
from chiasm.report.table import ABSENT, entry

INSIDE = {True: "yes", False: '<span class="bad">no</span>', None: ""}


def table(quantities: Sequence[PublishedQuantity]) -> str:
    """Return a table as HTML, a group of rows a quantity."""
    heads = ["deficit here,<br>epochs", "in the paper,<br>epochs"]
    heads += ["paper", "here", "against none,<br>paper", "against none,<br>here", "here −<br>paper"]
    heads += ["paper inside<br>our interval"]
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    bodies = []
    for quantity in quantities:
        title = f'<th colspan="{len(heads)}" scope="rowgroup"><span>{escape(quantity.title)}</span></th>'
        rows = [f'<tr class="arm">{title}</tr>', *(_row(line, quantity) for line in quantity.lines)]
        bodies.append("<tbody>\n" + "\n".join(rows) + "\n</tbody>")
    return f"<table>\n<thead><tr>{head}</tr></thead>\n" + "\n".join(bodies) + "\n</table>"


def _row(line: Line, quantity: PublishedQuantity) -> str:
    digits, signed = quantity.digits, quantity.signed
    about = "" if line.stands else "≈ "
    apart = ABSENT if line.apart is None else f"<td>{number(line.apart, digits, True)}</td>"
    inside = ABSENT if line.inside is None else f"<td>{INSIDE[line.inside]}</td>"
    cells = [
        f'<th scope="row">{line.cell.duration}</th><td>{about}{number(line.there, 0)}</td>',
        entry(line.published, digits, signed),
        entry(line.level, digits, signed),
        entry(line.published_change, digits, not quantity.losses),
        entry(line.change, digits, not quantity.losses),
        apart,
        inside,
    ]
    return f"<tr>{''.join(cells)}</tr>"
