"""Figures that the pages of several theories share: labelled axes, legend keys, colour bars, curves over settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chiasm.pictures.style import (
    DEPTHS,
    HEIGHT,
    MARKERS,
    MUTED,
    SOURCES,
    WIDTH,
    axes_on,
    canvas,
    dodge,
    legend,
    powers,
    rules,
)
from chiasm.pictures.words import number_between
from chiasm.statistics import estimate
from chiasm.theory.arguments import Floats

#: From little to much.
SEQUENCE = LinearSegmentedColormap.from_list("depths", ["#eef3f8", *DEPTHS])
DASHED: tuple[float, tuple[float, ...]] = (0, (5, 2))
DOTTED: tuple[float, tuple[float, ...]] = (0, (1, 1.4))


def chart(
    title: str,
    xlabel: str,
    ylabel: str,
    rows: int = 0,
    *,
    height: float = HEIGHT,
    left: float = 0.76,
    right: float = 0.2,
    bottom: float = 0.56,
    row: float = 0.22,
    grid: Literal["x", "y", "both", ""] = "y",
) -> tuple[Figure, Axes]:
    """Return a figure and its labelled axes, with room for a legend below them; heights and margins are in inches.

    Args:
        title: above the axes.
        xlabel: with its unit.
        ylabel: with its unit.
        rows: of the legend.
        height: without the legend.
        left: margin.
        right: margin.
        bottom: margin without the legend.
        row: what a row of the legend adds to the bottom margin.
        grid: the axes with faint lines at their ticks: "x", "y", "both", or "" for none.
    """
    figure = canvas(height + 0.2 * rows)
    axes = axes_on(figure, left=left, right=right, bottom=bottom + row * rows)
    if grid:
        rules(axes, grid)
    axes.set_title(title, x=0, y=1)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    return figure, axes


def key(label: str, colour: str, style: Any = "-", **looks: Any) -> Line2D:
    """Return an entry of a legend; style "" draws a marker only."""
    return Line2D([], [], color=colour, linestyle=style, label=label, **looks)


def of_depth(depth: int) -> tuple[str, str]:
    """Return the colour and the marker of a depth, the same in every figure."""
    return SOURCES[(depth - 1) % len(SOURCES)], MARKERS[(depth - 1) % len(MARKERS)]


def depth_key(depth: int) -> Line2D:
    """Return the entry of a depth in a legend."""
    colour, marker = of_depth(depth)
    return key(f"depth {depth}", colour, marker=marker, markersize=5)


def note(axes: Axes, text: str, at: tuple[float, float], along: str, shift: tuple[float, float], **looks: Any) -> None:
    """Write a muted note at a place of which one coordinate is data (`along`: "x" or "y"), the other a share."""
    places = ("data", "axes fraction") if along == "x" else ("axes fraction", "data")
    axes.annotate(text, at, shift, places, "offset points", color=MUTED, **looks)


def mark(axes: Axes, at: float, words: str) -> None:
    """Draw a dotted line up from a place on the x axis, with words at its top."""
    axes.axvline(at, color=MUTED, lw=0.9, ls=":")
    note(axes, words, (at, 1), "x", (4, -2), va="top")


def log_axes(axes: Axes, ticks: Sequence[float], low: float, high: float, empty: bool = False) -> None:
    """Make both axes logarithmic, with plain ticks across between low and high; `empty` axes get a range up."""
    axes.set_xscale("log")
    if empty:
        axes.set_ylim(1e-3, 1)
    axes.set_yscale("log")
    powers(axes.yaxis)
    shown = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.minorticks_off()


def colour_bar(figure: Figure, scale: Normalize, label: str, left: float, width: float, at: float) -> Axes:
    """Draw the scale of colours at the foot of a figure, its label beneath it.

    Args:
        figure: with an inch of room below its axes.
        scale: of the colours, linear or logarithmic, its ends set.
        label: what the colours mean.
        left: of the bar, in inches.
        width: of the bar, in inches.
        at: the middle of the label, in inches.

    Returns:
        The axes of the bar, across which ticks may be set.
    """
    height = figure.get_size_inches()[1]
    bar = figure.add_axes((left / WIDTH, 0.52 / height, width / WIDTH, 0.12 / height))
    ends = (scale.vmin or 0.0, scale.vmax or 1.0)
    steps = np.geomspace(*ends, 201) if isinstance(scale, LogNorm) else np.linspace(*ends, 201)
    bar.pcolormesh(steps, [0, 1], steps[None, :-1], cmap=SEQUENCE, norm=scale, rasterized=True)
    bar.set_yticks([])
    for spine in bar.spines.values():
        spine.set_visible(False)
    bar.tick_params(length=2, pad=2)
    figure.text(at / WIDTH, 0.14 / height, label, color=MUTED, ha="center", va="center")
    return bar


@dataclass(frozen=True)
class Sweep:
    """A curve over a few settings that stand side by side."""

    values: Floats  # (settings, seeds); what is not finite is left out
    depth: int  # sets colour and marker
    hollow: bool = False  # draws the line dashed and markers empty, and leaves the depth out of the legend


def sweep(
    curves: Sequence[Sweep],
    settings: Sequence[int],
    title: str,
    xlabel: str,
    ylabel: str,
    never: float | None = None,
    hollow: str = "",
) -> Figure:
    """Draw curves over settings at equal distances: means and intervals over seeds, every seed as a dot.

    Args:
        curves: each over all settings.
        settings: written at the ticks, in order.
        title: above the axes.
        xlabel: with its unit.
        ylabel: with its unit.
        never: the height at which seeds with an infinite value stand; None to leave them out.
        hollow: what hollow curves have in common, in the legend.
    """
    handles = [depth_key(curve.depth) for curve in curves if not curve.hollow]
    if hollow:
        handles.append(key(hollow, MUTED, "--", marker="o", markersize=5, markerfacecolor="none"))
    columns = 3 if len(handles) > 4 else 2
    figure, axes = chart(title, xlabel, ylabel, math.ceil(len(handles) / columns))
    shifts = dodge(len(curves), min(0.13, 0.6 / len(curves)))
    for curve, shift in zip(curves, shifts, strict=True):
        _draw(axes, curve, shift, never)
    axes.set_xticks(range(len(settings)), [f"{setting:g}" for setting in settings])
    axes.set_xlim(-0.5, len(settings) - 0.5)
    legend(figure, handles, columns=columns)
    return figure


def mean_between(values: Floats) -> str:
    """Write the mean of values that cannot be negative, with its interval over seeds; what is not finite is left out.

    >>> mean_between(np.array([0.90, 0.92, 0.94])), mean_between(np.array([np.inf]))
    ('0.920 [0.870, 0.970]', 'not finite')
    """
    mean = estimate(values[np.isfinite(values)].tolist(), (0.0, math.inf))
    return "not finite" if mean is None else number_between(mean, 3)


def _draw(axes: Axes, curve: Sweep, shift: float, never: float | None) -> None:
    (colour, marker), xs, means = of_depth(curve.depth), [], []
    for k, values in enumerate(curve.values):
        lost = int(np.isinf(values).sum())
        if lost and never is not None:
            at = k + shift + np.array(dodge(lost, 0.03))
            axes.plot(at, [never] * lost, marker, ms=3.2, mfc="none", mec=colour, mew=0.8, clip_on=False)
        finite = values[np.isfinite(values)]
        at = k + shift + np.array(dodge(len(finite), 0.02))
        axes.plot(at, finite, "o", ms=2.6, mfc="none", mec=colour, mew=0.7, alpha=0.7, zorder=2)
        mean = estimate(finite.tolist(), (0.0, math.inf))
        # A mean over only those seeds that came back would be too low.
        if mean is None or lost:
            continue
        xs.append(k + shift)
        means.append(mean.mean)
        if mean.low is not None and mean.high is not None:
            axes.plot([k + shift] * 2, [mean.low, mean.high], color=colour, lw=1.1, zorder=3)
    axes.plot(xs, means, "--" if curve.hollow else "-", color=colour, lw=1.4, zorder=3)
    axes.plot(xs, means, marker, ms=5, mfc="none" if curve.hollow else colour, mec=colour, zorder=4)
