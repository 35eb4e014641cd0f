"""A plane of windows at once, against one window at a time and against scipy.integrate.solve_ivp.

Prints, for each depth, seconds of the plane of 400 cells; how many times longer the others take, from a few cells; and
how far scipy's error, at tolerances that let it come within 1e-6 of the truth, and the plane's lie apart.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from chiasm.theory.mode.examples import TASKS
from chiasm.theory.mode.flow import balanced
from chiasm.theory.mode.recovery import recovery
from chiasm.theory.mode.task import task

Floats = NDArray[np.float64]

CELLS, FEW, REPEATS, SCALE, LOOKS = 400, 4, 3, 1e-2, 101
BLOCK = np.array(TASKS)[np.ix_([0, 1, 4], [0, 2, 3, 4, 7])]


def timed(work: Callable[[], object], repeats: int = REPEATS) -> float:
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def by_scipy(depth: int, onset: float, release: float, since: Floats) -> Floats:
    """The product at every look after the release, by the factors' own equation, DOP853."""
    left, values, right = task(BLOCK).modes()
    factors = [f[0] for f in balanced(left, np.full((1, len(values)), SCALE), right, depth, SCALE).factors]
    shapes, ends = [f.shape for f in factors], np.cumsum([0, *(f.size for f in factors)])
    flat = np.concatenate([f.ravel() for f in factors])
    there = np.ones(BLOCK.shape[1])

    def product(y: Floats) -> list[Floats]:
        below = [np.eye(BLOCK.shape[1])]
        for a, b, shape in zip(ends[:-1], ends[1:], shapes, strict=True):
            below.append(y[a:b].reshape(shape) @ below[-1])
        return below

    def slope(_: float, y: Floats) -> Floats:
        below = product(y)
        back, out = (BLOCK - below[-1]) * there, []
        for k in range(depth - 1, -1, -1):
            out.append((back @ below[k].T).ravel())
            back = y[ends[k] : ends[k + 1]].reshape(shapes[k]).T @ back
        return np.concatenate(out[::-1])

    settings = {"method": "DOP853", "rtol": 1e-10, "atol": 1e-12}
    for lost, length in ((False, onset), (True, release - onset)):
        there[1] = 0 if lost else 1
        flat = solve_ivp(slope, (0, length), flat, **settings).y[:, -1] if length else flat
    there[1] = 1
    courses = solve_ivp(slope, (0, since[-1]), flat, t_eval=since, **settings).y.T
    return np.array([product(y)[-1] for y in courses])


def main() -> None:
    generator = np.random.default_rng(0)
    print(
        f"{'depth':>5} {'plane of ' + str(CELLS):>14} {'one by one':>12} {'solve_ivp':>12} {'largest difference':>20}"
    )
    for depth in (1, 2, 3, 4):
        finish = float(recovery(BLOCK, source="2", onset=0, release=0, since=[0.0], depth=depth, scale=SCALE).finish)
        onset, release = np.sort(generator.uniform(0, 1.5 * finish, (2, CELLS)), 0)
        since = np.linspace(0, 2 * finish, LOOKS)

        def plane(
            cells: slice = slice(None), onset: Floats = onset, release: Floats = release, since: Floats = since,
            depth: int = depth,
        ) -> Floats:  # fmt: skip
            made = recovery(
                BLOCK, source="2", onset=onset[cells], release=release[cells], since=since, depth=depth, scale=SCALE
            )
            return made.error

        def alone(cells: range, onset: Floats = onset, release: Floats = release, since: Floats = since,
                  depth: int = depth) -> list[Floats]:  # fmt: skip
            return [by_scipy(depth, onset[k], release[k], since) for k in cells]

        whole = timed(plane)
        single = timed(lambda: [plane(slice(k, k + 1)) for k in range(FEW)]) / FEW * CELLS
        oracle = timed(lambda: alone(range(FEW)), 1) / FEW * CELLS
        truth = np.linalg.norm(np.array(alone(range(FEW))) - BLOCK, axis=(2, 3)) / np.linalg.norm(BLOCK)
        apart = float(np.abs(plane(slice(0, FEW)) - truth).max())
        print(f"{depth:5} {whole:12.2f} s {single / whole:11.0f}x {oracle / whole:11.0f}x {apart:20.1e}", flush=True)


if __name__ == "__main__":
    main()
