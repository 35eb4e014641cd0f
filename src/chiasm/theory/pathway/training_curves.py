"""Figures of the study `linear-pathways`: pathways through time, from a wide start, in matrices, without a mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chiasm.pictures.style import BLUE, HEIGHT, INK, MUTED, SOURCES, VERMILLION, Panel, axes_on, canvas, legend, rules
from chiasm.pictures.words import number
from chiasm.theory.pathway.coordinates import Floats
from chiasm.theory.pathway.onsets import ROW
from chiasm.theory.pathway.result import PathwaysResult

#: Of so many steps of matrices, no more are drawn.
DOTS = 28


def portraits(result: PathwaysResult) -> Iterator[Panel]:
    """Draw, for each depth, the outputs of both pathways against each other, early and late deficits."""
    portrait, settings = result.portrait, result.settings
    s = settings.portrait_strength
    for i, depth in enumerate(portrait.depth):
        figure = canvas(HEIGHT + 0.9)
        axes = axes_on(figure, bottom=1.02, right=0.34)
        axes.plot([0, s], [s, 0], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
        axes.plot([0, s], [0, s], color=MUTED, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
        handles: list[Line2D] = []
        for timing, colour in ((1, VERMILLION), (0, BLUE)):
            for course in portrait.outputs[timing, i]:
                axes.plot(*course.T, color=colour, linewidth=0.8, alpha=0.5, zorder=2 + timing)
            made = portrait.index[timing, i]
            told = f"index {number(made.mean(), 2)} ± {number(made.std(), 2)}"
            label = f"from step {settings.portrait_onsets[timing]}: {told}"
            handles.insert(0, Line2D([], [], color=colour, lw=1.8, label=label))
        axes.set_xlim(-0.03 * s, 1.03 * s)
        axes.set_ylim(-0.03 * s, 1.03 * s)
        rules(axes, "both")
        axes.set_title(f"From a wide start, depth {depth}", x=0, y=1)
        axes.set_xlabel("output of the first pathway")
        axes.set_ylabel("output of the second pathway")
        legend(figure, handles, columns=1, left=0.1)
        yield Panel(
            f"pathways-portrait-{depth}",
            figure,
            f"Outputs of two pathways of depth {depth} that learn a mode of strength {s:g} (dashed: all is learned; "
            f"dotted: even), {settings.portrait_starts} random starts; the second pathway is frozen for "
            f"{settings.portrait_duration} steps of {settings.portrait_step:g}. Index: mean ± sd over starts.",
        )


def matrices(result: PathwaysResult) -> Iterator[Panel]:
    """Draw, for each onset, how modes are learned by matrices and by gradient flow."""
    made, settings = result.matrices, result.settings
    modes = _distinct(made.strength)
    for i, onset in enumerate(made.onset):
        figure, axes = _axes(f"Frozen from step {onset}, depth {settings.matrix_depth}", -(-len(modes) // 2) + 1)
        axes.axvspan(onset, onset + settings.duration, color=MUTED, alpha=0.14, lw=0, zorder=0)
        thin = slice(None, None, max(1, len(made.at) // DOTS))
        handles = []
        for colour, mode in zip(SOURCES, modes, strict=False):
            for pathway, (look, marker) in enumerate((("-", "o"), ((0, (4, 2)), "s"))):
                course = made.flow[i, :, mode, pathway]
                axes.plot(made.at, course, color=colour, linestyle=look, linewidth=1.4, zorder=3)
                trained = made.matrices[i, thin, mode, pathway]
                axes.plot(made.at[thin], trained, marker, mec=colour, mfc="none", ms=3.2, mew=0.8, zorder=2)
            strength = number(float(made.strength[mode]), 3)
            handles.append(Line2D([], [], color=colour, lw=1.8, label=f"strength {strength}"))
        handles += [
            Line2D([], [], color=MUTED, marker="o", mfc="none", ms=4, lw=1.4, label="first pathway"),
            Line2D([], [], color=MUTED, marker="s", mfc="none", ms=4, lw=1.4, ls=(0, (4, 2)), label="second pathway"),
        ]
        axes.set_xlim(0, made.at[-1])
        axes.set_ylim(-0.03 * made.strength[0], 1.05 * made.strength[0])
        legend(figure, handles, columns=2, left=0.08)
        yield Panel(
            f"pathways-matrices-{onset}",
            figure,
            f"What each pathway gives of each mode; the second is frozen in the grey steps. Lines: gradient flow; "
            f"circles and squares: gradient descent on {settings.matrix_depth} matrices a pathway, width "
            f"{settings.width}, step {settings.step:g}. Of modes of equal strength one is drawn.",
        )


def lesion(result: PathwaysResult) -> Panel:
    """Draw how the mode that one pathway lacks is learned by the other one, after its release."""
    made, settings = result.lesion, result.settings
    figure, axes = _axes(f"One mode missing, depth {settings.lesion_depth}", 2)
    axes.axvspan(0, settings.lesion_duration, color=MUTED, alpha=0.14, lw=0, zorder=0)
    thin = slice(None, None, max(1, len(made.at) // DOTS))
    strength = made.flow.sum(-1)[-1]
    top = float(strength.max())
    for mode in _distinct(strength):
        for pathway, look in enumerate(("-", (0, (4, 2)))):
            colour = VERMILLION if mode == made.mode else (INK, MUTED)[pathway]
            axes.plot(made.at, made.flow[:, mode, pathway], color=colour, linestyle=look, linewidth=1.4, zorder=3)
            marker = "os"[pathway]
            trained = made.matrices[thin, mode, pathway]
            axes.plot(made.at[thin], trained, marker, mec=colour, mfc="none", ms=3.2, mew=0.8, zorder=2)
    axes.set_xlim(0, made.at[-1])
    axes.set_ylim(-0.03 * top, 1.05 * top)
    dashed = (0, (4, 2))
    looks: tuple[tuple[str, Any, str], ...] = (
        (VERMILLION, "-", "missing mode, first"), (INK, "-", "other modes, first"),
        (VERMILLION, dashed, "missing mode, second"), (MUTED, dashed, "other modes, second"),
    )  # fmt: skip
    handles = [Line2D([], [], color=colour, linestyle=look, lw=1.6, label=label) for colour, look, label in looks]
    legend(figure, handles, columns=2, left=0.02)
    return Panel(
        "pathways-lesion",
        figure,
        f"The first pathway lacks mode {made.mode + 1} for ever; the second is frozen in the grey steps. Lines: "
        f"gradient flow; marks: gradient descent on matrices, width {settings.width}, step {settings.step:g}.",
    )


def _axes(title: str, rows: int) -> tuple[Figure, Axes]:
    figure = canvas(HEIGHT + ROW * rows)
    axes = axes_on(figure, bottom=0.62 + ROW * rows)
    rules(axes)
    axes.set_title(title, x=0, y=1)
    axes.set_xlabel("step")
    axes.set_ylabel("output of a pathway")
    return figure, axes


def _distinct(strength: Floats) -> list[int]:
    """The first of each group of modes of equal strength, strongest first."""
    return [int(i) for i in np.unique(-strength.round(6), return_index=True)[1]]
