"""Ridgelines: how the RSV of the units of a layer is spread, one ridge a cell of the study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chiasm.pictures.style import INK, MUTED, RULE, SOURCES, axes_on, canvas, rsv_axis
from chiasm.pictures.words import number, rsv_ends

Floats = NDArray[np.float64]

#: Bandwidth of the density; an RSV from a hundred anchors a source has an error of about this size.
BANDWIDTH = 0.07
GRID = np.linspace(-1, 1, 101)
#: Inches between two ridges.
STEP = 0.42


@dataclass(frozen=True)
class Ridge:
    """One ridge.

    Attributes:
        label: what stands beside it ("40").
        seeds: one array a seed, (units,) RSV in [-1, 1], dead units left out.
    """

    label: str
    seeds: tuple[Floats, ...]


def density(values: Floats) -> Floats:
    """Return the density of RSV on `GRID`: Gaussian kernels, mirrored at -1 and +1 so that no mass leaves the axis."""
    if not values.size:
        return np.zeros_like(GRID)
    # Binned first: units by the thousand then cost as much as a few.
    counts, _ = np.histogram(np.clip(values, -1, 1), bins=400, range=(-1, 1))
    result: Floats = _kernels() @ counts / (values.size * BANDWIDTH * np.sqrt(2 * np.pi))
    return result


@cache
def _kernels() -> Floats:
    """Kernels around the middle of each of `density`'s bins with their mirror images, (grid, bins)."""
    middles = np.linspace(-1, 1, 801)[1::2]
    centres = np.stack([middles, -2 - middles, 2 - middles])
    kernels: Floats = np.exp(-0.5 * ((GRID[:, None, None] - centres) / BANDWIDTH) ** 2).sum(1)
    return kernels


def ridgelines(ridges: Sequence[Ridge], sources: Sequence[str], title: str, ylabel: str) -> Figure:
    """Draw ridges, the first at the top: filled, all units of all seeds; thin lines, each seed.

    Args:
        ridges: from top to bottom.
        sources: names, for the words on the RSV axis.
        title: above the axes.
        ylabel: what the ridges' labels count, with its unit.
    """
    pooled = [density(np.concatenate(ridge.seeds)) if ridge.seeds else np.zeros_like(GRID) for ridge in ridges]
    tallest = max((float(line.max()) for line in pooled), default=1.0) or 1.0
    # A ridge may reach over the one above it; more would hide it.
    scale = 1.7 / tallest
    lines = [[scale * density(seed) for seed in ridge.seeds] for ridge in ridges]
    reach = [len(ridges) - 1 - i + max([0.0, *(float(line.max()) for line in some)]) for i, some in enumerate(lines)]
    top = max([len(ridges) + 0.4, *reach]) + 0.1
    figure = canvas(1.24 + STEP * (top + 0.1))
    widest = max((len(ridge.label) for ridge in ridges), default=1)
    axes = axes_on(figure, left=0.42 + 0.09 * widest, right=0.62, bottom=0.72, top=0.42)
    for i, (ridge, line) in enumerate(zip(ridges, pooled, strict=True)):
        base = len(ridges) - 1 - i
        axes.axhline(base, color=RULE, linewidth=0.8, zorder=2 * i)
        if lines[i]:
            singles = base + np.transpose(lines[i])
            axes.plot(GRID, singles, color=MUTED, linewidth=0.6, alpha=0.6, zorder=2 * i + 1)
        for side, colour in ((GRID >= 0, SOURCES[0]), (GRID <= 0, SOURCES[1])):
            axes.fill_between(GRID[side], base, base + scale * line[side], color=colour, alpha=0.4, lw=0, zorder=2 * i)
        axes.plot(GRID, base + scale * line, color=INK, linewidth=1.2, zorder=2 * i + 1)
        means = [float(seed.mean()) for seed in ridge.seeds if seed.size]
        if means:
            mean = sum(means) / len(means)
            axes.plot([mean, mean], [base, base + 0.28], color=INK, linewidth=2, zorder=2 * i + 1)
            axes.text(1.04, base, number(mean, 2, True), transform=axes.get_yaxis_transform(), va="bottom")
    axes.text(1.04, len(ridges) - 0.35, "mean", transform=axes.get_yaxis_transform(), va="bottom", color=MUTED)
    axes.axvline(0, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=0)
    axes.set_xlim(-1, 1)
    axes.set_ylim(-0.1, top)
    axes.set_yticks(range(len(ridges)), [ridge.label for ridge in reversed(ridges)])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(title, x=0, y=1)
    axes.set_ylabel(ylabel)
    rsv_axis(axes, rsv_ends(sources))
    return figure
