"""The triangle of three sources: a unit is a dot, its place says which sources move it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from chiasm.pictures.plane import thinned
from chiasm.pictures.style import DEPTHS, INK, MUTED, PAPER, shorten
from chiasm.pictures.tile import Tile, heading_height

Floats = NDArray[np.float64]

#: Corners of the triangle, in the order of the sources: lower left, lower right, top.
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
#: Where synergy changes its colour and size, and how the legend says it.
STEPS = (0.25, 0.5, 0.75)
CLASSES = ("< 25", "25–50", "50–75", "> 75 %")
SIZES = (3.8, 4.6, 5.4, 6.2)
#: So few units are drawn larger.
FEW = 100
#: Inches: the width of the triangle, and of what stands below it.
SIDE, BELOW = 3.1, 0.78
LONGEST = 16


def places(share: Floats) -> Floats:
    """Return (units, 2): where units of shares (3, units) stand; a share of 1 is that source's corner.

    >>> places(np.array([[1.0, 0.5], [0.0, 0.5], [0.0, 0.0]])).tolist()
    [[0.0, 0.0], [0.5, 0.0]]
    """
    return np.asarray(share.T @ CORNERS)


def triangle_height(lines: int) -> float:
    """Return the inches that a tile with a triangle, and a heading of so many lines, needs."""
    return heading_height(lines) + 0.3 + SIDE * float(np.sqrt(3)) / 2 + BELOW


def triangle(tile: Tile, share: Floats, synergy: Floats, mean: Floats | None, sources: Sequence[str]) -> Axes:
    """Draw units between three corners, darker and larger the more of their variance needs several sources.

    Args:
        tile: where, of `triangle_height` inches.
        share: (3, units) shares of total effects, adding to 1 over sources; dead units left out.
        synergy: (units,) in [0, 1].
        mean: (3,) the mean share, drawn as a cross; None without live units.
        sources: three names.
    """
    left = (tile.width - SIDE) / 2
    axes = tile.axes(left, left, BELOW, tile.height - BELOW - SIDE * float(np.sqrt(3)) / 2)
    axes.set_axis_off()
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(0, 1)
    axes.set_ylim(0, CORNERS[2, 1])
    outline = np.vstack([CORNERS, CORNERS[:1]])
    axes.plot(*outline.T, color=MUTED, linewidth=0.9, clip_on=False, zorder=1)
    halves = (CORNERS + np.roll(CORNERS, -1, axis=0)) / 2
    axes.plot(*np.vstack([halves, halves[:1]]).T, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=0)
    for source, (x, y), (dx, dy), ha, va in (
        (sources[0], CORNERS[0], (-14, -7), "left", "top"),
        (sources[1], CORNERS[1], (14, -7), "right", "top"),
        (sources[2], CORNERS[2], (0, 6), "center", "bottom"),
    ):
        words = f"{shorten(source, LONGEST)} only"
        axes.annotate(words, (x, y), (dx, dy), "data", "offset points", ha=ha, va=va, color=INK, annotation_clip=False)
    kept = thinned(len(synergy))
    grow = 1.35 if len(kept) <= FEW else 1.0
    where, depth = places(share[:, kept]), np.digitize(synergy[kept], STEPS)
    for step, colour in enumerate(DEPTHS):
        chosen = where[depth == step]
        # Much synergy is rare and lies on top; a rim of the paper's colour keeps dots apart.
        axes.plot(
            *chosen.T, "o", color=colour, ms=grow * SIZES[step], mec=PAPER, mew=0.4, alpha=0.85, clip_on=False,
            zorder=2 + step,
        )  # fmt: skip
    if mean is not None:
        centre = places(mean[:, None])[0]
        axes.plot(*centre, "+", color=PAPER, ms=14, mew=3.2, zorder=8, clip_on=False)
        axes.plot(*centre, "+", color=INK, ms=13, mew=1.8, zorder=9, clip_on=False)
    if not len(synergy):
        axes.text(0.5, CORNERS[2, 1] / 3, "no live unit", ha="center", color=MUTED, bbox={"fc": PAPER, "ec": "none"})
    _legend(tile, grow)
    return axes


def _legend(tile: Tile, grow: float) -> None:
    handles = [
        Line2D([], [], marker="o", linestyle="none", color=colour, markersize=grow * size, label=words)
        for colour, size, words in zip(DEPTHS, SIZES, CLASSES, strict=True)
    ]
    cross = Line2D([], [], marker="+", linestyle="none", color=INK, markersize=10, markeredgewidth=1.6, label="mean")
    tile.figure.text(*tile.at(0.12, 0.2), "synergy", color=MUTED, va="center")
    tile.figure.legend(
        handles=[*handles, cross],
        loc="center left",
        bbox_to_anchor=tile.at(0.7, 0.2),
        ncols=5,
        borderpad=0,
        borderaxespad=0,
        columnspacing=0.9,
        handlelength=0.9,
        handletextpad=0.3,
    )
