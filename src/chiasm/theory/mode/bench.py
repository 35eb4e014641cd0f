"""Networks that lose a source for a while beside networks that do not: weights, errors, and when they have learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chiasm.theory.arguments import Floats
from chiasm.theory.mode.curve import rise
from chiasm.theory.mode.flow import advance
from chiasm.theory.mode.learner import Learner

#: Looks at the error while the source is away: enough to place a crossing between two of them.
LOOKS = 96
#: Places between which a crossing of the undisturbed network is sought, three times over.
GRID = 501
#: Exponents after which a mode counts as settled: what is left is exp(-16), about 1e-7.
EXPONENTS = 16.0


@dataclass(frozen=True)
class Bench:
    """Networks of one depth on the part of a task that a source is connected to."""

    learner: Learner
    own: NDArray[np.bool_]  # (inputs,) of that part: whether a column belongs to the source
    within: float  # the error at which a network has learned

    def finish(self, scale: float) -> Floats:
        """When the weights of all inputs, and those of the other sources, are learned that lost nothing: (2,)."""
        values, depth = self.learner.block.values, self.learner.depth
        # All have learned once every mode misses its value by less than its part of the smaller norm.
        norms = self._norms()
        allowed = self.within * (norms.min() or norms.max()) / len(values) ** 0.5
        end = max(float(rise(s, scale, depth, max(0.5, 1 - allowed / s))) for s in values)
        finishes = []
        for which in range(2):
            low, high = 0.0, end
            for _ in range(3):
                times = np.linspace(low, high, GRID)
                error = self._errors(self.learner.undisturbed(np.array([scale]), times))[which, 0]
                above = np.flatnonzero(error > self.within)
                if not len(above):
                    break
                low, high = times[above[-1]], times[min(above[-1] + 1, GRID - 1)]
            finishes.append(low)
        return np.array(finishes)

    def settled(self, finish: float) -> float:
        """How long after a release networks are looked at, where nobody says."""
        depth, weakest = self.learner.depth, float(self.learner.block.values[-1])
        return float(max(2 * finish, EXPONENTS / (depth * weakest ** (2 - 2 / depth))))

    def follow(self, onset: Floats, release: Floats, scale: Floats, since: Floats) -> tuple[Floats, ...]:
        """Follow networks that lose the source, beside networks that do not.

        Returns:
            When all and the others are learned, (cells, 2); the same of those that lost nothing; the largest change of
            the others (cells,), of all (cells, looks), and the error of all (cells, looks).
        """
        during = onset[:, None] + (release - onset)[:, None] * np.linspace(0, 1, LOOKS + 1)
        times = np.concatenate([during, release[:, None] + since], 1)
        impaired = self._weights(onset, release, scale, times)
        control = self.learner.undisturbed(scale, times)
        errors = self._errors(impaired)
        learned, usual = (
            np.stack([crossing(times, error, self.within) for error in each], 1)
            for each in (errors, self._errors(control))
        )
        gap = np.abs(impaired - control)
        others = gap[..., ~self.own].max((1, 2, 3), initial=0.0)
        return learned, usual, others, gap.max((2, 3))[:, LOOKS + 1 :], errors[0][:, LOOKS + 1 :]

    def _weights(self, onset: Floats, release: Floats, scale: Floats, times: Floats) -> Floats:
        learner = self.learner
        away = np.broadcast_to(self.own, (len(onset), len(self.own)))
        if learner.depth == 1:
            first, last = (np.where(away, one[:, None], np.inf) for one in (onset, release))
            return learner.shallow(scale, first, last, times)
        state = learner.arrived(scale, onset)
        weights = [state.product]
        impaired, clean = learner.target(away), learner.target(np.zeros_like(away))
        for k, length in enumerate(np.diff(times, axis=1).T, 1):
            state = advance(state, *(impaired if k <= LOOKS else clean), length)
            weights.append(state.product)
        return np.stack(weights, 1)

    def _norms(self) -> Floats:
        squares = (self.learner.matrix**2).sum(0)
        return np.sqrt([squares.sum(), squares[~self.own].sum()])

    def _errors(self, weights: Floats) -> Floats:
        """Return the error of all inputs and that of the other sources', (2, cells, times)."""
        squares = ((weights - self.learner.matrix) ** 2).sum(2)
        norms = self._norms()[:, None, None]
        return np.sqrt([squares.sum(2), squares[..., ~self.own].sum(2)]) / np.where(norms > 0, norms, 1.0)


def crossing(times: Floats, error: Floats, within: float) -> Floats:
    """Return (cells,): the time from which on an error stays within a bound; NaN: always does; inf: not yet at the end.

    Between two looks, (cells, looks) of times and errors, the logarithm of the error is taken as straight.

    >>> crossing(np.array([[0.0, 1.0, 2.0]]), np.array([[1.0, 0.4, 0.1]]), 0.2)
    array([1.5])
    """
    crossed = np.full(len(times), np.nan)
    for cell, above in enumerate(error > within):
        if above[-1]:
            crossed[cell] = np.inf
        elif above.any():
            k = np.flatnonzero(above)[-1]
            low, high = np.log(np.maximum(error[cell, k : k + 2], 1e-300))
            share = (low - np.log(within)) / (low - high)
            crossed[cell] = times[cell, k] + share * (times[cell, k + 1] - times[cell, k])
    return crossed
