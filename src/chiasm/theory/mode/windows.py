"""When sources are away: windows of time, by cell and column, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.theory.arguments import Floats, broadcast, check, numbers
from chiasm.theory.mode.task import LinearTask

How = Literal["silence", "unrelated"]

#: Largest number of weight matrices.
DEEPEST = 10**6


@dataclass(frozen=True)
class RemovalWindows:
    """When each input is away, and the settings of each cell."""

    shape: tuple[int, ...]  # of the cells, as onsets, releases, depths and scales broadcast
    onset: Floats  # (cells, inputs), flattened over the shape; infinite for an input that never goes
    release: Floats  # (cells, inputs); infinite for an input that never comes back
    depth: NDArray[np.int64]  # (cells,) numbers of weight matrices
    scale: Floats  # (cells,) strengths of every mode at time 0


def windows(
    task: LinearTask,
    depth: ArrayLike,
    scale: ArrayLike,
    removed: Mapping[str, tuple[ArrayLike, ArrayLike]] | None,
    end: float,
) -> RemovalWindows:
    """Return the windows of every cell: onset and release of each source that is removed, checked and broadcast.

    Raises:
        ChiasmError: an unknown source, a window beyond the end, or what `modes` refuses of depth and scale.
    """
    if not isinstance(removed or {}, Mapping):
        raise ChiasmError(f"removed is {removed!r}; expected a pair (onset, release) by source")
    arrays = {
        "depth": check("depth", depth, least=1, most=DEEPEST, whole=True),
        "scale": check("scale", scale, above=0),
    }
    for name, window in (removed or {}).items():
        arrays |= _window(name, window, end)
    depths, scales, *ends = broadcast(**arrays)
    onset, release = (np.full((depths.size, task.matrix.shape[1]), np.inf) for _ in range(2))
    for name, first, last in zip(removed or {}, ends[::2], ends[1::2], strict=True):
        for times, part in ((onset, first), (release, last)):
            # A window without length is none.
            times[:, task.columns(name)] = np.where(first == last, np.inf, part).reshape(-1, 1)
    return RemovalWindows(depths.shape, onset, release, depths.ravel().astype(np.int64), scales.ravel())


def checked_how(how: str) -> How:
    """Return how a source is away, checked."""
    if how not in get_args(How):
        raise unknown("way to be away", how, get_args(How))
    return how  # type: ignore[return-value]


def checked_times(times: ArrayLike) -> Floats:
    """Return times as they are wanted: finite, from 0 on, each later than the one before, at least one."""
    values = check("times", times, least=0)
    if values.ndim != 1 or not len(values) or (np.diff(values) <= 0).any():
        raise ChiasmError("times: expected a row of numbers, each larger than the one before")
    return values


def _window(name: str, window: tuple[ArrayLike, ArrayLike], end: float) -> dict[str, Floats]:
    try:
        onset, release = window
    except (TypeError, ValueError):
        raise ChiasmError(f"the window of source '{name}' is {window!r}; expected a pair (onset, release)") from None
    named = {f"onset of '{name}'": onset, f"release of '{name}'": release}
    fields = {what: numbers(what, times) for what, times in named.items()}
    first, last = broadcast(**fields)
    # Also true for NaN.
    wrong = ~((first >= 0) & (last >= first) & (first <= end) & ((last <= end) | np.isinf(last)))
    if wrong.any():
        raise ChiasmError(
            f"source '{name}' is away from {first[wrong].flat[0]:g} to {last[wrong].flat[0]:g}; onset and release must "
            f"lie in that order between 0 and the last time, {end:g} (release may be infinite: it never comes back)"
        )
    return fields
