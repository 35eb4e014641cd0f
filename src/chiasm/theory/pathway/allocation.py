"""Which pathway ends up with how much of a mode: the end of gradient flow, without following it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from chiasm.errors import ChiasmError
from chiasm.theory.pathway import coordinates as at
from chiasm.theory.pathway.coordinates import Floats, Ints
from chiasm.theory.pathway.pathways import Pathways

#: Newton's method from above on a convex function; five to ten turns in practice, more only where bisection helps out.
TURNS = 200
#: A lesson that no pathway can ever have unlearned.
HUGE = 1e300
#: Relative to the strength: where the outputs add up to it but for rounding, which is a few times 1e-16 a pathway.
CLOSE = 1e-14


def settle(system: Pathways, weight: Floats) -> Floats:
    """Return the outputs at the end of gradient flow from a state, with no deficit any more.

    All lessons grow by the same amount, until the outputs add up to the strength of the mode: one equation a cell.

    Args:
        system: the cells.
        weight: (*cells, n) weights p at the time when learning together begins.

    Returns:
        (*cells, n) outputs K. Where pathways that cannot learn already give more than the strength, and the others
        cannot go below 0, those others end at 0.

    Raises:
        ChiasmError: weights that do not fit the cells, or NaN.

    Source: Depth 1: K_i = p_i + (s - sum p) / n. Depth 2: K_i = s p_i^2 / sum p^2. Compared with solve_ivp beyond.

    >>> from chiasm.theory.pathway.pathways import pathways
    >>> mode = pathways(10.0, depth=2, weight=0.005)
    >>> settle(mode, mode.start * [1.1**4, 1]).round(3).tolist()
    [6.819, 3.181]
    """
    p, d, learns = (system.flat(each) for each in (system.each("weight", weight), system.depth, ~system.missing))
    ended = settled(p, system.strength.ravel(), d, system.gap, learns, np.ones_like(p))
    return system.output(system.shaped(ended))


def settle_after(system: Pathways, missed: ArrayLike) -> Floats:
    """Return the outputs in the end from the lessons that pathways have missed; the end depends on nothing else.

    Args:
        system: the cells.
        missed: (*cells, n) how much less lesson each pathway had than the one that had most; not below 0.

    Returns:
        (*cells, n) outputs K.

    Raises:
        ChiasmError: numbers that do not fit the cells, a lesson missed that is below 0, or longer than any deficit
            could make it.

    Source: Two pathways of depth 2 that start alike: (K_a - K_b) / (K_a + K_b) = tanh(missed).

    >>> from chiasm.theory.pathway.pathways import pathways
    >>> a, b = settle_after(pathways(2.0, depth=2, output=0.01), [0, 0.5])
    >>> round(float((a - b) / (a + b)), 6), round(float(np.tanh(0.5)), 6)
    (0.462117, 0.462117)
    """
    gap = system.each("missed", missed)
    if not np.all(gap >= 0):
        raise ChiasmError("a lesson missed counts from the pathway that missed least; it cannot be below 0")
    most = gap.max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        led = at.weight_after(system.lesson(system.start) + most - gap, system.depth, system.gap)
    if not np.all(np.isfinite(led) & (np.abs(led) < HUGE)):
        raise ChiasmError(f"no deficit can make a pathway miss a lesson of {float(gap.max()):g}; the task ends before")
    return settle(system, led)


def settled(p: Floats, strength: Floats, depth: Ints, gap: float, learns: Floats, speaks: Floats) -> Floats:
    """Return the weights (n, G) at the end of gradient flow in which all that learn do so from one residual.

    p (n, G) are the weights now, strength is (G,), gap is q^2 - p^2. Lessons grow in proportion to `learns`, the share
    of the gradient that a pathway gets; `speaks` is 1 or 0, and 0 only where `learns` is 0.
    """
    learns = np.where((gap == 0) & (depth > 1) & (p <= 0), 0.0, learns)  # at 0 it cannot learn
    out = at.output(p, depth, gap)
    goal = strength - np.where(learns == 0, speaks * out, 0.0).sum(0)
    excess = np.where(learns > 0, out, 0.0).sum(0) - goal
    ended = p.copy()
    on = (learns > 0).any(0) & (np.abs(excess) > CLOSE * strength)
    if on.any():
        cut = (p[:, on], depth[:, on], learns[:, on])
        ended[:, on] = _solved(*cut, goal[on], excess[on], gap)
    return ended


def _solved(p: Floats, depth: Ints, learns: Floats, goal: Floats, excess: Floats, gap: float) -> Floats:
    """Find w >= 0 with sum of K_i(anchor_i - learns_i w) = goal, counting back from where the sum is too large.

    Counting back from the end keeps small differences of large lessons out of the sums: at depth 13 the lessons of
    small weights are 1e11 times as large as what decides.
    """
    moves = learns > 0
    rate = np.where(moves, learns, 1.0)
    safe = np.where(moves, p, 1.0)
    h = at.lesson(safe, depth, gap)
    grows = excess < 0
    # A pathway alone would reach the goal after so much more lesson; the first to do so bounds the search.
    own = at.output(p, depth, gap)
    low = np.where(moves, np.minimum(own, 0.0), 0.0)
    target = np.where(grows, goal - low.sum(0) + low, 1.0)
    peak = at.lesson(at.weight(np.abs(target), depth, gap), depth, gap)
    more = np.where(moves, (peak - h) / rate, np.inf)
    lead = np.argmin(more, axis=0)[None]
    pick = np.take_along_axis
    share = rate / pick(rate, lead, 0)
    anchor = np.where(grows & moves, (h - share * pick(h, lead, 0)) + share * pick(peak, lead, 0), h)
    end = np.where(grows, pick(more, lead, 0)[0], HUGE)
    w, below = np.zeros_like(goal), np.zeros_like(goal)
    for _ in range(TURNS):
        now = np.where(moves, at.weight_after(np.where(moves, anchor - rate * w, h), depth, gap), p)
        left = np.where(moves, at.output(now, depth, gap), 0.0).sum(0) - goal
        fall = np.where(moves, rate * at.slope(now, depth, gap), 0.0).sum(0)
        below, end = np.where(left >= 0, w, below), np.where(left < 0, w, end)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = w + left / fall
        outside = ~((step >= below) & (step <= end))
        middle = np.where(end < HUGE, (below + end) / 2, 2 * below + 1)
        w = np.where(outside, middle, step)
        if np.all((np.abs(left) <= CLOSE * np.abs(goal)) | (end - below <= 4e-16 * end)):
            break
    return now
