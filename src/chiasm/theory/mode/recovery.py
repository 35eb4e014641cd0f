"""How long a linear network takes to recover from a source that was away for a while, over whole planes of windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import Floats
from chiasm.theory.mode.bench import LOOKS, Bench
from chiasm.theory.mode.learner import Learner
from chiasm.theory.mode.task import LinearTask, Sources, task
from chiasm.theory.mode.windows import How, checked_how, checked_times, windows

#: Errors below this are those of the integration.
FINEST = 1e-6


@dataclass(frozen=True)
class Recovery:
    """What a removal cost, cell by cell, against a network that never lost the source.

    `cells` stands for the shape that onsets, releases, depths and scales broadcast to. An error is |W - task| / |task|
    in Frobenius norm, over all inputs or over those of the other sources; a network has learned once its error stays
    within `within`. All times are in units of 1 / learning rate.

    Attributes:
        task: the matrix and its sources.
        source: which one was removed.
        within: the error at which a network has learned.
        onset: (*cells,).
        release: (*cells,).
        depth: (*cells,).
        finish: (*cells,) when a network has learned that lost nothing.
        recovery: (*cells,) how long after the release the network has learned; 0 if before; inf if not in `since`.
        delay: (*cells,) how much later than `finish` it has learned; 0: no later.
        delay_others: (*cells,) the same for the weights of the other sources alone, against their own finish.
        change_others: (*cells,) the largest difference of any weight of another source from the network that lost
            nothing, at any time from the onset on that was looked at.
        difference: (*cells, looks) the largest difference of any weight from that network.
        since: (looks,) times after the release.
        error: (*cells, looks) of all inputs.
    """

    task: LinearTask
    source: str
    within: float
    onset: Floats
    release: Floats
    depth: NDArray[np.int64]
    finish: Floats
    recovery: Floats
    delay: Floats
    delay_others: Floats
    change_others: Floats
    difference: Floats
    since: Floats
    error: Floats

    def frame(self) -> pl.DataFrame:
        """Return a tidy table, one row a cell; its difference is that of the last look."""
        names = ["depth", "onset", "release", "finish", "recovery", "delay", "delay_others", "change_others"]
        columns = {name: np.ravel(getattr(self, name)) for name in names}
        return pl.DataFrame(columns | {"difference": self.difference[..., -1].ravel()})


def recovery(
    matrix: ArrayLike | LinearTask,
    *,
    source: str,
    onset: ArrayLike,
    release: ArrayLike,
    depth: ArrayLike = 2,
    scale: ArrayLike = 1e-4,
    sources: Sources | None = None,
    how: How = "silence",
    within: float = 0.1,
    since: ArrayLike | None = None,
    progress: Callable[[float], None] | None = None,
) -> Recovery:
    """Return how networks recover that lost a source from onset to release, all cells of a plane at once.

    The network is that of `modes`; each cell is followed for the same time after its own release. Only the connected
    blocks of the matrix that the source is part of are looked at: the rest never notices.

    Args:
        matrix: (outputs, inputs), correlation of outputs with inputs; or a task that holds sources as well.
        source: the one that goes.
        onset: when, in units of 1 / learning rate; an array gives a cell each.
        release: when it comes back, finite, at the onset or later; an array gives a cell each.
        depth: number of weight matrices, 1 or more; an array gives a cell each.
        scale: a(0) > 0 of every mode, below the weakest mode; an array gives a cell each.
        sources: the columns of each source, by name; every column by itself, "1", "2", ..., where not given.
        how: "silence" or "unrelated", as in `modes`.
        within: the error at which a network has learned, from 1e-6 to below 1.
        since: (looks,) rising times after the release at which the networks are looked at; crossings between two looks
            are interpolated. Not given: 801 of them over twice the longest time that learning takes without a removal,
            or over the time in which the last of the weakest mode falls by exp(-16), about 1e-7, if that is longer.
        progress: called with the share that is done, in [0, 1].

    Raises:
        ChiasmError: as `modes` does; for a release that is not finite or a `within` out of its range.

    Source: the flow of `modes`; tested against it cell by cell.

    >>> plane = recovery([[3.0, 4.0]], source="2", onset=0, release=[0.0, 1.0, 2.0], depth=1)
    >>> plane.delay.round(2).tolist(), plane.delay_others.tolist()
    ([0.0, 0.81, 1.78], [0.0, 0.0, 0.0])
    """
    what = task(matrix, sources)
    away = checked_how(how)
    if not FINEST <= within < 1:
        raise ChiasmError(f"within = {within}; expected an error from {FINEST:g} to below 1")
    window = windows(what, depth, scale, {source: (onset, release)}, np.inf)
    if not np.isfinite(np.asarray(release, np.float64)).all():
        raise ChiasmError(f"the release of source '{source}' is not finite; use `modes` for one that never comes back")
    first, last = (np.broadcast_to(np.asarray(one, np.float64), window.shape).ravel() for one in (onset, release))
    part = what.around(source)
    if (window.scale >= part.values[-1]).any():
        raise ChiasmError(f"scale = {window.scale.max():g}; expected one below the weakest mode, {part.values[-1]:.3g}")
    cells, own = len(first), np.isin(part.columns, what.columns(source))
    benches = {
        int(n): Bench(Learner(what.matrix[part.place], part, int(n), away), own, within)
        for n in np.unique(window.depth)
    }
    kinds, kind = np.unique(np.stack([window.depth, window.scale], 1), axis=0, return_inverse=True)
    finish = np.array([benches[int(n)].finish(a) for n, a in kinds])[kind.ravel()]
    looks = np.linspace(0, max(one.settled(float(finish[:, 0].max())) for one in benches.values()), 801)
    looks = looks if since is None else checked_times(since)
    learned, usual, change = np.empty((cells, 2)), np.empty((cells, 2)), np.empty(cells)
    difference, error = np.empty((cells, len(looks))), np.empty((cells, len(looks)))
    done = 0
    for n, one in benches.items():
        here = np.flatnonzero(window.depth == n)
        for some in np.array_split(here, -(-len(here) // _at_once(what.matrix.size * (LOOKS + 1 + len(looks))))):
            followed = one.follow(first[some], last[some], window.scale[some], looks)
            learned[some], usual[some], change[some], difference[some], error[some] = followed
            done += len(some)
            if progress is not None:
                progress(done / cells)
    # Never beyond the bound once the source has gone: learned when the network that lost nothing had. The latter is
    # taken from the same looks where it can be, so that what the looks lose cancels.
    usual = np.where(np.isfinite(usual), usual, finish)
    learned = np.where(np.isnan(learned), usual, learned)
    late = learned - usual
    by_cell = {
        "onset": first, "release": last, "depth": window.depth, "finish": finish[:, 0],
        "recovery": np.maximum(learned[:, 0] - last, 0), "delay": late[:, 0], "delay_others": late[:, 1],
        "change_others": change, "difference": difference, "error": error,
    }  # fmt: skip
    shaped: dict[str, Any] = {name: each.reshape((*window.shape, *each.shape[1:])) for name, each in by_cell.items()}
    return Recovery(what, source, within, since=looks, **shaped)


def _at_once(numbers: int) -> int:
    """Return how many cells of so many numbers are followed at once, so that memory stays below about 200 MB."""
    return max(1, 5_000_000 // numbers)
