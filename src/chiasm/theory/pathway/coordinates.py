"""Coordinates of one mode in one deep pathway: its weight, its output, and the lesson that led there.

A pathway of depth D carries a mode through D layers: the first has the weight p, the other D - 1 have the weight q.
Gradient flow conserves q^2 - p^2, which is 0 from a balanced start and 1 from a wide one, so p is all there is to know:

    output  K = p q^(D-1)          weight  dp/dt = q^(D-1) r          r: what is still to be learned (the residual)

So dH/dt = r with H = the integral of dp / q^(D-1), called the *lesson* here: it grows by the same amount in every
pathway that learns from the same residual, and the difference of two pathways' lessons is conserved while both learn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: What q^2 - p^2 is, by the kind of start.
GAPS = {"balanced": 0.0, "wide": 1.0}
#: Newton's method doubles the digits with each turn; more than this many means that there is no root.
TURNS = 60


def drive(p: Floats, depth: Ints, gap: float) -> Floats:
    """Return q^(D-1), the factor between the residual and the speed of p; same shape as p."""
    return np.asarray((np.sqrt(gap + p * p) if gap else np.abs(p)) ** (depth - 1))


def output(p: Floats, depth: Ints, gap: float) -> Floats:
    """Return the output K = p q^(D-1) of a mode; same shape as p."""
    return p * drive(p, depth, gap)


def slope(p: Floats, depth: Ints, gap: float) -> Floats:
    """Return dK/dH = q^(2D-4) (q^2 + (D - 1) p^2): how fast the output grows with the lesson; same shape as p.

    From a balanced start this is D K^(2 - 2/D), and the sum over pathways is the sharpness of the loss.
    """
    square = gap + p * p
    with np.errstate(divide="ignore", invalid="ignore"):
        values = square ** (depth - 2.0) * (square + (depth - 1) * p * p)
    return np.where(depth == 1, 1.0, np.where(square == 0, 0.0, values))


def weight(out: Floats, depth: Ints, gap: float) -> Floats:
    """Return the weight p that gives an output K (the inverse of `output`); same shape as K.

    From a balanced start K must not be negative where the depth is above 1.
    """
    if not gap:
        return np.where(depth == 1, out, np.abs(out) ** (1.0 / depth))
    size = np.abs(out)
    # K is convex in p > 0, and both K and K^(1/D) lie right of the root: Newton comes down without overshooting.
    p = np.minimum(size, size ** (1.0 / depth))
    for _ in range(TURNS):
        square = 1 + p * p
        step = (p - size * square ** ((1 - depth) / 2)) * square / (square + (depth - 1) * p * p)
        p = p - step
        if np.all(np.abs(step) <= 4e-16 * p):
            break
    return np.copysign(p, out)


def lesson(p: Floats, depth: Ints, gap: float) -> Floats:
    """Return the lesson H, the integral of dp / q^(D-1): the residual, summed over time, that leads to p.

    Up to a constant of the depth: for a balanced start (gap 0) p, log p, -p^(2-D)/(D-2) at depth 1, 2, D; for a wide
    one (gap 1) p, asinh p, atan p, ... (the integral of cos^(D-3), by its recursion), bounded from depth 3 on.

    >>> lesson(np.array([1.0, 2.0]), np.array([3, 3]), 0.0)
    array([-1. , -0.5])
    """
    return _by_depth(_lesson_wide if gap else _lesson_balanced, p, depth)


def weight_after(h: Floats, depth: Ints, gap: float) -> Floats:
    """Return the weight p to which a lesson H has led (the inverse of `lesson`); same shape as H."""
    return _by_depth(_after_wide if gap else _after_balanced, h, depth)


def _by_depth(each: Callable[[Floats, int], Floats], x: Floats, depth: Ints) -> Floats:
    """Apply a function of one depth to an array of several; at depth 1 a weight is its own lesson."""
    x, depth = np.broadcast_arrays(x, depth)
    values = x.copy()
    for d in np.unique(depth[depth > 1]):
        same = depth == d
        values[same] = each(x[same], int(d))
    return values


def _lesson_balanced(p: Floats, depth: int) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(p) if depth == 2 else -(p ** (2.0 - depth)) / (depth - 2))


def _after_balanced(h: Floats, depth: int) -> Floats:
    return np.asarray(np.exp(h) if depth == 2 else ((2 - depth) * h) ** (1.0 / (2 - depth)))


def _lesson_wide(p: Floats, depth: int) -> Floats:
    if depth == 2:
        return np.asarray(np.arcsinh(p))
    cosine = 1 / np.sqrt(1 + p * p)
    sine = p * cosine
    odd = depth % 2
    total = np.arctan(p) if odd else sine
    for m in range(2 if odd else 3, depth - 2, 2):
        total = (cosine ** (m - 1) * sine + (m - 1) * total) / m
    return total


def _after_wide(h: Floats, depth: int) -> Floats:
    if depth == 2:
        return np.asarray(np.sinh(h))
    if depth == 3:
        return np.asarray(np.tan(h))
    if depth == 4:
        return np.asarray(h / np.sqrt((1 - h) * (1 + h)))
    size = np.abs(h)
    # H is concave in p > 0 and H <= p: Newton goes up from p = H without overshooting; Halley's term makes it quicker.
    p = size.copy()
    for _ in range(TURNS):
        square = 1 + p * p
        step = (size - _lesson_wide(p, depth)) * square ** ((depth - 1) / 2)
        bend = step * (depth - 1) * p / (2 * square)
        step = step / np.where(bend < 0.7, 1 - bend, 1.0)
        p = p + step
        if np.all(np.abs(step) <= 1e-15 * p):
            break
    return np.copysign(p, h)
