"""The study `linear-pathways`: who ends up with a mode when one of two pathways is impaired for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import final

import numpy as np
import torch

from chiasm.errors import ChiasmError
from chiasm.networks.deep_linear import modes
from chiasm.randomness import generator
from chiasm.theory.arguments import check_fields
from chiasm.theory.pathway.coordinates import Floats
from chiasm.theory.pathway.deficit import KINDS, PathwayDeficit
from chiasm.theory.pathway.descent import pathway_descent
from chiasm.theory.pathway.edge import edge_share, edge_steps
from chiasm.theory.pathway.flow import pathway_flow
from chiasm.theory.pathway.matrices import matrix_descent
from chiasm.theory.pathway.pathways import Bools, Pathways, pathways
from chiasm.theory.pathway.result import (
    Doses,
    LargeSteps,
    Lesion,
    Matrices,
    OnsetSweep,
    PathwaysResult,
    Plane,
    Portrait,
)
from chiasm.theory.pathway.window import PathwayWindow, pathway_window
from chiasm.theory.study import TheoryStudy

#: Steps at which matrices are tried; they cost a thousand times what the equations do.
MATRIX_STEPS = 5
#: Steps up to this much beyond the last limit; a little later descent becomes chaotic and then diverges.
BEYOND = 1.15


@final
class LinearPathways(TheoryStudy, frozen=True, kw_only=True, tag="linear-pathways"):
    """Settings of the study. Two pathways, of which the second is impaired; windows are [onset, onset + length).

    Attributes:
        target: the matrix to be learned; its distinct singular values are the modes.
        depths: weight matrices of both pathways.
        output: what each pathway gives of each mode at the start (balanced).
        step: the learning rate; a step of it is so much time of gradient flow.
        steps: of gradient descent.
        duration: of the deficits, in steps.
        onsets: how many are tried, from 0 to the last at which the deficit still ends in time.
        plane_depth: depth of the plane over onset and length.
        plane_side: onsets, and lengths, of the plane.
        plane_latest: its latest onset, in steps.
        plane_longest: its longest deficit, in steps.
        rates: shares of the time at which a deficit is there.
        late: the onset of a late deficit, in steps.
        dose_depth: depth of the deficits that are there some of the time.
        dose_durations: their lengths, in steps.
        tosses: runs with coins for each.
        portrait_strength: singular value of the mode that is learned from a wide start.
        portrait_depths: depths there.
        portrait_starts: random starts.
        portrait_sd: their sd.
        portrait_step: the step there.
        portrait_steps: the number of steps.
        portrait_onsets: onsets of the early and the late deficit, in those steps.
        portrait_duration: length of both, in those steps. The original script says 15, but begins to count at 1, so
            that its early deficit lasts 14.
        lesion_depth: depth of the pathways of which the first lacks a mode.
        lesion_mode: which one it lacks, 0 being the strongest.
        lesion_duration: length of the deficit from step 0 of the second, in steps.
        matrix_depth: depth of the matrices beside the equations.
        matrix_onsets: onsets of deficits there, in steps.
        width: units between the layers of matrices.
        spread: sd of the start over modes, relative, for matrices.
        large_depths: depths under large steps.
        large_tried: steps to try, for each.
        large_steps: how many steps each.
        large_matrix_depths: depths at which matrices are tried too.
        seed: of everything random.
    """

    target: str = "hierarchy"
    depths: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    output: float = 0.01
    step: float = 0.01
    steps: int = 1000
    duration: int = 150
    onsets: int = 171
    plane_depth: int = 3
    plane_side: int = 100
    plane_latest: int = 200
    plane_longest: int = 150
    rates: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
    late: int = 400
    dose_depth: int = 3
    dose_durations: tuple[int, ...] = (150, 600)
    tosses: int = 20
    portrait_strength: float = 10.0
    portrait_depths: tuple[int, ...] = (2, 5, 8, 13)
    portrait_starts: int = 100
    portrait_sd: float = 0.01
    portrait_step: float = 0.001
    portrait_steps: int = 1000
    portrait_onsets: tuple[int, int] = (0, 100)
    portrait_duration: int = 14
    lesion_depth: int = 3
    lesion_mode: int = 1
    lesion_duration: int = 200
    matrix_depth: int = 4
    matrix_onsets: tuple[int, ...] = (0, 400, 750)
    width: int = 100
    spread: float = 0.1
    large_depths: tuple[int, ...] = (2, 3, 4)
    large_tried: int = 41
    large_steps: int = 3000
    large_matrix_depths: tuple[int, ...] = (3, 4)
    seed: int = 0

    def run(self, progress: Callable[[float], None] | None = None) -> PathwaysResult:
        """Run the study; `progress` is called with the share done, in [0, 1].

        Raises:
            ChiasmError: for a setting that cannot be.
        """
        self._check()
        tell = progress or (lambda share: None)
        strength = np.unique(modes(self.target)[1].numpy().round(9))[::-1].copy()
        mesh = pathways(strength, np.array(self.depths)[:, None], output=self.output)
        sweep = self._sweep(mesh)
        tell(0.1)
        closing = self._window(mesh)
        plane = self._plane(float(strength[0]))
        tell(0.15)
        doses, portrait = self._doses(float(strength[0])), self._portrait()
        tell(0.3)
        lesion = self._lesion()
        tell(0.4)
        matrices = self._matrices()
        tell(0.6)
        large = []
        for depth in self.large_depths:
            large.append(self._large(depth, float(strength[0])))
            tell(0.6 + 0.4 * len(large) / len(self.large_depths))
        # Long after everything is learned, the rivals of a silenced pathway take its part over as well.
        late = PathwayDeficit(1, 1e4, 2e4, "silence")
        ever = pathway_flow(pathways(1.0, list(self.depths), output=0.1), [late]).index()
        return PathwaysResult(
            self, strength, sweep, closing, ever, plane, doses, portrait, lesion, matrices, tuple(large)
        )

    def _check(self) -> None:
        check_fields(self, "step portrait_step", above=0)
        check_fields(self, "onsets plane_side large_tried", least=2)
        check_fields(self, "duration tosses portrait_starts plane_longest plane_latest", least=1)
        # The functions that these are given to check their values.
        check_fields(self, "depths rates dose_durations portrait_depths matrix_onsets large_depths")
        for name, last, steps in (
            ("duration", self.duration, "steps"),
            ("lesion_duration", self.lesion_duration, "steps"),
            ("matrix_onsets and duration", max(self.matrix_onsets) + self.duration, "steps"),
            ("portrait_duration", max(self.portrait_onsets) + self.portrait_duration, "portrait_steps"),
        ):
            if last > getattr(self, steps):
                raise ChiasmError(
                    f"{name} leads to a deficit that ends at step {last}, beyond {steps} = {getattr(self, steps)}"
                )

    def _kept(self, diverged: Bools, depth: object) -> None:
        """Refuse a step under which descent diverges where no large steps are meant."""
        if diverged.any():
            raise ChiasmError(
                f"step = {self.step:g} with output {self.output:g}: gradient descent diverges at depth {depth}; give a "
                "smaller step or a smaller output"
            )

    def _sweep(self, mesh: Pathways) -> OnsetSweep:
        onset = np.unique(np.linspace(0, self.steps - self.duration, self.onsets).round().astype(np.int64))
        begin = onset[:, None, None]
        deficits = [PathwayDeficit(1, begin, begin + self.duration, kind) for kind in KINDS]
        flows = [pathway_flow(mesh, [deficit.times(self.step)]) for deficit in deficits]
        # As long again after the last release, so that what is compared with the end of the flow is an end.
        descents = [pathway_descent(mesh, [deficit], self.step, 2 * self.steps) for deficit in deficits]
        for one in descents:
            self._kept(one.diverged, ", ".join(str(depth) for depth in np.unique(one.system.depth[one.diverged])))
        return OnsetSweep(
            onset,
            np.stack([one.index() for one in flows]),
            np.stack([one.index() for one in descents]),
            np.stack([one.missed() for one in flows]),
        )

    def _window(self, mesh: Pathways) -> PathwayWindow:
        window = pathway_window(mesh, self.duration * self.step, self.steps * self.step)
        return replace(window, closes=window.closes / self.step)

    def _plane(self, strength: float) -> Plane:
        onset = np.linspace(0, self.plane_latest, self.plane_side)
        duration = np.linspace(self.plane_longest / self.plane_side, self.plane_longest, self.plane_side)
        mode = pathways(strength, self.plane_depth, output=self.output)
        begin = onset[:, None]
        deficits = [PathwayDeficit(1, begin, begin + duration, kind).times(self.step) for kind in KINDS]
        return Plane(onset, duration, np.stack([pathway_flow(mode, [deficit]).index() for deficit in deficits]))

    def _doses(self, strength: float) -> Doses:
        rate, duration = np.array(self.rates), np.array(self.dose_durations)
        mode = pathways(strength, self.dose_depth, output=self.output)
        begin = np.array([0, self.late])[:, None, None]
        end, tosses = begin + duration[:, None], np.repeat(rate[:, None], self.tosses, axis=1)
        steps = int(end.max()) + self.steps
        flows, descents = [], []
        for kind in KINDS:
            flows.append(pathway_flow(mode, [PathwayDeficit(1, begin, end, kind, rate).times(self.step)]).index())
            often = PathwayDeficit(1, begin[..., None], end[..., None], kind, tosses)
            descent = pathway_descent(mode, [often], self.step, steps, seed=self.seed)
            self._kept(descent.diverged, self.dose_depth)
            descents.append(descent.index())
        return Doses(rate, duration, np.stack(flows), np.stack(descents))

    def _portrait(self) -> Portrait:
        shape = (self.portrait_starts, 2)
        drawn = torch.randn(shape, dtype=torch.float64, generator=generator(self.seed, "pathway portrait")).numpy()
        starts = tuple((self.portrait_sd * drawn).T)
        depth = np.array(self.portrait_depths)
        cells = pathways(self.portrait_strength, depth[:, None], weight=starts, init="wide")
        begin = np.array(self.portrait_onsets)[:, None, None] * self.portrait_step
        end = begin + self.portrait_duration * self.portrait_step
        last = self.portrait_steps * self.portrait_step
        flow = pathway_flow(cells, [PathwayDeficit(1, begin, end)], np.linspace(0, last, 201))
        return Portrait(depth, flow.outputs, flow.index())

    def _lesion(self) -> Lesion:
        at = np.arange(self.steps + 1)
        deficit = PathwayDeficit(1, 0, self.lesion_duration)
        run = matrix_descent(
            self.lesion_depth, [deficit], self.step, self.steps, at, self.target, self.width, self.output,
            missing=[(0, self.lesion_mode)], seed=self.seed,
        )  # fmt: skip
        self._kept(run.diverged, self.lesion_depth)
        flow = pathway_flow(run.system, [deficit.times(self.step)], at * self.step)
        other = run.outputs[:, self.lesion_mode, 1]
        learned = np.flatnonzero(other >= 0.9 * run.system.strength[self.lesion_mode])
        first = float(learned[0]) if len(learned) else np.nan
        return Lesion(at, run.outputs, np.moveaxis(flow.outputs, 1, 0), self.lesion_mode, first)

    def _matrices(self) -> Matrices:
        at, onset = np.arange(0, self.steps + 1, max(1, self.steps // 200)), np.array(self.matrix_onsets)
        run = matrix_descent(
            self.matrix_depth, [PathwayDeficit(1, onset, onset + self.duration)], self.step, self.steps, at,
            self.target, self.width, self.output, self.spread, seed=self.seed,
        )  # fmt: skip
        self._kept(run.diverged, self.matrix_depth)
        deficit = PathwayDeficit(1, onset[:, None], onset[:, None] + self.duration)
        strength, finer = run.system.strength, (1, 3, 10)
        flow = pathway_flow(run.system, [deficit.times(self.step)], at * self.step).outputs
        reduced = [
            pathway_descent(run.system, [deficit.times(k)], self.step / k, self.steps * k, at * k).outputs
            for k in finer
        ]
        apart = np.abs(np.moveaxis(reduced[0], 1, 2) - run.outputs).max()
        ahead = [np.max(np.abs(one - flow) / strength[:, None, None]) for one in reduced]
        return Matrices(
            onset, at, strength, run.outputs, np.moveaxis(flow, 1, 2), float(apart), self.step / np.array(finer),
            np.array(ahead),
        )  # fmt: skip

    def _large(self, depth: int, strength: float) -> LargeSteps:
        one, even = (float(x) for x in edge_steps(strength, depth))
        step = np.linspace(0.7 * one, BEYOND * even, self.large_tried)
        mode, length = pathways(strength, depth, output=self.output), self.duration * self.step
        descent = pathway_descent(mode, [PathwayDeficit(1, 0, _steps(length, step))], step, self.large_steps)
        share = edge_share(strength, depth, step) if depth > 2 else np.full(step.shape, np.nan)
        tried, by_mode = np.empty(0), np.empty((0, 0))
        if depth in self.large_matrix_depths:
            tried = np.linspace(0.95 * one, 1.05 * even, MATRIX_STEPS)
            by_mode = matrix_descent(
                depth, [PathwayDeficit(1, 0, _steps(length, tried))], tried, self.large_steps // 2, (), self.target,
                self.width, self.output, seed=self.seed,
            ).index()  # fmt: skip
        drawn, at = (one + 3 * even) / 4, np.arange(min(601, self.large_steps + 1))
        curve = pathway_descent(mode, [PathwayDeficit(1, 0, _steps(length, np.array(drawn)))], drawn, int(at[-1]), at)
        flow = pathway_flow(mode, [PathwayDeficit(1, 0, length)]).index()
        return LargeSteps(
            depth, (one, even), step, descent.index(), 2 * share - 1, float(flow), tried, by_mode, drawn, at,
            curve.outputs,
        )  # fmt: skip


def _steps(time: float, step: Floats) -> Floats:
    """Return how many steps last at least so long."""
    return np.ceil(time / step - 1e-9)
