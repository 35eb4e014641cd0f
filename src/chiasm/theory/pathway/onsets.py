"""Figures of the study `linear-pathways`: the index against the onset of a deficit, and when the window closes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from chiasm.pictures.style import HEIGHT, INK, MARKERS, MUTED, SOURCES, Panel, axes_on, canvas, legend, rules
from chiasm.pictures.words import number
from chiasm.theory.pathway.allocation import settle_after
from chiasm.theory.pathway.coordinates import Floats
from chiasm.theory.pathway.flow import dominance
from chiasm.theory.pathway.pathways import pathways
from chiasm.theory.pathway.result import KINDS, PathwaysResult

INDEX = "index (+1: the first pathway only)"
DOING = {"freeze": "frozen", "silence": "silent"}
#: Of so many points of gradient descent on a curve, no more are drawn.
DOTS = 24
#: Inches of a row of the legend.
ROW = 0.2
#: Characters of a label of which three fit beside each other.
NARROW = 10


def index_axes(title: str, xlabel: str, rows: int) -> tuple[Figure, Axes]:
    """Return a figure whose axes show the index, with room for so many rows of a legend below."""
    figure = canvas(HEIGHT + ROW * rows)
    axes = axes_on(figure, left=0.68, bottom=0.62 + ROW * rows)
    axes.axhline(0, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=0)
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    rules(axes)
    axes.set_title(title, x=0, y=1)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(INDEX)
    return figure, axes


def second(figure: Figure, handles: Sequence[Line2D], columns: int) -> None:
    """Put a legend above the one that `legend` puts into the last row."""
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.05, (ROW + 0.05) / figure.get_size_inches()[1]),
        ncols=columns, borderpad=0, labelspacing=0.35, columnspacing=1.2, handlelength=1.4,
    )  # fmt: skip


def by_depth(result: PathwaysResult) -> Iterator[Panel]:
    """Draw the strongest mode at every depth: frozen, and silent."""
    labels = [f"depth {depth}" for depth in result.settings.depths]
    for kind in range(len(KINDS)):
        values = (result.sweep.flow[kind, ..., 0], result.sweep.descent[kind, ..., 0])
        title = f"Second pathway {DOING[KINDS[kind]]}, by depth"
        what = f"the mode of strength {number(float(result.strength[0]), 3)}"
        yield _sweep(result, *values, labels, title, f"pathways-{KINDS[kind]}-depths", KINDS[kind], what)


def by_mode(result: PathwaysResult) -> Iterator[Panel]:
    """Draw every mode at one depth: frozen, and silent."""
    depths = result.settings.depths
    depth = result.settings.matrix_depth if result.settings.matrix_depth in depths else depths[-1]
    place = depths.index(depth)
    labels = [f"strength {number(float(s), 3)}" for s in result.strength]
    for kind in range(len(KINDS)):
        values = (result.sweep.flow[kind, :, place], result.sweep.descent[kind, :, place])
        title = f"Second pathway {DOING[KINDS[kind]]}, by mode"
        yield _sweep(
            result, *values, labels, title, f"pathways-{KINDS[kind]}-modes", KINDS[kind], f"depth {depth}, every mode"
        )


def _sweep(
    result: PathwaysResult,
    flow: Floats,
    descent: Floats,
    labels: Sequence[str],
    title: str,
    name: str,
    kind: str,
    what: str,
) -> Panel:
    sweep, settings = result.sweep, result.settings
    columns = 3 if max(map(len, labels)) < NARROW else 2
    figure, axes = index_axes(title, "onset of the deficit (step)", -(-len(labels) // columns) + 1)
    # Half as far again as anything happens.
    busy = np.flatnonzero((np.abs(flow - flow[-1]) > 0.01).any(1))
    shown = min(len(sweep.onset), int(1.5 * busy[-1]) + 2 if len(busy) else len(sweep.onset))
    thin = slice(None, shown, max(1, shown // DOTS))
    handles = []
    for i, label in enumerate(labels):
        colour = SOURCES[i % len(SOURCES)]
        axes.plot(sweep.onset[:shown], flow[:shown, i], color=colour, linewidth=1.6, zorder=3)
        axes.plot(sweep.onset[thin], descent[thin, i], "o", mec=colour, mfc="none", ms=3, mew=0.8, zorder=2)
        handles.append(Line2D([], [], color=colour, lw=1.8, label=label))
    axes.set_xlim(0, sweep.onset[shown - 1])
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    second(figure, handles, columns)
    dot = Line2D([], [], marker="o", linestyle="none", color=MUTED, mfc="none", ms=4, label="gradient descent")
    legend(figure, [Line2D([], [], color=MUTED, lw=1.6, label="gradient flow"), dot], columns=2, left=0.05)
    return Panel(
        name,
        figure,
        f"Dominance index (K₁ − K₂) / (K₁ + K₂) when all is learned, after the second pathway was {DOING[kind]} for "
        f"{settings.duration} steps from so many steps on: {what}. Lines: gradient flow to its end; circles: gradient "
        f"descent with step {settings.step:g}, {2 * settings.steps} steps.",
    )


def closing(result: PathwaysResult) -> Iterator[Panel]:
    """Draw when the window of freezing closes, and how long that takes, against depth."""
    settings, window, width = result.settings, result.window, result.window.width()
    levels = window.levels.tolist()
    drawn = (
        ("pathways-window-closes", "When the window closes", "onset of index 0.5 (step)",
         window.closes[levels.index(0.5)],
         f"Onset from which on a deficit of {settings.duration} steps (second pathway frozen) leaves less than 0.5; "
         "bars reach from the onset of index 0.9 to that of 0.1, where both are reached."),
        ("pathways-window-width", "How long closing takes", "from index 0.9 to 0.1 (steps)", width,
         f"Steps between the onsets at which a deficit of {settings.duration} steps (second pathway frozen) leaves an "
         "index of 0.9 and of 0.1; left out where even a deficit from the beginning leaves less than 0.9."),
    )  # fmt: skip
    rows = -(-len(result.strength) // 2)
    for name, title, ylabel, values, caption in drawn:
        figure = canvas(HEIGHT + ROW * rows)
        axes = axes_on(figure, bottom=0.62 + ROW * rows)
        handles = []
        for i, strength in enumerate(result.strength):
            colour, marker = SOURCES[i % len(SOURCES)], MARKERS[i % len(MARKERS)]
            x = np.array(settings.depths) + 0.06 * (i - (len(result.strength) - 1) / 2)
            if values is not width:
                ends = np.where(
                    np.isnan(width[:, i]), np.nan, window.closes[[levels.index(0.9), levels.index(0.1)], :, i]
                )
                axes.vlines(x, *ends, color=colour, linewidth=4, alpha=0.3, zorder=2)
            axes.plot(x, values[:, i], "-", marker=marker, color=colour, linewidth=1.5, ms=5, zorder=3)
            label = f"strength {number(float(strength), 3)}"
            handles.append(Line2D([], [], color=colour, marker=marker, ms=5, label=label))
        axes.set_xticks(settings.depths)
        axes.set_xlim(min(settings.depths) - 0.4, max(settings.depths) + 0.4)
        axes.set_ylim(bottom=0)
        axes.margins(y=0.08)
        rules(axes)
        axes.set_title(title, x=0, y=1)
        axes.set_xlabel("depth (matrices a pathway)")
        axes.set_ylabel(ylabel)
        legend(figure, handles, columns=2, left=0.1)
        yield Panel(name, figure, caption)


def lessons(result: PathwaysResult) -> Panel:
    """Draw the index against the lesson missed: deficits of both kinds and every onset on one curve a depth."""
    sweep, settings = result.sweep, result.settings
    figure, axes = index_axes("One number decides", "lesson missed (residual × time)", 3)
    handles, strength = [], float(result.strength[0])
    for i, depth in enumerate(settings.depths):
        colour = SOURCES[i % len(SOURCES)]
        missed = sweep.missed[:, :, i, 0]
        x = np.linspace(0, missed.max(), 200)
        mode = pathways(np.full(x.shape, strength), depth, output=settings.output)
        axes.plot(x, dominance(settle_after(mode, np.stack([0 * x, x], -1))), color=colour, linewidth=1.3, zorder=2)
        for kind, marker in enumerate("os"):
            axes.plot(
                missed[kind, ::6],
                sweep.flow[kind, ::6, i, 0],
                marker,
                mec=colour,
                mfc="none",
                ms=3.6,
                mew=0.8,
                zorder=3,
            )
        handles.append(Line2D([], [], color=colour, lw=1.8, label=f"depth {depth}"))
    axes.set_xlim(left=0)
    second(figure, handles, 3)
    marks = [
        Line2D([], [], marker=marker, linestyle="none", color=INK, mfc="none", ms=4, label=DOING[kind])
        for kind, marker in zip(KINDS, "os", strict=True)
    ]
    legend(figure, marks, columns=2, left=0.05)
    return Panel(
        "pathways-lessons",
        figure,
        "Index in the end against the residual that the second pathway missed, summed over the deficit, for every "
        "sixth onset of both kinds (strongest mode). Curves: closed form from that number alone.",
    )
