"""The study `linear-modes`: a task with a source missing, missing for a while, or not, shallow and deep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import Floats, check_fields
from chiasm.theory.mode.descent import ModeDescent, edge_step, mode_descent
from chiasm.theory.mode.examples import TASKS
from chiasm.theory.mode.modes import Modes, half_rise, modes
from chiasm.theory.mode.recovery import Recovery, recovery
from chiasm.theory.mode.task import LinearTask, task
from chiasm.theory.mode.windows import How
from chiasm.theory.study import TheoryStudy

#: The smallest side of a plane; on a smaller one windows lie closer together than figures can tell.
LEAST = 0.01
#: Steps that a network may take; shorter ones that would need more are left out.
MOST = 30_000
#: Steps after which a mode has settled at 0.95 of the edge: 0.9 ** 200 is below 1e-9.
SETTLED = 200
HOWS: tuple[How, ...] = ("silence", "unrelated")


@final
class LinearModes(TheoryStudy, frozen=True, kw_only=True, tag="linear-modes"):
    """Settings of the study.

    Times are in units of 1 / learning rate. Outputs and sources count from 1, as their numbers in the figures do.

    Attributes:
        matrix: outputs by inputs; every column is a source.
        removed: the source that goes.
        watched: another source, whose weight is followed.
        output: the output whose weights are followed.
        depth: number of weight matrices of the deep network beside the shallow one, 2 or more.
        scale: strength of every mode at time 0.
        end: the last time of the curves.
        points: number of times of the curves.
        release: when the source comes back on the curves that show it.
        depths: number of weight matrices, one plane of windows each.
        windows: onsets, and releases, along a side of a plane.
        span: the side of a plane, as a multiple of the time that learning takes without a removal.
        within: the error, relative to the task, at which a network has learned.
        large_steps: lengths of a step of gradient descent beside flow, the source silent until `release`, as shares of
            the longest that is stable; none to leave that out.
    """

    matrix: tuple[tuple[float, ...], ...] = TASKS
    removed: str = "3"
    watched: str = "8"
    output: int = 5
    depth: int = 2
    scale: float = 1e-4
    end: float = 10.0
    points: int = 1000
    release: float = 3.0
    depths: tuple[int, ...] = (1, 2, 3, 4)
    windows: int = 13
    span: float = 1.5
    within: float = 0.1
    large_steps: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.5, 0.7, 0.9, 0.95, 1.05, 1.1, 1.2)

    def run(self, progress: Callable[[float], None] | None = None) -> ModesResult:
        """Run the study; `progress` is called with the share done, in [0, 1].

        Raises:
            ChiasmError: for a setting that cannot be.
        """
        what = task(self.matrix)
        what.columns(self.watched)
        if self.watched == self.removed:
            raise ChiasmError(f"watched and removed are both source '{self.removed}'; watch another one")
        check_fields(self, "points windows depth", least=2)
        check_fields(self, "depths", least=1)
        check_fields(self, "end", above=0)
        check_fields(self, "span", least=LEAST)
        check_fields(self, "large_steps", above=0, empty=True)
        if not 1 <= self.output <= what.matrix.shape[0]:
            raise ChiasmError(f"output = {self.output}; expected one of 1 to {what.matrix.shape[0]}")
        without = what.without(self.removed)
        if not without.matrix.any():
            raise ChiasmError(f"without source '{self.removed}' there is nothing to learn; remove another one")
        back = {self.removed: (0.0, np.array([self.release, np.inf])[:, None])}
        curves = partial(modes, times=np.linspace(0, self.end, self.points), depth=[1, self.depth], scale=self.scale)
        whole, gone, away = curves(what), curves(without), curves(what, removed=back)
        planes: dict[How, list[Recovery]] = {how: [] for how in HOWS}
        for done, (how, depth) in enumerate(product(HOWS, self.depths), 1):
            planes[how].append(self._plane(what, how, depth))
            if progress is not None:
                progress(done / len(HOWS) / len(self.depths))
        return ModesResult(
            self,
            whole=whole,
            without=gone,
            away=away,
            half=half_rise(what, depth=self.depth, scale=self.scale),
            half_without=half_rise(without, depth=self.depth, scale=self.scale),
            planes={how: tuple(by_depth) for how, by_depth in planes.items()},
            steps=tuple(one for depth in (1, self.depth) for one in self._steps(what, depth)),
        )

    def _steps(self, what: LinearTask, depth: int) -> list[ModeDescent]:
        steps = edge_step(depth, what.modes()[1]) * np.array(self.large_steps)
        # Near the edge the way to the end is long in steps, however short it is in time; and all must be learned.
        learned = 2 * float(half_rise(what, depth=depth, scale=self.scale).max())
        back = self.release if np.isfinite(self.release) else 0.0
        end = max(self.end, back + learned, SETTLED * float(steps.max(initial=0.0)))
        steps = steps[steps * MOST >= end]
        away = {self.removed: (0.0, self.release)}
        if not len(steps):
            return []
        return [mode_descent(what, steps=steps, end=end, depth=depth, scale=self.scale, removed=away)]

    def _plane(self, what: LinearTask, how: How, depth: int) -> Recovery:
        follow = partial(recovery, what, source=self.removed, depth=depth, scale=self.scale, within=self.within)
        finish = float(follow(onset=0, release=0, since=[0.0]).finish)
        side = np.linspace(0, self.span * finish, self.windows)
        onset, release = (each.ravel() for each in np.meshgrid(side, side, indexing="ij"))
        window = release > onset
        return follow(onset=onset[window], release=release[window], how=how)


@dataclass(frozen=True)
class ModesResult:
    """Result of the study."""

    settings: LinearModes  # of the study
    whole: Modes  # depths 1 and `settings.depth`, nothing removed: weights (2, times, outputs, inputs)
    # the same for the task without the source, which begins in that task's own modes, as the paper has it
    without: Modes
    away: Modes  # (2, 2): silent from 0 until `settings.release`, or for ever; by depth; beginning as `whole` does
    half: Floats  # (modes,) times to half of each mode of the whole task, deep
    half_without: Floats  # (modes,) the same without the source
    planes: dict[How, tuple[Recovery, ...]]  # for each way to be away, one plane of windows a depth, cells in a row
    # depths 1 and `settings.depth`: descent with large steps beside flow; empty where none were asked for
    steps: tuple[ModeDescent, ...] = ()

    def frame(self) -> dict[str, pl.DataFrame]:
        """Return tidy tables: "results", a row a window of a plane; "modes", a row a mode; "weights", the curves.

        And "steps", a row a length of a step, where some were asked for.
        """
        planes = [
            plane.frame().select(pl.lit(how).alias("how"), pl.all())
            for how, by_depth in self.planes.items()
            for plane in by_depth
        ]
        rises, curves = [], []
        for name, learned, half in (("whole", self.whole, self.half), ("without", self.without, self.half_without)):
            rise = pl.DataFrame({"singular_value": learned.values, "half_rise": half})
            rises.append(rise.select(pl.lit(name == "without").alias("removed"), pl.all()))
            curves.append(learned.frame().select(pl.lit(name).alias("task"), pl.all()))
        lengths = [
            pl.DataFrame({"depth": [one.depth] * len(one.steps), "step": one.steps, "gap": one.gap, "left": one.left})
            for one in self.steps
        ]
        tables = {"results": pl.concat(planes), "modes": pl.concat(rises), "weights": pl.concat(curves)}
        return tables | ({"steps": pl.concat(lengths)} if lengths else {})

    @property
    def change(self) -> Floats:
        """(2, outputs, inputs): the largest change of each weight at any time by the source's absence; by depth."""
        return np.asarray(np.abs(self.whole.weights - self.without.weights).max(1))

    @property
    def names(self) -> list[str]:
        """(inputs,): the source of each column."""
        return [str(name) for name in self.whole.task.owners]

    @property
    def others(self) -> NDArray[np.bool_]:
        """(inputs,): the columns of the sources that stay."""
        return np.asarray(np.array(self.names) != self.settings.removed)
