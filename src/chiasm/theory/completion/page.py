"""Figures of the study `matrix-completion`, and its findings as sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from chiasm.pictures.style import INK, SOURCES, Panel, legend
from chiasm.pictures.words import count, listed, number_between, percent
from chiasm.statistics import difference
from chiasm.theory.completion.plane import CompletionPlane
from chiasm.theory.completion.study import CompletionResult
from chiasm.theory.pages.charts import Sweep, chart, key, mark, mean_between, sweep

#: What a factorisation is shown before its final task, by the name of the switch.
BEFORE = {
    "matrix": "another matrix",
    "observations": "fewer entries",
    "noise": "noisy entries",
    "pattern": "blocks only",
}
#: Largest number of singular values whose speed is drawn; the others are near 0.
SPEEDS = 3

#: The pictures that stand first.
FIRST = ("completion-observations", "completion-noise", "completion-matrix")


def panels(result: CompletionResult) -> Iterator[Panel]:
    """Return the figures of the study, in reading order."""
    asked = result.settings
    for k, switch in enumerate(asked.switches):
        curves = [Sweep(plane.error[k], plane.depth) for plane in result.planes]
        xlabel, ylabel = "duration of the earlier task (steps)", "error on hidden entries"
        figure = sweep(curves, asked.durations, f"First {BEFORE[switch]}", xlabel, ylabel)
        # From 0, or a little below where points lie on it.
        top = figure.axes[0].get_ylim()[1]
        figure.axes[0].set_ylim(-0.02 * top, top)
        yield Panel(f"completion-{switch}", figure, _caption(result, switch))
    deep = [plane for plane in result.planes if plane.depth > 1]
    at = _drawn(result)
    if deep and at is not None:
        shown, duration = BEFORE[asked.switches[at[0]]], asked.durations[at[1]]
        for plane in deep:
            yield Panel(
                f"completion-values-{plane.depth}",
                _values(result, plane, at),
                f"Singular values of the product at depth {plane.depth} through time, seed {at[2]}: {shown} for "
                f"{duration} steps, then the final task. Dashed: without the earlier task. Marks at the right: the "
                "singular values of the final matrix.",
            )
        yield Panel(
            "completion-equation",
            _equation(result, deep[-1], at),
            f"Speed of the largest singular values at depth {deep[-1].depth} in the same run: what a step of descent "
            "does (dots), and the equation for balanced layers at the same product (lines).",
        )


def findings(result: CompletionResult) -> list[str]:
    """Return the findings, one sentence each; every number comes from the result."""
    asked, sentences = result.settings, []
    if 0 in asked.durations:
        control = asked.durations.index(0)
        parts = [f"{mean_between(plane.error[0, control])} at depth {plane.depth}" for plane in result.planes]
        sentences.append(
            f"Shown the final task from the start, the error on hidden entries (1: the answer 0) is {listed(parts)}, "
            f"over {count(asked.seeds, 'seed')}."
        )
        if max(asked.durations) > 0:
            cells = [(plane, k) for k in range(len(asked.switches)) for plane in result.planes]
            sentences += [_damage(result, plane, k) for plane, k in cells]
    parts = []
    for plane in result.planes:
        middle, most = (percent(float(share(plane.mismatch())), 1) for share in (np.median, np.max))
        parts.append(f"{middle} (at most {most}) at depth {plane.depth}")
    return [
        *sentences,
        f"Along all runs the speed of the singular values differs from the equation for balanced layers by a median of "
        f"{listed(parts)}; steps are {asked.step:g} long and layers {asked.init}.",
    ]


def _damage(result: CompletionResult, plane: CompletionPlane, k: int) -> str:
    """Say what the longest earlier task of a switch changes."""
    asked = result.settings
    last = int(np.argmax(asked.durations))
    before, after = plane.error[k, asked.durations.index(0)], plane.error[k, last]
    change = difference(dict(enumerate(after.tolist())), dict(enumerate(before.tolist())))
    assert change is not None  # there is a seed
    ends = (
        f"After {asked.durations[last]} steps of {BEFORE[asked.switches[k]]}, depth {plane.depth} ends with an error "
        f"of {mean_between(after)}"
    )
    worse = f"{int((after > before + 0.1).sum())} of {asked.seeds} seeds end over 0.1 worse"
    if np.abs(after - before).max() < 1e-6:
        return f"{ends}, as without."
    words = f"a change of {number_between(change, 3, sign=True)}"
    return f"{ends}, {words}; {worse}." if change.excludes(0) else f"{ends}; {words} is not sure, and {worse}."


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


def _drawn(result: CompletionResult) -> tuple[int, int, int] | None:
    """Choose the run that is drawn: another matrix where there is one, a middling duration, the first seed."""
    asked = result.settings
    long = sorted(duration for duration in asked.durations if duration > 0)
    if not long:
        return None
    switch = asked.switches.index("matrix") if "matrix" in asked.switches else 0
    return switch, asked.durations.index(long[len(long) // 2]), 0


def _values(result: CompletionResult, plane: CompletionPlane, at: tuple[int, int, int]) -> Figure:
    asked = result.settings
    figure, axes = chart(f"Singular values, depth {plane.depth}", "step", "singular value", 1)
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
    mark(axes, release, "switch")
    axes.set_xlim(0, end * 1.02)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    legend(figure, [key("with the earlier task", INK), key("without", INK, "--")], columns=2)
    return figure


def _equation(result: CompletionResult, plane: CompletionPlane, at: tuple[int, int, int]) -> Figure:
    top = min(SPEEDS, plane.values_path.shape[-1])
    title = f"Their speed, depth {plane.depth}"
    figure, axes = chart(title, "step", "speed (per unit of time)", math.ceil((top + 1) / 2))
    for r in range(top):
        axes.plot(plane.times[1:], plane.equation_path[at][1:, r], color=SOURCES[r], lw=1.3)
        axes.plot(plane.times[1:], plane.measured_path[at][1:, r], ".", color=SOURCES[r], ms=5)
    mark(axes, result.settings.durations[at[1]], "switch")
    axes.set_yscale("symlog", linthresh=1e-3)
    axes.set_ylim(*(2 * end for end in axes.get_ylim()))
    legend(figure, [key(f"singular value {r + 1}", SOURCES[r], marker=".") for r in range(top)], columns=2)
    return figure
