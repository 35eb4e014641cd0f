"""The curves of the study `linear-modes`: weights through learning, how far a missing source moves them, and modes."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D

from chiasm.pictures.style import (
    BLUE,
    GREEN,
    HEIGHT,
    INK,
    MARKERS,
    MUTED,
    PAPER,
    VERMILLION,
    WIDTH,
    Panel,
    axes_on,
    canvas,
    legend,
    rules,
)
from chiasm.pictures.words import number
from chiasm.theory.mode.planes import DASHED, DOTTED, SEQUENCE, Look
from chiasm.theory.mode.study import ModesResult

TIME = "time (1 / learning rate)"


def curves(result: ModesResult, which: int, name: str) -> Panel:
    """Draw two weights of one output, from the source that goes and one that stays; which: 0 shallow, 1 deep."""
    settings = result.settings
    row, times = settings.output - 1, result.whole.times
    figure = canvas(HEIGHT + 0.56)
    axes = axes_on(figure, bottom=1.1)
    back = times >= settings.release
    for source, colour in ((settings.removed, GREEN), (settings.watched, BLUE)):
        for made, look in ((result.whole, "-"), (result.without, DASHED)):
            axes.plot(times, made.of(source)[which, :, row, 0], color=colour, linestyle=look, linewidth=1.7)
        axes.plot(times[back], result.away.of(source)[0, which, back, row, 0], color=colour, linestyle=DOTTED, lw=1.9)
    axes.set_xlim(0, settings.end)
    axes.margins(y=0.06)
    rules(axes)
    depth = int(result.whole.depth[which])
    axes.set_title(f"Output {settings.output}, {'shallow' if depth == 1 else f'depth {depth}'}", x=0, y=1)
    axes.set_xlabel(TIME)
    axes.set_ylabel("weight")
    words: tuple[tuple[Look, str], ...] = (
        ("-", "all sources"),
        (DASHED, f"source {settings.removed} deleted"),
        (DOTTED, f"back at time {settings.release:g}"),
    )
    handles = [
        Line2D([], [], color=GREEN, lw=1.9, label=f"weight from {settings.removed}"),
        Line2D([], [], color=BLUE, lw=1.9, label=f"weight from {settings.watched}"),
        *(Line2D([], [], color=MUTED, lw=1.7, linestyle=look, label=label) for look, label in words),
    ]
    legend(figure, handles, columns=2, left=0.1)
    return Panel(
        name,
        figure,
        f"Weights to output {settings.output} in a network of depth {depth}: with all sources; with source "
        f"{settings.removed} deleted from the task; and with it silent until time {settings.release:g}, from there on.",
    )


def change(result: ModesResult) -> Panel:
    """Draw how far each weight of the deep network is moved by the source's absence, at most."""
    settings, largest = result.settings, result.change[1]
    rows, columns = largest.shape
    figure = canvas(1.34 + 0.42 * rows)
    axes = axes_on(figure, left=0.62, right=0.12, bottom=0.56, top=0.62)
    shown = np.ma.array(largest, mask=np.broadcast_to(~result.others, largest.shape))
    top = float(shown.max()) or 1.0
    axes.imshow(shown, cmap=SEQUENCE, vmin=0, vmax=top, aspect="auto", interpolation="none")
    small = columns > 10
    for (i, j), value in np.ndenumerate(largest):
        if result.others[j] and not small:
            text = "0" if value == 0 else number(float(value), 2).lstrip("0")
            axes.text(j, i, text, ha="center", va="center", color=PAPER if value > 0.55 * top else INK)
    for j in np.flatnonzero(~result.others):
        axes.axvspan(j - 0.5, j + 0.5, fc="none", ec=MUTED, hatch="////", lw=0)
    axes.set_xticks(range(columns), result.names)
    axes.set_yticks(range(rows), [str(i + 1) for i in range(rows)])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("source")
    axes.set_ylabel("output")
    height = figure.get_size_inches()[1]
    title, below = f"Largest change without {settings.removed}", f"of a weight, at any time, depth {settings.depth}"
    figure.text(0.62 / WIDTH, 1 - 0.14 / height, title, fontweight="bold", fontsize=10.5, va="top")
    figure.text(0.62 / WIDTH, 1 - 0.36 / height, below, color=MUTED, va="top")
    shallow = result.change[0][:, result.others].max()
    return Panel(
        "modes-change",
        figure,
        f"How far each weight of the sources that stay comes from what it is with source {settings.removed} (hatched), "
        f"at any time. In a shallow network no weight changes by more than {shallow:.1e}.",
    )


def rises(result: ModesResult) -> Panel:
    """Draw the modes of the task, with all sources and without one, against when they are half learned."""
    figure = canvas(HEIGHT + 0.2)
    axes = axes_on(figure, bottom=0.78)
    sets = (
        ("all sources", result.whole.values, result.half, BLUE, MARKERS[0], (8, 4), 7),
        (f"without source {result.settings.removed}", result.without.values, result.half_without, VERMILLION,
         MARKERS[1], (-8, -4), 10),
    )  # fmt: skip
    for _, values, half, colour, marker, shift, size in sets:
        for value in dict.fromkeys(values.round(9).tolist()):
            alike = np.isclose(values, value)
            at = float(half[alike][0])
            axes.plot([at], [value], marker, color=colour, ms=size, mfc="none", mew=1.7, clip_on=False)
            if alike.sum() > 1:
                side, base = ("left", "bottom") if shift[0] > 0 else ("right", "top")
                axes.annotate(
                    f"{alike.sum()} modes", (at, value), shift, "data", "offset points", color=colour, ha=side, va=base
                )
    everything = np.concatenate([result.half, result.half_without])
    axes.set_xlim(0, 1.22 * everything.max())
    axes.set_ylim(0, 1.08 * max(result.whole.values.max(), result.without.values.max()))
    rules(axes, "both")
    axes.set_title(f"When modes are half learned, depth {result.settings.depth}", x=0, y=1)
    axes.set_xlabel(TIME)
    axes.set_ylabel("singular value of the mode")
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=7, mfc="none", mew=1.7, label=label)
        for label, _, _, colour, marker, _, _ in sets
    ]
    legend(figure, handles, columns=2, left=0.1)
    return Panel(
        "modes-rise",
        figure,
        "Singular values of the task with all sources and without one, against the time at which each is half learned.",
    )
