"""Figures of the study `linear-pathways`: outputs of the pathways through training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chiasm.pictures.style import BLUE, HEIGHT, INK, MUTED, SOURCES, VERMILLION, Panel, legend
from chiasm.pictures.words import number
from chiasm.theory.pages.charts import chart, key, note
from chiasm.theory.pathway.coordinates import Floats, Ints
from chiasm.theory.pathway.index_figures import ROW
from chiasm.theory.pathway.result import PathwaysResult

#: Number of steps of matrices that are drawn, at most.
DOTS = 28
#: Line of the second pathway.
SECOND: Any = (0, (4, 2))


def portraits(result: PathwaysResult) -> Iterator[Panel]:
    """Draw, for each depth, the outputs of both pathways against each other, early and late deficits."""
    portrait, settings = result.portrait, result.settings
    s = settings.portrait_strength
    for i, depth in enumerate(portrait.depth):
        figure, axes = chart(
            f"From a wide start, depth {depth}", "output of the first pathway", "output of the second pathway",
            height=HEIGHT + 0.9, left=0.62, right=0.34, bottom=1.02, grid="both",
        )  # fmt: skip
        axes.plot([0, s], [s, 0], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
        axes.plot([0, s], [0, s], color=MUTED, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
        handles = []
        for timing, colour in ((1, VERMILLION), (0, BLUE)):
            for curve in portrait.outputs[timing, i]:
                axes.plot(*curve.T, color=colour, linewidth=0.8, alpha=0.5, zorder=2 + timing)
            index = portrait.index[timing, i]
            label = f"index {number(index.mean(), 2)} ± {number(index.std(), 2)}"
            handles.append(key(f"from step {settings.portrait_onsets[timing]}: {label}", colour, lw=1.8))
        axes.set(xlim=(-0.03 * s, 1.03 * s), ylim=(-0.03 * s, 1.03 * s))
        legend(figure, handles[::-1], columns=1, left=0.1)
        yield Panel(
            f"pathways-portrait-{depth}",
            figure,
            f"Outputs of two pathways of depth {depth} that learn a mode of strength {s:g} (dashed: all is learned; "
            f"dotted: even), {settings.portrait_starts} random starts; the second pathway is frozen for "
            f"{settings.portrait_duration} steps of {settings.portrait_step:g}. Index: mean ± sd over starts.",
        )


def matrices(result: PathwaysResult) -> Iterator[Panel]:
    """Draw, for each onset, how modes are learned by matrices and by gradient flow."""
    part, settings = result.matrices, result.settings
    modes = _distinct(part.strength)
    for i, onset in enumerate(part.onset):
        title = f"Frozen from step {onset}, depth {settings.matrix_depth}"
        figure, axes = _outputs(title, -(-len(modes) // 2) + 1, part.at[-1], part.strength[0])
        axes.axvspan(onset, onset + settings.duration, color=MUTED, alpha=0.14, lw=0, zorder=0)
        handles = []
        for colour, mode in zip(SOURCES, modes, strict=False):
            _both(axes, part.at, part.flow[i, :, mode], part.matrices[i, :, mode], (colour, colour))
            handles.append(key(f"strength {number(float(part.strength[mode]), 3)}", colour, lw=1.8))
        handles += [
            key("first pathway", MUTED, marker="o", mfc="none", ms=4, lw=1.4),
            key("second pathway", MUTED, SECOND, marker="s", mfc="none", ms=4, lw=1.4),
        ]
        legend(figure, handles, columns=2, left=0.08)
        yield Panel(
            f"pathways-matrices-{onset}",
            figure,
            f"What each pathway gives of each mode; the second is frozen in the grey steps. Lines: gradient flow; "
            f"circles and squares: gradient descent on {settings.matrix_depth} matrices a pathway, width "
            f"{settings.width}, step {settings.step:g}. Of modes of equal strength one is drawn.",
        )


def lesion(result: PathwaysResult) -> Iterator[Panel]:
    """Draw how the mode that one pathway lacks is learned by the other one, after its release."""
    part, settings = result.lesion, result.settings
    strength = part.flow.sum(-1)[-1]
    title = f"One mode missing, depth {settings.lesion_depth}"
    figure, axes = _outputs(title, 2, part.at[-1], float(strength.max()))
    axes.axvspan(0, settings.lesion_duration, color=MUTED, alpha=0.14, lw=0, zorder=0)
    missing, other = (VERMILLION, VERMILLION), (INK, MUTED)
    for mode in _distinct(strength):
        _both(axes, part.at, part.flow[:, mode], part.matrices[:, mode], missing if mode == part.mode else other)
    handles = [
        key(f"{modes}, {pathway}", colours[i], style, lw=1.6)
        for i, (pathway, style) in enumerate((("first", "-"), ("second", SECOND)))
        for modes, colours in (("missing mode", missing), ("other modes", other))
    ]
    legend(figure, handles, columns=2, left=0.02)
    yield Panel(
        "pathways-lesion",
        figure,
        f"The first pathway lacks mode {part.mode + 1} for ever; the second is frozen in the grey steps. Lines: "
        f"gradient flow; marks: gradient descent on matrices, width {settings.width}, step {settings.step:g}.",
    )


def large_steps(result: PathwaysResult) -> Iterator[Panel]:
    """Draw both pathways through steps between the limits: one takes all, then oscillation gives it back."""
    for one in result.large:
        if one.depth < 3:
            continue
        figure, axes = _outputs(f"Depth {one.depth}, step {number(one.drawn, 3)}", 1, one.at[-1], one.outputs.max())
        axes.set_xlabel("step number")
        for colour, curve in zip((BLUE, VERMILLION), one.outputs.T, strict=True):
            axes.plot(one.at, curve, ".", color=colour, ms=2.2, mew=0)
        level = float(result.strength[0]) / 2
        axes.axhline(level, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=0)
        note(axes, "even", (1, level), "y", (-2, 2), ha="right", va="bottom")
        pairs = ((BLUE, "first pathway"), (VERMILLION, "second pathway"))
        legend(figure, [key(label, colour, "", marker="o", ms=4) for colour, label in pairs], 2, 0.1)
        yield Panel(
            f"pathways-course-{one.depth}",
            figure,
            f"Outputs of both pathways for the strongest mode after each step of {number(one.drawn, 4)}, between the "
            f"limits {number(one.limits[0], 4)} and {number(one.limits[1], 4)}; the second is frozen at the start.",
        )


def _outputs(title: str, rows: int, last: float, top: float) -> tuple[Figure, Axes]:
    """Return axes for outputs up to `top` through steps up to `last`."""
    figure, axes = chart(title, "step", "output of a pathway", rows, left=0.62, bottom=0.62, row=ROW)
    axes.set(xlim=(0, last), ylim=(-0.03 * top, 1.05 * top))
    return figure, axes


def _both(axes: Axes, at: Ints, flow: Floats, matrices: Floats, colours: tuple[str, str]) -> None:
    """Draw outputs of both pathways, (T, 2): gradient flow as lines, some steps of descent on matrices as marks."""
    thin = slice(None, None, max(1, len(at) // DOTS))
    for pathway, style in enumerate(("-", SECOND)):
        axes.plot(at, flow[:, pathway], color=colours[pathway], linestyle=style, linewidth=1.4, zorder=3)
        marks: dict[str, Any] = {"mec": colours[pathway], "mfc": "none", "ms": 3.2, "mew": 0.8}
        axes.plot(at[thin], matrices[thin, pathway], "os"[pathway], zorder=2, **marks)


def _distinct(strength: Floats) -> list[int]:
    """Return the first of each group of modes of equal strength, strongest first."""
    return [int(i) for i in np.unique(-strength.round(6), return_index=True)[1]]
