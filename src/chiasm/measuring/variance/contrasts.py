"""Contrasts: the coefficients that combine the sums a design keeps into components of variance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Contrasts:
    """Coefficients that combine the rows a design keeps of a unit into its components of variance.

    With f = f0 + sum over subsets S of sources of f_S (the ANOVA decomposition under independent sources) and
    s_S = Var(f_S), each component is a sum of some s_S:

    Attributes:
        first: (sources, rows) V_j = s_{j}.
        total: (sources, rows) T_j, all s_S with j in S.
        variance: (rows,) V, all s_S.
        synergy: (rows,) what needs more than one source, V - sum of V_j.
        pairs: (pairs, rows) for each pair i < j in order all s_S with i and j in S: what needs both, and maybe more
            (the total interaction index of Fruth, Roustant and Kuhnt 2014; superset importance, Liu and Owen 2006).
        shapley: (sources, rows) for each j the sum of s_S / |S| over all S with j in it: Shapley effects (Owen 2014);
            None where a design mixes subsets.
    """

    first: Array
    total: Array
    variance: Array
    synergy: Array
    pairs: Array
    shapley: Array | None


def pairs_of(sources: int) -> list[tuple[int, int]]:
    """Return the pairs of sources i < j, in the order of `Contrasts.pairs`."""
    return list(combinations(range(sources), 2))


def contrasts_from(parts: Mapping[int, Mapping[int, Fraction]], sources: int, rows: int) -> Contrasts:
    """Return the contrasts of a design that estimates every s_S.

    Args:
        parts: for every subset S, as a bit mask from 1 to 2^sources - 1, the coefficients of s_S by row. Fractions, so
            that what cancels leaves exactly zero: if only one source reaches a unit, those of the others are 0.
        sources: the number of sources.
        rows: the number of rows that the design keeps.
    """

    def weighed(weight: Mapping[int, Fraction]) -> Array:
        total = [Fraction(0)] * rows
        for subset, w in weight.items():
            for row, coefficient in parts[subset].items():
                total[row] += w * coefficient
        return np.array([float(x) for x in total])

    def all_with(*members: int) -> dict[int, Fraction]:
        return {s: Fraction(1) for s in parts if all(s >> j & 1 for j in members)}

    each = range(sources)
    return Contrasts(
        first=np.stack([weighed({1 << j: Fraction(1)}) for j in each]),
        total=np.stack([weighed(all_with(j)) for j in each]),
        variance=weighed(all_with()),
        synergy=weighed({s: Fraction(1) for s in parts if s.bit_count() > 1}),
        pairs=np.stack([weighed(all_with(i, j)) for i, j in pairs_of(sources)]),
        shapley=np.stack([weighed({s: w / s.bit_count() for s, w in all_with(j).items()}) for j in each]),
    )
