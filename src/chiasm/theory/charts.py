"""Curves over a few settings that stand side by side: means and intervals over seeds, every seed as a dot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator
from numpy.typing import NDArray

from chiasm.intervals import estimate
from chiasm.pictures.style import HEIGHT, MARKERS, MUTED, SOURCES, axes_on, canvas, dodge, legend, rules

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sweep:
    """One curve.

    Attributes:
        label: what the legend says.
        values: (settings, seeds); what is not finite is left out.
        colour: of line and markers.
        marker: of the means; a hollow one where `hollow`.
        hollow: draws the line dashed and markers empty.
    """

    label: str
    values: Floats
    colour: str
    marker: str
    hollow: bool = False


def by_depth(label: str, values: Floats, depth: int, hollow: bool = False) -> Sweep:
    """Return a curve with the colour and marker of its depth, the same in every figure."""
    return Sweep(label, values, *look(depth), hollow)


def look(depth: int) -> tuple[str, str]:
    """Return the colour and the marker of a depth."""
    return SOURCES[(depth - 1) % len(SOURCES)], MARKERS[(depth - 1) % len(MARKERS)]


def frame(lines: int, height: float = HEIGHT, left: float = 0.76) -> tuple[Figure, Axes]:
    """Return a figure with axes and room for so many lines of a legend; margins in inches."""
    figure = canvas(height + 0.2 * lines)
    return figure, axes_on(figure, left=left, bottom=0.56 + 0.22 * lines)


def sweep(
    curves: Sequence[Sweep],
    settings: Sequence[int],
    title: str,
    xlabel: str,
    ylabel: str,
    bounds: tuple[float, float] = (0.0, math.inf),
    never: float | None = None,
    hollow: str = "",
) -> Figure:
    """Draw curves over settings at equal distances.

    Args:
        curves: each over all settings.
        settings: written at the ticks, in order.
        title: above the axes.
        xlabel: with its unit.
        ylabel: with its unit.
        bounds: the range that is possible, where intervals are cut.
        never: the height at which seeds with an infinite value stand; None to leave them out.
        hollow: what hollow curves without a label have in common.
    """
    named = [curve for curve in curves if curve.label]
    columns = 3 if len(named) + bool(hollow) > 4 else 2
    figure, axes = frame(math.ceil((len(named) + bool(hollow)) / columns))
    rules(axes)
    shifts = dodge(len(curves), min(0.13, 0.6 / len(curves)))
    for curve, shift in zip(curves, shifts, strict=True):
        _draw(axes, curve, shift, bounds, never)
    axes.xaxis.set_major_locator(FixedLocator(list(range(len(settings)))))
    axes.set_xticklabels([f"{setting:g}" for setting in settings])
    axes.set_xlim(-0.5, len(settings) - 0.5)
    axes.set_title(title, x=0, y=1)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    handles = [_handle(curve.label, curve.colour, curve.marker, curve.hollow) for curve in named]
    handles += [_handle(hollow, MUTED, "o", hollow=True)] if hollow else []
    legend(figure, handles, columns=columns)
    return figure


def _handle(label: str, colour: str, marker: str, hollow: bool) -> Line2D:
    fill = "none" if hollow else colour
    made = Line2D([], [], color=colour, marker=marker, markersize=5, label=label, markerfacecolor=fill)
    made.set_linestyle("--" if hollow else "-")
    return made


def _draw(axes: Axes, curve: Sweep, shift: float, bounds: tuple[float, float], never: float | None) -> None:
    xs, means = [], []
    for k, values in enumerate(curve.values):
        lost = int(np.isinf(values).sum())
        if lost and never is not None:
            at = k + shift + np.array(dodge(lost, 0.03))
            axes.plot(at, [never] * lost, curve.marker, ms=3.2, mfc="none", mec=curve.colour, mew=0.8, clip_on=False)
        here = values[np.isfinite(values)]
        axes.plot(
            k + shift + np.array(dodge(len(here), 0.02)), here, "o", ms=2.6, mfc="none", mec=curve.colour, mew=0.7,
            alpha=0.7, zorder=2,
        )  # fmt: skip
        made = estimate(here.tolist(), bounds)
        # A mean over those seeds alone that came back would say too little.
        if made is None or lost:
            continue
        xs.append(k + shift)
        means.append(made.mean)
        if made.low is not None and made.high is not None:
            axes.plot([k + shift] * 2, [made.low, made.high], color=curve.colour, lw=1.1, zorder=3)
    axes.plot(xs, means, "--" if curve.hollow else "-", color=curve.colour, lw=1.4, zorder=3)
    axes.plot(xs, means, curve.marker, ms=5, mfc="none" if curve.hollow else curve.colour, mec=curve.colour, zorder=4)
