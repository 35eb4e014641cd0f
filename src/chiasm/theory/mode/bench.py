"""Networks that lose a source for a while beside networks that do not: weights, errors, and when they have learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chiasm.theory.mode.curve import rise
from chiasm.theory.mode.flow import advance
from chiasm.theory.mode.learner import Learner

Floats = NDArray[np.float64]

#: Looks at the error while the source is away: enough to place a crossing between two of them.
LOOKS = 96
#: Places between which a crossing of the undisturbed network is sought, three times over.
GRID = 501
#: Exponents after which a mode counts as settled: what is left is exp(-16), about 1e-7.
EXPONENTS = 16.0


@dataclass(frozen=True)
class Bench:
    """Networks of one depth on the blocks that a source is part of."""

    learners: list[Learner]  # one for each block
    own: NDArray[np.bool_]  # (inputs,) whether a column belongs to the source
    within: float  # the error at which a network has learned

    def finish(self, scale: float) -> Floats:
        """When the weights of all inputs, and those of the other sources, are learned that lost nothing: (2,)."""
        each = np.array([scale])
        # All have learned once every mode misses its value by less than its part of the smaller norm.
        norm = self._norms().min() or self._norms().max()
        modes = sum(len(learner.block.values) for learner in self.learners)
        ends = [
            rise(s, scale, learner.depth, max(0.5, 1 - self.within * norm / (s * modes**0.5)))
            for learner in self.learners
            for s in learner.block.values
        ]
        finishes = []
        for which in range(2):
            low, high = 0.0, float(max(ends))
            for _ in range(3):
                times = np.linspace(low, high, GRID)
                error = self._errors([one.undisturbed(each, times) for one in self.learners])[which]
                above = np.flatnonzero(error[0] > self.within)
                if not len(above):
                    break
                low, high = times[above[-1]], times[min(above[-1] + 1, GRID - 1)]
            finishes.append(low)
        return np.array(finishes)

    def settled(self, finish: float) -> float:
        """How long after a release networks are looked at, where nobody says."""
        rates = [one.depth * one.block.values[-1] ** (2 - 2 / one.depth) for one in self.learners]
        return max(2 * finish, EXPONENTS / float(min(rates)))

    def follow(self, onset: Floats, release: Floats, scale: Floats, since: Floats) -> tuple[Floats, ...]:
        """Follow networks that lose the source, beside networks that do not.

        Returns:
            When all and the others are learned, (cells, 2); the same of those that lost nothing; the largest change of
            the others (cells,), of all (cells, looks), and the error of all (cells, looks).
        """
        shares = np.linspace(0, 1, LOOKS + 1)
        during = onset[:, None] + (release - onset)[:, None] * shares
        times = np.concatenate([during, release[:, None] + since], 1)
        impaired = [self._weights(learner, onset, release, scale, times) for learner in self.learners]
        control = [learner.undisturbed(scale, times) for learner in self.learners]
        errors = self._errors(impaired)
        learned, usual = (
            np.stack([crossing(times, error, self.within) for error in each], 1)
            for each in (errors, self._errors(control))
        )
        gaps = [np.abs(a - b) for a, b in zip(impaired, control, strict=True)]
        others = np.zeros(len(onset))
        for learner, gap in zip(self.learners, gaps, strict=True):
            staying = gap[..., ~self.own[learner.block.columns]]
            others = np.maximum(others, staying.max((1, 2, 3), initial=0.0))
        difference = np.max([gap.max((2, 3)) for gap in gaps], 0)[:, LOOKS + 1 :]
        return learned, usual, others, difference, errors[0][:, LOOKS + 1 :]

    def _weights(self, learner: Learner, onset: Floats, release: Floats, scale: Floats, times: Floats) -> Floats:
        away = np.broadcast_to(self.own[learner.block.columns], (len(onset), len(learner.block.columns)))
        if learner.depth == 1:
            first, last = (np.where(away, one[:, None], np.inf) for one in (onset, release))
            return learner.shallow(scale, first, last, times)
        state = learner.arrived(scale, onset)
        weights = np.empty((*times.shape, *learner.matrix.shape))
        weights[:, 0] = state.product
        impaired, clean = learner.target(away), learner.target(np.zeros_like(away))
        for k in range(1, times.shape[1]):
            target, present = impaired if k <= LOOKS else clean
            state = advance(state, target, present, times[:, k] - times[:, k - 1])
            weights[:, k] = state.product
        return weights

    def _norms(self) -> Floats:
        squares = [(learner.matrix**2).sum(0) for learner in self.learners]
        others = [square[~self.own[one.block.columns]] for square, one in zip(squares, self.learners, strict=True)]
        return np.sqrt([sum(square.sum() for square in each) for each in (squares, others)])

    def _errors(self, weights: list[Floats]) -> tuple[Floats, Floats]:
        """Return the error of all inputs and that of the other sources', (cells, times) each."""
        total = np.zeros(weights[0].shape[:2])
        others = np.zeros_like(total)
        for learner, one in zip(self.learners, weights, strict=True):
            squares = ((one - learner.matrix) ** 2).sum(2)
            total += squares.sum(2)
            others += squares[..., ~self.own[learner.block.columns]].sum(2)
        norm, norm_others = self._norms()
        return np.sqrt(total) / norm, np.sqrt(others) / (norm_others or 1.0)


def crossing(times: Floats, error: Floats, within: float) -> Floats:
    """Return (cells,): the time from which on an error stays within a bound; NaN: always does; inf: not yet at the end.

    Args:
        times: (cells, looks) rising.
        error: (cells, looks), above 0.
        within: the bound. Between two looks the logarithm of the error is taken as straight: errors decay so.

    >>> crossing(np.array([[0.0, 1.0, 2.0]]), np.array([[1.0, 0.4, 0.1]]), 0.2)
    array([1.5])
    """
    crossed = np.full(len(times), np.nan)
    for cell, above in enumerate(error > within):
        late = np.flatnonzero(above)
        if len(late):
            k = late[-1]
            if k + 1 == len(above):
                crossed[cell] = np.inf
                continue
            low, high = np.log(np.maximum(error[cell, k : k + 2], 1e-300))
            share = (low - np.log(within)) / (low - high)
            crossed[cell] = times[cell, k] + share * (times[cell, k + 1] - times[cell, k])
    return crossed
