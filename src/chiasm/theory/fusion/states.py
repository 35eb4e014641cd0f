"""The course of a plane: one leg after the other, all of its rows at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chiasm.theory.fusion.network import GRAIN, REAL, FusionLayers, Rows
from chiasm.theory.fusion.problem import Floats, FusionProblem
from chiasm.theory.histories import Leg, legs

#: (step, the row of each cell or -1 once it has ended, the maps of each row).
State = tuple[int, NDArray[np.intp], Floats]


def states(
    problem: FusionProblem,
    layers: FusionLayers,
    cells: Mapping[str, NDArray[Any]],
    every: int,
    by: str,
    progress: Callable[[float], None] | None = None,
) -> Iterator[State]:
    """Train the cells of a plane.

    Args:
        problem: what is to be learned.
        layers: by what networks.
        cells: onset, release, steps, decay, scale, step and seed, each (cells,).
        every: look each so many steps.
        by: "descent" or "flow".
        progress: called with the share of steps done.

    Yields:
        The step, the row of each cell (cells,), and the maps (rows, 2, features, features): at the start, each so many
        steps, and wherever a deficit begins or ends, or a cell ends.
    """
    seeds, seed = np.unique(cells["seed"], return_inverse=True)
    columns = np.stack([seed.ravel(), cells["scale"], cells["decay"], cells["step"]], 1)
    kinds, origin = np.unique(columns, axis=0, return_inverse=True)
    drawn = [layers.draw(int(one), problem.features) for one in seeds]
    factor = torch.from_numpy(kinds[:, 1] ** (1 / layers.depth))[:, None, None]
    starts = [factor * torch.stack([drawn[int(k)][at] for k in kinds[:, 0]], 1) for at in range(layers.depth)]
    if layers.depth == 1:
        return _lines(problem, cells, starts[0][:, torch.from_numpy(origin.ravel())], every, by, progress)
    plan = legs(origin.ravel(), cells["onset"], cells["release"], cells["steps"])
    return _courses(problem, layers, starts, kinds[:, 2:], plan, every, by, progress)


def _courses(
    problem: FusionProblem,
    layers: FusionLayers,
    weights: Sequence[Tensor],
    rates: Floats,
    plan: Sequence[Leg],
    every: int,
    by: str,
    progress: Callable[[float], None] | None,
) -> Iterator[State]:
    """From weights and rates (decay, step) of each origin."""
    decay, step = torch.from_numpy(rates.T.copy())
    known = [problem.moments(impaired) for impaired in (False, True)]
    seconds, target = (torch.from_numpy(np.stack(pair)) for pair in zip(*known, strict=True))
    size = max(1, (GRAIN - 1) // (2 * problem.features**2))
    for leg in plan:
        # By NumPy: torch would share this among threads, and that wait takes longer than all the steps of a leg.
        weights = [torch.from_numpy(w.numpy()[:, leg.parent]) for w in weights]
        parent, shown = torch.from_numpy(leg.parent), torch.from_numpy(leg.state)
        decay, step = decay[parent], step[parent]
        blocks = []
        for some in (slice(start, start + size) for start in range(0, len(decay), size)):
            moments = seconds[shown[some]], target[shown[some]]
            blocks.append(Rows(layers, [w[:, some] for w in weights], *moments, decay[some], step[some]))
        at = leg.start
        if not at:
            yield at, leg.row, _maps(blocks)
        while at < leg.stop:
            until = min(leg.stop, (at // every + 1) * every)
            for rows in blocks:
                go = rows.flow if by == "flow" else rows.descend
                for _ in range(until - at):
                    go()
            at = until
            yield at, leg.row, _maps(blocks)
        if progress is not None:
            progress(leg.stop / plan[-1].stop)


def _lines(
    problem: FusionProblem,
    cells: Mapping[str, NDArray[Any]],
    start: Tensor,
    every: int,
    by: str,
    progress: Callable[[float], None] | None,
) -> Iterator[State]:
    """At depth 1 a course is linear in its start and the same for every feature: three courses of one feature do.

    W_s(t) = z_s(t) I + sum over s' of (u_s's(t) - z_s(t)) W_s'(0), z being the course from 0 and u_s' the one from 1 in
    source s' and 0 in the other; so seeds and scales cost nothing.
    """
    rates, origin = np.unique(np.stack([cells["decay"], cells["step"]], 1), axis=0, return_inverse=True)
    one, n = FusionProblem(1, problem.noise, problem.deficit), len(origin)
    each = [np.repeat(values, 3) for values in (3 * origin.ravel(), *(cells[k] for k in ("onset", "release", "steps")))]
    plan = legs(each[0] + np.tile(np.arange(3), n), *each[1:])
    units = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=REAL).repeat(1, len(rates))[:, :, None, None]
    layers = FusionLayers(1, 0, 1)
    identity = np.eye(problem.features)
    drawn = start.transpose(0, 1).reshape(n, 2, -1).numpy()
    for at, row, made in _courses(one, layers, [units], np.repeat(rates, 3, 0), plan, every, by, progress):
        here = row.reshape(n, 3)
        course = made[:, :, 0, 0][here]  # (cells, starts, sources); of an ended cell whatever row -1 is
        mix = course[:, 1:] - course[:, :1]
        whole = (mix.swapaxes(1, 2) @ drawn).reshape(n, 2, *identity.shape)
        whole += course[:, 0, :, None, None] * identity
        yield at, np.where(here[:, 0] >= 0, np.arange(n), -1), whole


def _maps(blocks: Sequence[Rows]) -> Floats:
    """The maps of all rows, (rows, 2, features, features), in memory of their own."""
    made: Floats = torch.cat([rows.maps() for rows in blocks], 1).transpose(0, 1).contiguous().numpy()
    return made
