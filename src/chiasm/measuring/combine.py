"""Measurements of several networks of one kind, each trained from its own seed, combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import polars as pl

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.measurement import Measurement
from chiasm.measuring.mistakes import check_level
from chiasm.measuring.variance.components import GROUPS
from chiasm.measuring.variance.contrasts import Array

SUMMARIES = {"mean_rsv": (-1.0, 1.0), "mean_synergy": (0.0, 1.0), "beyond": (0.0, 1.0), "mean_share": (0.0, 1.0)}


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Combined:
    """Summaries of layers over networks; the network (its seed) is the unit of replication.

    Attributes:
        measurements: one a network.
    """

    measurements: tuple[Measurement, ...]

    def __repr__(self) -> str:
        return f"<Combined\n{self.summary()}>"

    def each(self, layer: str, quantity: str, **options: Any) -> Array:
        """Return (networks, ...) a summary of a layer for each network.

        Args:
            layer: as measured.
            quantity: mean_rsv, mean_synergy, mean_share, or beyond. Units of different networks do not correspond
                to each other, so there is no number a unit.
            options: what the method of that name takes.

        Raises:
            ChiasmError: an unknown layer, quantity or source.
        """
        if quantity not in SUMMARIES:
            raise unknown("quantity", quantity, SUMMARIES)
        return np.stack([m[layer].value(quantity, **options) for m in self.measurements])

    def value(self, layer: str, quantity: str, **options: Any) -> Array:
        """Return the mean over networks; arguments as in `each`."""
        return np.asarray(self.each(layer, quantity, **options).mean(0))

    def interval(self, layer: str, quantity: str, level: float = 0.95, **options: Any) -> Array:
        """Return (2, ...) low and high: where the mean over all networks of this kind lies.

        Student's t of one number a network. The spread of these numbers holds how networks differ, and what the draw
        of anchors adds where each network has anchors of its own; as far as networks share anchors (the same seed:
        all of them; else the share of all samples that one measurement uses) the error that they share is added.
        A percentile bootstrap of three to ten networks, which resamples networks first and anchors within, covers
        less than it says (of three networks about 75 % for 95).

        Raises:
            ChiasmError: a level outside (0, 1), or what `each` raises.
        """
        from scipy.special import stdtrit

        check_level(level)
        x = self.each(layer, quantity, **options)
        n = len(x)
        squared = x.var(0, ddof=1) / n + self.shared() * self._within(layer, quantity, **options) ** 2
        freedom = min(n - 1, GROUPS - 1)
        margin = stdtrit(freedom, (1 + level) / 2) * np.sqrt(squared)
        ends: Array = np.clip(np.stack([x.mean(0) - margin, x.mean(0) + margin]), *SUMMARIES[quantity])
        return ends

    def spread(self, layer: str, quantity: str, **options: Any) -> tuple[Array, Array]:
        """Return the standard deviation between networks, and the standard error of one of them by its anchors alone.

        Where the second is as large or larger, more anchors narrow the interval; otherwise more networks do.
        """
        return self.each(layer, quantity, **options).std(0, ddof=1), self._within(layer, quantity, **options)

    def shared(self) -> float:
        """Return the share of anchors that two of the measurements have in common, in [0, 1]."""
        if len({m.seed for m in self.measurements}) < len(self.measurements):
            return 1.0
        return float(np.mean([m.anchors / m.samples for m in self.measurements]).clip(0, 1))

    def _within(self, layer: str, quantity: str, **options: Any) -> Array:
        if min(m.blocks for m in self.measurements) < 2:
            return np.full(self.each(layer, quantity, **options).shape[1:], np.nan)
        errors = [m[layer].standard_error(quantity, **options) for m in self.measurements]
        return np.asarray(np.sqrt(np.mean(np.square(errors), 0)))

    def frame(self) -> pl.DataFrame:
        """Return a tidy table: layer, quantity, source, value, low, high (95 %), between, within, networks."""
        rows = []
        for layer in self.measurements[0]:
            for quantity in ("mean_rsv", "mean_synergy", "mean_share"):
                value, (low, high) = self.value(layer, quantity), self.interval(layer, quantity)
                between, within = self.spread(layer, quantity)
                pair = " - ".join(self.measurements[0].sources[:2])
                sources = self.measurements[0].sources if value.ndim else (pair if quantity == "mean_rsv" else None,)
                for n, source in enumerate(sources):
                    at = (n,) if value.ndim else ()
                    rows.append((layer, quantity, source, *(float(x[at]) for x in (value, low, high, between, within))))
        columns = ["layer", "quantity", "source", "value", "low", "high", "between", "within"]
        frame = pl.DataFrame(rows, schema=columns, orient="row")
        return frame.with_columns(pl.lit(len(self.measurements)).alias("networks"))

    def summary(self) -> str:
        """Return in words the means over networks with their intervals, a line a layer."""
        first = self.measurements[0]
        lines = [f"{len(self.measurements)} networks, intervals of 95 % over networks; each: {first.how()}"]
        for layer in first:
            text = f"{layer or 'output'}:"
            if len(first.sources) == 2:
                i, j = first.sources
                text += f" RSV {self._with_interval(layer, 'mean_rsv', '+')} (+1: {i} only, -1: {j} only),"
            lines.append(f"{text} synergy {self._with_interval(layer, 'mean_synergy', '')}")
        return "\n".join(lines)

    def _with_interval(self, layer: str, quantity: str, sign: str) -> str:
        low, high = self.interval(layer, quantity)
        return f"{float(self.value(layer, quantity)):{sign}.2f} [{float(low):{sign}.2f}, {float(high):{sign}.2f}]"


def combine(measurements: Sequence[Measurement]) -> Combined:
    """Combine measurements of several networks of one kind.

    Args:
        measurements: two or more, of the same layers, sources, pairing and units.

    Raises:
        ChiasmError: fewer than two, or measurements that cannot be compared.
    """
    if isinstance(measurements, Measurement) or not all(isinstance(m, Measurement) for m in measurements):
        raise ChiasmError(
            "combine takes a list of two or more measurements, one a network, as chiasm.measure gives them"
        )
    measured = tuple(measurements)
    if len(measured) < 2:
        raise ChiasmError(f"{len(measured)} measurement given; two or more networks can be combined")
    for name in ("sources", "pairing", "per", "pooling"):
        values = list(dict.fromkeys(str(getattr(m, name)) for m in measured))
        if len(values) > 1:
            raise ChiasmError(f"the measurements differ in {name}: {', '.join(values)}; measure all networks alike")
    for m in measured:
        if list(m) != list(measured[0]):
            raise ChiasmError(
                f"the measurements differ in layers: {', '.join(map(repr, measured[0]))} and {', '.join(map(repr, m))}"
                "; measure the same layers of all networks"
            )
    return Combined(measured)
