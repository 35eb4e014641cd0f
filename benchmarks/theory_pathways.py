"""How fast a plane of pathways is against scipy's solve_ivp, cell by cell: 10,000 cells of onset, length and depth.

For both kinds of deficit: the time for the whole plane, to the end of learning and with the outputs at a time too; its
error on a sample of cells against solve_ivp at rtol 1e-13; and what solve_ivp takes for the same cells, by its usual
methods and four tolerances. Its time for the plane is the sample's, times cells over sample. The line to read is the
last: the quickest of those that are as accurate as 1e-9, which the plane is by far.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.integrate import solve_ivp

from chiasm.theory.pathway.deficit import PathwayDeficit
from chiasm.theory.pathway.flow import PathwayFlow, pathway_flow
from chiasm.theory.pathway.pathways import pathways

Cell = tuple[int, int, int]

STRENGTH, OUTPUT, END = 3.873, 0.01, 10.0
ONSET, LENGTH, DEPTH = np.linspace(0, 6, 50), np.linspace(0.03, 3, 40), np.array([1, 2, 3, 4, 6])
SAMPLE, REPEATS, EQUAL = 30, 5, 1e-9
METHODS, TOLERANCES = ("RK45", "DOP853", "LSODA"), (1e-6, 1e-8, 1e-10, 1e-12)


def plane(kind: str, times: tuple[float, ...]) -> PathwayFlow:
    begin = ONSET[:, None, None]
    deficit = PathwayDeficit(1, begin, begin + LENGTH[:, None], "silence" if kind == "silence" else "freeze")
    return pathway_flow(pathways(STRENGTH, DEPTH, output=OUTPUT), [deficit], times)


def one(kind: str, cell: Cell, method: str, rtol: float) -> np.ndarray:
    """A cell as anyone would write it: three calls of solve_ivp, before, during and after."""
    onset, depth = ONSET[cell[0]], int(DEPTH[cell[2]])
    release, power, silent = onset + LENGTH[cell[1]], depth - 1, kind == "silence"

    def clean(_: float, p: np.ndarray) -> list[float]:
        a, b = p
        r = STRENGTH - a**depth - b**depth
        return [a**power * r, b**power * r]

    def impaired(_: float, p: np.ndarray) -> list[float]:
        a, b = p
        return [a**power * (STRENGTH - a**depth - (0 if silent else b**depth)), 0.0]

    p = np.full(2, OUTPUT ** (1 / depth))
    for flow, begin, end in ((clean, 0.0, onset), (impaired, onset, release), (clean, release, END)):
        if end > begin:
            p = solve_ivp(flow, (begin, end), p, method=method, rtol=rtol, atol=rtol / 100).y[:, -1]
    made: np.ndarray = p**depth
    return made


def median(do: Callable[[], object]) -> float:
    taken = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        do()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def compare(kind: str, where: list[Cell]) -> None:
    cells = len(ONSET) * len(LENGTH) * len(DEPTH)
    exact = np.stack([one(kind, cell, "DOP853", 1e-13) for cell in where])
    made = plane(kind, (END,))
    ours = np.stack([made.outputs[(*cell, 0)] for cell in where])
    to_end, with_outputs = median(partial(plane, kind, ())), median(partial(plane, kind, (END,)))
    print(f"{kind}: {cells} cells in {to_end:.3f} s to the end, {with_outputs:.3f} s with outputs at time {END:g} too")
    print(f"  largest error of {SAMPLE} cells, relative: {np.abs(ours - exact).max() / STRENGTH:.0e}")
    print("  solve_ivp    rtol   error   ms a cell   times as long: to the end, with outputs")
    best = ("", np.inf)
    for method in METHODS:
        for rtol in TOLERANCES:
            begin = time.perf_counter()
            theirs = np.stack([one(kind, cell, method, rtol) for cell in where])
            each = (time.perf_counter() - begin) / SAMPLE
            error = float(np.abs(theirs - exact).max() / STRENGTH)
            told = f"{each * cells / to_end:20.0f} {each * cells / with_outputs:13.0f}"
            print(f"  {method:9} {rtol:7.0e} {error:7.0e} {1e3 * each:11.1f} {told}", flush=True)
            if error <= EQUAL and each < best[1]:
                best = (f"{method} at rtol {rtol:.0e}", each)
    ratio = best[1] * cells
    print(f"  at equal accuracy ({best[0]}): {ratio / to_end:.0f} and {ratio / with_outputs:.0f} times")


def main() -> None:
    shape = (len(ONSET), len(LENGTH), len(DEPTH))
    drawn = np.random.default_rng(0).integers(0, shape, (SAMPLE, 3))
    for kind in ("freeze", "silence"):
        compare(kind, [(int(i), int(j), int(k)) for i, j, k in drawn])


if __name__ == "__main__":
    main()
