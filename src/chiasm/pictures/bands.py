"""Bands: named distributions one below the other on a common axis, each with its units, its mean and a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from chiasm.pictures.ridgeline import GRID, density
from chiasm.pictures.style import INK, MUTED, RULE, tail

Floats = NDArray[np.float64]

#: Inches of a band with its words; inches of the tallest point of its ridge.
STEP, TALLEST = 0.74, 0.38
#: Units that still get a tick each; more would be a grey bar.
TICKS = 300
#: Characters of a band's name.
LONGEST = 26


@dataclass(frozen=True)
class Band:
    """One distribution.

    Attributes:
        label: its name, above it on the left.
        values: (units,) of the live units, in the axis's range.
        note: a few muted words above it on the right.
        mean: the mean and the ends of its interval; None without one, NaN ends where the interval is unknown.
        colours: left and right of the middle of the axis.
    """

    label: str
    values: Floats
    note: str
    mean: tuple[float, float, float] | None
    colours: tuple[str, str]


def bands_height(n: int) -> float:
    """Return the inches that the axes of n bands need."""
    return STEP * n + 0.06


def bands(axes: Axes, drawn: Sequence[Band], low: float, middle: float, high: float) -> None:
    """Draw bands, the first at the top: units as ticks where they are few, a ridge, their mean with its interval.

    Each ridge is as tall as any other: its shape counts, not its height.

    Args:
        axes: of `bands_height(len(drawn))` inches.
        drawn: from top to bottom.
        low: the left end of the axis.
        middle: where colours change, marked by a dashed line.
        high: the right end.
    """
    x = low + (GRID + 1) / 2 * (high - low)
    unit = TALLEST / STEP
    for i, band in enumerate(drawn):
        base = len(drawn) - 1 - i
        axes.plot([low, high], [base, base], color=RULE, linewidth=0.8, zorder=1)
        axes.annotate(
            tail(band.label, LONGEST), (0, base + unit), (0, 2), ("axes fraction", "data"), "offset points", va="bottom"
        )
        axes.annotate(
            band.note, (1, base + unit), (0, 2), ("axes fraction", "data"), "offset points", ha="right", va="bottom",
            color=MUTED,
        )  # fmt: skip
        if not band.values.size:
            axes.text((low + high) / 2, base + 0.1, "no live unit", ha="center", color=MUTED)
            continue
        axes.plot([middle] * 2, [base, base + unit], color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=0)
        ridge = density(2 * (band.values - low) / (high - low) - 1)
        ridge *= unit / ridge.max()
        for side, colour in ((x <= middle, band.colours[0]), (x >= middle, band.colours[1])):
            axes.fill_between(x[side], base, base + ridge[side], color=colour, alpha=0.4, lw=0, zorder=2)
        axes.plot(x, base + ridge, color=INK, linewidth=1.2, zorder=3)
        if len(band.values) <= TICKS:
            ticks = np.full(len(band.values), base - 0.075)
            axes.plot(band.values, ticks, "|", color=MUTED, ms=5, mew=0.7, alpha=0.7, clip_on=False, zorder=2)
        if band.mean is not None:
            mean, start, end = band.mean
            if np.isfinite(start) and np.isfinite(end):
                axes.plot(
                    [start, end], [base, base], color=INK, linewidth=4, alpha=0.35, solid_capstyle="butt", zorder=4
                )
            axes.plot([mean, mean], [base - 0.04, base + 0.22], color=INK, linewidth=2, zorder=5, clip_on=False)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.16, len(drawn) - 0.16 + 0.06 / STEP)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
