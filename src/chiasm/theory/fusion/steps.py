"""Gradient descent with steps that are not small: how far from gradient flow it runs, and where it leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import Floats, check
from chiasm.theory.fusion.landscape import Landscape
from chiasm.theory.fusion.network import FusionLayers
from chiasm.theory.fusion.plane import FusionPlane, fuse
from chiasm.theory.fusion.problem import FusionProblem

#: Step of the Runge-Kutta reference: its error is about 1e-6 of the loss, far below that of any step asked for.
REFERENCE = 0.1
#: A cell that ends with an excess further than this from flow's has left the state where flow ends.
LEFT = 0.01


@dataclass(frozen=True)
class FusionSteps:
    """Descent beside flow, with the deficit's window and the end at the same times for all steps.

    Attributes:
        layers: of the networks.
        steps: (steps,) lengths of a step.
        durations: (durations,) of the deficit, from time 0, in units of time.
        excess: (steps, durations, seeds) at the end; NaN, infinite or huge where descent diverges.
        flow: (durations, seeds) excess of gradient flow at the end.
        gap: (steps, durations, seeds) the largest distance between the two excesses along the way, as a share of the
            excess at the start; infinite where descent overflows.
        edges: by name of a rest point, 2 / sharpness: the step above which descent leaves it. Empty with shared layers.
    """

    layers: FusionLayers
    steps: Floats
    durations: Floats
    excess: Floats
    flow: Floats
    gap: Floats
    edges: dict[str, float]

    @property
    def left(self) -> Floats:
        """(steps, durations) the share of seeds that do not end where flow ends: they swing about it, or diverge."""
        with np.errstate(invalid="ignore"):
            return np.asarray((~(np.abs(self.excess - self.flow) < LEFT)).mean(2))


def fuse_by_steps(
    problem: FusionProblem,
    layers: FusionLayers,
    *,
    steps: Sequence[float],
    durations: Sequence[float] = (0.0, 40.0),
    after: float = 100.0,
    decay: float = 0.03,
    scale: float = 0.05,
    seeds: int = 5,
) -> FusionSteps:
    """Train the same plane with steps of several lengths, and by gradient flow.

    Args:
        problem: what is to be learned.
        layers: of the networks.
        steps: lengths of a step, each above 0; windows are rounded to whole steps.
        durations: of the deficit, from time 0.
        after: time after the release.
        decay: weight decay.
        scale: of the products at the start.
        seeds: 0 to seeds - 1.

    Raises:
        ChiasmError: no step or a bad one, a time is negative, or as `fuse`.

    >>> trained = fuse_by_steps(FusionProblem(), FusionLayers(own=1), steps=[0.1, 0.9], durations=[0.0], seeds=2)
    >>> trained.left.ravel().tolist(), round(trained.edges["fused"], 3)
    ([0.0, 1.0], 0.858)
    """
    if not len(steps) or not len(durations):
        raise ChiasmError("steps or durations is empty; give one value or more of each")
    check("after", after, above=0)
    check("steps", steps, above=0, most=after)
    check("durations", durations, least=0)
    if problem.single < 1e-12:
        raise ChiasmError(
            f"noise = {problem.noise}; one source is as good as both, so there is no excess loss to follow"
        )
    long = np.array(durations, float)[:, None]

    def windows(step: Floats) -> dict[str, Any]:
        release, end = np.rint(long / step).astype(int), np.rint((long + after) / step).astype(int)
        return {"release": release, "steps": end, "step": step, "decay": decay, "scale": scale}

    common: dict[str, Any] = {"seed": np.arange(seeds), "every": 1, "diverging": "keep"}
    descent = fuse(problem, layers, by="descent", **windows(np.array(steps)[:, None, None]), **common)
    flow = fuse(problem, layers, by="flow", **windows(np.array(REFERENCE)), **common)
    shape = descent.excess.shape
    gap = np.array([_gap(descent, cell, flow) for cell in np.ndindex(shape)]).reshape(shape)
    edges = {} if layers.shared else Landscape(problem, layers.own, decay).edges()
    return FusionSteps(layers, np.array(steps), long[:, 0], descent.excess, flow.excess, gap, edges)


def _gap(descent: FusionPlane, cell: tuple[int, ...], flow: FusionPlane) -> float:
    """Return the largest distance of one cell's excess from flow's, as a share of the excess at the start."""
    from scipy.interpolate import CubicSpline

    (at, here), (times, there) = (
        (plane.times[alive] * plane.step[one], plane.excess_path[one][alive])
        for plane, one in ((descent, cell), (flow, cell[1:]))
        for alive in [plane.times <= plane.steps[one]]
    )
    # Windows are rounded to whole steps, so descent may end a little after flow: its last time stands for those.
    beside = CubicSpline(times, there)(np.minimum(at, times[-1]))
    with np.errstate(invalid="ignore"):
        away = float(np.abs(here - beside).max() / there[0])
    return away if np.isfinite(away) else np.inf
