"""Fields: the RSV of every place of a layer, as a map of two axes or a line over one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from chiasm.pictures.style import INK, MUTED, RSV_TICKS, SOURCES, rules
from chiasm.pictures.tile import Tile, heading_height

Floats = NDArray[np.float64]

#: From the second source's colour over near white to the first one's.
DIVERGING = LinearSegmentedColormap.from_list("rsv", [SOURCES[1], "#f3f2ef", SOURCES[0]])
#: Inches: the longer side of a map at most; below it, for its axis and the colour scale; the height of a line's axes.
LARGEST, BELOW, LINE = 2.9, 1.16, 2.2
LEFT = 0.62


def field_height(shape: Sequence[int], lines: int) -> float:
    """Return the inches that a tile with a map of a shape (rows, columns), or a line of (places,), needs."""
    inches = _size(shape)[1] + BELOW if len(shape) == 2 else LINE + 0.62
    return heading_height(lines) + 0.06 + inches


def heat(tile: Tile, rsv: Floats, ends: Sequence[str]) -> None:
    """Draw the RSV of every place as a colour, blue at +1, vermillion at -1; a place without any is hatched.

    Args:
        tile: where, of `field_height` inches.
        rsv: (rows, columns) in [-1, 1], NaN where every channel is dead.
        ends: what -1 and +1 mean.
    """
    wide, high = _size(rsv.shape)
    axes = tile.axes(LEFT, tile.width - LEFT - wide, BELOW, tile.height - BELOW - high)
    axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, fc="none", ec=MUTED, hatch="//////", lw=0))
    axes.imshow(rsv, cmap=DIVERGING, vmin=-1, vmax=1, interpolation="none", aspect="auto", zorder=2)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlim(-0.5, rsv.shape[1] - 0.5)
    axes.set_ylim(rsv.shape[0] - 0.5, -0.5)
    axes.set_xlabel("column")
    axes.set_ylabel("row")
    scale = tile.axes(LEFT, tile.width - LEFT - LARGEST, 0.44, tile.height - 0.56)
    scale.imshow(np.linspace(-1, 1, 201)[None], cmap=DIVERGING, vmin=-1, vmax=1, aspect="auto", extent=(-1, 1, 0, 1))
    scale.set_yticks([])
    scale.set_xticks(*RSV_TICKS)
    for spine in (*axes.spines.values(), *scale.spines.values()):
        spine.set_visible(False)
    scale.tick_params(length=0, pad=2)
    for x, words, side in ((0.0, ends[0], "left"), (0.5, "mean RSV", "center"), (1.0, ends[1], "right")):
        scale.annotate(words, (x, 0), (0, -16), "axes fraction", "offset points", ha=side, va="top", color=MUTED)


def line(tile: Tile, rsv: Floats, ends: Sequence[str]) -> None:
    """Draw the mean RSV of every place as a line, with the middle 80 % of its channels as a band.

    Args:
        tile: where, of `field_height` inches.
        rsv: (channels, places) in [-1, 1], NaN where dead.
        ends: what -1 and +1 mean.
    """
    axes = tile.axes(LEFT + 0.06, 0.2, 0.56, tile.height - 0.56 - LINE)
    places = np.arange(rsv.shape[1])
    live = np.isfinite(rsv).any(0)
    low, mean, high = (np.full(rsv.shape[1], np.nan) for _ in range(3))
    low[live], high[live] = np.nanquantile(rsv[:, live], [0.1, 0.9], axis=0)
    mean[live] = np.nanmean(rsv[:, live], axis=0)
    axes.axhline(0, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=0)
    axes.fill_between(places, low, high, color=INK, alpha=0.14, lw=0, zorder=1)
    axes.plot(places, mean, color=INK, linewidth=1.2, zorder=2)
    for side, colour in ((mean >= 0, SOURCES[0]), (mean < 0, SOURCES[1])):
        axes.plot(places[side], mean[side], "o", color=colour, ms=4 if len(places) < 60 else 2, mew=0, zorder=3)
    # The words stand beyond the ends of the axis, where no line can reach them.
    for y, words in ((1.16, f"+1: {ends[1]}"), (-1.16, f"−1: {ends[0]}")):
        axes.text(0.01, y, words, transform=axes.get_yaxis_transform(), va="center", color=MUTED)
    axes.set_ylim(-1.3, 1.3)
    axes.spines["left"].set_bounds(-1, 1)
    axes.set_yticks(*RSV_TICKS)
    axes.set_xlim(-0.5, rsv.shape[1] - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    rules(axes)
    axes.set_ylabel("RSV, mean over channels")
    axes.set_xlabel("position")


def _size(shape: Sequence[int]) -> tuple[float, float]:
    """Inches of a map: square places where its shape allows, no side too short to see."""
    rows, columns = shape
    longest = max(rows, columns)
    return max(0.5, LARGEST * columns / longest), max(0.5, LARGEST * rows / longest)
