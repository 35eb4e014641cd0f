"""The study `linear-fusion`: when the loss of a source is permanent, and when it only delays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import Floats, check_fields
from chiasm.theory.fusion.landscape import Landscape
from chiasm.theory.fusion.network import FusionLayers
from chiasm.theory.fusion.plane import FusionPlane, fuse
from chiasm.theory.fusion.problem import FusionProblem
from chiasm.theory.fusion.steps import FusionSteps, fuse_by_steps
from chiasm.theory.study import TheoryStudy

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class FusionResult:
    """Result of the study. Cells of a plane are (timelines, seeds)."""

    settings: LinearFusion  # of the study
    depths: tuple[FusionPlane, ...]  # a plane a depth: the durations from step 0, then the onsets of one duration
    shared: tuple[FusionPlane, ...]  # the same timelines for networks with shared layers
    lasting: tuple[FusionPlane, ...]  # a plane a depth, control and the longest deficit, with a very long time after it
    free: tuple[FusionPlane, ...]  # the durations without weight decay, a plane a depth
    # depth 1 and sources without noise; cells (decay 0 and the study's, control and deficit, seeds)
    redundant: FusionPlane
    # a plane a depth, a deficit of a network long fused, a little shorter and longer than the landscape allows;
    # only depths at which it sets a limit
    late: tuple[FusionPlane, ...]
    landscapes: tuple[Landscape, ...]  # one a depth, in closed form
    steps: tuple[FusionSteps, ...]  # descent with large steps beside flow, one a depth
    # cells (steps, seeds): after the onset sweep's deficit, from step 0, with steps so large that descent does
    # not rest in the lost state; None where none were asked for
    swinging: FusionPlane | None

    def kept_features(self) -> Floats:
        """Return how many features source b has in the end in each cell of `swinging`, NaN where descent diverged.

        A feature counts from half the weight that the fused state gives it.
        """
        plane = self.swinging
        if plane is None:
            return np.empty((0, 0))
        fused = self.settings.landscape(plane.layers.own).rest("fused")
        finite = np.isfinite(plane.maps).all((-1, -2, -3))
        kept = np.full(finite.shape, np.nan)
        if fused is not None:
            values = np.linalg.svd(plane.maps[finite][:, 1], compute_uv=False)
            kept[finite] = (values > fused.w_b / 2).sum(-1)
        return kept

    def frame(self) -> pl.DataFrame:
        """Return a table with one row per cell.

        Columns: part, own, shared, onset, duration, steps, decay, scale, seed, excess, share, recovery (steps after the
        release until the excess is below the study's threshold; infinite for never).
        """
        import polars as pl

        tables = []
        for name in ("depths", "shared", "lasting", "free", "late", "redundant"):
            planes: tuple[FusionPlane, ...] = (self.redundant,) if name == "redundant" else getattr(self, name)
            for plane in planes:
                recovery = pl.Series("recovery", plane.recovery(self.settings.threshold).ravel())
                tables.append(plane.frame().select(pl.lit(name).alias("part"), pl.all(), recovery))
        return pl.concat(tables)


@final
class LinearFusion(TheoryStudy, frozen=True, kw_only=True, tag="linear-fusion"):
    """Settings of the study; the defaults are the shipped one. Times are in steps.

    Attributes:
        depths: layers of a pathway, none shared.
        durations: of a deficit of source b that begins at step 0.
        onsets: of a deficit of `onset_duration`.
        onset_duration: of the onset sweep, of the redundant sources and of the large steps.
        after: steps after the release, equal for all.
        seeds: draws of the weights, 0 to seeds - 1.
        features: of the signal.
        width: of hidden layers.
        noise: variance of the noise of source a and b.
        deficit: "zero" or "decorrelate", see `FusionProblem`.
        step: of gradient descent.
        decay: weight decay.
        scale: of the products at the start.
        every: record the paths each so many steps.
        threshold: of the excess loss, below which a cell counts as recovered.
        shared: (own, shared) layers of the networks that share some.
        lasting_depths: depths that are followed much longer.
        lasting_after: for so many steps after the release of the longest of `durations`.
        free_depths: depths that are trained without weight decay.
        free_after: for so many steps after the release.
        late_depths: depths, from 3, whose longest harmless deficit is checked.
        late_onset: step at which that deficit begins.
        late_factors: how long it is, in units of the landscape's answer.
        steps_depths: depths that are trained with large steps.
        large_steps: lengths of these steps.
        swinging_depth: depth that is trained with still larger ones after a deficit that is permanent under flow.
        swinging_steps: lengths of these steps; none to leave that out.
        swinging_after: how many of them follow the release.

    Raises:
        ChiasmError: a field is empty or out of range.

    >>> LinearFusion(depths=(1, 3), seeds=2).timelines
    ((0, 0), (0, 50), (0, 100), (0, 200), (0, 400), (0, 800), (0, 1600),
     (0, 800), (100, 800), (200, 800), (400, 800), (800, 800), (1600, 800))
    """

    depths: tuple[int, ...] = (1, 2, 3, 4, 5)
    durations: tuple[int, ...] = (0, 50, 100, 200, 400, 800, 1600)
    onsets: tuple[int, ...] = (0, 100, 200, 400, 800, 1600)
    onset_duration: int = 800
    after: int = 2000
    seeds: int = 5
    features: int = 4
    width: int = 24
    noise: tuple[float, float] = (0.3, 0.3)
    deficit: Literal["zero", "decorrelate"] = "zero"
    step: float = 0.05
    decay: float = 0.03
    scale: float = 0.05
    every: int = 10
    threshold: float = 0.1
    shared: tuple[tuple[int, int], ...] = ((1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1))
    lasting_depths: tuple[int, ...] = (1, 2, 3)
    lasting_after: int = 20_000
    free_depths: tuple[int, ...] = (1, 2, 3, 4)
    free_after: int = 2000
    late_depths: tuple[int, ...] = (3, 4)
    late_onset: int = 2000
    late_factors: tuple[float, ...] = (0.95, 1.05)
    steps_depths: tuple[int, ...] = (1, 2, 3)
    large_steps: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.1)
    swinging_depth: int = 3
    swinging_steps: tuple[float, ...] = (0.7, 0.72, 0.74, 0.76, 0.78, 0.8, 0.82, 0.84, 0.86, 0.88)
    swinging_after: int = 2000

    def __post_init__(self) -> None:
        check_fields(self, "durations onsets onset_duration late_onset", least=0)
        check_fields(self, "depths seeds after lasting_after free_after swinging_after", least=1)
        check_fields(self, "large_steps swinging_steps", above=0, empty=True)
        check_fields(self, "late_factors", least=0, empty=True)
        # A source without noise needs no other, so there would be no excess loss to follow.
        check_fields(self, "noise", above=0)
        if not 0 < self.threshold < 1:
            raise ChiasmError(f"threshold = {self.threshold}; expected an excess loss inside (0, 1)")
        for name, depths in (("late_factors", self.late_depths), ("large_steps", self.steps_depths)):
            if depths and not getattr(self, name):
                raise ChiasmError(f"{name} is empty; give one value or more, or no depths that they are for")

    @property
    def timelines(self) -> tuple[tuple[int, int], ...]:
        """(onset, duration) of each timeline: the durations, then the onsets."""
        swept = [(onset, self.onset_duration) for onset in self.onsets]
        return (*[(0, duration) for duration in self.durations], *swept)

    @property
    def problem(self) -> FusionProblem:
        """What is to be learned."""
        return FusionProblem(self.features, self.noise, self.deficit)

    def landscape(self, depth: int) -> Landscape:
        """The energy of pathways so deep."""
        return Landscape(self.problem, depth, self.decay)

    def plane(
        self, layers: FusionLayers, timelines: Sequence[tuple[int, int]], after: int, decay: ArrayLike, **changes: Any
    ) -> FusionPlane:
        """Train (timelines, seeds) cells; `changes` are further arguments of `fuse`."""
        onset, duration = np.array(timelines).T[..., None]
        settings: dict[str, Any] = {
            "problem": self.problem,
            "scale": self.scale,
            "step": self.step,
            "every": self.every,
        }
        return fuse(
            layers=layers, onset=onset, release=onset + duration, steps=onset + duration + after, decay=decay,
            seed=np.arange(self.seeds), **settings | changes,
        )  # fmt: skip

    def run(self, progress: Callable[[float], None] | None = None) -> FusionResult:
        """Run the study.

        Args:
            progress: called with the share that is done, in (0, 1].

        Raises:
            ChiasmError: a setting is out of range, or a cell diverges.
        """
        lost = [(0, duration) for duration in sorted({min(self.durations), max(self.durations)})]
        swept = [(0, duration) for duration in self.durations]
        timed = partial(self.plane, timelines=self.timelines, after=self.after, decay=self.decay)
        kept = partial(self.plane, timelines=lost, after=self.lasting_after, decay=self.decay)
        loose = partial(self.plane, timelines=swept, after=self.free_after, decay=0.0)
        late = [depth for depth in self.late_depths if self.landscape(depth).limited]

        def alone(depths: Sequence[int]) -> list[FusionLayers]:
            return [FusionLayers(depth, 0, self.width) for depth in depths]

        # By its part of the result: about how long a layer takes, the job, its networks.
        parts: dict[str, tuple[int, Callable[[FusionLayers], Any], list[FusionLayers]]] = {
            "depths": (4, timed, alone(self.depths)),
            "shared": (4, timed, [FusionLayers(own, shared, self.width) for own, shared in self.shared]),
            "lasting": (5, kept, alone(self.lasting_depths)),
            "free": (2, loose, alone(self.free_depths)),
            "late": (4, self._late, alone(late)),
            "steps": (8, self._steps, alone(self.steps_depths)),
        }
        total = sum(weight * layers.depth for weight, _, networks in parts.values() for layers in networks)
        done = 0
        trained: dict[str, Any] = dict.fromkeys(parts, ())
        for name, (weight, job, networks) in parts.items():
            for layers in networks:
                trained[name] += (job(layers),)
                done += weight * layers.depth
                if progress is not None:
                    progress(done / total)
        landscapes = tuple(self.landscape(depth) for depth in self.depths)
        return FusionResult(
            self, redundant=self._redundant(), landscapes=landscapes, swinging=self._swinging(), **trained
        )

    def _redundant(self) -> FusionPlane:
        noiseless = FusionProblem(self.features, (0.0, 0.0), self.deficit)
        timelines, decay = [(0, 0), (0, self.onset_duration)], np.array([0.0, self.decay])[:, None, None]
        return self.plane(FusionLayers(1, 0, self.width), timelines, self.after, decay, problem=noiseless)

    def _late(self, layers: FusionLayers) -> FusionPlane:
        longest = self.landscape(layers.own).longest() / self.step
        timelines = [(self.late_onset, round(factor * longest)) for factor in self.late_factors]
        # Near the edge the way back is long: twice the time.
        return self.plane(layers, timelines, 2 * self.after, self.decay)

    def _swinging(self) -> FusionPlane | None:
        if not self.swinging_steps:
            return None
        timelines = [(0, round(self.onset_duration * self.step / step)) for step in self.swinging_steps]
        return self.plane(
            FusionLayers(self.swinging_depth, 0, self.width), timelines, self.swinging_after, self.decay,
            step=np.array(self.swinging_steps)[:, None], diverging="keep",
        )  # fmt: skip

    def _steps(self, layers: FusionLayers) -> FusionSteps:
        return fuse_by_steps(
            self.problem, layers, steps=self.large_steps, durations=(0.0, self.onset_duration * self.step),
            after=self.after * self.step, decay=self.decay, scale=self.scale, seeds=self.seeds,
        )  # fmt: skip
