"""The picture of a timeline: sources down, epochs across, what each source suffers when."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from chiasm.deficits import Deficit
from chiasm.pictures.style import (
    BLUE,
    CHARACTER,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    RULE,
    SKY,
    SMALLEST_FONT,
    VERMILLION,
    WIDTH,
    axes_on,
    canvas,
    shorten,
    theme,
)
from chiasm.timeline import Timeline

#: Colour and hatch of every kind of deficit, so that neither alone has to tell it.
LOOKS = {
    "silence": (INK, "////"),
    "blur": (SKY, "...."),
    "noise": (VERMILLION, "xxxx"),
    "occlude": (PURPLE, "||||"),
    "dissociate": (ORANGE, "\\\\\\\\"),
    "swap": (GREEN, "++++"),
    "lag": (BLUE, "----"),
    "shuffle_labels": (VERMILLION, "oooo"),
    "freeze": (SKY, "////"),
}
OTHER = (MUTED, "****")
#: The row of deficits that name no source.
ROW_OF = {"dissociate": "pairing", "shuffle_labels": "labels"}


def picture(timeline: Timeline | str, sources: Sequence[str] = (), title: str = "") -> Figure:
    """Draw a timeline as a strip: sources down, epochs across, what each source suffers when.

    Args:
        timeline: the timeline, or its notation.
        sources: names of the rows in order; those that the timeline names are added.
        title: a line above the timeline's notation; left out where it is empty.

    Returns:
        A matplotlib Figure, 4.2 inches wide, that belongs to no window: `figure.savefig("strip.svg")` writes it.

    >>> picture(Timeline.parse("clean 20 | silence(right) 40 | clean 60"), ["left", "right"]).axes[0].get_xlabel()
    'epoch'
    """
    if isinstance(timeline, str):
        timeline = Timeline.parse(timeline)
    with theme():
        rows = _rows(timeline, sources)
        notes = _notes(timeline, rows)
        top = 0.56 if title else 0.36
        height = 0.5 + top + 0.34 * len(rows) + 0.19 * len(notes)
        figure = canvas(height)
        longest = min(max(len(row) for row in rows), 16)
        left = 0.22 + longest * CHARACTER * SMALLEST_FONT / 72
        axes = axes_on(figure, left=left, bottom=0.5 + 0.19 * len(notes), top=top)
        _draw(axes, timeline, rows)
        if title:
            figure.text(0.1 / WIDTH, 1 - 0.22 / height, shorten(title, 42), fontweight="bold", fontsize=10.5)
        figure.text(0.1 / WIDTH, 1 - (top - 0.12) / height, shorten(str(timeline), 50), color=MUTED)
        for i, note in enumerate(notes):
            figure.text(0.1 / WIDTH, (0.1 + 0.19 * (len(notes) - 1 - i)) / height, note, color=MUTED)
        return figure


def _rows(timeline: Timeline, sources: Sequence[str]) -> list[str]:
    rows = list(sources)
    for _, _, deficits in timeline.spans():
        for deficit in deficits:
            rows += [row for row in _rows_of(deficit) if row not in rows]
    return rows or ["all sources"]


def _rows_of(deficit: Deficit) -> tuple[str, ...]:
    return deficit.touches or (ROW_OF.get(deficit.tag, "all sources"),)


def _blocks(timeline: Timeline, row: str) -> list[tuple[int, int, list[Deficit]]]:
    return [
        (start, end, [d for d in deficits if row in _rows_of(d)])
        for start, end, deficits in timeline.spans()
        if any(row in _rows_of(d) for d in deficits)
    ]


def _words(deficits: Sequence[Deficit]) -> str:
    return " + ".join(map(str, deficits))


def _fits(text: str, epochs: int, timeline: Timeline, rows: Sequence[str]) -> bool:
    longest = min(max(len(row) for row in rows), 16)
    inches = WIDTH - 0.42 - longest * CHARACTER * SMALLEST_FONT / 72
    return len(text) * CHARACTER * SMALLEST_FONT / 72 + 0.1 < inches * epochs / max(1, timeline.epochs)


def _notes(timeline: Timeline, rows: Sequence[str]) -> list[str]:
    """Lines below the strip, for the blocks that are too short for their words."""
    notes = []
    for row in rows:
        for start, end, deficits in _blocks(timeline, row):
            text = _words(deficits)
            if not _fits(text, end - start, timeline, rows):
                notes.append(shorten(f"epochs {start} to {end}: {text}", 50))
    return list(dict.fromkeys(notes))


def _draw(axes: Axes, timeline: Timeline, rows: Sequence[str]) -> None:
    total = max(1, timeline.epochs)
    for i, row in enumerate(rows):
        axes.add_patch(Rectangle((0, i - 0.36), total, 0.72, facecolor=RULE, edgecolor="none", alpha=0.55))
        blocks = _blocks(timeline, row)
        for start, end, deficits in blocks:
            colour, hatch = LOOKS.get(deficits[0].tag, OTHER)
            place, span = (start, i - 0.36), end - start
            axes.add_patch(Rectangle(place, span, 0.72, facecolor=colour, alpha=0.32, edgecolor="none"))
            axes.add_patch(Rectangle(place, span, 0.72, fill=False, edgecolor=colour, hatch=hatch, linewidth=1.0))
            text = _words(deficits)
            if _fits(text, span, timeline, rows):
                box = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.88, "boxstyle": "round,pad=0.18"}
                axes.text(start + span / 2, i, text, ha="center", va="center", bbox=box)
        for start, end in _gaps(blocks, timeline.epochs):
            if _fits("clean", end - start, timeline, rows):
                axes.text((start + end) / 2, i, "clean", ha="center", va="center", color=MUTED)
    for _, end, _ in timeline.spans()[:-1]:
        axes.axvline(end, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    axes.set_xlim(0, total)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [shorten(row, 16) for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.set_xlabel("epoch")


def _gaps(blocks: Sequence[tuple[int, int, list[Deficit]]], total: int) -> list[tuple[int, int]]:
    gaps, place = [], 0
    for start, end, _ in blocks:
        gaps += [(place, start)] if start > place else []
        place = max(place, end)
    return gaps + ([(place, total)] if total > place else [])
