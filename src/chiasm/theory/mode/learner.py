"""One part of a task, learned in many cells at once, each with windows of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chiasm.theory.arguments import Floats
from chiasm.theory.mode.curve import strength
from chiasm.theory.mode.flow import FlowState, advance, balanced
from chiasm.theory.mode.task import ConnectedBlock, factorised
from chiasm.theory.mode.windows import How


@dataclass(frozen=True)
class Learner:
    """A network of one depth on one part of a task."""

    matrix: Floats  # (m, n), what is to be learned
    block: ConnectedBlock  # its rows, columns and modes
    depth: int  # N >= 1
    how: How  # what an input shows while it is away
    start: Floats | None = None  # (m, n), the product at time 0; None: every mode begins at the cell's scale

    def weights(self, scale: Floats, onset: Floats, release: Floats, times: Floats) -> Floats:
        """Return (cells, times, m, n) weights at rising times, each input away from onset to release, (cells, n)."""
        if self.depth == 1:
            return self.shallow(scale, onset, release, times)
        moved = self._moved(onset, float(times[-1]))
        weights = np.empty((len(scale), len(times), *self.matrix.shape))
        if not moved.all():
            weights[~moved] = self.undisturbed(scale[~moved], times)
        if moved.any():
            weights[moved] = self._followed(scale[moved], onset[moved], release[moved], times)
        return weights

    def closed(self, onset: Floats, end: float) -> NDArray[np.bool_]:
        """Return (cells,): whether no part of a cell is integrated numerically until the end."""
        if self.depth == 1 or (self.depth == 2 and self.how == "unrelated"):
            return np.ones(len(onset), bool)
        if self.start is not None and self.depth == 2:
            return np.asarray((onset >= end).all(1))
        return ~self._moved(onset, end)

    def undisturbed(self, scale: Floats, times: Floats) -> Floats:
        """Return (cells, times, m, n): the task learned with nothing away; times (times,) or (cells, times)."""
        if self.depth == 1:
            never = np.full((len(scale), self.matrix.shape[1]), np.inf)
            return self.shallow(scale, never, never, times)
        strengths = strength(self.block.values, scale[:, None, None], self.depth, times[..., None])
        return np.asarray((self.block.left * strengths[..., None, :]) @ self.block.right.T)

    def shallow(self, scale: Floats, onset: Floats, release: Floats, times: Floats) -> Floats:
        """Return (cells, times, m, n) at depth 1; times (times,) or (cells, times).

        Each weight moves by itself: towards its target, away from it or at rest, and towards it again.
        """
        # A window that never opens leaves inf - inf otherwise.
        last = np.where(np.isinf(onset), np.inf, release)[:, None]
        now, first = times[..., None], onset[:, None]
        before = np.minimum(now, first)
        away = np.where(now > first, np.minimum(now, last) - before, 0.0)
        since = np.maximum(now - last, 0.0)
        start = self.start
        if start is None:
            start = (self.block.left * scale[:, None, None, None]) @ self.block.right.T
        weights = self.matrix + (start - self.matrix) * np.exp(-before[:, :, None])
        if self.how == "unrelated":
            weights = weights * np.exp(-away[:, :, None])
        return np.asarray(self.matrix + (weights - self.matrix) * np.exp(-since[:, :, None]))

    def arrived(self, scale: Floats, times: Floats) -> FlowState:
        """Return the networks that have learned undisturbed, each until a time of its own, (cells,)."""
        strengths = strength(self.block.values, scale[:, None], self.depth, times[:, None])
        return self._balanced(self.block.left, strengths, self.block.right, float(scale.min()))

    def target(self, away: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return what is learned, (cells, m, n), and which inputs are there, (cells, n), while some are away."""
        if self.how == "silence":
            return np.broadcast_to(self.matrix, (len(away), *self.matrix.shape)), ~away
        return np.where(away[:, None], 0.0, self.matrix), np.ones_like(away)

    def _balanced(self, left: Floats, strengths: Floats, right: Floats, least: float) -> FlowState:
        # Errors count against the least strength that matters: that of the start, or of what it falls to.
        return balanced(left, strengths, right, self.depth, min(least, float(self.block.values[-1])))

    def _moved(self, onset: Floats, end: float) -> NDArray[np.bool_]:
        """Return which cells leave the curves of their modes."""
        return np.asarray((onset < end).any(1)) | (self.start is not None)

    def _followed(self, scale: Floats, onset: Floats, release: Floats, times: Floats) -> Floats:
        """Follow the flow from the first onset on, or from the start, from switch to switch and time to time."""
        if self.start is None:
            begin = onset.min(1)
            weights = self.undisturbed(scale, times)
            state = self.arrived(scale, np.minimum(begin, times[-1]))
        else:
            begin = np.zeros(len(scale))
            weights = np.zeros((len(scale), len(times), *self.matrix.shape))
            left, values, right = factorised(self.start)
            if not len(values):
                return weights  # deep networks of zeros never move
            state = self._balanced(left, np.tile(values, (len(scale), 1)), right, float(values[-1]))
        stops = np.unique(np.concatenate([begin, onset.ravel(), release.ravel(), times, [0.0]]))
        stops = stops[stops <= times[-1]]
        for now, until in zip(stops, [*stops[1:], stops[-1]], strict=True):
            live = np.flatnonzero(begin <= now)
            part = replace(state, flat=state.flat[live])
            if now in times:
                weights[live, np.searchsorted(times, now)] = part.product
            target, present = self.target((onset[live] <= now) & (now < release[live]))
            part = advance(part, target, present, np.full(len(live), until - now))
            state.flat[live] = part.flat
            state = replace(state, step=part.step)
        return weights
