"""RSV of every unit there and here: a ridge a length, ours filled, the published histogram as an outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from chiasm.pictures.ridgeline import GRID, density
from chiasm.pictures.style import INK, MUTED, RULE, SOURCES, WIDTH, axes_on, canvas, legend, rsv_axis
from chiasm.pictures.words import number, rsv_ends
from chiasm.report.published.sets import Histogram

Floats = NDArray[np.float64]

#: Inches between two ridges, and of the axes at least, for their label's sake.
STEP, LEAST = 0.46, 1.75
#: How far a ridge may reach, in distances between two: outlines that cross are hard to follow.
REACH = 1.35
#: Where the numbers end that stand beside the axes, in points from their right edge.
COLUMNS = (42, 82)
DASHED = (0, (3, 1.6))


@dataclass(frozen=True)
class Pair:
    """One ridge.

    Attributes:
        label: what stands beside it: our length, and the paper's.
        seeds: (units,) RSV of the live units, an array a seed.
        published: the histogram of the same length.
    """

    label: str
    seeds: tuple[Floats, ...]
    published: Histogram


def histograms(pairs: Sequence[Pair], sources: Sequence[str], title: str, ylabel: str) -> Figure:
    """Draw ridges, the shortest deficit at the top.

    Args:
        pairs: from top to bottom.
        sources: names, for the words on the axis.
        title: above the axes.
        ylabel: what the labels count.
    """
    ours = [density(np.concatenate(pair.seeds)) for pair in pairs]
    theirs = [outline(pair.published) for pair in pairs]
    tallest = max([*(float(line.max()) for line in ours), *(float(line.max()) for _, line in theirs)]) or 1.0
    scale, n = REACH / tallest, len(pairs)
    widest = max(len(pair.label) for pair in pairs)
    # Room for the first ridge, or for the words that stand above its numbers.
    top = n - 1 + max(1.2, scale * max(ours[0].max(), theirs[0][1].max())) + 0.1
    figure = canvas(1.36 + max(LEAST, STEP * (top + 0.1)), WIDTH + 0.09 * widest)
    axes = axes_on(figure, left=0.42 + 0.09 * widest, right=1.2, bottom=0.94, top=0.42)
    for i, (pair, line, (x, dashed)) in enumerate(zip(pairs, ours, theirs, strict=True)):
        base = n - 1 - i
        axes.axhline(base, color=RULE, linewidth=0.8, zorder=3 * i)
        for side, colour in ((GRID >= 0, SOURCES[0]), (GRID <= 0, SOURCES[1])):
            axes.fill_between(GRID[side], base, base + scale * line[side], color=colour, alpha=0.4, lw=0, zorder=3 * i)
        axes.plot(GRID, base + scale * line, color=INK, linewidth=1.1, zorder=3 * i + 1)
        axes.plot(x, base + scale * dashed, color=MUTED, linewidth=1.2, linestyle=DASHED, zorder=3 * i + 2)
        mean = sum(float(seed.mean()) for seed in pair.seeds) / len(pair.seeds)
        _means(axes, base, mean, pair.published.mean)
    for at, word in zip(COLUMNS, ("here", "paper"), strict=True):
        _beside(axes, n - 0.4, at, word, MUTED)
    axes.axvline(0, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=0)
    axes.set_xlim(-1, 1)
    axes.set_ylim(-0.1, top)
    axes.set_yticks(range(n), [pair.label for pair in reversed(pairs)])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(title, x=0, y=1)
    axes.set_ylabel(ylabel)
    rsv_axis(axes, rsv_ends(sources))
    handles = [
        Line2D([], [], color=INK, lw=1.1, label="here"),
        Line2D([], [], color=MUTED, lw=1.1, linestyle=DASHED, label="paper"),
    ]
    legend(figure, handles, columns=2)
    return figure


def outline(histogram: Histogram) -> tuple[Floats, Floats]:
    """Return x and density of a histogram, from middle to middle of its bins and flat to the ends of [-1, 1].

    All of its mass lies within [-1, 1], although its outermost bins reach beyond.
    """
    edges, fractions = np.clip(histogram.edges, -1, 1), np.array(histogram.fractions)
    inside = np.diff(edges) > 0
    x, y = ((edges[1:] + edges[:-1]) / 2)[inside], (fractions[inside] / np.diff(edges)[inside])
    line: tuple[Floats, Floats] = (np.concatenate([[-1.0], x, [1.0]]), np.concatenate([y[:1], y, y[-1:]]))
    return line


def _means(axes: Axes, base: float, here: float, there: float) -> None:
    axes.plot([here, here], [base, base + 0.28], color=INK, linewidth=2, zorder=99)
    axes.plot([there, there], [base, base + 0.28], color=MUTED, linewidth=2, linestyle=(0, (1, 0.6)), zorder=99)
    for at, mean, colour in zip(COLUMNS, (here, there), (INK, MUTED), strict=True):
        _beside(axes, base, at, number(mean, 2, True), colour)


def _beside(axes: Axes, y: float, at: float, text: str, colour: str) -> None:
    across = axes.get_yaxis_transform()
    axes.annotate(text, (1, y), (at, 0), across, "offset points", ha="right", va="bottom", color=colour)
