"""Figures of the study `matrix-completion`, and what it found."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chiasm.intervals import difference, estimate
from chiasm.pictures.style import INK, MUTED, SOURCES, Panel, legend, rules
from chiasm.pictures.words import count, listed, number_between, percent
from chiasm.theory.charts import by_depth, frame, sweep
from chiasm.theory.completion.plane import CompletionPlane
from chiasm.theory.completion.study import CompletionResult

#: What a factorisation is shown before its final task, by the name of the switch.
BEFORE = {
    "matrix": "another matrix",
    "observations": "fewer entries",
    "noise": "noisy entries",
    "pattern": "blocks only",
}
#: Largest number of singular values whose speed is drawn; the others are near 0.
SPEEDS = 3


def panels(result: CompletionResult) -> list[Panel]:
    """Return the figures of the study, in reading order."""
    asked = result.settings
    made = []
    for k, switch in enumerate(asked.switches):
        curves = [by_depth(f"depth {plane.depth}", plane.error[k], plane.depth) for plane in result.planes]
        figure = sweep(
            curves, asked.durations, f"First {BEFORE[switch]}", "duration of the earlier task (steps)",
            "error on hidden entries",
        )  # fmt: skip
        _room(figure)
        made.append(Panel(f"completion-{switch}", figure, _caption(result, switch)))
    deep = [plane for plane in result.planes if plane.depth > 1]
    at = _drawn(result)
    if deep and at is not None:
        shown, duration = BEFORE[asked.switches[at[0]]], asked.durations[at[1]]
        course = (
            f"through time, seed {at[2]}: {shown} for {duration} steps, then the final task. Dashed: without the "
            "earlier task. Marks at the right: the singular values of the final matrix."
        )
        for plane in deep:
            caption = f"Singular values of the product at depth {plane.depth} {course}"
            made.append(Panel(f"completion-values-{plane.depth}", _values(result, plane, at), caption))
        caption = (
            f"Speed of the largest singular values at depth {deep[-1].depth} in the same run: what a step of descent "
            "does (dots), and the equation for balanced layers at the same product (lines)."
        )
        made.append(Panel("completion-equation", _equation(result, deep[-1], at), caption))
    return made


def findings(result: CompletionResult) -> list[str]:
    """Return what the study found, in plain sentences; every number comes from the result."""
    asked = result.settings
    said = []
    if 0 in asked.durations:
        parts = [f"{_mean(plane.error[0, asked.durations.index(0)])} at depth {plane.depth}" for plane in result.planes]
        said.append(
            f"Shown the final task from the start, the error on hidden entries (1: the answer 0) is {listed(parts)}, "
            f"over {count(asked.seeds, 'seed')}."
        )
    for k, switch in enumerate(asked.switches):
        said += [text for plane in result.planes if (text := _damage(result, plane, k, switch))]
    parts = []
    for plane in result.planes:
        middle, most = (percent(float(share(plane.mismatch())), 1) for share in (np.median, np.max))
        parts.append(f"{middle} (at most {most}) at depth {plane.depth}")
    said.append(
        f"Along all runs the speed of the singular values differs from the equation for balanced layers by a median of "
        f"{listed(parts)}; steps are {asked.step:g} long and layers {asked.init}."
    )
    return said


def _damage(result: CompletionResult, plane: CompletionPlane, k: int, switch: str) -> str:
    asked = result.settings
    last = int(np.argmax(asked.durations))
    if 0 not in asked.durations or asked.durations[last] == 0:
        return ""
    before, after = plane.error[k, asked.durations.index(0)], plane.error[k, last]
    made = difference(dict(enumerate(after.tolist())), dict(enumerate(before.tolist())))
    if made is None:
        return ""
    told = f"After {asked.durations[last]} steps of {BEFORE[switch]}, depth {plane.depth} ends with an error of"
    worse = f"{int((after > before + 0.1).sum())} of {asked.seeds} seeds end over 0.1 worse"
    if np.abs(after - before).max() < 1e-6:
        return f"{told} {_mean(after)}, as without."
    change = f"a change of {number_between(made, 3, sign=True)}"
    if made.excludes(0):
        return f"{told} {_mean(after)}, {change}; {worse}."
    return f"{told} {_mean(after)}; {change} is not sure, and {worse}."


def _caption(result: CompletionResult, switch: str) -> str:
    asked = result.settings
    how = {
        "matrix": f"another matrix of rank {asked.other_rank}, the same entries shown",
        "observations": f"{asked.few} of the entries",
        "noise": f"the entries with noise of standard deviation {asked.noise:g}",
        "pattern": f"the same matrix, {asked.blocks} blocks on its diagonal shown",
    }[switch]
    shown = {"random": f"{asked.observed} random entries", "blocks": f"{asked.blocks} blocks", "given": "given entries"}
    return (
        f"Squared error on entries that are not shown (1: the answer 0), {asked.after} steps after the switch to "
        f"{shown[asked.pattern]} of a {asked.size} × {asked.size} matrix of rank {asked.rank}; before it, {how}. Means "
        f"over {count(asked.seeds, 'seed')} with 95 % intervals (Student's t), a small circle a seed."
    )


def _room(figure: Figure) -> None:
    """Start at 0, or a little below where points lie on it."""
    axes = figure.axes[0]
    top = axes.get_ylim()[1]
    axes.set_ylim(-0.02 * top, top)


def _drawn(result: CompletionResult) -> tuple[int, int, int] | None:
    """Which run is drawn through time: another matrix where there is one, a middling duration, the first seed."""
    asked = result.settings
    long = sorted(duration for duration in asked.durations if duration > 0)
    if not long:
        return None
    switch = asked.switches.index("matrix") if "matrix" in asked.switches else 0
    return switch, asked.durations.index(long[len(long) // 2]), 0


def _values(result: CompletionResult, plane: CompletionPlane, at: tuple[int, int, int]) -> Figure:
    asked = result.settings
    figure, axes = frame(1)
    rules(axes)
    release = asked.durations[at[1]]
    for r in range(plane.values_path.shape[-1]):
        colour = SOURCES[r % len(SOURCES)]
        axes.plot(plane.times, plane.values_path[at][:, r], color=colour, lw=1.5)
        if 0 in asked.durations:
            control = (at[0], asked.durations.index(0), at[2])
            axes.plot(plane.times + release, plane.values_path[control][:, r], color=colour, lw=1.0, ls=(0, (4, 3)))
    end = release + asked.after
    truth = result.truth_values(at[2])
    truth = truth[truth > 1e-9 * truth[0]]
    axes.plot([end * 1.02] * len(truth), truth, "<", color=INK, ms=5, clip_on=False)
    axes.axvline(release, color=MUTED, lw=0.9, ls=":")
    axes.annotate("switch", (release, 1), (4, -2), ("data", "axes fraction"), "offset points", va="top", color=MUTED)
    axes.set_xlim(0, end * 1.02)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.set_title(f"Singular values, depth {plane.depth}", x=0, y=1)
    axes.set_xlabel("step")
    axes.set_ylabel("singular value")
    handles = [
        Line2D([], [], color=INK, label="with the earlier task"),
        Line2D([], [], color=INK, linestyle="--", label="without"),
    ]
    legend(figure, handles, columns=2)
    return figure


def _equation(result: CompletionResult, plane: CompletionPlane, at: tuple[int, int, int]) -> Figure:
    top = min(SPEEDS, plane.values_path.shape[-1])
    figure, axes = frame(math.ceil((top + 1) / 2))
    rules(axes)
    release = result.settings.durations[at[1]]
    handles = []
    for r in range(top):
        colour = SOURCES[r % len(SOURCES)]
        axes.plot(plane.times[1:], plane.equation_path[at][1:, r], color=colour, lw=1.3)
        axes.plot(plane.times[1:], plane.measured_path[at][1:, r], ".", color=colour, ms=5)
        handles.append(Line2D([], [], color=colour, marker=".", label=f"singular value {r + 1}"))
    axes.axvline(release, color=MUTED, lw=0.9, ls=":")
    axes.annotate("switch", (release, 1), (4, -2), ("data", "axes fraction"), "offset points", va="top", color=MUTED)
    axes.set_yscale("symlog", linthresh=1e-3)
    axes.set_ylim(*(2 * end for end in axes.get_ylim()))
    axes.set_title(f"Their speed, depth {plane.depth}", x=0, y=1)
    axes.set_xlabel("step")
    axes.set_ylabel("speed (per unit of time)")
    legend(figure, handles, columns=2)
    return figure


def _mean(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    made = estimate(values.tolist(), (0.0, math.inf))
    return "not known" if made is None else number_between(made, 3)
