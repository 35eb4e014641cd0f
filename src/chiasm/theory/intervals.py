"""Means over seeds with intervals of Student's t."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError

Floats = NDArray[np.float64]


def over_seeds(values: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """Return the mean over the last axis with its interval of Student's t.

    Args:
        values: (..., seeds), one number a seed.
        level: of the interval, between 0 and 1.

    Returns:
        mean, low and high, each (...); low and high are NaN with one seed.

    Raises:
        ChiasmError: the level is out of range, or there is no seed.

    Source: Student 1908; tested against scipy.stats.

    >>> [round(float(x), 2) for x in over_seeds([0.90, 0.92, 0.94])]
    [0.92, 0.87, 0.97]
    """
    from scipy.special import stdtrit

    given = np.asarray(values, float)
    seeds = given.shape[-1] if given.ndim else 0
    if not 0 < level < 1 or not seeds:
        raise ChiasmError(f"level = {level} over {seeds} seeds: a level between 0 and 1, and 1 seed or more, would do")
    mean = np.asarray(given.mean(-1))
    if seeds == 1:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = float(stdtrit(seeds - 1, (1 + level) / 2)) * given.std(-1, ddof=1) / seeds**0.5
    return mean, np.asarray(mean - half), np.asarray(mean + half)
