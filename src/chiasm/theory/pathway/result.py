"""What the study `linear-pathways` found, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chiasm.theory.pathway.coordinates import Floats, Ints
from chiasm.theory.pathway.deficit import Kind
from chiasm.theory.pathway.window import PathwayWindow

if TYPE_CHECKING:
    import polars as pl

#: The order of the axis of kinds.
KINDS: tuple[Kind, ...] = ("freeze", "silence")


@dataclass(frozen=True)
class OnsetSweep:
    """Deficits of one length against their onset.

    Attributes:
        onset: (O,) steps.
        flow: (2, O, depths, modes) index in the end of gradient flow; kinds are freeze, silence.
        descent: the same after gradient descent with the study's step.
        missed: the same, lesson that the impaired pathway missed.
    """

    onset: Ints
    flow: Floats
    descent: Floats
    missed: Floats


@dataclass(frozen=True)
class Plane:
    """Deficits of every onset and length, on the strongest mode.

    Attributes:
        onset: (O,) steps.
        duration: (L,) steps.
        index: (2, O, L) in the end of gradient flow; kinds are freeze, silence.
    """

    onset: Floats
    duration: Floats
    index: Floats


@dataclass(frozen=True)
class Doses:
    """Deficits that are there some of the time.

    Attributes:
        rate: (R,) share of the time.
        duration: (L,) steps.
        flow: (2, 2, L, R) index in the end of gradient flow: kind, onset (from the beginning, late), duration, rate.
        descent: the same over coins, (2, 2, L, R, tosses).
    """

    rate: Floats
    duration: Ints
    flow: Floats
    descent: Floats


@dataclass(frozen=True)
class Portrait:
    """Pathways from a wide random start, early and late deficits.

    Attributes:
        depth: (D,).
        outputs: (2, D, starts, T, 2): early, late.
        index: (2, D, starts) in the end.
    """

    depth: Ints
    outputs: Floats
    index: Floats


@dataclass(frozen=True)
class Lesion:
    """One mode missing from the pathway that learns during the deficit.

    Attributes:
        at: (T,) steps.
        matrices: (T, modes, 2) outputs under gradient descent on matrices.
        flow: (T, modes, 2) the same under gradient flow.
        mode: the number of the missing mode, from the strongest.
        learned: steps until the other pathway has learned 90 % of it; NaN for never.
    """

    at: Ints
    matrices: Floats
    flow: Floats
    mode: int
    learned: float


@dataclass(frozen=True)
class Matrices:
    """Matrices beside the reduced equations.

    Attributes:
        onset: (O,) steps.
        at: (T,) steps.
        strength: (modes,).
        matrices: (O, T, modes, 2) outputs under gradient descent on matrices.
        flow: (O, T, modes, 2) under gradient flow.
        apart: largest difference of the matrices from gradient descent on the reduced equations.
        steps: (S,) steps, the study's first.
        ahead: (S,) largest difference of gradient descent from gradient flow, by the step, in units of the strength.
    """

    onset: Ints
    at: Ints
    strength: Floats
    matrices: Floats
    flow: Floats
    apart: float
    steps: Floats
    ahead: Floats


@dataclass(frozen=True)
class LargeSteps:
    """One depth under gradient descent with steps up to beyond the edge of stability.

    Attributes:
        depth: D.
        limits: the steps beyond which one pathway alone, and an even split, are unstable.
        step: (S,).
        index: (S,) of the strongest mode under gradient descent; NaN where it diverged.
        edge: (S,) what the edge of stability allows; NaN below depth 3.
        flow: the index under gradient flow.
        tried: (M,) steps of gradient descent on matrices; empty where none was done.
        matrices: (M, modes) index.
        shown: the step of the course.
        at: (T,) steps of the course.
        course: (T, 2) outputs.
    """

    depth: int
    limits: tuple[float, float]
    step: Floats
    index: Floats
    edge: Floats
    flow: float
    tried: Floats
    matrices: Floats
    shown: float
    at: Ints
    course: Floats


@dataclass(frozen=True)
class PathwaysResult:
    """What the study found.

    Attributes:
        settings: what was asked, a `LinearPathways`.
        strength: (modes,) distinct singular values of the target, strongest first.
        sweep: index against onset.
        window: under freezing, cells (depths, modes), times in steps.
        ever: (depths,) index after silencing a pathway for ever long, ever late: the least that silencing leaves.
        plane: index over onset and length.
        doses: deficits that are there some of the time.
        portrait: from a wide start.
        lesion: with one mode missing.
        matrices: matrices beside the equations.
        large: one a depth.
    """

    settings: Any
    strength: Floats
    sweep: OnsetSweep
    window: PathwayWindow
    ever: Floats
    plane: Plane
    doses: Doses
    portrait: Portrait
    lesion: Lesion
    matrices: Matrices
    large: tuple[LargeSteps, ...]

    def frame(self) -> dict[str, pl.DataFrame]:
        """Return tidy tables by name; "results" holds a row for each deficit, onset, depth and mode."""
        sweep, window, depths = self.sweep, self.window, np.array(self.settings.depths)
        axes = (KINDS, sweep.onset, depths, self.strength)
        made = {
            "results": _table(
                dict(zip(("deficit", "onset", "depth", "strength"), axes, strict=True)),
                {"index_flow": sweep.flow, "index_descent": sweep.descent, "missed": sweep.missed},
            ),
            "windows": _table(
                {"depth": depths, "strength": self.strength},
                {
                    **{f"closes_{level:g}": values for level, values in zip(window.levels, window.closes, strict=True)},
                    "width": window.width(),
                },
            ),
            "plane": _table(
                {"deficit": KINDS, "onset": self.plane.onset, "duration": self.plane.duration},
                {"index": self.plane.index},
            ),
            "doses": _table(
                {"deficit": KINDS, "onset": (0, self.settings.late), "duration": self.doses.duration,
                 "rate": self.doses.rate},
                {"index_flow": self.doses.flow, "index_descent": self.doses.descent.mean(-1)},
            ),
            "portrait": _table(
                {"timing": ("early", "late"), "depth": self.portrait.depth,
                 "start": np.arange(self.portrait.index.shape[2])},
                {"index": self.portrait.index},
            ),
            "matrices": _table(
                {"onset": self.matrices.onset, "step": self.matrices.at, "mode": np.arange(len(self.matrices.strength)),
                 "pathway": np.arange(2)},
                {"matrices": self.matrices.matrices, "flow": self.matrices.flow},
            ),
        }  # fmt: skip
        return made | {"large_steps": self._large()}

    def _large(self) -> pl.DataFrame:
        import polars as pl

        return pl.concat(
            _table({"depth": (one.depth,), "step": one.step}, {"index": one.index[None], "edge": one.edge[None]})
            for one in self.large
        )


def _table(axes: dict[str, object], values: dict[str, Floats]) -> pl.DataFrame:
    """A row for each combination of the axes, in their order."""
    import polars as pl

    grids = np.meshgrid(*(np.asarray(axis) for axis in axes.values()), indexing="ij")
    columns = {name: grid.ravel() for name, grid in zip(axes, grids, strict=True)}
    return pl.DataFrame({**columns, **{name: value.ravel() for name, value in values.items()}})
