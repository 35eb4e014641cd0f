"""Planes of fused linear pathways, all cells at once, against a Python loop of single runs of the same integrator.

65 cells, 24 wide, float64: 13 windows and 5 seeds. Also: how long the depths of the shipped study `linear-fusion` take.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from chiasm.theory.fusion.network import FusionLayers
from chiasm.theory.fusion.plane import FusionPlane, fuse
from chiasm.theory.fusion.problem import FusionProblem
from chiasm.theory.fusion.study import LinearFusion

REPEATS = 3
SEEDS = 5
#: Steps of every cell, in the plane whose cells are of equal length.
EQUAL = 2000
#: Single runs that are timed of the 65; the time of all is theirs, times 65 over their number.
TIMED = 13


def cells(equal: bool) -> dict[str, Any]:
    """Onset, release, steps and seed of 65 cells: the study's own windows, or ones that end after equal steps."""
    timelines = np.array(LinearFusion().timelines)
    onset, duration = np.repeat(timelines, SEEDS, axis=0).T
    steps = onset + duration + 2000
    if equal:
        onset, duration, steps = onset // 2, duration // 2, np.full(len(onset), EQUAL)
    return {
        "onset": onset,
        "release": onset + duration,
        "steps": steps,
        "seed": np.tile(np.arange(SEEDS), len(timelines)),
    }


def seconds(job: Callable[[], object]) -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def against_loop(depth: int, equal: bool) -> tuple[float, float, float]:
    """Seconds of the plane, seconds of a loop of single runs, and the median of their ratio over rounds."""
    layers, asked = FusionLayers(depth), cells(equal)
    spread = range(0, len(asked["seed"]), len(asked["seed"]) // TIMED)

    def plane() -> FusionPlane:
        return fuse(FusionProblem(), layers, **asked)

    def single(cell: int) -> FusionPlane:
        return fuse(FusionProblem(), layers, **{name: values[cell] for name, values in asked.items()})

    whole = plane()
    for cell in spread[:4]:
        # The last digits of a product may differ with its neighbours in memory; a lost source grows them no further.
        np.testing.assert_allclose(single(cell).excess, whole.excess[cell], rtol=1e-6, atol=1e-9)
    together, alone = [], []
    for _ in range(REPEATS):
        together.append(seconds(plane))
        # All single runs, not a mean of some: cells of the study's own windows are of very unequal length.
        share = sum(asked["steps"][k] for k in spread) / sum(asked["steps"])
        alone.append(sum(seconds(lambda cell=cell: single(cell)) for cell in spread) / share)  # type: ignore[misc]
    return median(together), median(alone), median(b / a for a, b in zip(together, alone, strict=True))


def main() -> None:
    """Print one table."""
    print(f"{'65 cells, 24 wide':<42} plane      loop    ratio")
    # With the study's own windows the longest cell takes 4400 steps, the mean one 2850: no more than 42 can be had.
    for depth, equal, goal in ((1, True, ">= 50"), (1, False, ""), (3, True, ">= 10"), (3, False, "")):
        name = f"depth {depth}, {f'{EQUAL} steps each' if equal else 'windows of the study'}"
        plane, loop, ratio = against_loop(depth, equal)
        print(f"{name:<42} {plane:6.2f} s {loop:6.1f} s {ratio:6.1f}{f'  (wanted {goal})' if goal else ''}", flush=True)
    took = [seconds(lambda depth=depth: _study(depth)) for depth in LinearFusion().depths]  # type: ignore[misc]
    told = " + ".join(f"{t:.1f}" for t in took)
    print(f"linear-fusion, depths 1 to 5 (wanted <= 40)   {sum(took):6.1f} s = {told}")


def _study(depth: int) -> FusionPlane:
    study = LinearFusion()
    return study.plane(FusionLayers(depth), study.timelines, study.after, study.decay)


if __name__ == "__main__":
    main()
