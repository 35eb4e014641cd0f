"""Result of the study `linear-pathways`, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from chiasm.theory.pathway.coordinates import Floats, Ints
from chiasm.theory.pathway.deficit import KINDS
from chiasm.theory.pathway.window import PathwayWindow


@dataclass(frozen=True)
class OnsetSweep:
    """Deficits of one length against their onset; the first axis is the kind: freeze, silence."""

    onset: Ints  # (O,) steps
    flow: Floats  # (2, O, depths, modes) index in the end of gradient flow
    descent: Floats  # the same after gradient descent with the study's step
    missed: Floats  # the same shape, lesson that the impaired pathway missed


@dataclass(frozen=True)
class Plane:
    """Deficits of every onset and length, on the strongest mode."""

    onset: Floats  # (O,) steps
    duration: Floats  # (L,) steps
    index: Floats  # (2, O, L) in the end of gradient flow, by kind


@dataclass(frozen=True)
class Doses:
    """Deficits that are on some of the time."""

    rate: Floats  # (R,) share of the time
    duration: Ints  # (L,) steps
    flow: Floats  # (2, 2, L, R) index in the end of gradient flow: kind, onset (0, late), duration, rate
    descent: Floats  # the same over coins, (2, 2, L, R, tosses)


@dataclass(frozen=True)
class Portrait:
    """Pathways from a wide random start; the first axis is an early deficit, a late one."""

    depth: Ints  # (D,)
    outputs: Floats  # (2, D, starts, T, 2)
    index: Floats  # (2, D, starts) in the end


@dataclass(frozen=True)
class Lesion:
    """One mode missing from the pathway that learns during the deficit."""

    at: Ints  # (T,) steps
    matrices: Floats  # (T, modes, 2) outputs under gradient descent on matrices
    flow: Floats  # (T, modes, 2) the same under gradient flow
    mode: int  # number of the missing mode, from the strongest
    learned: float  # steps until the other pathway has learned 90 % of it; NaN for never


@dataclass(frozen=True)
class Matrices:
    """Matrices beside the reduced equations."""

    onset: Ints  # (O,) steps
    at: Ints  # (T,) steps
    strength: Floats  # (modes,)
    matrices: Floats  # (O, T, modes, 2) outputs under gradient descent on matrices
    flow: Floats  # (O, T, modes, 2) under gradient flow
    apart: float  # largest difference of the matrices from gradient descent on the reduced equations
    steps: Floats  # (S,) steps, the study's first
    ahead: Floats  # (S,) largest difference of that descent from gradient flow, in units of the strength


@dataclass(frozen=True)
class LargeSteps:
    """One depth under gradient descent with steps up to beyond the edge of stability."""

    depth: int
    limits: tuple[float, float]  # the steps beyond which one pathway alone, and an even split, are unstable
    step: Floats  # (S,)
    index: Floats  # (S,) of the strongest mode under gradient descent; NaN where it diverged
    edge: Floats  # (S,) what the edge of stability allows; NaN below depth 3
    flow: float  # the index under gradient flow
    tried: Floats  # (M,) steps of gradient descent on matrices; empty where none was done
    matrices: Floats  # (M, modes) index
    drawn: float  # the step of the training curve
    at: Ints  # (T,) steps of the training curve
    outputs: Floats  # (T, 2)


@dataclass(frozen=True)
class PathwaysResult:
    """Result of the study."""

    settings: Any  # a `LinearPathways`
    strength: Floats  # (modes,) distinct singular values of the target, strongest first
    sweep: OnsetSweep  # index against onset
    window: PathwayWindow  # under freezing, cells (depths, modes), times in steps
    ever: Floats  # (depths,) index after silencing a pathway for ever long, ever late: the least that silencing leaves
    plane: Plane  # index over onset and length
    doses: Doses  # deficits that are on some of the time
    portrait: Portrait  # from a wide start
    lesion: Lesion  # with one mode missing
    matrices: Matrices  # matrices beside the equations
    large: tuple[LargeSteps, ...]  # one a depth

    def frame(self) -> dict[str, pl.DataFrame]:
        """Return tidy tables by name; "results" holds a row for each deficit, onset, depth and mode."""
        sweep, window, plane, doses = self.sweep, self.window, self.plane, self.doses
        portrait, matrices, depths = self.portrait, self.matrices, np.array(self.settings.depths)
        closes = {f"closes_{level:g}": values for level, values in zip(window.levels, window.closes, strict=True)}
        large = [
            _table({"depth": (one.depth,), "step": one.step}, {"index": one.index[None], "edge": one.edge[None]})
            for one in self.large
        ]
        return {
            "results": _table(
                {"deficit": KINDS, "onset": sweep.onset, "depth": depths, "strength": self.strength},
                {"index_flow": sweep.flow, "index_descent": sweep.descent, "missed": sweep.missed},
            ),
            "windows": _table({"depth": depths, "strength": self.strength}, {**closes, "width": window.width()}),
            "plane": _table(
                {"deficit": KINDS, "onset": plane.onset, "duration": plane.duration}, {"index": plane.index}
            ),
            "doses": _table(
                {"deficit": KINDS, "onset": (0, self.settings.late), "duration": doses.duration, "rate": doses.rate},
                {"index_flow": doses.flow, "index_descent": doses.descent.mean(-1)},
            ),
            "portrait": _table(
                {"timing": ("early", "late"), "depth": portrait.depth, "start": np.arange(portrait.index.shape[2])},
                {"index": portrait.index},
            ),
            "matrices": _table(
                {"onset": matrices.onset, "step": matrices.at, "mode": np.arange(len(matrices.strength)),
                 "pathway": np.arange(2)},
                {"matrices": matrices.matrices, "flow": matrices.flow},
            ),
            "large_steps": pl.concat(large),
        }  # fmt: skip


def _table(axes: dict[str, object], values: dict[str, Floats]) -> pl.DataFrame:
    """Return a row for each combination of the axes, in their order."""
    grids = np.meshgrid(*(np.asarray(axis) for axis in axes.values()), indexing="ij")
    columns = {name: grid.ravel() for name, grid in zip(axes, grids, strict=True)}
    return pl.DataFrame({**columns, **{name: value.ravel() for name, value in values.items()}})
