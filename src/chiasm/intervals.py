"""Means over seeds and how far to trust them: Student's t, the seed being the unit of replication."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

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


def estimate(
    values: Sequence[float], bounds: tuple[float, float] = (-math.inf, math.inf), level: float = LEVEL
) -> Estimate | None:
    """Return the mean over seeds with its interval of Student's t, cut to what is possible.

    Args:
        values: one number a seed.
        bounds: the range in which the quantity lies; the interval is cut there, which cannot lower its coverage.
        level: the coverage, in (0, 1); .95 by default.

    Returns:
        The estimate; None without values, an estimate without an interval for one value.

    >>> accuracy = estimate([0.90, 0.92, 0.94], bounds=(0, 1))
    >>> round(accuracy.mean, 3), round(accuracy.low, 3), round(accuracy.high, 3)
    (0.92, 0.87, 0.97)
    """
    numbers = tuple(float(v) for v in values)
    if not numbers:
        return None
    n = len(numbers)
    mean = math.fsum(numbers) / n
    if n < 2:
        return Estimate(mean, None, None, numbers)
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in numbers) / (n - 1))
    half = float(stdtrit(n - 1, (1 + level) / 2)) * sd / math.sqrt(n)
    return Estimate(mean, max(bounds[0], mean - half), min(bounds[1], mean + half), numbers)


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


def scaled(mean: Estimate | None, scale: float) -> Estimate | None:
    """An estimate in another unit: a `scale` of 100 turns a share into percent."""
    if mean is None:
        return None
    low, high = (None if end is None else scale * end for end in (mean.low, mean.high))
    return Estimate(scale * mean.mean, low, high, tuple(scale * value for value in mean.values))


def percents(share: Estimate | None) -> Estimate | None:
    """An estimate of a share as one of percent."""
    return scaled(share, 100)


def negative(mean: Estimate) -> Estimate:
    """The estimate of the opposite: a gain as a loss."""
    low, high = (None if end is None else -end for end in (mean.high, mean.low))
    return Estimate(-mean.mean, low, high, tuple(-value for value in mean.values))


def clear(mean: Estimate) -> float:
    """Return how many times as far from 0 a mean is as its interval is wide; 0 without an interval."""
    if mean.low is None or mean.high is None:
        return 0.0
    return abs(mean.mean) / max(mean.high - mean.low, 1e-9)
