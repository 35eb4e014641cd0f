"""Exact learning of a linear network mode by mode, with sources that go and come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import Floats, check
from chiasm.theory.mode.curve import rise
from chiasm.theory.mode.learner import Learner
from chiasm.theory.mode.task import LinearTask, Sources, task
from chiasm.theory.mode.windows import How, checked_how, checked_times, windows


@dataclass(frozen=True)
class Modes:
    """Weights of linear networks through learning.

    `cells` stands for the shape that depths, scales, onsets and releases broadcast to; () where all are numbers.

    Attributes:
        task: the matrix (outputs, inputs) and its sources.
        times: (times,) in units of 1 / learning rate.
        weights: (*cells, times, outputs, inputs), the product of the weight matrices.
        left: (outputs, modes) singular vectors of the whole matrix.
        values: (modes,) its singular values above 0, falling.
        right: (inputs, modes) singular vectors.
        depth: (*cells,).
        closed: (*cells,) whether a cell is a closed form throughout; otherwise a part of it was integrated, to 1e-6.
    """

    task: LinearTask
    times: Floats
    weights: Floats
    left: Floats
    values: Floats
    right: Floats
    depth: NDArray[np.int64]
    closed: NDArray[np.bool_]

    @property
    def strengths(self) -> Floats:
        """(*cells, times, modes): u' W v, how much of each mode of the whole matrix has been learned."""
        return np.asarray(((self.left.T @ self.weights) * self.right.T).sum(-1))

    def of(self, source: str) -> Floats:
        """Return the weights of one source, (*cells, times, outputs, its columns)."""
        return self.weights[..., self.task.columns(source)]

    def nearest(self, share: float = 0.5) -> NDArray[np.int64]:
        """Return (*cells, modes): the index of the time when a mode's strength is nearest to a share of its value."""
        return np.asarray(np.abs(self.strengths - share * self.values).argmin(-2), np.int64)

    def frame(self) -> pl.DataFrame:
        """Return a tidy table: cell, depth, time, output, source, column, weight; outputs and columns count from 0."""
        cells = self.weights.reshape(-1, *self.weights.shape[-3:])
        owners = self.task.owners
        cell, time, output, column = (index.ravel() for index in np.indices(cells.shape))
        return pl.DataFrame(
            {
                "cell": cell,
                "depth": self.depth.reshape(-1)[cell],
                "time": self.times[time],
                "output": output,
                "source": [owners[c] for c in column],
                "column": column,
                "weight": cells.ravel(),
            }
        )


def modes(
    matrix: ArrayLike | LinearTask,
    *,
    times: ArrayLike,
    depth: ArrayLike = 2,
    scale: ArrayLike = 1e-4,
    sources: Sources | None = None,
    removed: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    how: How = "silence",
    start: ArrayLike | None = None,
) -> Modes:
    """Return how a linear network learns a task, with sources removed and restored at any time.

    The network is a product of `depth` matrices under gradient flow on half the squared error, with whitened inputs.
    It starts balanced: with `scale` in every mode of the whole matrix, or with the product `start`. Depth 1 is a closed
    form always; so are blocks of the matrix that lose no source, at any depth, and depth 2 with unrelated input (a
    Riccati equation). A deep network with a silent source, or deeper than 2 after a source has gone, is integrated.

    Args:
        matrix: (outputs, inputs), correlation of outputs with inputs; or a task that holds sources as well.
        times: (times,) rising, from 0 on, in units of 1 / learning rate.
        depth: number of weight matrices, 1 or more; an array gives a cell each.
        scale: a(0) > 0 of every mode; an array gives a cell each.
        sources: the columns of each source, by name; every column by itself, "1", "2", ..., where not given.
        removed: by source, its onset and release, numbers or arrays that give a cell each; release inf: never restored.
        how: what an input shows while it is away: "silence", 0, so that its first weights rest; or "unrelated",
            variance 1 but no correlation with anything, so that they are unlearned.
        start: (outputs, inputs) instead of `scale`; modes that are 0 in it stay so in a deep network.

    Raises:
        ChiasmError: for a matrix that is not finite, an unknown source, a window beyond the times, a depth below 1, a
            scale that is not above 0, or shapes that do not fit.

    Source: Saxe, McClelland, Ganguli 2014 (arXiv:1312.6120); Braun et al. 2022 (arXiv:2206.04127). Tested against
    scipy.integrate.solve_ivp and against gradient descent.

    >>> learned = modes([[3.0, 4.0]], times=[0, 1, 6], removed={"2": (0, [0, 2])})
    >>> learned.weights.shape, learned.weights[:, 2].round(3).tolist()
    ((2, 3, 1, 2), [[[3.0, 4.0]], [[3.0, 4.0]]])
    >>> learned.of("1")[:, 1].round(3).ravel().tolist()
    [0.917, 0.026]
    """
    what = task(matrix, sources)
    at, away = checked_times(times), checked_how(how)
    window = windows(what, depth, scale, removed, float(at[-1]))
    begin = None if start is None else check("start", start)
    if begin is not None and begin.shape != what.matrix.shape:
        raise ChiasmError(f"start has shape {begin.shape}; expected that of the matrix, {what.matrix.shape}")
    shape = (len(at), *what.matrix.shape)
    weights, closed = np.zeros((len(window.depth), *shape)), np.ones(len(window.depth), bool)
    for n in np.unique(window.depth):
        cells = np.flatnonzero(window.depth == n)
        for block in what.blocks(begin):
            first = None if begin is None else begin[block.place]
            learner = Learner(what.matrix[block.place], block, int(n), away, first)
            onset, release = (each[np.ix_(cells, block.columns)] for each in (window.onset, window.release))
            place = np.ix_(cells, np.arange(len(at)), block.rows, block.columns)
            weights[place] = learner.weights(window.scale[cells], onset, release, at)
            closed[cells] &= learner.closed(onset, float(at[-1]))
    left, values, right = what.modes()
    depths, closed = window.depth.reshape(window.shape), closed.reshape(window.shape)
    return Modes(what, at, weights.reshape(*window.shape, *shape), left, values, right, depths, closed)


def half_rise(
    matrix: ArrayLike | LinearTask, *, depth: ArrayLike = 2, scale: ArrayLike = 1e-4, share: float = 0.5
) -> Floats:
    """Return when each mode of a task has reached a share of its value, nothing being removed.

    Args:
        matrix: (outputs, inputs), or a task.
        depth: number of weight matrices, 1 or more; an array gives a cell each.
        scale: a(0) > 0 of every mode; an array gives a cell each.
        share: inside (0, 1).

    Returns:
        (*cells, modes) times in units of 1 / learning rate, the strongest mode first.

    Raises:
        ChiasmError: as `modes` does, and for a share that is not inside (0, 1).

    Source: Saxe et al. 2014, equation 9, solved for t; any depth by `theory.rise`.

    >>> half_rise([[2.0, 0.0], [0.0, 1.0]]).round(4).tolist()
    [2.4759, 4.6051]
    """
    what = task(matrix)
    window = windows(what, depth, scale, None, np.inf)
    values = what.modes()[1]
    times = [rise(values, a, int(n), share) for n, a in zip(window.depth, window.scale, strict=True)]
    return np.stack(times).reshape(*window.shape, len(values))
