"""Shapley values: what each source is worth, where the worth of every subset of sources is known."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError

Array = NDArray[np.float64]


def subsets(n: int) -> list[tuple[int, ...]]:
    """Return the 2**n subsets of n sources, the smaller first; of equal size in lexical order.

    >>> subsets(2)
    [(), (0,), (1,), (0, 1)]
    """
    return [subset for size in range(n + 1) for subset in combinations(range(n), size)]


def shapley(values: ArrayLike) -> Array:
    """Return the exact Shapley value of every source: its marginal worth, averaged over all orders of arrival.

    Args:
        values: (2**n, ...) the worth of every subset, at the index whose bit j says that source j is in it: for two
            sources none, the first, the second, both. Further axes (units, say) are games of their own.

    Returns:
        (n, ...) float64; over sources they add up to values[-1] - values[0]. Rounding is relative to the largest
        worth: a source that changes nothing gets 0 to about 1e-16 of it.

    Raises:
        ChiasmError: the number of subsets is not a power of two.

    Shapley (1953): sum over S without j of |S|! (n - |S| - 1)! / n! times (v(S and j) - v(S)). With variances
    explained by subsets for worths these are the Shapley effects of Owen (2014). Tested against the mean over all
    orders, the glove game and the axioms.

    >>> shapley([0.0, 1.0, 2.0, 4.0])  # the two together are worth 1 more than apart; it is shared
    array([1.5, 2.5])
    """
    v = np.asarray(values, dtype=np.float64)
    n = _players(v)
    flat: Array = _weights(n) @ v.reshape(len(v), -1)
    return flat.reshape(n, *v.shape[1:])


def interaction(values: ArrayLike, i: int, j: int) -> Array:
    """Return how much the presence of one source raises the Shapley value of another.

    Args:
        values: (2**n, ...) as in `shapley`.
        i: one source, in [0, n).
        j: another one.

    Returns:
        (...) float64; above 0: the two are worth more together, below 0: one stands in for the other. For two sources
        v(both) - v(i) - v(j) + v(none).

    Raises:
        ChiasmError: the number of subsets is not a power of two, or i and j are not two of the sources.

    The Shapley interaction index (Grabisch and Roubens 1999). Tested against its sum over subsets.

    >>> float(interaction([0.0, 1.0, 2.0, 4.0], 0, 1))
    1.0
    """
    v = np.asarray(values, dtype=np.float64)
    n = _players(v)
    if i == j or not (0 <= i < n and 0 <= j < n):
        raise ChiasmError(f"an interaction is between two of {n} sources, counted from 0; given: {i} and {j}")
    present = (np.arange(len(v)) >> j & 1).astype(bool)
    place = i - (i > j)  # among the others, which keep their order when bit j is taken out
    return np.asarray(shapley(v[present])[place] - shapley(v[~present])[place])


def _players(v: Array) -> int:
    count = len(v) if v.ndim else 0
    if count < 1 or count & (count - 1):
        raise ChiasmError(
            f"{count} worths were given; expected one for each of the 2**n subsets, indexed by the bits of its members"
        )
    return count.bit_length() - 1


def _weights(n: int) -> Array:
    """Return (n, 2**n): Shapley values are linear in the worths, so that one matrix product does all units at once."""
    masks = np.arange(2**n)
    member = masks >> np.arange(n)[:, None] & 1
    size = member.sum(0)
    order = [factorial(s) * factorial(n - s - 1) / factorial(n) for s in range(n)]
    # A member counts as the last that arrived, another source as the next to arrive.
    arrived, arriving = np.array([0.0, *order])[size], np.array([*order, 0.0])[size]
    weights: Array = np.where(member == 1, arrived, -arriving)
    return weights
