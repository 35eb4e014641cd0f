"""Gradient flow of many cells of pathways at once, by Taylor series in time.

Taylor coefficients follow from each other by the recursions of automatic differentiation. Every trajectory takes steps
of its own length, chosen from its last coefficients (Jorba and Zou, 2005). The end of an approach to equilibrium, where
a series would need a step for every few time constants, is exponential and solved for.
"""

from __future__ import annotations

import numpy as np

from chiasm.errors import ChiasmError
from chiasm.theory.pathway.coordinates import Floats, Ints, drive, slope

#: Order of the series. -ln(TOLERANCE) / 2 is the least that pays; a few more spare steps, each dear in Python.
ORDER = 20
#: Truncation error of a step, relative to the weight of each pathway; some tens of steps keep it near 1e-11.
TOLERANCE = 1e-12
#: A residual below this share of the mode's strength decays as an exponential, but for the square of this.
SMALL = 1e-7
#: Trajectories at a time: their coefficients stay within the processor's second cache.
TOGETHER = 1024
#: A flow that needs more steps than this is stiff: a pathway that is silenced some of the time, for very long.
MOST = 5000


def advance(
    weight: Floats, strength: Floats, depth: Ints, gap: float, learns: Floats, speaks: Floats, owner: Ints, time: Floats
) -> Floats:
    """Follow dp_i/dt = learns_i q_i^(D-1) (s - K_i - sum over the others of speaks_j K_j).

    Each column of the weights p at time 0 (n, G) is a trajectory; strength is (G,), the other arrays are (n, G). The
    weights (n, Q) are returned of the trajectories `owner` (Q,) at the times `time` (Q,). What is too stiff, or too
    fast, to follow is a ChiasmError.

    Source: Compared with scipy.integrate.solve_ivp at rtol 1e-12, and with closed forms at depth 1 and 2.

    >>> one = np.ones((1, 1))
    >>> p = advance(one * 0.1, np.ones(1), np.array([[2]]), 0.0, one, one, np.array([0]), np.array([3.0]))
    >>> bool(abs(p[0, 0] ** 2 - 1 / (1 + 99 * np.exp(-6))) < 1e-12)
    True
    """
    reached = np.empty((len(weight), len(time)))
    order = np.argsort(owner, kind="stable")
    owner, time = owner[order], time[order]
    bounds = np.searchsorted(owner, np.arange(weight.shape[1] + 1))
    end, now = np.full(weight.shape[1], -1.0), np.zeros(weight.shape[1])
    np.maximum.at(end, owner, time)
    place, taken = np.empty(weight.shape[1], dtype=np.int64), np.zeros(weight.shape[1], dtype=np.int64)
    here, asked, following = np.empty(0, np.int64), np.empty(0, np.int64), 0
    state = np.empty((len(weight), 0))
    while len(here) or following < weight.shape[1]:
        # Trajectories that have arrived make room for others, so that the working set stays full.
        joining = slice(following, min(following + TOGETHER - len(here), weight.shape[1]))
        here = np.concatenate([here, np.arange(joining.start, joining.stop)])
        state = np.concatenate([state, weight[:, joining]], axis=1)
        asked = np.concatenate([asked, np.arange(bounds[joining.start], bounds[joining.stop])])
        following = joining.stop
        cut = (state, strength[here], depth[:, here], gap, learns[:, here], speaks[:, here])
        with np.errstate(over="ignore", invalid="ignore"):
            coefficients = series(*cut)
        if not np.isfinite(coefficients[-1]).all():
            raise ChiasmError(
                f"a flow from weights up to {np.abs(state).max():.3g} towards strengths up to {strength.max():.3g} is "
                "too fast to be followed; give a smaller start, or strengths divided by the largest"
            )
        speed = _tail(coefficients, *cut)
        left = end[here] - now[here]
        step = np.where(speed > 0, np.inf, _step(coefficients, gap))
        # The last step goes on for ever, so that rounding leaves no question behind.
        step, arrived = np.minimum(step, left), np.where(step >= left, np.inf, now[here] + step)
        place[here] = np.arange(len(here))
        column = place[owner[asked]]
        ready = time[asked] <= arrived[column]
        column = column[ready]
        since, fall = time[asked[ready]] - now[here[column]], speed[column]
        since = np.where(fall > 0, -np.expm1(-fall * since) / np.where(fall > 0, fall, 1.0), since)
        reached[:, order[asked[ready]]] = _at(coefficients[:, :, column], since)
        on = np.isfinite(arrived)
        asked, state, here = asked[~ready], _at(coefficients[:, :, on], step[on]), here[on]
        now[here] = arrived[on]
        taken[here] += 1
        if len(here) and taken[here].max() > MOST:
            raise ChiasmError(
                "a pathway that is silenced some of the time for so long cannot be followed by gradient flow; end the "
                "deficit sooner, or take its rate as 1"
            )
    return reached


def series(p: Floats, strength: Floats, depth: Ints, gap: float, learns: Floats, speaks: Floats) -> Floats:
    """Return Taylor coefficients of the weights in time, (ORDER + 1, n, G)."""
    shape = (ORDER + 1, *p.shape)
    P, A, R = np.empty(shape), np.empty(shape), np.empty(shape)
    P[0] = p
    # A = q^(D-1) is a power of V: of the weight itself from a balanced start, of q^2 from a wide one.
    V = np.empty(shape) if gap else P
    power = (depth - 1) / 2 if gap else depth - 1.0
    if gap:
        V[0] = gap + p * p
    W = np.empty(shape)  # j V_j
    A[0] = np.where(power == 0, 1.0, np.abs(V[0]) ** power)
    with np.errstate(divide="ignore"):
        per = np.where((power == 0) | (V[0] == 0), 0.0, 1 / V[0])
    hidden, more = 1 - speaks, power + 1
    for k in range(ORDER):
        out = _product(P, A, 0, k)
        R[k] = -(speaks * out).sum(0) - hidden * out
        if k == 0:
            R[0] += strength
        P[k + 1] = learns * _product(A, R, 0, k) / (k + 1)
        if k + 1 == ORDER:
            break  # the last power is asked for by nobody
        if gap:
            V[k + 1] = _product(P, P, 0, k + 1)
        W[k + 1] = (k + 1) * V[k + 1]
        A[k + 1] = (more * _product(W, A, 1, k + 1) - (k + 1) * _product(V, A, 1, k + 1)) * per / (k + 1)
    return P


def _tail(P: Floats, p: Floats, strength: Floats, depth: Ints, gap: float, learns: Floats, speaks: Floats) -> Floats:
    """The speed, (G,), at which a trajectory decays to its end, 0 where it is not there yet.

    There the residual r obeys dr/dt = -F r with F = sum of learns_i dK_i/dH_i, and every weight moves with the integral
    of r; the coefficients are cut to that line.
    """
    moves = learns * (P[1] != 0)
    own = np.abs(P[1]) <= SMALL * strength * learns * drive(p, depth, gap)
    near = np.all(np.where(moves > 0, own & (speaks == 1), True), axis=0)
    if not near.any():
        return np.zeros(p.shape[1])
    P[2:, :, near] = 0
    fall = (learns * slope(p, depth, gap)).sum(0)
    return np.where(near, np.where(fall > 0, fall, 1.0), 0.0)


def _product(left: Floats, right: Floats, first: int, k: int) -> Floats:
    """The k-th coefficient of a product of two series, from the left one's first-th coefficient on."""
    return np.asarray(np.einsum("jng,jng->ng", left[first : k + 1], right[k - first :: -1]))


def _step(P: Floats, gap: float) -> Floats:
    """How far each trajectory may go: (G,), from the last two coefficients of every pathway."""
    order = len(P) - 1
    size = np.abs(P[0]) + 1e-3 * gap
    # A weight of 0 does not move; a coefficient of 0 sets no limit.
    with np.errstate(divide="ignore", invalid="ignore"):
        last, before = (np.where(P[k] == 0, np.inf, (size / np.abs(P[k])) ** (1 / k)) for k in (order, order - 1))
    return np.asarray(np.minimum(last, before).min(0) * (TOLERANCE ** (1 / order)))


def _at(P: Floats, step: Floats) -> Floats:
    """The value of series (order + 1, n, G) at steps (G,)."""
    value: Floats = P[-1].copy()
    for k in range(len(P) - 2, -1, -1):
        value *= step
        value += P[k]
    return value
