"""Figures of the study `linear-modes`, and its findings."""

from __future__ import annotations

import numpy as np

from chiasm.pictures.style import BLUE, GREEN, HEIGHT, MARKERS, MUTED, VERMILLION, Panel, legend
from chiasm.theory.mode.findings import WORDS, findings
from chiasm.theory.mode.maps import change, left, maps, permanence
from chiasm.theory.mode.study import ModesResult
from chiasm.theory.pages.charts import DASHED, DOTTED, chart, key, log_axes, of_depth

__all__ = ["FIRST", "findings", "panels"]

TIME = "time (1 / learning rate)"

#: The pictures that stand first.
FIRST = ("modes-shallow", "modes-deep", "modes-change")


def panels(result: ModesResult) -> list[Panel]:
    """Return the figures, in reading order."""
    settings = result.settings
    drawn = [_curves(result, 0, "modes-shallow"), _curves(result, 1, "modes-deep"), change(result), _rises(result)]
    over = "Over onset (across) and release (up), in units of the time that learning takes without a removal"
    for how, planes in result.planes.items():
        word = {"silence": "silent", "unrelated": "unrelated"}[how]
        away = f"source {settings.removed} is {WORDS[how]} in between"
        figure = maps(planes, [plane.recovery / plane.finish for plane in planes], f"Time to recover, source {word}")
        caption = f"{over}: how long after the release the error stays within {settings.within:g} of the task; {away}."
        drawn.append(Panel(f"modes-recovery-{how}", figure, caption))
        delays = [plane.delay_others / plane.finish for plane in planes]
        caption = f"{over}: how much later the weights of the sources that stay are learned; {away}."
        drawn.append(Panel(f"modes-others-{how}", maps(planes, delays, f"Delay of the others, source {word}"), caption))
    return [*drawn, left(result), permanence(result), *([_steps(result)] if result.steps else [])]


def _curves(result: ModesResult, which: int, name: str) -> Panel:
    """Draw two weights of one output, from the source that goes and one that stays; which: 0 shallow, 1 deep."""
    settings, depth = result.settings, int(result.whole.depth[which])
    row, times = settings.output - 1, result.whole.times
    title = f"Output {settings.output}, {'shallow' if depth == 1 else f'depth {depth}'}"
    figure, axes = chart(title, TIME, "weight", height=HEIGHT + 0.56, left=0.62, bottom=1.1)
    back = times >= settings.release
    for source, colour in ((settings.removed, GREEN), (settings.watched, BLUE)):
        axes.plot(times, result.whole.of(source)[which, :, row, 0], color=colour, lw=1.7)
        axes.plot(times, result.without.of(source)[which, :, row, 0], color=colour, linestyle=DASHED, lw=1.7)
        axes.plot(times[back], result.away.of(source)[0, which, back, row, 0], color=colour, linestyle=DOTTED, lw=1.9)
    axes.set_xlim(0, settings.end)
    axes.margins(y=0.06)
    handles = [
        key(f"weight from {settings.removed}", GREEN, lw=1.9),
        key(f"weight from {settings.watched}", BLUE, lw=1.9),
        key("all sources", MUTED, lw=1.7),
        key(f"source {settings.removed} deleted", MUTED, DASHED, lw=1.7),
        key(f"back at time {settings.release:g}", MUTED, DOTTED, lw=1.7),
    ]
    legend(figure, handles, columns=2, left=0.1)
    return Panel(
        name,
        figure,
        f"Weights to output {settings.output} in a network of depth {depth}: with all sources; with source "
        f"{settings.removed} deleted from the task; and with it silent until time {settings.release:g}, from there on.",
    )


def _rises(result: ModesResult) -> Panel:
    """Draw the modes of the task, with all sources and without one, against when they are half learned."""
    title = f"When modes are half learned, depth {result.settings.depth}"
    ylabel = "singular value of the mode"
    figure, axes = chart(title, TIME, ylabel, height=HEIGHT + 0.2, left=0.62, bottom=0.78, grid="both")
    without = f"without source {result.settings.removed}"
    sets = (
        ("all sources", result.whole.values, result.half, BLUE, MARKERS[0], (8, 4), 7),
        (without, result.without.values, result.half_without, VERMILLION, MARKERS[1], (-8, -4), 10),
    )
    handles = []
    for label, values, half, colour, marker, shift, size in sets:
        handles.append(key(label, colour, "", marker=marker, markersize=7, mfc="none", mew=1.7))
        for value in dict.fromkeys(values.round(9).tolist()):
            alike = np.isclose(values, value)
            at = float(half[alike][0])
            axes.plot([at], [value], marker, color=colour, ms=size, mfc="none", mew=1.7, clip_on=False)
            if alike.sum() > 1:
                side, base = ("left", "bottom") if shift[0] > 0 else ("right", "top")
                axes.annotate(
                    f"{alike.sum()} modes", (at, value), shift, "data", "offset points", color=colour, ha=side, va=base
                )
    axes.set_xlim(0, 1.22 * np.concatenate([result.half, result.half_without]).max())
    axes.set_ylim(0, 1.08 * max(result.whole.values.max(), result.without.values.max()))
    legend(figure, handles, columns=2, left=0.1)
    return Panel(
        "modes-rise",
        figure,
        "Singular values of the task with all sources and without one, against the time at which each is half learned.",
    )


def _steps(result: ModesResult) -> Panel:
    """Draw how far descent runs from flow, against the length of its steps in units of the edge."""
    settings = result.settings
    xlabel, ylabel = "length of a step (share of 2 / sharpness)", "largest distance from flow"
    figure, axes = chart("Descent beside flow", xlabel, ylabel, 2, grid="both")
    empty, handles = True, []
    for one in result.steps:
        colour, marker = of_depth(one.depth)
        share, order = one.steps / one.edge, np.argsort(one.steps)
        kept = order[~one.left[order] & (one.gap[order] > 0)]
        axes.plot(share[kept], one.gap[kept], color=colour, marker=marker, ms=4.5, lw=1.4)
        empty &= not len(kept)
        handles.append(key(f"depth {one.depth}", colour, marker=marker))
    gone = np.concatenate([one.steps[one.left] / one.edge for one in result.steps])
    axes.set_xscale("log")
    axes.plot(gone, np.full(len(gone), 0.96), "x", transform=axes.get_xaxis_transform(), color=MUTED, ms=5)
    axes.axvline(1, color=MUTED, lw=1.0, ls=":")
    log_axes(axes, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0), *axes.get_xlim(), empty)
    handles.append(key("ends elsewhere", MUTED, "", marker="x"))
    legend(figure, handles, columns=3)
    return Panel(
        "modes-steps",
        figure,
        f"Largest distance of any weight of gradient descent from that of gradient flow along the way, as a share of "
        f"the task's largest entry, against the length of a step; source {settings.removed} is silent until time "
        f"{settings.release:g}. Crosses: descent does not end where flow does. The dotted line is 2 / sharpness of the "
        "learned state, depth · s^(2 − 2/depth) for the strongest mode s, in closed form.",
    )
