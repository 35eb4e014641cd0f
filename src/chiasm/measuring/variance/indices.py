"""Indices of units from their components of variance, and the scales on which their errors are even."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from chiasm.measuring.variance.components import Effects
from chiasm.measuring.variance.contrasts import Array

# A unit is dead below this fraction of its layer's median variance.
DEAD = 1e-6
# A unit varies at all above this fraction of the layer's largest variance: float32 rounds at 6e-8 of a value, so at
# 4e-15 of its square; the rest is room for units whose mean is far larger than their spread.
STILL = 1e-12


@final
@dataclass(frozen=True, slots=True)
class Scale:
    """A scale on which estimates of an index are nearly normal: the map to it, its inverse, and the slope of the map.

    Attributes:
        wide: whether an interval is the hull of the one on this scale and the plain one, and the plain one alone where
            that reaches an end of the range. For shares of variance neither scale is even everywhere: the plain one is
            too short on the far side of a skewed estimate (units that few pairs wake), the logit breaks down at 0 and
            1 (pure products). Coverage of the hull, measured: see `LayerMeasurement.interval`.
    """

    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    wide: bool = False

    def ends(self, value: Array, margin: Array) -> Array:
        """Put a margin around a value on this scale: (...,) and (...,) to (2, ...), low and high.

        A margin of zero stays zero also at the scale's infinite ends (a unit that one source alone reaches).
        """
        plain = np.stack([value - margin, value + margin])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z, wide = self.forward(value), margin * self.slope(value)
            ends = np.stack([self.inverse(z - wide), self.inverse(z + wide)])
        if self.wide:
            inside = (plain[0] > 0) & (plain[1] < 1) & np.isfinite(ends).all(0)
            hull = np.stack([np.minimum(plain[0], ends[0]), np.maximum(plain[1], ends[1])])
            ends = np.where(inside, hull, plain)
        return np.where(margin > 0, ends, np.where(np.isnan(margin), np.nan, np.stack([value, value])))


PLAIN = Scale(lambda x: x, lambda z: z, np.ones_like)
# artanh(RSV) = log(T_i / T_j) / 2, and logit(share) = log(T_j / the rest): ratios of variances are nearly log-normal.
ATANH = Scale(np.arctanh, np.tanh, lambda x: 1 / (1 - x**2))
LOGIT = Scale(lambda p: np.log(p / (1 - p)), lambda z: 1 / (1 + np.exp(-z)), lambda p: 1 / (p * (1 - p)))
PART = Scale(LOGIT.forward, LOGIT.inverse, LOGIT.slope, wide=True)
LOG = Scale(np.log, np.exp, lambda x: 1 / x)


@final
@dataclass(frozen=True, slots=True)
class UnitIndex:
    """One index of units, or one summary of a layer, as a function of components, before clipping.

    Attributes:
        raw: maps components to (..., units), or to () for a summary of the layer.
        range: the least and the greatest value.
        scale: the scale on which its errors are nearly normal.
        of_units: whether it is one number a unit, undefined for dead units.
    """

    raw: Callable[[Effects], Array]
    range: tuple[float, float] = (0.0, 1.0)
    scale: Scale = PLAIN
    of_units: bool = True


def rsv(e: Effects, i: int, j: int) -> Array:
    """Return the relative source variance of components, (*units,): the i-th source at +1, the j-th at -1."""
    total = e.total
    return ratio(total[i] - total[j], total[i] + total[j])


def ratio(part: Array, total: Array) -> Array:
    """Divide, with NaN where the divisor is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, part / total, np.nan)


def dead_units(variance: Array) -> NDArray[np.bool_]:
    """Return which units are dead: below 1e-6 of the median variance of those that vary at all.

    The median leaves out units without any variance, because otherwise a layer of mostly dead units would have a median
    of 0 and no dead unit; "without any" is below 1e-12 of the largest, as float32 rounding leaves few units exactly
    constant.

    >>> dead_units(np.array([0.0, 1e-14, 1e-15, 1.0, 2.0])).tolist()
    [True, True, True, False, False]
    """
    varying = variance[variance > STILL * variance.max(initial=0.0)]
    if not varying.size:
        return np.ones(variance.shape, dtype=np.bool_)
    return np.asarray(variance < DEAD * np.median(varying))
