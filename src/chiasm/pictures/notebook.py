"""A small table for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def notebook_table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as HTML, all text escaped.

    Args:
        caption: stands above it; lines stay lines.
        columns: their names.
        rows: of each what stands in its columns.

    >>> notebook_table("a < b", ["layer"], [["<i>"]]).partition("<tbody>")[2]
    '<tr><td>&lt;i&gt;</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(entry))}</td>" for entry in row) + "</tr>" for row in rows)
    above = "<br>".join(escape(line) for line in caption.splitlines())
    return f"<table><caption>{above}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
