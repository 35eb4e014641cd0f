"""Figures of the study `linear-pathways` that show the dominance index, and when the window closes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from chiasm.pictures.style import BLUE, GREEN, HEIGHT, INK, MARKERS, MUTED, SOURCES, VERMILLION, WIDTH, Panel, legend
from chiasm.pictures.words import number
from chiasm.theory.pages.charts import DASHED, DOTTED, SEQUENCE, chart, colour_bar, key
from chiasm.theory.pathway.allocation import settle_after
from chiasm.theory.pathway.coordinates import Floats
from chiasm.theory.pathway.deficit import KINDS, Kind
from chiasm.theory.pathway.flow import dominance
from chiasm.theory.pathway.pathways import pathways
from chiasm.theory.pathway.result import LargeSteps, PathwaysResult

INDEX = "index (+1: the first pathway only)"
QUARTERS = (0, 0.25, 0.5, 0.75, 1)
DOING = {"freeze": "frozen", "silence": "silent"}
#: Number of points of gradient descent on a curve, at most.
DOTS = 24
#: Inches of a row of the legend.
ROW = 0.2
#: Characters of a label of which three fit beside each other.
NARROW = 10
#: Values of the index that are drawn as lines on a plane.
LEVELS = (0.1, 0.5, 0.9)


def by_onset(result: PathwaysResult) -> Iterator[Panel]:
    """Draw the strongest mode at every depth, then every mode at one depth: frozen, and silent."""
    sweep, depths, at_one = result.sweep, result.settings.depths, result.settings.matrix_depth
    one = at_one if at_one in depths else depths[-1]
    strengths = [f"strength {number(float(s), 3)}" for s in result.strength]
    for kind, flow, descent in zip(KINDS, sweep.flow[..., 0], sweep.descent[..., 0], strict=True):
        labels = [f"depth {depth}" for depth in depths]
        yield _onsets(result, flow, descent, labels, "depth", kind, f"the mode of {strengths[0]}")
    place = np.s_[:, :, depths.index(one)]
    for kind, flow, descent in zip(KINDS, sweep.flow[place], sweep.descent[place], strict=True):
        yield _onsets(result, flow, descent, strengths, "mode", kind, f"depth {one}, every mode")


def _onsets(
    result: PathwaysResult, flow: Floats, descent: Floats, labels: Sequence[str], by: str, kind: Kind, what: str
) -> Panel:
    sweep, settings = result.sweep, result.settings
    columns = 3 if max(map(len, labels)) < NARROW else 2
    title, rows = f"Second pathway {DOING[kind]}, by {by}", -(-len(labels) // columns) + 1
    figure, axes = _index_axes(title, "onset of the deficit (step)", rows)
    # Half as far again as anything happens.
    busy = np.flatnonzero((np.abs(flow - flow[-1]) > 0.01).any(1))
    last = min(len(sweep.onset), int(1.5 * busy[-1]) + 2 if len(busy) else len(sweep.onset))
    thin = slice(None, last, max(1, last // DOTS))
    handles = []
    for i, label in enumerate(labels):
        colour = SOURCES[i % len(SOURCES)]
        axes.plot(sweep.onset[:last], flow[:last, i], color=colour, linewidth=1.6, zorder=3)
        axes.plot(sweep.onset[thin], descent[thin, i], "o", mec=colour, mfc="none", ms=3, mew=0.8, zorder=2)
        handles.append(key(label, colour, lw=1.8))
    axes.set_xlim(0, sweep.onset[last - 1])
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    _upper_legend(figure, handles, columns)
    dot = key("gradient descent", MUTED, "", marker="o", mfc="none", ms=4)
    legend(figure, [key("gradient flow", MUTED, lw=1.6), dot], columns=2, left=0.05)
    return Panel(
        f"pathways-{kind}-{by}s",
        figure,
        f"Dominance index (K₁ − K₂) / (K₁ + K₂) when all is learned, after the second pathway was {DOING[kind]} for "
        f"{settings.duration} steps from so many steps on: {what}. Lines: gradient flow to its end; circles: gradient "
        f"descent with step {settings.step:g}, {2 * settings.steps} steps.",
    )


def closing(result: PathwaysResult) -> Iterator[Panel]:
    """Draw when the window of freezing closes, and how long that takes, against depth."""
    settings, window, width = result.settings, result.window, result.window.width()
    high, half, low = (window.closes[window.levels.tolist().index(level)] for level in (0.9, 0.5, 0.1))
    drawn = (
        ("pathways-window-closes", "When the window closes", "onset of index 0.5 (step)", half,
         f"Onset from which on a deficit of {settings.duration} steps (second pathway frozen) leaves less than 0.5; "
         "bars reach from the onset of index 0.9 to that of 0.1, where both are reached."),
        ("pathways-window-width", "How long closing takes", "from index 0.9 to 0.1 (steps)", width,
         f"Steps between the onsets at which a deficit of {settings.duration} steps (second pathway frozen) leaves an "
         "index of 0.9 and of 0.1; left out where even a deficit from the beginning leaves less than 0.9."),
    )  # fmt: skip
    rows = -(-len(result.strength) // 2)
    for name, title, ylabel, values, caption in drawn:
        figure, axes = chart(title, "depth (matrices a pathway)", ylabel, rows, left=0.62, bottom=0.62, row=ROW)
        handles = []
        for i, strength in enumerate(result.strength):
            colour, marker = SOURCES[i % len(SOURCES)], MARKERS[i % len(MARKERS)]
            x = np.array(settings.depths) + 0.06 * (i - (len(result.strength) - 1) / 2)
            if values is half:
                ends = np.where(np.isnan(width[:, i]), np.nan, [high[:, i], low[:, i]])
                axes.vlines(x, *ends, color=colour, linewidth=4, alpha=0.3, zorder=2)
            axes.plot(x, values[:, i], "-", marker=marker, color=colour, linewidth=1.5, ms=5, zorder=3)
            handles.append(key(f"strength {number(float(strength), 3)}", colour, marker=marker, ms=5))
        axes.set_xticks(settings.depths)
        axes.set_xlim(min(settings.depths) - 0.4, max(settings.depths) + 0.4)
        axes.set_ylim(bottom=0)
        axes.margins(y=0.08)
        legend(figure, handles, columns=2, left=0.1)
        yield Panel(name, figure, caption)


def planes(result: PathwaysResult) -> Iterator[Panel]:
    """Draw the index over onset (across) and length (up): frozen, and silent."""
    plane, settings = result.plane, result.settings
    for kind, values in zip(KINDS, plane.index, strict=True):
        title = f"Second pathway {DOING[kind]}, depth {settings.plane_depth}"
        labels = "onset of the deficit (step)", "length of the deficit (steps)"
        figure, axes = chart(title, *labels, height=HEIGHT + 0.62, left=0.62, bottom=1.24, grid="")
        edges = [_edges(plane.onset), _edges(plane.duration)]
        axes.pcolormesh(*edges, values.T, cmap=SEQUENCE, vmin=0, vmax=1, rasterized=True)
        crossed = [level for level in LEVELS if values.min() < level < values.max()]
        if crossed:
            lines = axes.contour(plane.onset, plane.duration, values.T, crossed, colors=INK, linewidths=0.9)
            axes.clabel(lines, fmt=lambda level: f"{level:g}", fontsize=9.6)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set(xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]])
        bar = colour_bar(figure, Normalize(0, 1), INDEX, 0.62, WIDTH - 0.82, WIDTH / 2)
        bar.set_xticks(QUARTERS)
        yield Panel(
            f"pathways-plane-{kind}",
            figure,
            f"Index in the end of gradient flow over {values.shape[0]} onsets and {values.shape[1]} lengths: the mode "
            f"of strength {number(float(result.strength[0]), 3)}, second pathway {DOING[kind]}. Lines: index "
            f"{', '.join(f'{level:g}' for level in LEVELS)}, where there is one.",
        )


def lessons(result: PathwaysResult) -> Iterator[Panel]:
    """Draw the index against the lesson missed: deficits of both kinds and every onset on one curve a depth."""
    sweep, settings = result.sweep, result.settings
    figure, axes = _index_axes("One number decides", "lesson missed (residual × time)", 3)
    handles, strength = [], float(result.strength[0])
    for i, depth in enumerate(settings.depths):
        colour = SOURCES[i % len(SOURCES)]
        missed = sweep.missed[:, :, i, 0]
        x = np.linspace(0, missed.max(), 200)
        mode = pathways(np.full(x.shape, strength), depth, output=settings.output)
        axes.plot(x, dominance(settle_after(mode, np.stack([0 * x, x], -1))), color=colour, linewidth=1.3, zorder=2)
        for index, lesson, marker in zip(sweep.flow[:, ::6, i, 0], missed[:, ::6], "os", strict=True):
            axes.plot(lesson, index, marker, mec=colour, mfc="none", ms=3.6, mew=0.8, zorder=3)
        handles.append(key(f"depth {depth}", colour, lw=1.8))
    axes.set_xlim(left=0)
    _upper_legend(figure, handles, 3)
    marks = [
        key(DOING[kind], INK, "", marker=marker, mfc="none", ms=4) for kind, marker in zip(KINDS, "os", strict=True)
    ]
    legend(figure, marks, columns=2, left=0.05)
    yield Panel(
        "pathways-lessons",
        figure,
        "Index in the end against the residual that the second pathway missed, summed over the deficit, for every "
        "sixth onset of both kinds (strongest mode). Curves: closed form from that number alone.",
    )


def doses(result: PathwaysResult) -> Iterator[Panel]:
    """Draw the index against the share of the time at which the deficit is on: frozen, and silent."""
    part, settings = result.doses, result.settings
    onsets = ((BLUE, "from the beginning"), (VERMILLION, f"from step {settings.late}"))
    styles: tuple[Any, ...] = ("-", DASHED, DOTTED)
    for kind, flow, descent in zip(KINDS, part.flow, part.descent, strict=True):
        title = f"Second pathway {DOING[kind]} some of the time"
        figure, axes = _index_axes(title, "share of the time", 2 * len(part.duration))
        handles = []
        for onset, (colour, when) in enumerate(onsets):
            for length, duration in enumerate(part.duration):
                style = styles[length % len(styles)]
                axes.plot(part.rate, flow[onset, length], color=colour, linestyle=style, linewidth=1.6, zorder=3)
                coins = descent[onset, length]
                axes.errorbar(
                    part.rate, coins.mean(-1), coins.std(-1), fmt="o", color=colour, ms=3, mfc="none", mew=0.8,
                    elinewidth=0.9, zorder=2,
                )  # fmt: skip
                handles.append(key(f"{when}, {duration} steps", colour, style, lw=1.7))
        axes.set(xlim=(-0.02, 1.02), xticks=QUARTERS)
        legend(figure, handles, columns=1, left=0.1)
        yield Panel(
            f"pathways-doses-{kind}",
            figure,
            f"Index in the end against the share of the time at which the second pathway is {DOING[kind]}; depth "
            f"{settings.dose_depth}, strongest mode. Lines: gradient flow in expectation; circles: gradient descent "
            f"with a coin each step, mean and sd of {settings.tosses} runs.",
        )


def edges(result: PathwaysResult) -> Iterator[Panel]:
    """Draw the index against the length of a step for each depth, and the most that the edge of stability allows."""
    for one in result.large:
        figure, axes = _index_axes(f"Large steps, depth {one.depth}", "step", 3 if len(one.tried) else 1)
        for limit in dict.fromkeys(one.limits):
            axes.axvline(limit, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        handles = [key("gradient flow", INK, (0, (5, 3)), lw=1.2)]
        axes.axhline(one.flow, color=INK, linestyle=(0, (5, 3)), linewidth=1.2, zorder=2)
        if np.isfinite(one.edge).any():
            axes.plot(one.step, one.edge, color=BLUE, linewidth=1.6, zorder=3)
            handles.append(key("edge of stability", BLUE, lw=1.6))
        axes.plot(one.step, one.index, "o", mec=VERMILLION, mfc="none", ms=3.8, mew=0.9, zorder=4, clip_on=False)
        handles.append(key("gradient descent", VERMILLION, "", marker="o", mfc="none", ms=6))
        if len(one.tried):
            axes.plot(one.tried, one.matrices[:, 0], "x", color=INK, ms=6.5, mew=1.4, zorder=5, clip_on=False)
            axes.plot(one.tried, one.matrices[:, 1:], "+", color=GREEN, ms=7, mew=1.2, zorder=3, clip_on=False)
            handles.append(key("on matrices", INK, "", marker="x", mfc="none", ms=6))
            handles.append(key("weaker modes", GREEN, "", marker="+", mfc="none", ms=6))
        axes.set_xlim(one.step[0], one.step[-1])
        legend(figure, handles, columns=2, left=0.1)
        yield Panel(f"pathways-large-steps-{one.depth}", figure, _edges_caption(result, one))


def _edges_caption(result: PathwaysResult, one: LargeSteps) -> str:
    settings = result.settings
    even = ", and an even split." if one.depth > 2 else ", which is that of any split."
    matrices = f" Crosses: {settings.large_steps // 2} steps on matrices of width {settings.width}; plus signs: their "
    return (
        f"Index of the strongest mode after {settings.large_steps} steps of gradient descent; the second pathway was "
        f"frozen at the start, for the time of {settings.duration} steps of {settings.step:g}. Dotted: the step beyond "
        f"which one pathway alone is unstable{even}{f'{matrices}other modes.' if len(one.tried) else ''}"
    )


def _index_axes(title: str, xlabel: str, rows: int) -> tuple[Figure, Axes]:
    """Return a figure whose axes show the index, with room for so many rows of a legend below."""
    figure, axes = chart(title, xlabel, INDEX, rows, left=0.68, bottom=0.62, row=ROW)
    axes.axhline(0, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=0)
    axes.set(ylim=(-0.04, 1.04), yticks=QUARTERS)
    return figure, axes


def _upper_legend(figure: Figure, handles: Sequence[Line2D], columns: int) -> None:
    """Put a legend above the one that `legend` puts into the last row."""
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.05, (ROW + 0.05) / figure.get_size_inches()[1]),
        ncols=columns, borderpad=0, labelspacing=0.35, columnspacing=1.2, handlelength=1.4,
    )  # fmt: skip


def _edges(centres: Floats) -> Floats:
    half = (centres[1] - centres[0]) / 2
    return np.append(centres - half, centres[-1] + half)
