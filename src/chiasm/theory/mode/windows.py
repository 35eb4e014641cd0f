"""When sources are away: windows of time, by cell and column, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.theory.mode.task import LinearTask

Floats = NDArray[np.float64]
How = Literal["silence", "unrelated"]

#: More matrices than anyone can hold in memory.
DEEPEST = 10**6


@dataclass(frozen=True)
class Windows:
    """When each input is away, and the settings of each cell.

    Attributes:
        shape: of the cells, as onsets, releases, depths and scales broadcast.
        onset: (cells, inputs), flattened over the shape; infinite for an input that never goes.
        release: (cells, inputs); infinite for an input that never comes back.
        depth: (cells,) numbers of weight matrices.
        scale: (cells,) strengths of every mode at time 0.
    """

    shape: tuple[int, ...]
    onset: Floats
    release: Floats
    depth: NDArray[np.int64]
    scale: Floats


def windows(
    task: LinearTask,
    depth: ArrayLike,
    scale: ArrayLike,
    removed: Mapping[str, tuple[ArrayLike, ArrayLike]] | None,
    end: float,
) -> Windows:
    """Return the windows of every cell.

    Args:
        task: its sources are known.
        depth: whole numbers from 1 on.
        scale: above 0.
        removed: onset and release of each source that goes, in units of time.
        end: the last time that is looked at.

    Raises:
        ChiasmError: for an unknown source, a window that is not one or lies beyond the end, a depth that is not a whole
            number from 1 on, a scale that is not above 0, or shapes that do not broadcast.
    """
    depths, scales = _depths(depth), _scales(scale)
    if not isinstance(removed or {}, Mapping):
        raise ChiasmError(f"removed is {removed!r}; it must hold a pair (onset, release) by source")
    ends = {name: _window(task, name, window, end) for name, window in (removed or {}).items()}
    try:
        shape = np.broadcast_shapes(depths.shape, scales.shape, *(w.shape for pair in ends.values() for w in pair))
    except ValueError:
        shapes = [depths.shape, scales.shape, *(w.shape for pair in ends.values() for w in pair)]
        raise ChiasmError(f"depth, scale, onsets and releases have shapes {shapes}, which do not broadcast") from None
    cells = int(np.prod(shape))
    if not cells:
        raise ChiasmError("depth, scale, onsets and releases hold no cell; give 1 or more of each")
    onset, release = (np.full((cells, task.matrix.shape[1]), np.inf) for _ in range(2))
    for name, (start, stop) in ends.items():
        first, last = (np.broadcast_to(one, shape).reshape(cells, 1) for one in (start, stop))
        # A window without length is none.
        first, last = np.where(first == last, np.inf, first), np.where(first == last, np.inf, last)
        onset[:, task.columns(name)], release[:, task.columns(name)] = first, last
    return Windows(
        shape, onset, release, np.broadcast_to(depths, shape).ravel(), np.broadcast_to(scales, shape).ravel()
    )


def manner(how: str) -> How:
    """Return how a source is away, checked."""
    if how == "silence":
        return "silence"
    if how == "unrelated":
        return "unrelated"
    raise unknown("way to be away", how, get_args(How))


def clock(times: ArrayLike) -> Floats:
    """Return times as they are wanted: finite, from 0 on, each later than the one before, at least one."""
    made = _numbers("times", times)
    if made.ndim != 1 or not len(made) or not np.isfinite(made).all() or made[0] < 0 or (np.diff(made) <= 0).any():
        raise ChiasmError("times must be a row of finite numbers from 0 on, each larger than the one before")
    return made


def _numbers(what: str, given: ArrayLike) -> Floats:
    try:
        return np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise ChiasmError(f"{what} is {given!r}; it must be a number or an array of numbers") from None


def _depths(given: ArrayLike) -> NDArray[np.int64]:
    made = _numbers("depth", given)
    if not ((made >= 1) & (made <= DEEPEST) & (made == np.floor(made))).all():
        raise ChiasmError(f"depth is {given!r}; it must be a whole number of weight matrices, 1 to {DEEPEST}")
    return made.astype(np.int64)


def _scales(given: ArrayLike) -> Floats:
    made = _numbers("scale", given)
    if not np.isfinite(made).all() or (made <= 0).any():
        raise ChiasmError(f"scale is {given!r}; it must be above 0: a network of zeros never moves")
    return made


def _window(task: LinearTask, name: str, given: tuple[ArrayLike, ArrayLike], end: float) -> tuple[Floats, Floats]:
    task.columns(name)
    try:
        onset, release = given
    except (TypeError, ValueError):
        raise ChiasmError(f"the window of source '{name}' is {given!r}; it must be a pair (onset, release)") from None
    first, last = _numbers(f"the onset of source '{name}'", onset), _numbers(f"the release of '{name}'", release)
    try:
        first, last = np.broadcast_arrays(first, last)
    except ValueError:
        raise ChiasmError(
            f"onset and release of source '{name}' have shapes {first.shape} and {last.shape}, which do not broadcast"
        ) from None
    # Also true for NaN.
    wrong = ~((first >= 0) & (last >= first) & (first <= end) & ((last <= end) | np.isinf(last)))
    if wrong.any():
        raise ChiasmError(
            f"source '{name}' is away from {first[wrong].flat[0]:g} to {last[wrong].flat[0]:g}; onset and release must "
            f"lie in that order between 0 and the last time, {end:g} (release may be infinite: it never comes back)"
        )
    return first, last
