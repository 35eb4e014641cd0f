"""Gradient descent with steps of any length on balanced linear networks, beside their flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import Floats, check
from chiasm.theory.mode.flow import balanced, parts, product, slope
from chiasm.theory.mode.modes import modes
from chiasm.theory.mode.task import LinearTask, Sources, task
from chiasm.theory.mode.windows import How, checked_how, windows

#: Weights that end further than this share of the largest from those of flow have left the state where flow ends.
LEFT = 0.01
#: More steps than this of one network are not waited for.
MOST = 1_000_000


@dataclass(frozen=True)
class ModeDescent:
    """Descent with steps of several lengths, and flow at the same times.

    Attributes:
        task: the matrix and its sources.
        depth: number of weight matrices.
        steps: (S,) lengths of a step, in units of 1 / learning rate of the flow: learning rates.
        end: (S,) the time reached, a whole number of steps.
        weights: (S, outputs, inputs) at the end; NaN or huge where descent diverged.
        flow: (S, outputs, inputs) weights of flow at that time.
        gap: (S,) the largest distance of any weight from flow at any time looked at, as a share of the task's largest
            entry; infinite where descent diverged.
        edge: 2 / sharpness where the task is learned: the step above which descent does not stay there.
    """

    task: LinearTask
    depth: int
    steps: Floats
    end: Floats
    weights: Floats
    flow: Floats
    gap: Floats
    edge: float

    @property
    def left(self) -> NDArray[np.bool_]:
        """(S,) whether descent does not end where flow does: it swings, or diverges."""
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(self.weights - self.flow).max((1, 2)) / np.abs(self.task.matrix).max()
        return np.asarray(~(apart < LEFT))


def mode_descent(
    matrix: ArrayLike | LinearTask,
    *,
    steps: ArrayLike,
    end: float,
    depth: int = 2,
    scale: float = 1e-4,
    sources: Sources | None = None,
    removed: Mapping[str, tuple[float, float]] | None = None,
    how: How = "silence",
    looks: int = 200,
) -> ModeDescent:
    """Train the networks of `modes` by gradient descent, one for each length of a step, all at once.

    Args:
        matrix: (outputs, inputs), correlation of outputs with inputs; or a task that holds sources as well.
        steps: (S,) lengths of a step, above 0 and at most `end`.
        end: when to stop, in units of 1 / learning rate; rounded to whole steps, as windows are.
        depth: number of weight matrices, 1 or more.
        scale: a(0) > 0 of every mode.
        sources: the columns of each source, by name, as in `modes`.
        removed: by source, its onset and release.
        how: "silence" or "unrelated", as in `modes`.
        looks: at how many times, at most, descent is compared with flow.

    Raises:
        ChiasmError: as `modes` does; for steps that are not above 0, longer than `end`, or so short that they are too
            many.

    Source: the sharpness is depth s^(2 - 2 / depth), s the strongest mode; tested against plain matrices and autograd's
    Hessian, and against `modes`, from which it differs in proportion to the step.

    >>> descent = mode_descent([[2.0, 0.0], [0.0, 1.0]], steps=[0.01, 0.4, 0.6], end=20.0)
    >>> descent.left.tolist(), descent.edge
    ([False, False, True], 0.5)
    """
    what = task(matrix, sources)
    each, away = _lengths(steps, end), checked_how(how)
    window = windows(what, depth, scale, removed, end)
    if window.shape or looks < 2:
        raise ChiasmError("depth, scale, onset and release are one number each here, and looks are 2 or more")
    layers, count = int(window.depth[0]), np.rint(end / each).astype(np.int64)
    # In steps, (S, inputs); infinity stays.
    begin, back = (np.rint(time / each[:, None]) for time in (window.onset, window.release))
    left, values, right = what.modes()
    state = balanced(left, np.full((len(each), len(values)), float(scale)), right, layers, float(scale))
    moved = np.empty_like(state.flat)
    at, push = state.factors, parts(moved, state.shapes)
    looked = [dict.fromkeys(np.rint(np.linspace(0, last, looks)).astype(np.int64).tolist()) for last in count]
    weights: list[list[Floats]] = [[] for _ in looked]
    # Cells that diverge overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(int(count.max()) + 1):
            for cell in [cell for cell, when in enumerate(looked) if k in when]:
                weights[cell].append(product([factor[cell] for factor in at]).copy())  # of depth 1 it is a view
            gone = ((begin <= k) & (k < back))[:, None]
            target, present = (what.matrix, ~gone) if away == "silence" else (np.where(gone, 0.0, what.matrix), True)
            slope(at, target, present * (each * (k < count))[:, None, None], push)
            np.add(state.flat, moved, out=state.flat)
    flows = []
    for step, when, first, last in zip(each, looked, begin, back, strict=True):
        columns = {name: what.columns(name)[0] for name in removed or {}}
        windows_then = {
            name: (step * first[c], step * last[c]) for name, c in columns.items() if first[c] < min(last[c], max(when))
        }
        times = step * np.array(list(when))
        flows.append(modes(what, times=times, depth=layers, scale=scale, how=away, removed=windows_then).weights)
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.array([np.abs(a - b).max() for a, b in zip(weights, flows, strict=True)]) / np.abs(what.matrix).max()
    return ModeDescent(
        what, layers, each, each * count, np.stack([course[-1] for course in weights]),
        np.stack([course[-1] for course in flows]), np.where(np.isfinite(gap), gap, np.inf), edge_step(layers, values),
    )  # fmt: skip


def _lengths(steps: ArrayLike, end: float) -> Floats:
    check("end", end, above=0)
    lengths = check("steps", steps, above=0, most=end)
    if lengths.ndim != 1 or not len(lengths):
        raise ChiasmError(f"steps has shape {lengths.shape}; expected a row of one number or more")
    if end / lengths.min() > MOST:
        raise ChiasmError(f"steps of {lengths.min():g} until {end:g} are more than {MOST}; give longer ones")
    return lengths


def edge_step(depth: int, values: Floats) -> float:
    """Return 2 / sharpness where modes of these strengths, the largest first, are learned."""
    return float(2 / (depth * values[0] ** (2 - 2 / depth)))
