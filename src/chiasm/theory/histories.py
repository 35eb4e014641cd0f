"""Cells of a plane that share a history: which deficit is on when, and which rows of a batch train together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import Floats, broadcast, check

Ints = NDArray[np.intp]
Rows = TypeVar("Rows")


@dataclass(frozen=True)
class Stretch:
    """Steps during which no cell's deficit begins or ends, and no cell ends."""

    start: int  # the first step
    stop: int  # one past the last step
    parent: Ints  # (rows,) the row of the previous stretch that each row continues; in the first stretch, the origin
    state: Ints  # (rows,) 0 without a deficit, else the number of the deficit that is on
    row: Ints  # (cells,) the row of each cell, -1 once it has ended


def stretches(origin: Ints, onset: Ints, release: Ints, steps: Ints, deficit: Ints | int = 1) -> list[Stretch]:
    """Cut the time of a plane into stretches; cells of equal origin and equal deficits so far share a row.

    Args:
        origin: (cells,) cells of equal origin begin alike.
        onset: (cells,) the first impaired step.
        release: (cells,) one past the last impaired step; equal to the onset for none.
        steps: (cells,) how many steps a cell takes, at least `release`.
        deficit: (cells,) the number of the deficit, from 1.

    >>> plan = stretches(*np.array([[0, 0], [0, 2], [0, 3], [4, 5]]))
    >>> [(part.start, part.stop, part.parent.tolist(), part.state.tolist(), part.row.tolist()) for part in plan]
    [(0, 2, [0], [0], [0, 0]), (2, 3, [0, 0], [0, 1], [0, 1]),
     (3, 4, [0, 1], [0, 0], [0, 1]), (4, 5, [1], [0], [-1, 0])]
    """
    impaired = onset < release
    events = np.unique(np.concatenate([[0], onset[impaired], release[impaired], steps]))
    states = 1 + int(np.max(deficit))
    plan = []
    row = origin
    for start, stop in zip(events[:-1].tolist(), events[1:].tolist(), strict=True):
        active = steps > start
        now = np.where(impaired & (onset <= start) & (start < release), deficit, 0)
        # The row of the previous stretch stands for the whole history; two rows of one history differ in what is on.
        key, inverse = np.unique(states * row[active] + now[active], return_inverse=True)
        row = np.full(row.shape, -1)
        row[active] = inverse
        plan.append(Stretch(start, stop, key // states, key % states, row))
    return plan


def train(
    cells: Mapping[str, NDArray[Any]],
    origin: Ints,
    every: int,
    enter: Callable[[Stretch], Rows],
    step: Callable[[Rows], None],
    look: Callable[[Rows], Sequence[Floats]],
    progress: Callable[[float], None] | None,
    deficit: Ints | int = 1,
) -> tuple[Ints, list[Floats], list[Floats]]:
    """Train all cells of a plane, those that share a history as one row.

    Args:
        cells: onset, release and steps, (*cells,) each, as `plane_cells` returns them.
        origin: (cells,) cells of equal origin begin alike.
        every: record each so many steps.
        enter: returns the rows of a stretch, from where the previous stretch left them.
        step: takes one step of rows.
        look: returns arrays (rows, ...) to be kept at the end of a cell; all but the first are recorded on the way.
        progress: called with the share of steps done.
        deficit: (cells,) the number of the deficit, from 1.

    Returns:
        The steps of the records; what cells end with, (*cells, ...) each; the records, (*cells, records, ...) each, NaN
        after the end of a cell.
    """
    onset, release, steps = (cells[name].ravel() for name in ("onset", "release", "steps"))
    plan = stretches(origin, onset, release, steps, deficit)
    ends: list[Floats] = []
    records: list[list[Floats]] = []
    # A cell that diverges is found at the end; up to there it may overflow.
    with _one_thread(), np.errstate(over="ignore", invalid="ignore"):
        for part in plan:
            rows, active = enter(part), part.row >= 0
            for at in range(part.start, part.stop + 1):
                if at > part.start:
                    step(rows)
                elif at > 0:
                    continue  # the end of the previous stretch, where its rows were looked at
                if at % every and at < part.stop:
                    continue
                values = [value[part.row] for value in look(rows)]
                ends = ends or [value.copy() for value in values]
                for end, value in zip(ends, values, strict=True):
                    end[active] = value[active]
                    value[~active] = np.nan
                if at % every == 0:
                    records.append(values[1:])
            if progress is not None:
                progress(part.stop / plan[-1].stop)
    shape = cells["steps"].shape
    paths = [np.stack(path, 1) for path in zip(*records, strict=True)]
    ends, paths = ([some.reshape((*shape, *some.shape[1:])) for some in arrays] for arrays in (ends, paths))
    return every * np.arange(len(records)), ends, paths


@contextmanager
def _one_thread() -> Iterator[None]:
    # Steps take microseconds: threads that wait for each other would make them a hundred times slower.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def plane_cells(whole: Mapping[str, ArrayLike], real: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
    """Return the settings of a plane's cells, checked and broadcast: int64 and float64 arrays of one shape.

    Args:
        whole: onset, release, steps, and other whole numbers, 0 or more.
        real: other numbers, checked by the caller.
    """
    for name, value in whole.items():
        check(name, value, least=0, whole=True)
    types = dict.fromkeys(whole, np.int64) | dict.fromkeys(real, np.float64)
    shared = broadcast(**{name: np.asarray(value) for name, value in {**whole, **real}.items()})
    cells = {name: np.array(array, types[name]) for name, array in zip(types, shared, strict=True)}
    onset, release, steps = cells["onset"], cells["release"], cells["steps"]
    check("steps", steps, least=1)
    wrong = (onset > release) | (release > steps)
    if wrong.any():
        window = [int(array[wrong].flat[0]) for array in (onset, release, steps)]
        raise ChiasmError(
            f"a window from onset {window[0]} to release {window[1]} of {window[2]} steps; expected onset <= release "
            "<= steps"
        )
    return cells
