"""Components of variance: which part of a unit's variance one source makes alone, and which part needs both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, slots=True)
class Components:
    """Raw, unbiased components of variance of many units; small ones may come out slightly negative.

    Attributes:
        first: (sources, *units) what each source explains alone, V_j.
        total: (sources, *units) what each source takes part in, T_j; never negative.
        interaction: (*units,) what needs more than one source, sum(T) - V; never negative.
        variance: (*units,) the variance V over all sources; never negative.
        left_out: one item a source: the same numbers with one group of that source's anchors left out, every array
            with a groups axis just before the units: total (sources, groups, *units), variance (groups, *units).
            Empty where no groups were kept.
    """

    first: Array
    total: Array
    interaction: Array
    variance: Array
    left_out: tuple[Components, ...] = ()

    def __getitem__(self, index: int) -> Components:
        """Return the components at one place of the first axis of the units: a row of a stack of networks."""
        return self._each(lambda x, lead: x[(slice(None),) * lead + (index,)])

    def flat(self) -> Components:
        """Return the components with units on one axis, whatever axes they had."""
        return self.shaped((-1,))

    def shaped(self, shape: tuple[int, ...]) -> Components:
        """Return the components with the units' one axis, or several, made into `shape`."""
        return self._each(lambda x, lead: x.reshape(*x.shape[:lead], *shape))

    def _each(self, change: Callable[[Array, int], Array]) -> Components:
        """Change every array, given how many axes stand before its units."""

        def changed(c: Components, lead: int) -> tuple[Array, Array, Array, Array]:
            wide, narrow = lead + 1, lead
            return (
                change(c.first, wide),
                change(c.total, wide),
                change(c.interaction, narrow),
                change(c.variance, narrow),
            )

        return Components(*changed(self, 0), left_out=tuple(Components(*changed(c, 1)) for c in self.left_out))

    def spread(self, quantity: Callable[[Components], Array]) -> tuple[Array, Array]:
        """Return the standard error of a function of the components, and its degrees of freedom.

        The anchors of each source are one random factor. To first order the error of any smooth function of a crossed
        design's mean squares is the sum of an error of each factor (Hoeffding's decomposition of a two-sample
        U-statistic), so the delete-one-group jackknife variances of the factors add. What they share, of the order
        1/(KM), is counted twice: the sum errs on the safe side. Degrees of freedom by Satterthwaite.

        Args:
            quantity: maps components with arrays (..., *units) to an array (..., *units) or to one of (...,).

        Returns:
            Two arrays of the quantity's shape; NaN where the quantity is undefined once a group is left out.

        Raises:
            ValueError: no groups were kept.
        """
        if not self.left_out:
            raise ValueError("no groups of anchors were kept")
        parts = []
        for c in self.left_out:
            groups = c.variance.shape[0]
            one_out = np.stack([quantity(_group(c, g)) for g in range(groups)])
            deviation = one_out - one_out.mean(0)
            parts.append(((deviation**2).sum(0) * (groups - 1) / groups, groups - 1))
        variance = np.asarray(sum(v for v, _ in parts), dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = variance**2 / sum(v**2 / df for v, df in parts)
        least = float(min(df for _, df in parts))
        return np.sqrt(variance), np.where(np.isfinite(freedom), freedom, least)


def _group(c: Components, g: int) -> Components:
    return Components(c.first[:, g], c.total[:, g], c.interaction[g], c.variance[g])
