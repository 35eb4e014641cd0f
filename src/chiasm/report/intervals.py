"""Means over seeds and how far to trust them: Student's t, the seed being the unit of replication."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval.

    Attributes:
        mean: the mean.
        low: lower end of the interval; None with fewer than two seeds.
        high: upper end; None with fewer than two seeds.
        values: one number a seed, in the order of the seeds.
    """

    mean: float
    low: float | None
    high: float | None
    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """The number of seeds."""
        return len(self.values)

    def excludes(self, value: float) -> bool:
        """Tell whether the interval is there and leaves `value` out."""
        return self.low is not None and self.high is not None and not self.low <= value <= self.high


@lru_cache(maxsize=256)
def quantile(df: int, level: float = LEVEL) -> float:
    """Return the two-sided quantile t of Student's t: P(|T| <= t) = level, at `df` (1 or more) degrees of freedom.

    Bisection on the closed form for whole degrees of freedom (Abramowitz & Stegun 26.7.3 and 26.7.4).

    >>> round(quantile(4), 3)
    2.776
    """
    low, high = 0.0, 1.0
    while _within(high, df) < level:
        high *= 2
    for _ in range(80):  # halves an interval of doubles down to its last bits
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, df) < level else (low, middle)
    return (low + high) / 2


def _within(t: float, df: int) -> float:
    """P(|T| <= t) at whole degrees of freedom."""
    angle = math.atan2(t, math.sqrt(df))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = df % 2 == 1
    if df == 1:
        return 2 * angle / math.pi
    term = math.cos(angle) if odd else 1.0
    total = term
    for k in range(3 if odd else 2, df - 1, 2):
        term *= square * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def estimate(values: Sequence[float], bounds: tuple[float, float] = (-math.inf, math.inf)) -> Estimate | None:
    """Return the mean over seeds with its 95 % interval of Student's t, cut to what is possible.

    Args:
        values: one number a seed.
        bounds: the range in which the quantity lies; the interval is cut there, which cannot lower its coverage.

    Returns:
        The estimate; None without values, an estimate without an interval for one value.

    >>> made = estimate([0.90, 0.92, 0.94], bounds=(0, 1))
    >>> round(made.mean, 3), round(made.low, 3), round(made.high, 3)
    (0.92, 0.87, 0.97)
    """
    found = tuple(float(v) for v in values)
    if not found:
        return None
    n = len(found)
    mean = math.fsum(found) / n
    if n < 2:
        return Estimate(mean, None, None, found)
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in found) / (n - 1))
    half = quantile(n - 1) * sd / math.sqrt(n)
    return Estimate(mean, max(bounds[0], mean - half), min(bounds[1], mean + half), found)


def difference(
    left: Mapping[int, float], right: Mapping[int, float], bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Estimate | None:
    """Return the mean of left - right over the seeds that both have, paired by seed.

    Args:
        left: one number a seed, by seed.
        right: likewise.
        bounds: as for `estimate`.

    >>> difference({0: 0.9, 1: 0.8, 2: 0.5}, {0: 0.4, 1: 0.4}).values
    (0.5, 0.4)
    """
    return estimate([left[seed] - right[seed] for seed in sorted(left.keys() & right.keys())], bounds)


def percents(made: Estimate | None) -> Estimate | None:
    """An estimate of a share as one of percent."""
    if made is None:
        return None
    low, high = (None if end is None else 100 * end for end in (made.low, made.high))
    return Estimate(100 * made.mean, low, high, tuple(100 * value for value in made.values))
