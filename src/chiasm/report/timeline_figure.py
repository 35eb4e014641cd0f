"""The picture of a timeline: sources down, epochs across, what each source suffers when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from chiasm.deficits import Deficit
from chiasm.pictures import style
from chiasm.pictures.style import (
    CHARACTER,
    MUTED,
    PAPER,
    RULE,
    SMALLEST_FONT,
    WIDTH,
    axes_on,
    canvas,
    shorten,
    theme,
)
from chiasm.timeline import Timeline

if TYPE_CHECKING:
    import polars as pl

#: The row of the objectives, where a timeline names any, and what stands where it names none.
OBJECTIVE, OWN = "objective", "study's own"
#: Inches of a row, and characters of its name before it is cut.
ROW, LONGEST = 0.34, 16
#: Letters of a line of the notation, lines that it may take, and inches of one.
NOTATION, LINES, LINE = 52, 3, 0.19
#: Height of a block, in rows.
HIGH = 0.72


@dataclass(frozen=True)
class DrawnSpan:
    """A stretch of one row.

    Attributes:
        start: its first epoch.
        end: the epoch after its last.
        text: what is written into it, or below the picture where there is no room.
        looks: colour and hatch of each thing that is the matter, drawn on top of each other.
    """

    start: int
    end: int
    text: str
    looks: tuple[tuple[str, str], ...]


def picture(timeline: Timeline | str, sources: Sequence[str] = (), title: str = "") -> Figure:
    """Draw a timeline: sources down, epochs across, what each source suffers when, which objective it trains for.

    Args:
        timeline: the timeline, or its notation.
        sources: names of the rows in order; those that the timeline names are added.
        title: a line above the timeline's notation; left out where it is empty.

    Returns:
        A matplotlib Figure, 4.2 inches wide, that belongs to no window: `figure.savefig("timeline.svg")` writes it.

    >>> picture(Timeline.parse("clean 20 | silence(right) 40 | clean 60"), ["left", "right"]).axes[0].get_xlabel()
    'epoch'
    """
    if isinstance(timeline, str):
        timeline = Timeline.parse(timeline)
    with theme():
        rows = _rows(timeline, sources)
        room = WIDTH - 0.42 - _names(rows)
        notes = _notes(timeline, rows, room)
        # The notation stands whole or not at all: the rows and the notes say the same.
        written = wrap(str(timeline), NOTATION, break_long_words=False, break_on_hyphens=False)
        written = written if len(written) <= LINES and max(map(len, written), default=0) <= NOTATION else []
        top = (0.37 if title else 0.17) + LINE * len(written)
        height = 0.5 + top + ROW * len(rows) + 0.19 * len(notes)
        figure = canvas(height)
        axes = axes_on(figure, left=0.22 + _names(rows), bottom=0.5 + 0.19 * len(notes), top=top)
        _draw(axes, timeline, rows, room)
        if title:
            figure.text(0.1 / WIDTH, 1 - 0.22 / height, shorten(title, 42), fontweight="bold", fontsize=10.5)
        for i, line in enumerate(written):
            down = top - 0.12 - LINE * (len(written) - 1 - i)
            figure.text(0.1 / WIDTH, 1 - down / height, line, color=MUTED)
        for i, note in enumerate(notes):
            figure.text(0.1 / WIDTH, (0.1 + 0.19 * (len(notes) - 1 - i)) / height, note, color=MUTED)
        return figure


def timeline_data(timeline: Timeline, sources: Sequence[str] = ()) -> pl.DataFrame:
    """Return what `picture` shows as a table: row, start, end (the epoch after the last) and what is the matter."""
    import polars as pl

    rows = _rows(timeline, sources)
    spans = [(name, span.start, span.end, span.text) for name, some in rows.items() for span in some]
    clean = [(name, start, end, "clean") for name, some in rows.items() for start, end in _gaps(some, timeline.epochs)]
    schema = {"row": pl.String, "start": pl.Int64, "end": pl.Int64, "what": pl.String}
    return pl.DataFrame([*spans, *clean], schema, orient="row").sort("row", "start")


def _rows(timeline: Timeline, sources: Sequence[str]) -> dict[str, list[DrawnSpan]]:
    """The rows from top to bottom, each with its blocks in order."""
    rows: dict[str, list[DrawnSpan]] = {source: [] for source in sources}
    for start, end, deficits in timeline.spans():
        for row in dict.fromkeys(row for deficit in deficits for row in _rows_of(deficit)):
            here = [deficit for deficit in deficits if row in _rows_of(deficit)]
            looks = tuple((getattr(style, deficit.colour, MUTED), deficit.hatch) for deficit in here)
            rows.setdefault(row, []).append(DrawnSpan(start, end, " + ".join(map(str, here)), looks))
    rows = rows or {"all sources": []}
    if any(phase.objective for phase in timeline.phases):
        rows[OBJECTIVE] = _objectives(timeline)
    return rows


def _rows_of(deficit: Deficit) -> tuple[str, ...]:
    return deficit.touches or (deficit.row,)


def _objectives(timeline: Timeline) -> list[DrawnSpan]:
    blocks: list[DrawnSpan] = []
    for start, end, _, name in timeline.segments():
        text = name or OWN
        first = blocks.pop().start if blocks and blocks[-1].text == text else start
        blocks.append(DrawnSpan(first, end, text, ((MUTED, ""),)))
    return blocks


def _names(rows: Mapping[str, Sequence[DrawnSpan]]) -> float:
    """Inches that the names of the rows take."""
    return min(max(len(row) for row in rows), LONGEST) * CHARACTER * SMALLEST_FONT / 72


def _fits(text: str, share: float, room: float) -> bool:
    return len(text) * CHARACTER * SMALLEST_FONT / 72 + 0.1 < room * share


def _notes(timeline: Timeline, rows: Mapping[str, Sequence[DrawnSpan]], room: float) -> list[str]:
    """Lines below the picture, for the blocks that are too short for their words."""
    notes = [
        shorten(f"epochs {block.start} to {block.end}: {block.text}", 50)
        for blocks in rows.values()
        for block in blocks
        if not _fits(block.text, (block.end - block.start) / max(1, timeline.epochs), room)
    ]
    return list(dict.fromkeys(notes))


def _draw(axes: Axes, timeline: Timeline, rows: Mapping[str, Sequence[DrawnSpan]], room: float) -> None:
    total = max(1, timeline.epochs)
    for i, blocks in enumerate(rows.values()):
        axes.add_patch(Rectangle((0, i - HIGH / 2), total, HIGH, facecolor=RULE, edgecolor="none", alpha=0.55))
        for block in blocks:
            span = block.end - block.start
            for j, (colour, hatch) in enumerate(block.looks):
                high = HIGH / len(block.looks)
                place = (block.start, i - HIGH / 2 + j * high)
                axes.add_patch(Rectangle(place, span, high, facecolor=colour, alpha=0.32, edgecolor="none"))
                axes.add_patch(
                    Rectangle(place, span, high, fill=False, edgecolor=colour, hatch=hatch or None, linewidth=1.0)
                )
            if _fits(block.text, span / total, room):
                box = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.88, "boxstyle": "round,pad=0.18"}
                axes.text(block.start + span / 2, i, block.text, ha="center", va="center", bbox=box)
        for start, end in _gaps(blocks, timeline.epochs):
            if _fits("clean", (end - start) / total, room):
                axes.text((start + end) / 2, i, "clean", ha="center", va="center", color=MUTED)
    for _, end, *_ in timeline.segments()[:-1]:
        axes.axvline(end, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    axes.set_xlim(0, total)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [shorten(row, LONGEST) for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.set_xlabel("epoch")


def _gaps(blocks: Sequence[DrawnSpan], total: int) -> list[tuple[int, int]]:
    gaps, place = [], 0
    for block in blocks:
        gaps += [(place, block.start)] if block.start > place else []
        place = max(place, block.end)
    return gaps + ([(place, total)] if total > place else [])
