"""What was measured of one layer: indices of every unit, their errors, and summaries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.components import Array, Components
from chiasm.measuring.indices import ATANH, LOG, LOGIT, Quantity, dead_units, over, rsv


@final
@dataclass(frozen=True, eq=False, repr=False)
class LayerMeasurement:
    """Indices of the units of one layer, as numpy float64 arrays; (units,) stands for one number a unit.

    Every index is a ratio of the unbiased components, clipped to its range only after the ratio; standard errors and
    intervals come from the unclipped ratios. Dead units are NaN in every index and stand in `dead`.

    Attributes:
        name: the layer's name.
        sources: the names of the sources, in the order of the components.
        components: with units of shape (units,).
        shape: what the units are places of, for maps and tokens; by default (units,).
        ratios: (anchors, units) RSV by pair of anchors, where it was asked for; see `per_anchor_rsv`.
        dead: (units,) bool: variance below 1e-6 of the median variance of the layer's units that vary at all.

    >>> grid = Components(np.array([[9.0], [1.0]]), np.array([[9.0], [1.0]]), np.array([0.0]), np.array([10.0]))
    >>> layer = LayerMeasurement("fusion", ("left", "right"), grid)
    >>> layer.rsv("left", "right"), layer.rsv("right", "left"), layer.synergy()
    (array([0.8]), array([-0.8]), array([0.]))
    """

    name: str
    sources: tuple[str, ...]
    components: Components
    shape: tuple[int, ...] = ()
    ratios: Array | None = None
    dead: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        dead = dead_units(self.components.variance)
        dead.flags.writeable = False
        object.__setattr__(self, "dead", dead)
        object.__setattr__(self, "shape", self.shape or self.components.variance.shape)

    def __len__(self) -> int:
        return len(self.components.variance)

    def __repr__(self) -> str:
        return f"LayerMeasurement({self.summary()})"

    def rsv(self, i: str | None = None, j: str | None = None) -> Array:
        """Return the relative source variance (T_i - T_j) / (T_i + T_j) of every unit.

        Args:
            i: the source at +1; by default the first.
            j: the source at -1; by default the second.

        Returns:
            (units,) in [-1, 1]; +1: only i drives the unit; NaN: dead unit, or one that neither i nor j reaches.

        Raises:
            ChiasmError: an unknown source, or one source given twice.

        A ratio of Sobol' total effects (Homma and Saltelli 1996); a linear unit wa*a + wb*b has
        (wa²va - wb²vb) / (wa²va + wb²vb).
        """
        return self.value("rsv", i=i, j=j)

    def synergy(self) -> Array:
        """Return (units,) in [0, 1]: the share of variance that needs more than one source, (sum(T) - V) / V.

        For two sources V_AB / V, as it stands between 0 (a + b) and 1 (a * b); for more, effects of three sources
        count twice, and so on, and values above 1 are clipped.
        """
        return self.value("synergy")

    def total(self) -> Array:
        """Return (sources, units) in [0, 1]: the Sobol' total indices T_j / V."""
        return self.value("total")

    def first(self) -> Array:
        """Return (sources, units) in [0, 1]: the Sobol' first-order indices V_j / V."""
        return self.value("first")

    def share(self) -> Array:
        """Return (sources, units) in [0, 1], adding to 1 over sources: T_j / sum(T)."""
        return self.value("share")

    def variance(self) -> Array:
        """Return (units,) the variance over all sources, in the unit's own units squared; also of dead units."""
        return self.components.variance.copy()

    def per_anchor_rsv(self) -> Array:
        """Return (anchors, units) in [-1, 1]: one ratio for each pair (a_k, b_k), as the paper pools them; +1: first.

        NaN where the unit varies with neither source at that pair; how many is `np.isnan(...).sum()`, and `summary`
        says it. Its histogram over anchors and units, with the sign turned, is the paper's figure.

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

    def beyond(self, cut: float = 0.5, i: str | None = None, j: str | None = None) -> float:
        """Return the share of live units, in [0, 1], with RSV above the cut, or below it where it is negative."""
        return float(self.value("beyond", i=i, j=j, cut=cut))

    def value(self, quantity: str, **options: Any) -> Array:
        """Return any quantity by name: `value("rsv", i="left", j="right")` is `rsv("left", "right")`.

        Args:
            quantity: rsv, synergy, total, first, share, variance, or over live units mean_rsv, mean_synergy, beyond.
            options: what the method of that name takes.

        Raises:
            ChiasmError: an unknown quantity or source.
        """
        q = self._quantity(quantity, **options)
        return self._masked(np.clip(q.raw(self.components), *q.range), q)

    def standard_error(self, quantity: str, **options: Any) -> Array:
        """Return the standard error of a quantity, by the jackknife over groups of anchors of both sources.

        Shaped as the quantity; NaN for dead units and where leaving a group out leaves nothing to measure (a unit that
        a few anchors alone wake). Measured for units of a sum, a product, ReLU of a sum: within 5 % of the true
        spread at 128 anchors, except that it is 1.5 times too large for a pure product.

        Raises:
            ChiasmError: an unknown quantity or source, or no groups were kept.
        """
        q = self._quantity(quantity, **options)
        return self._masked(self._spread(q)[0], q)

    def interval(self, quantity: str, level: float = 0.95, **options: Any) -> Array:
        """Return an interval for each unit, or for a summary of the layer.

        Estimate plus and minus Student's t times the standard error: for RSV and shares on the scale of log(T_i / T_j)
        and for the variance on that of its logarithm, where they are nearly normal; else as it stands, clipped.
        Anchors are what is resampled; networks (seeds) vary on top of that. At 128 anchors an interval of 95 % covers
        92 to 96 % for RSV, and so for synergy, total and first of units that are often active; of a unit that few pairs
        wake these three are skewed and cover less (ReLU active on 8 % of pairs: 86 %, on 2 %: 70 %).

        Args:
            quantity: as in `value`.
            level: the coverage wanted, in (0, 1).
            options: as in `value`.

        Returns:
            (2, *the quantity's shape): low and high; NaN for dead units; the whole range where the error is unknown.

        Raises:
            ChiasmError: an unknown quantity or source, a level outside (0, 1), or no groups were kept.
        """
        if not 0 < level < 1:
            raise ChiasmError(f"level = {level} is not a probability between 0 and 1; 0.95 is usual")
        q = self._quantity(quantity, **options)
        value = q.raw(self.components)
        error, freedom = self._spread(q)
        ends = q.scale.ends(value, stdtrit(freedom, (1 + level) / 2) * error)
        low, high = (np.full_like(value, end) for end in q.range)
        unsure = np.isnan(error) & ~np.isnan(value)
        return self._masked(np.clip(np.where(unsure, np.stack([low, high]), ends), *q.range), q)

    def summary(self) -> str:
        """Return the layer in one sentence; the axis is said in words."""
        told = f"{self.name or 'output'}: {len(self)} units, {int(self.dead.sum())} dead"
        if self.dead.all():
            return told
        for i, j in self.pairs():
            told += (
                f"; RSV {self.mean_rsv(i, j):+.2f}{self._plus_minus('mean_rsv', i=i, j=j)} (+1: {i} only, -1: {j} "
                f"only), {self.beyond(0.5, i, j):.0%} beyond +0.5, {self.beyond(-0.5, i, j):.0%} beyond -0.5"
            )
        told += f"; synergy {self.mean_synergy():.2f}{self._plus_minus('mean_synergy')}"
        if self.ratios is not None:
            undefined = int(np.isnan(self.ratios).sum())
            told += f"; {undefined} of {self.ratios.size} per-anchor ratios undefined"
        return told

    def pairs(self) -> list[tuple[str, str]]:
        """Return the pairs of sources, each once, in their order."""
        return [(i, j) for n, i in enumerate(self.sources) for j in self.sources[n + 1 :]]

    def _plus_minus(self, quantity: str, **options: Any) -> str:
        return f" ± {self.standard_error(quantity, **options):.2f}" if self.components.left_out else ""

    def _quantity(self, quantity: str, i: str | None = None, j: str | None = None, cut: float = 0.5) -> Quantity:
        a, b = self._place(i, 0), self._place(j, 1)
        if a == b:
            raise ChiasmError(f"RSV compares two sources; '{self.sources[a]}' was given twice")

        def synergy(c: Components) -> Array:
            return over(c.interaction, c.variance)

        known = {
            "rsv": Quantity(lambda c: rsv(c, a, b), (-1.0, 1.0), ATANH),
            "synergy": Quantity(synergy),
            "total": Quantity(lambda c: over(c.total, c.variance)),
            "first": Quantity(lambda c: over(c.first, c.variance)),
            "share": Quantity(lambda c: over(c.total, c.total.sum(0)), scale=LOGIT),
            "variance": Quantity(lambda c: c.variance, (0.0, np.inf), LOG, of_units=False),
            "mean_rsv": Quantity(lambda c: self._mean(rsv(c, a, b)), (-1.0, 1.0), ATANH, of_units=False),
            "mean_synergy": Quantity(lambda c: self._mean(np.clip(synergy(c), 0, 1)), of_units=False),
            "beyond": Quantity(lambda c: self._share_beyond(rsv(c, a, b), cut), of_units=False),
        }
        if quantity not in known:
            raise unknown("quantity", quantity, known)
        return known[quantity]

    def _place(self, source: str | None, default: int) -> int:
        if source is None:
            return default
        if source not in self.sources:
            raise unknown("source", source, self.sources)
        return self.sources.index(source)

    def _mean(self, x: Array) -> Array:
        live = x[~self.dead & ~np.isnan(x)]
        return np.asarray(live.mean() if live.size else np.nan)

    def _share_beyond(self, x: Array, cut: float) -> Array:
        outside = np.where(np.isnan(x), np.nan, (x > cut if cut >= 0 else x < cut).astype(np.float64))
        return self._mean(outside)

    def _spread(self, q: Quantity) -> tuple[Array, Array]:
        if not self.components.left_out:
            raise ChiasmError(
                "no groups of anchors were kept for standard errors; measure 4 anchors or more of each source"
            )
        return self.components.spread(q.raw)

    def _masked(self, x: Array, q: Quantity) -> Array:
        return np.asarray(np.where(self.dead, np.nan, x) if q.of_units else x, dtype=np.float64)
