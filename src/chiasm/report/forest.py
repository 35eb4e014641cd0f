"""A forest plot: one row a cell, the final outcome across, the control beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from chiasm.pictures.style import (
    CHARACTER,
    INK,
    MUTED,
    SMALLEST_FONT,
    WIDTH,
    axes_on,
    canvas,
    dodge,
    legend,
    rules,
    shorten,
)
from chiasm.statistics import Estimate

#: Inches of a row; characters of a row's label before it is cut.
ROW, LONGEST = 0.3, 27


@dataclass(frozen=True)
class ForestRow:
    """One row of the plot.

    Attributes:
        label: what the cell is.
        estimate: the final outcome in the unit that is shown; None where no run has one.
        control: that of its control; None without one.
        diverged: how many runs diverged.
    """

    label: str
    estimate: Estimate | None
    control: Estimate | None
    diverged: int = 0


def forest(
    rows: Sequence[ForestRow], title: str, xlabel: str, xlim: tuple[float, float], chance: float | None
) -> Figure:
    """Draw one row a cell: the final outcome with its interval and every seed, the control as an open diamond.

    Args:
        rows: from top to bottom.
        title: above the axes.
        xlabel: what is drawn, with its unit.
        xlim: range of the x axis.
        chance: level of chance in that unit; None where it is not known.
    """
    longest = min(LONGEST, max(len(row.label) for row in rows))
    left = 0.3 + longest * CHARACTER * SMALLEST_FONT / 72
    figure = canvas(1.47 + ROW * len(rows), max(WIDTH, left + 2.4))
    axes = axes_on(figure, left=left, bottom=0.78, top=0.5)
    for i, row in enumerate(rows):
        if row.control is not None:
            axes.plot([row.control.mean], [i], "D", mfc="none", mec=MUTED, ms=8.5, mew=1.3, zorder=5, clip_on=False)
        if row.estimate is not None:
            ys = [i + d for d in dodge(row.estimate.n, 0.09)]
            axes.plot(
                row.estimate.values, ys, "o", mfc="none", mec=INK, ms=3, mew=0.7, alpha=0.75, zorder=2, clip_on=False
            )
            if row.estimate.low is not None and row.estimate.high is not None:
                axes.plot([row.estimate.low, row.estimate.high], [i, i], "-", color=INK, linewidth=1.2, zorder=3)
            axes.plot([row.estimate.mean], [i], "o", color=INK, ms=5.5, zorder=4, clip_on=False)
        if row.diverged:
            axes.plot([xlim[0]], [i], "x", color=INK, ms=7, mew=1.8, clip_on=False, zorder=4)
    if chance is not None and xlim[0] <= chance <= xlim[1]:
        axes.axvline(chance, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
        axes.text(chance, -0.62, "chance", ha="center", va="bottom", color=MUTED)
    axes.set_xlim(*xlim)
    axes.set_ylim(len(rows) - 0.5, -0.65)
    axes.set_yticks(range(len(rows)), [shorten(row.label, LONGEST) for row in rows])
    axes.tick_params(axis="y", length=0, pad=8)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    rules(axes, "x")
    figure.text(0.02, 1 - 0.22 / figure.get_figheight(), title, fontweight="bold", fontsize=10.5)
    axes.set_xlabel(xlabel)
    handles = [
        Line2D([], [], color=INK, marker="o", markersize=5, label="mean, 95 % interval"),
        Line2D([], [], color=MUTED, marker="D", mfc="none", linestyle="none", markersize=6, label="its control"),
    ]
    legend(figure, handles, columns=2, left=0.02)
    return figure
