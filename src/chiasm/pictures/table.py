"""Tables as data: what a page's template writes out, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chiasm.pictures.words import number, number_between
from chiasm.statistics import Estimate


@dataclass(frozen=True)
class Entry:
    """One entry.

    Attributes:
        text: what stands in it; "–" where there is nothing.
        interval: set back behind it.
        note: small, below it.
        bad: a word of warning behind it.
        title: what a pointer over it shows.
    """

    text: str = "–"
    interval: str = ""
    note: str = ""
    bad: str = ""
    title: str = ""


@dataclass(frozen=True)
class RowGroup:
    """RowGroup that belong together; the first entry of each names it.

    Attributes:
        rows: entries, as many as the table has heads.
        title: above them; "" for none.
    """

    rows: Sequence[Sequence[Entry]]
    title: str = ""


@dataclass(frozen=True)
class PageTable:
    """A table.

    Attributes:
        label: what it is, for those who cannot see it.
        heads: of the columns, a line or several each.
        groups: of rows.
        words: columns, from the left, that hold words and not numbers.
    """

    label: str
    heads: Sequence[Sequence[str]]
    groups: Sequence[RowGroup] = field(default_factory=tuple)
    words: int = 1


def between(estimate: Estimate | None, digits: int, sign: bool = False) -> Entry:
    """Return an estimate as an entry, its interval set back."""
    if estimate is None:
        return Entry()
    text, bracket, interval = number_between(estimate, digits, sign).partition(" [")
    return Entry(text, bracket.strip() + interval)


def plain(value: float | None, digits: int = 0, sign: bool = False) -> Entry:
    """Return a number as an entry."""
    return Entry() if value is None else Entry(number(value, digits, sign))
