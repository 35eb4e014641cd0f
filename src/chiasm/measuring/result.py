"""The measurement of one layer: indices of every unit, their errors, and summaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.mistakes import check_level
from chiasm.measuring.variance.components import Components, Effects
from chiasm.measuring.variance.contrasts import Array, pairs_of
from chiasm.measuring.variance.indices import ATANH, LOG, LOGIT, PART, UnitIndex, dead_units, ratio, rsv
from chiasm.statistics import t_quantile

# What rounding alone may spread a number by, over its size: float32's 6e-8 of each of some operations.
ROUNDING = 5e-7


@final
@dataclass(frozen=True, eq=False, repr=False)
class LayerMeasurement:
    """Indices of the units of one layer, as numpy float64 arrays; (units,) stands for one number a unit.

    Every index is a ratio of unbiased components, clipped to its range only after the ratio; standard errors and
    intervals come from the unclipped ratios. Dead units are NaN in every index and marked in `dead`.

    Attributes:
        name: the layer's name.
        sources: the names of the sources, in the order of the components.
        components: with units of shape (units,).
        shape: the axes of the units, (channels, *positions); by default (units,).
        ratios: (anchors, units) RSV by pair of anchors, where it was asked for; see `per_anchor_rsv`.
        size: (units,) the mean size of a unit's numbers before they are pooled.
        dead: (units,) bool: variance below 1e-6 of the median variance of the layer's units that vary at all, or a
            spread that is no more than float32's rounding of numbers of this size.

    >>> from chiasm.measuring.variance.designs import FactorialDesign
    >>> nine_to_one = Components(FactorialDesign(2, 2).contrasts, np.array([[[18.0], [2.0], [0.0]]]), np.array([1.0]))
    >>> layer = LayerMeasurement("fusion", ("left", "right"), nine_to_one)
    >>> layer.rsv("left", "right"), layer.rsv("right", "left"), layer.synergy()
    (array([0.8]), array([-0.8]), array([0.]))
    """

    name: str
    sources: tuple[str, ...]
    components: Components
    shape: tuple[int, ...] = ()
    ratios: Array | None = None
    size: Array | None = None
    dead: NDArray[np.bool_] = field(init=False)
    effects: Effects = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "effects", self.components.whole)
        variance = self.effects.variance
        dead = dead_units(variance)
        if self.size is not None:
            dead |= variance < (ROUNDING * self.size) ** 2
        dead.flags.writeable = False
        object.__setattr__(self, "dead", dead)
        object.__setattr__(self, "shape", self.shape or variance.shape)

    def __len__(self) -> int:
        return len(self.dead)

    def __repr__(self) -> str:
        return f"LayerMeasurement({self.summary()})"

    def rsv(self, i: str | None = None, j: str | None = None) -> Array:
        """Return the relative source variance (T_i - T_j) / (T_i + T_j) of every unit.

        Args:
            i: the source at +1; by default the first, or the second if that is j.
            j: the source at -1; by default the second, or the first if that is i.

        Returns:
            (units,) in [-1, 1]; +1: of the two, only i drives the unit; NaN: dead unit, or one that neither reaches.

        Raises:
            ChiasmError: an unknown source, or one source given twice.

        A ratio of Sobol' total effects (Homma and Saltelli 1996); a linear unit wa*a + wb*b has
        (wa²va - wb²vb) / (wa²va + wb²vb).
        """
        return self.value("rsv", i=i, j=j)

    def synergy(self) -> Array:
        """Return (units,) in [0, 1]: the share of variance that needs more than one source, 1 - sum(V_j) / V.

        For two sources V_AB / V = (T_A + T_B - V) / V: 0 for a + b, 1 for a * b.
        """
        return self.value("synergy")

    def interaction(self, i: str | None = None, j: str | None = None) -> Array:
        """Return (units,) in [0, 1]: the share of variance that needs both i and j, alone or with further sources.

        The total interaction index (Fruth, Roustant and Kuhnt 2014); for two sources it is the synergy.
        """
        return self.value("interaction", i=i, j=j)

    def total(self) -> Array:
        """Return (sources, units) in [0, 1]: the Sobol' total indices T_j / V."""
        return self.value("total")

    def first(self) -> Array:
        """Return (sources, units) in [0, 1]: the Sobol' first-order indices V_j / V."""
        return self.value("first")

    def share(self) -> Array:
        """Return (sources, units) in [0, 1], adding to 1 over sources: T_j / sum(T); for two sources (1 ± RSV) / 2."""
        return self.value("share")

    def shapley(self) -> Array:
        """Return (sources, units) in [0, 1], adding to 1 over sources: Shapley effects.

        Each source's part of the variance, with the part that needs several sources divided evenly among them
        (Owen 2014); exact from the variances of all subsets.

        Raises:
            ChiasmError: more than five sources, whose subsets a measurement does not separate.
        """
        return self.value("shapley")

    def variance(self) -> Array:
        """Return (units,) the variance over all sources, in the unit's own units squared; also of dead units."""
        return self.effects.variance.copy()

    def per_anchor_rsv(self) -> Array:
        """Return (anchors, units) in [-1, 1]: one ratio for each pair (a_k, b_k), as the paper pools them; +1: first.

        NaN where the unit varies with neither source at that pair; `summary` says how
        many are. Its histogram over anchors and units, with the sign turned, is the paper's figure.

        Raises:
            ChiasmError: not measured with pooling="per_anchor".
        """
        if self.ratios is None:
            raise ChiasmError("per-anchor ratios were not kept; measure with pooling='per_anchor'")
        return self.ratios.copy()

    def mean_rsv(self, i: str | None = None, j: str | None = None) -> float:
        """Return the mean RSV over live units, in [-1, 1]; NaN in a layer without any."""
        return float(self.value("mean_rsv", i=i, j=j))

    def mean_synergy(self) -> float:
        """Return the mean synergy over live units, in [0, 1]; NaN in a layer without any."""
        return float(self.value("mean_synergy"))

    def mean_share(self) -> Array:
        """Return (sources,) in [0, 1], adding to 1: the mean share of live units."""
        return self.value("mean_share")

    def beyond(self, cut: float = 0.5, i: str | None = None, j: str | None = None) -> float:
        """Return the share of live units, in [0, 1], with RSV above the cut, or below it where it is negative."""
        return float(self.value("beyond", i=i, j=j, cut=cut))

    def explained_by(self, factor: str, i: str | None = None, j: str | None = None) -> float:
        """Return how much of the spread of RSV over the layer's units a factor alone explains, at most 1.

        The adjusted share of variance of a one-way layout over live units (Kelley's epsilon squared): 0 in the mean
        where the factor does not matter, and noise may take it slightly below. Where sources keep their places in a
        picture, position alone explains much of what a histogram of units shows.

        Args:
            factor: "channel", "position", or for maps "row" or "column" (the last axis), for tokens "position".
            i: the source at +1.
            j: the source at -1.

        Raises:
            ChiasmError: units have no positions (measure with per="position"), or no such factor.
        """
        known = {"channel": (0,), "position": tuple(range(1, len(self.shape)))}
        if len(self.shape) < 2:
            raise ChiasmError(f"units of layer '{self.name}' have no positions; measure with per='position'")
        if len(self.shape) == 3:
            known |= {"row": (1,), "column": (2,)}
        if factor not in known:
            raise unknown("factor", factor, known)
        x = self.rsv(i, j).reshape(self.shape)
        levels = np.ravel_multi_index(
            np.meshgrid(*(np.arange(self.shape[a]) for a in known[factor]), indexing="ij"),
            tuple(self.shape[a] for a in known[factor]),
        )
        spread = np.broadcast_to(
            levels.reshape([n if a in known[factor] else 1 for a, n in enumerate(self.shape)]), self.shape
        )
        live = ~np.isnan(x)
        groups, values = np.unique(spread[live], return_inverse=True)[1], x[live]
        count = np.bincount(groups)
        means = np.bincount(groups, values) / np.maximum(count, 1)
        within, total = ((values - means[groups]) ** 2).sum(), ((values - values.mean()) ** 2).sum()
        freedom = len(values) - len(count)
        if freedom < 1 or total == 0:
            return float("nan")
        return float(1 - (within / freedom) / (total / (len(values) - 1)))

    def value(self, quantity: str, **options: Any) -> Array:
        """Return any quantity by name: `value("rsv", i="left", j="right")` is `rsv("left", "right")`.

        Args:
            quantity: rsv, synergy, interaction, total, first, share, shapley, variance, or over live units mean_rsv,
                mean_synergy, mean_share, beyond.
            options: what the method of that name takes.

        Raises:
            ChiasmError: an unknown quantity or source.
        """
        q = self._index(quantity, **options)
        return self._masked(np.clip(q.raw(self.effects), *q.range), q)

    def standard_error(self, quantity: str, **options: Any) -> Array:
        """Return the standard error of a quantity, by the jackknife over groups of blocks of anchors.

        Shaped as the quantity; NaN for dead units and where leaving a group out leaves nothing to measure (a unit that
        a few anchors alone wake).

        Raises:
            ChiasmError: an unknown quantity or source, or too few anchors for two blocks.
        """
        q = self._index(quantity, **options)
        return self._masked(self._spread(q)[0], q)

    def without_groups(self, quantity: str, **options: Any) -> Array:
        """Return (groups, ...) a quantity with each group of blocks of anchors left out in turn, before clipping.

        Networks that were shown the same anchors have the same groups, so that their errors can be held together.

        Raises:
            ChiasmError: an unknown quantity or source, or too few anchors for two blocks.
        """
        q = self._index(quantity, **options)
        self._check_groups()
        parts = [q.raw(self.components.without(group)) for group in range(len(self.components.counts))]
        return np.stack([self._masked(part, q) for part in parts])

    def interval(self, quantity: str, level: float = 0.95, **options: Any) -> Array:
        """Return an interval for each unit, or for a summary of the layer.

        Estimate plus and minus Student's t times the standard error: for RSV and shares of total effects on the scale
        of log(T_i / T_j) and for the variance on that of its logarithm, where they are nearly normal; for other parts
        of the variance the hull of that on the logit scale and of that as it stands. Anchors are what is resampled;
        networks (seeds) vary on top of that, see `combine`. Coverage at the default number of anchors, measured for
        linear units, products, ReLU of a sum, and ReLU that 8 % and 2 % of pairs wake: 93 to 97 % (up to 98.5 % for
        synergy, total and first of a pure product, which lie at the end of their range).

        Args:
            quantity: as in `value`.
            level: the coverage wanted, in (0, 1).
            options: as in `value`.

        Returns:
            (2, *the quantity's shape): low and high; NaN for dead units; the complete range where the error is unknown.

        Raises:
            ChiasmError: an unknown quantity or source, a level outside (0, 1), or too few anchors for two blocks.
        """
        check_level(level)
        q = self._index(quantity, **options)
        value = q.raw(self.effects)
        error, freedom = self._spread(q)
        ends = q.scale.ends(value, t_quantile(level, freedom) * error)
        low, high = (np.full_like(value, end) for end in q.range)
        unsure = np.isnan(error) & ~np.isnan(value)
        return self._masked(np.clip(np.where(unsure, np.stack([low, high]), ends), *q.range), q)

    def interval_if_known(self, quantity: str, **options: Any) -> Array:
        """Return the interval of 95 %, (2, *the quantity's shape); NaN where there are too few anchors for one."""
        if len(self.components.counts) < 2:
            return np.full((2, *np.shape(self.value(quantity, **options))), np.nan)
        return self.interval(quantity, **options)

    def error_of_most(self) -> float:
        """Return the standard error of RSV that nine in ten live units do not exceed; NaN where none is known.

        For three and more sources the error of the shares of total effects, of each unit the largest.
        """
        if len(self.components.counts) < 2 or self.dead.all():
            return float("nan")
        two = len(self.sources) == 2
        error = self.standard_error("rsv" if two else "share")
        known = (error if two else error.max(0))[~self.dead]
        known = known[~np.isnan(known)]
        return float(np.quantile(known, 0.9)) if known.size else float("nan")

    def summary(self) -> str:
        """Return the layer in one sentence; it says in words what the ends of RSV mean."""
        text = f"{self.name or 'output'}: {len(self)} units, {int(self.dead.sum())} dead"
        if self.dead.all():
            return text
        if len(self.sources) == 2:
            i, j = self.sources
            text += (
                f"; RSV {self.mean_rsv():+.2f}{self._plus_minus('mean_rsv')} (+1: {i} only, -1: {j} only), "
                f"{self.beyond(0.5):.0%} beyond +0.5, {self.beyond(-0.5):.0%} beyond -0.5"
            )
        else:
            shares = zip(self.sources, self.mean_share(), strict=True)
            text += "; shares of total effects " + ", ".join(f"{source} {share:.2f}" for source, share in shares)
        text += f"; synergy {self.mean_synergy():.2f}{self._plus_minus('mean_synergy')}"
        if self.ratios is not None:
            undefined = int(np.isnan(self.ratios).sum())
            text += f"; {undefined} of {self.ratios.size} per-anchor ratios undefined"
        return text

    def pairs(self) -> list[tuple[str, str]]:
        """Return the pairs of sources, each once, in their order."""
        return [(self.sources[i], self.sources[j]) for i, j in pairs_of(len(self.sources))]

    def _plus_minus(self, quantity: str, **options: Any) -> str:
        return f" ± {self.standard_error(quantity, **options):.2f}" if len(self.components.counts) > 1 else ""

    def _index(self, quantity: str, i: str | None = None, j: str | None = None, cut: float = 0.5) -> UnitIndex:
        a, b = self._pair(i, j)
        at = pairs_of(len(self.sources)).index((min(a, b), max(a, b)))

        def shapley(e: Effects) -> Array:
            effects = e.shapley
            if effects is None:
                raise ChiasmError(
                    f"Shapley effects need the variances of all subsets of sources, measured for 2 to 5 of them; with "
                    f"{len(self.sources)} they lie between first() and total()"
                )
            return ratio(effects, e.variance)

        def synergy(e: Effects) -> Array:
            return ratio(e.synergy, e.variance)

        def share(e: Effects) -> Array:
            total = e.total
            return ratio(total, total.sum(0))

        known = {
            "rsv": UnitIndex(lambda e: rsv(e, a, b), (-1.0, 1.0), ATANH),
            "synergy": UnitIndex(synergy, scale=PART),
            "interaction": UnitIndex(lambda e: ratio(e.pairs[at], e.variance), scale=PART),
            "total": UnitIndex(lambda e: ratio(e.total, e.variance), scale=PART),
            "first": UnitIndex(lambda e: ratio(e.first, e.variance), scale=PART),
            "share": UnitIndex(share, scale=LOGIT),
            "shapley": UnitIndex(shapley, scale=PART),
            "variance": UnitIndex(lambda e: e.variance, (0.0, np.inf), LOG, of_units=False),
            "mean_rsv": UnitIndex(lambda e: self._mean(rsv(e, a, b)), (-1.0, 1.0), ATANH, of_units=False),
            "mean_synergy": UnitIndex(lambda e: self._mean(synergy(e)), of_units=False),
            "mean_share": UnitIndex(lambda e: np.stack([self._mean(x) for x in share(e)]), scale=LOGIT, of_units=False),
            "beyond": UnitIndex(lambda e: self._share_beyond(rsv(e, a, b), cut), of_units=False),
        }
        if quantity not in known:
            raise unknown("quantity", quantity, known)
        return known[quantity]

    def _pair(self, i: str | None, j: str | None) -> tuple[int, int]:
        for source in (i, j):
            if source is not None and source not in self.sources:
                raise unknown("source", source, self.sources)
        if i is not None and i == j:
            raise ChiasmError(f"two sources are compared; '{i}' was given twice")
        b = None if j is None else self.sources.index(j)
        a = int(b == 0) if i is None else self.sources.index(i)
        return a, (int(a == 0) if b is None else b)

    def _mean(self, x: Array) -> Array:
        live = x[~self.dead & ~np.isnan(x)]
        return np.asarray(live.mean() if live.size else np.nan)

    def _share_beyond(self, x: Array, cut: float) -> Array:
        outside = np.where(np.isnan(x), np.nan, (x > cut if cut >= 0 else x < cut).astype(np.float64))
        return self._mean(outside)

    def _spread(self, q: UnitIndex) -> tuple[Array, int]:
        self._check_groups()
        return self.components.spread(q.raw)

    def _check_groups(self) -> None:
        if len(self.components.counts) < 2:
            raise ChiasmError(
                "one block of anchors alone gives no standard error; measure more anchors, or smaller blocks of them"
            )

    def _masked(self, x: Array, q: UnitIndex) -> Array:
        return np.asarray(np.where(self.dead, np.nan, x) if q.of_units else x, dtype=np.float64)


def largest_error(layers: Mapping[str, LayerMeasurement]) -> float:
    """Return the largest `LayerMeasurement.error_of_most` of some layers; NaN without any."""
    return max((layer.error_of_most() for layer in layers.values()), default=float("nan"))
