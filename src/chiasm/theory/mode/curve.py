"""The curve along which one singular mode of a balanced linear network is learned, at any depth, in closed form.

A mode of strength s is carried by a, the product of N equal weights, and gradient flow on half the squared error moves
it by da/dt = N a^c (s - a), c = 2 - 2/N. With z = a / s, N s^c t is the integral of 1 / (z^c (1 - z)): elementary for
N = 1 and 2, a hypergeometric function beyond.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import Floats, broadcast, check, check_int

#: A mode or a scale that is larger cannot be followed in float64.
LARGEST = 1e100
#: Logit from which the integral is taken to grow by 1 a logit: 1 - z < 1e-13 there, and the error is that, squared.
FAR = 30.0
#: From this z on the series in 1 - z is used: SciPy's Gauss function is wrong near 1 where its arguments round.
NEAR_ONE, TERMS = 0.9, 16
#: Places of the table that an inverse starts from; Newton's steps, quadratic, that end it.
PLACES, STEPS = 8192, 6


def strength(mode: ArrayLike, scale: ArrayLike, depth: int, times: ArrayLike) -> Floats:
    """Return how much of a mode has been learned at given times.

    Args:
        mode: s, its strength in the task: a singular value, 0 or more.
        scale: a(0) > 0, the product of its weights at time 0; may lie above s, from where it falls. Up to 1e100.
        depth: N, the number of weight matrices, 1 or more.
        times: t >= 0, in units of 1 / learning rate.

    Returns:
        a(t), of the shape that the three broadcast to.

    Raises:
        ChiasmError: an argument is out of its range or not a finite number, or shapes do not broadcast.

    Source: Saxe, McClelland, Ganguli 2014 (arXiv:1312.6120), equations 9 and 19, for N = 2 and their limit of N; tested
    against numerical integration for N from 1 to 6.

    >>> strength(2.0, 1e-4, 2, [0.0, 2.475859, 10.0]).round(5).tolist()
    [0.0001, 1.0, 2.0]
    """
    s, start, t = _checked(depth, mode=mode, scale=scale, times=times)
    if depth == 1:
        return np.asarray(s + (start - s) * np.exp(-t))
    power = 2 - 2 / depth
    learned = np.empty(s.shape)
    # Without strength, da/dt = -N a^(c + 1).
    none = s == 0
    learned[none] = start[none] / (1 + depth * power * start[none] ** power * t[none]) ** (1 / power)
    rate = depth * s**power * t
    for rises in (True, False):
        part = ~none & ((start < s) if rises else (start > s))
        if part.any():
            z = start[part] / s[part] if rises else s[part] / start[part]
            share = _sigmoid(_later(np.log(z) - np.log1p(-z), rate[part], depth, rises))
            learned[part] = s[part] * share if rises else s[part] / share
    still = start == s
    learned[still] = s[still]
    return learned


def rise(mode: ArrayLike, scale: ArrayLike, depth: int, share: float = 0.5) -> Floats:
    """Return when a share of a mode is learned.

    Args:
        mode: s > 0.
        scale: a(0) > 0.
        depth: N >= 1.
        share: of s, inside (0, 1).

    Returns:
        t in units of 1 / learning rate, of the shape that mode and scale broadcast to; 0 where a(0) is there already.

    Raises:
        ChiasmError: an argument is out of its range or not a finite number, or shapes do not broadcast.

    Source: the inverse of `strength`; at depth 2 it is ln((s / a0 - 1) share / (1 - share)) / (2 s).

    >>> rise(2.0, 1e-4, 2).round(6).item()
    2.475859
    """
    s, start = _checked(depth, mode=mode, scale=scale)
    if (s == 0).any() or not 0 < share < 1:
        raise ChiasmError(f"share = {share} of modes from {s.min():g}; expected a share inside (0, 1) of modes above 0")
    z = np.minimum(start / s, share)
    if depth == 1:
        return np.asarray(np.log((1 - z) / (1 - share)))
    ends = [np.log(part) - np.log1p(-part) for part in (z, np.asarray(share, np.float64))]
    return np.asarray((_clock(ends[1], depth, True) - _clock(ends[0], depth, True)) / (depth * s ** (2 - 2 / depth)))


def _checked(depth: int, **values: ArrayLike) -> list[Floats]:
    """Return the numbers, broadcast: times and modes from 0, scales above it."""
    check_int("depth", depth)
    # Beyond LARGEST powers of the numbers overflow.
    limits: dict[str, dict[str, Any]] = {
        "mode": {"least": 0, "most": LARGEST}, "scale": {"above": 0, "most": LARGEST}, "times": {"least": 0},
    }  # fmt: skip
    return broadcast(**{name: check(name, value, **limits[name]) for name, value in values.items()})


def _sigmoid(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit)))


def _clock(logit: Floats, depth: int, rises: bool) -> Floats:
    """Return N s^c t as a function of the logit of z = a / s where a rises, of u = s / a where it falls."""
    c = 2 - 2 / depth
    near = np.minimum(logit, FAR)
    z = _sigmoid(near)
    if depth == 2:
        return np.asarray(logit if rises else np.logaddexp(0, logit))
    # 1 / (z^c (1 - z)) = z^-c + z^(1 - c) / (1 - z): an elementary part, and a Gauss function.
    integral = z ** (1 - c) / (1 - c) + _beta(near, 2 - c) if rises else _beta(near, c)
    return np.asarray(integral + (logit - near))


def _beta(logit: Floats, b: float) -> Floats:
    """Return the integral of z^(b - 1) / (1 - z) from 0: z^b / b times 2F1(1, b; 1 + b; z)."""
    from scipy.special import digamma, hyp2f1

    z, rest = np.atleast_1d(_sigmoid(logit)), np.atleast_1d(_sigmoid(-logit))
    integral = np.empty(z.shape)
    far = z < NEAR_ONE
    integral[far] = z[far] ** b / b * hyp2f1(1, b, 1 + b, z[far])
    # Abramowitz & Stegun 15.3.10, with a = 1.
    x, log = rest[~far], np.log(rest[~far])
    term, total = np.ones_like(x), np.zeros_like(x)
    for n in range(TERMS):
        total += term * (digamma(n + 1) - digamma(b + n) - log)
        term = term * x * (b + n) / (n + 1)
    integral[~far] = z[~far] ** b * total
    return integral.reshape(np.shape(logit))


def _later(logit: Floats, passed: Floats, depth: int, rises: bool) -> Floats:
    """Return the logit after N s^c t has grown by `passed`."""
    if depth == 2 and rises:
        return np.asarray(logit + passed)
    c = 2 - 2 / depth
    aim = _clock(logit, depth, rises) + passed
    table = np.linspace(min(float(logit.min()), FAR - 1), FAR, PLACES)
    clock = _clock(table, depth, rises)
    end = FAR + (aim - clock[-1])
    inside = aim < clock[-1]
    at = np.interp(aim[inside], clock, table)
    for _ in range(STEPS):
        slope = _sigmoid(at) ** (1 - c if rises else c)
        at = np.minimum(at - (_clock(at, depth, rises) - aim[inside]) / slope, FAR)
    end[inside] = at
    return np.asarray(np.maximum(end, logit))
