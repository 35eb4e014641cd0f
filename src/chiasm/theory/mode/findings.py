"""Findings of the study `linear-modes`, as sentences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chiasm.pictures.words import listed, number, percent
from chiasm.theory.mode.study import HOWS, ModesResult

#: How a source is away, in words.
WORDS = {"silence": "silent", "unrelated": "replaced by unrelated input"}
#: A delay of the others that is worth a word, as a share of the time that learning takes.
NOTABLE = 0.05
#: Below this a difference of weights counts as gone.
VANISHED = 1e-3


def findings(result: ModesResult) -> list[str]:
    """Return the findings, one sentence each; every number comes from the result."""
    return [*_differences(result), *_windows(result), *_recoveries(result), *_descent(result)]


def _differences(result: ModesResult) -> Iterator[str]:
    settings, whole, without = result.settings, result.whole, result.without
    source, others, row = settings.removed, result.others, settings.output - 1
    gap = np.abs(whole.weights - without.weights)[..., others]
    step, output, column = (int(i) for i in np.unravel_index(gap[1].argmax(), gap[1].shape))
    pace = settings.end / (settings.points - 1)
    same = np.abs(whole.weights - result.away.weights[1])[..., others]
    yield (
        f"Without source {source}, a network of depth {settings.depth} learns the other sources differently: the "
        f"weight from source {result.names[np.flatnonzero(others)[column]]} to output {output + 1} differs by up to "
        f"{number(gap[1].max(), 3)}, at step {step} (time {number(step * pace, 2)})."
    )
    yield (
        f"In a shallow network it cannot: the weights of the other sources differ by {gap[0].max():.1e} at most, which "
        f"is the difference of the two starts; from one start they differ by {_zero(same[0].max())}."
    )
    yield from _watched(result, pace)
    half, half_without = (
        listed([str(round(t / pace)) for t in times.tolist()]) for times in (result.half, result.half_without)
    )
    yield f"Modes are half learned at step {half}; without source {source} at step {half_without}."
    idle = np.flatnonzero((whole.task.matrix[row] == 0) & others)
    weights = whole.weights[1, :, row, idle]
    if len(idle) and np.abs(weights).max() > 10 * settings.scale:
        top, low = float(weights.max()), float(weights.min())
        reach = [f"up to {number(top, 3)}"] * (top >= 5e-4) + [f"down to {number(low, 3)}"] * (low <= -5e-4)
        yield (
            f"Weights of output {settings.output} that must end at 0 are dragged along on the way, {listed(reach)}; at "
            f"time {settings.end:g} they are back within {np.abs(weights[..., -1]).max():.0e}."
        )
    end = np.abs(whole.weights[1, -1] - without.weights[1, -1])[:, others].max()
    yield (
        f"Both end at the same weights: at time {settings.end:g} the other sources' differ by {end:.1e} at most, and "
        "less the longer one waits."
    )
    unmoved = np.maximum(gap.max((0, 1, 3)), same.max((0, 1, 3))) == 0
    still = np.flatnonzero(unmoved & (whole.task.matrix[:, others] != 0).any(1)) + 1
    if len(still):
        yield (
            f"Outputs {listed([str(i) for i in still])} share no source with those that use source {source}; their "
            "weights differ by exactly 0 at any time, shallow and deep."
        )


def _watched(result: ModesResult, pace: float) -> Iterator[str]:
    settings = result.settings
    row = settings.output - 1
    goal = float(result.whole.task.matrix[row, result.whole.task.columns(settings.watched)[0]]) / 4
    if goal == 0:
        return
    steps = []
    for learned in (result.whole, result.without):
        weight = learned.of(settings.watched)[1, :, row, 0]
        reached = np.flatnonzero(weight >= goal) if goal > 0 else np.flatnonzero(weight <= goal)
        steps.append(f"step {reached[0]} (time {number(reached[0] * pace, 2)})" if len(reached) else "no step")
    yield (
        f"The weight from source {settings.watched} to output {settings.output} reaches a quarter of its end, "
        f"{number(goal, 2)}, at {steps[0]} beside source {settings.removed} and at {steps[1]} without it, at depth "
        f"{settings.depth}."
    )


def _windows(result: ModesResult) -> Iterator[str]:
    for how in HOWS:
        planes = result.planes[how]
        delays = [_share(float(np.max(plane.delay_others / plane.finish))) for plane in planes]
        yield (
            f"With source {result.settings.removed} {WORDS[how]} for a while, the other sources settle later by up to "
            f"{listed(delays)} of the time that learning takes, at {_depths([int(p.depth[0]) for p in planes])}."
        )
        for plane in planes if how == "silence" else ():
            late = plane.delay_others > NOTABLE * plane.finish
            if late.any():
                first = float((plane.release[late] / plane.finish[late]).min())
                onset = float((plane.onset[late] / plane.finish[late]).max())
                yield (
                    f"At depth {plane.depth[0]} only windows that last until {number(first, 2)} of that time or "
                    f"longer, and begin no later than {number(onset, 2)}, delay the others by more than {NOTABLE:.0%}."
                )


def _recoveries(result: ModesResult) -> Iterator[str]:
    for how in HOWS:
        parts = [(plane, plane.onset >= plane.finish) for plane in result.planes[how]]
        costs = [float((plane.recovery[late] / plane.finish[late]).max()) for plane, late in parts if late.any()]
        depths = [int(plane.depth[0]) for plane, late in parts if late.any()]
        if costs:
            cost = (
                f"costs up to {listed([_share(cost) for cost in costs])} of that time after its return, at "
                f"{_depths(depths)}"
                if any(costs)
                else "costs no time at all after its return, at any depth"
            )
            yield f"A source that goes once all is learned, {WORDS[how]}, {cost}."
    planes = [plane for planes in result.planes.values() for plane in planes]
    worst = max(float(plane.difference[:, -1].max()) for plane in planes)
    never = sum(int(np.isinf(plane.recovery).sum()) for plane in planes)
    gone = not never and worst < VANISHED
    yield (
        f"{'Delay, but no permanence' if gone else 'In the time that was followed'}: {never or 'none'} of "
        f"{sum(plane.recovery.size for plane in planes)} windows failed to recover, and at the end no weight differs "
        f"from that of a network that lost nothing by more than {worst:.0e}."
    )


def _descent(result: ModesResult) -> Iterator[str]:
    for one in result.steps:
        kept, gone = one.steps[~one.left], one.steps[one.left]
        if not len(kept):
            yield f"At depth {one.depth} descent leaves flow at every step that was tried."
            continue
        least = int(one.steps.argmin())
        ends = f", and does not from {number(float(gone.min()), 3)} on" if len(gone) else ""
        yield (
            f"At depth {one.depth} gradient descent with steps of {number(float(one.steps[least]), 3)} keeps within "
            f"{percent(float(one.gap[least]), 1)} of flow; it ends where flow does with steps of "
            f"{number(float(kept.max()), 3)}{ends} (2 / sharpness: {number(one.edge, 3)})."
        )


def _depths(depths: list[int]) -> str:
    return f"depth{'s' if len(depths) > 1 else ''} {listed([str(depth) for depth in depths])}"


def _share(value: float) -> str:
    return "0 exactly" if value == 0 else number(value, 2)


def _zero(value: float) -> str:
    return "exactly 0" if value == 0 else f"{value:.1e}"
