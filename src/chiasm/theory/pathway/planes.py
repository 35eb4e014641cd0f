"""Figures of the study `linear-pathways`: the plane of onset and length, and deficits that come and go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from chiasm.pictures.style import BLUE, HEIGHT, INK, MUTED, VERMILLION, WIDTH, Panel, axes_on, canvas, legend
from chiasm.pictures.words import number
from chiasm.theory.mode.planes import SEQUENCE
from chiasm.theory.pathway.coordinates import Floats
from chiasm.theory.pathway.onsets import DOING, INDEX, index_axes
from chiasm.theory.pathway.result import KINDS, PathwaysResult

#: Of the index, drawn as lines upon the plane.
LEVELS = (0.1, 0.5, 0.9)


def planes(result: PathwaysResult) -> Iterator[Panel]:
    """Draw the index over onset (across) and length (up): frozen, and silent."""
    plane, settings = result.plane, result.settings
    for kind, values in zip(KINDS, plane.index, strict=True):
        height = HEIGHT + 0.62
        figure = canvas(height)
        axes = axes_on(figure, bottom=1.24)
        edges = [_edges(plane.onset), _edges(plane.duration)]
        axes.pcolormesh(*edges, values.T, cmap=SEQUENCE, vmin=0, vmax=1, rasterized=True)
        _levels(axes, plane.onset, plane.duration, values.T)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlim(edges[0][0], edges[0][-1])
        axes.set_ylim(edges[1][0], edges[1][-1])
        axes.set_title(f"Second pathway {DOING[kind]}, depth {settings.plane_depth}", x=0, y=1)
        axes.set_xlabel("onset of the deficit (step)")
        axes.set_ylabel("length of the deficit (steps)")
        bar = figure.add_axes((0.62 / WIDTH, 0.52 / height, (WIDTH - 0.82) / WIDTH, 0.12 / height))
        steps = np.linspace(0, 1, 201)
        bar.pcolormesh(steps, [0, 1], steps[None, :-1], cmap=SEQUENCE, vmin=0, vmax=1, rasterized=True)
        bar.set_yticks([])
        bar.set_xticks([0, 0.25, 0.5, 0.75, 1])
        for spine in bar.spines.values():
            spine.set_visible(False)
        bar.tick_params(length=2, pad=2)
        figure.text(0.5, 0.14 / height, INDEX, color=MUTED, ha="center", va="center")
        yield Panel(
            f"pathways-plane-{kind}",
            figure,
            f"Index in the end of gradient flow over {values.shape[0]} onsets and {values.shape[1]} lengths: the mode "
            f"of strength {number(float(result.strength[0]), 3)}, second pathway {DOING[kind]}. Lines: index "
            f"{', '.join(f'{level:g}' for level in LEVELS)}, where there is one.",
        )


def _edges(centres: Floats) -> Floats:
    half = (centres[1] - centres[0]) / 2
    made: Floats = np.append(centres - half, centres[-1] + half)
    return made


def _levels(axes: Axes, x: Floats, y: Floats, values: Floats) -> None:
    there = [level for level in LEVELS if values.min() < level < values.max()]
    if not there:
        return
    lines = axes.contour(x, y, values, levels=there, colors=INK, linewidths=0.9)
    axes.clabel(lines, fmt=lambda level: f"{level:g}", fontsize=9.6)


def doses(result: PathwaysResult) -> Iterator[Panel]:
    """Draw the index against the share of the time at which the deficit is there: frozen, and silent."""
    made, settings = result.doses, result.settings
    looks = ((BLUE, "from the beginning"), (VERMILLION, f"from step {settings.late}"))
    lines: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.4)))
    for kind, flow, descent in zip(KINDS, made.flow, made.descent, strict=True):
        title = f"Second pathway {DOING[kind]} some of the time"
        figure, axes = index_axes(title, "share of the time", 2 * len(made.duration))
        handles = []
        for onset, (colour, when) in enumerate(looks):
            for length, duration in enumerate(made.duration):
                style = lines[length % len(lines)]
                axes.plot(made.rate, flow[onset, length], color=colour, linestyle=style, linewidth=1.6, zorder=3)
                coins = descent[onset, length]
                axes.errorbar(
                    made.rate, coins.mean(-1), coins.std(-1), fmt="o", color=colour, ms=3, mfc="none", mew=0.8,
                    elinewidth=0.9, zorder=2,
                )  # fmt: skip
                handles.append(Line2D([], [], color=colour, linestyle=style, lw=1.7, label=f"{when}, {duration} steps"))
        axes.set_xlim(-0.02, 1.02)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        legend(figure, handles, columns=1, left=0.1)
        yield Panel(
            f"pathways-doses-{kind}",
            figure,
            f"Index in the end against the share of the time at which the second pathway is {DOING[kind]}; depth "
            f"{settings.dose_depth}, strongest mode. Lines: gradient flow in expectation; circles: gradient descent "
            f"with a coin each step, mean and sd of {settings.tosses} runs.",
        )
