"""Cells of a plane that share a history: what is impaired when, and which rows of a batch that makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Leg:
    """A stretch of steps during which no cell's deficit begins or ends, and no cell ends.

    Attributes:
        start: its first step.
        stop: one past its last step.
        parent: (rows,) the row of the leg before that each row goes on from; of the first leg, the origin.
        state: (rows,) 0 without a deficit, else which deficit is on.
        row: (cells,) the row that each cell is in, -1 once it has ended.
    """

    start: int
    stop: int
    parent: Ints
    state: Ints
    row: Ints


def legs(origin: Ints, onset: Ints, release: Ints, steps: Ints, deficit: Ints | int = 1) -> list[Leg]:
    """Cut the time of a plane into legs; cells with equal origin and equal deficits so far share a row.

    Args:
        origin: (cells,) what a cell begins from: cells of equal origin begin alike.
        onset: (cells,) the first impaired step.
        release: (cells,) one past the last impaired step; equal to the onset for none.
        steps: (cells,) how many steps a cell takes, at least `release`.
        deficit: (cells,) which deficit it is, from 1.

    Returns:
        The legs in order; every cell is in one row of each until it ends. Empty where no cell takes a step.

    >>> plan = legs(*np.array([[0, 0], [0, 2], [0, 3], [4, 5]]))
    >>> [(leg.start, leg.stop, leg.parent.tolist(), leg.state.tolist(), leg.row.tolist()) for leg in plan]
    [(0, 2, [0], [0], [0, 0]), (2, 3, [0, 0], [0, 1], [0, 1]),
     (3, 4, [0, 1], [0, 0], [0, 1]), (4, 5, [1], [0], [-1, 0])]
    """
    impaired = onset < release
    events = np.unique(np.concatenate([[0], onset[impaired], release[impaired], steps]))
    states = 1 + int(np.max(deficit))
    made = []
    row = origin
    for start, stop in zip(events[:-1].tolist(), events[1:].tolist(), strict=True):
        goes = steps > start
        now = np.where(impaired & (onset <= start) & (start < release), deficit, 0)
        # The history up to here is the row of the leg before; two rows of one history differ in what comes now.
        key, inverse = np.unique(states * row[goes] + now[goes], return_inverse=True)
        row = np.full(row.shape, -1)
        row[goes] = inverse
        made.append(Leg(start, stop, key // states, key % states, row))
    return made
