"""Figures of the study `linear-pathways`: gradient descent with large steps shares out again what one pathway took."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.lines import Line2D

from chiasm.pictures.style import BLUE, GREEN, HEIGHT, INK, MUTED, VERMILLION, Panel, axes_on, canvas, legend, rules
from chiasm.pictures.words import number
from chiasm.theory.pathway.onsets import ROW, index_axes
from chiasm.theory.pathway.result import LargeSteps, PathwaysResult


def edges(result: PathwaysResult) -> Iterator[Panel]:
    """Draw the index against the step for each depth, and the most that the edge of stability allows."""
    for one in result.large:
        figure, axes = index_axes(f"Large steps, depth {one.depth}", "step", 3 if len(one.tried) else 1)
        for limit in dict.fromkeys(one.limits):
            axes.axvline(limit, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        handles = [Line2D([], [], color=INK, ls=(0, (5, 3)), lw=1.2, label="gradient flow")]
        axes.axhline(one.flow, color=INK, linestyle=(0, (5, 3)), linewidth=1.2, zorder=2)
        if np.isfinite(one.edge).any():
            axes.plot(one.step, one.edge, color=BLUE, linewidth=1.6, zorder=3)
            handles.append(Line2D([], [], color=BLUE, lw=1.6, label="edge of stability"))
        looks = ("o", VERMILLION, "gradient descent"), ("x", INK, "on matrices"), ("+", GREEN, "weaker modes")
        axes.plot(one.step, one.index, "o", mec=VERMILLION, mfc="none", ms=3.8, mew=0.9, zorder=4, clip_on=False)
        drawn = 1
        if len(one.tried):
            drawn = 3
            axes.plot(one.tried, one.matrices[:, 0], "x", color=INK, ms=6.5, mew=1.4, zorder=5, clip_on=False)
            axes.plot(one.tried, one.matrices[:, 1:], "+", color=GREEN, ms=7, mew=1.2, zorder=3, clip_on=False)
        for marker, colour, label in looks[:drawn]:
            handles.append(Line2D([], [], marker=marker, color=colour, ls="none", mfc="none", ms=6, label=label))
        axes.set_xlim(one.step[0], one.step[-1])
        legend(figure, handles, columns=2, left=0.1)
        yield Panel(f"pathways-large-steps-{one.depth}", figure, _caption(result, one))


def _caption(result: PathwaysResult, one: LargeSteps) -> str:
    settings = result.settings
    said = (
        f"Index of the strongest mode after {settings.large_steps} steps of gradient descent; the second pathway was "
        f"frozen at the start, for the time of {settings.duration} steps of {settings.step:g}. Dotted: the step beyond "
        "which one pathway alone is unstable"
    )
    said += ", and an even split. " if one.depth > 2 else ", which is that of any split. "
    if len(one.tried):
        said += f"Crosses: {settings.large_steps // 2} steps on matrices of width {settings.width}; plus signs: "
        said += "their other modes."
    return said.strip()


def courses(result: PathwaysResult) -> Iterator[Panel]:
    """Draw both pathways through steps between the limits: one takes all, then oscillation gives it back."""
    for one in result.large:
        if one.depth < 3:
            continue
        figure = canvas(HEIGHT + ROW)
        axes = axes_on(figure, bottom=0.62 + ROW)
        top = float(one.course.max())
        for colour, course in zip((BLUE, VERMILLION), one.course.T, strict=True):
            axes.plot(one.at, course, ".", color=colour, ms=2.2, mew=0)
        level = float(result.strength[0]) / 2
        axes.axhline(level, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=0)
        axes.annotate(
            "even",
            (1, level),
            (-2, 2),
            ("axes fraction", "data"),
            "offset points",
            ha="right",
            va="bottom",
            color=MUTED,
        )
        axes.set_xlim(0, one.at[-1])
        axes.set_ylim(-0.03 * top, 1.05 * top)
        rules(axes)
        axes.set_title(f"Depth {one.depth}, step {number(one.shown, 3)}", x=0, y=1)
        axes.set_xlabel("step number")
        axes.set_ylabel("output of a pathway")
        pairs = ((BLUE, "first pathway"), (VERMILLION, "second pathway"))
        handles = [Line2D([], [], color=colour, marker="o", ls="none", ms=4, label=label) for colour, label in pairs]
        legend(figure, handles, 2, 0.1)
        yield Panel(
            f"pathways-course-{one.depth}",
            figure,
            f"Outputs of both pathways for the strongest mode after each step of {number(one.shown, 4)}, between the "
            f"limits {number(one.limits[0], 4)} and {number(one.limits[1], 4)}; the second is frozen at the start.",
        )
