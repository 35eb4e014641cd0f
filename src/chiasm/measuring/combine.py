"""Measurements of several networks of one kind, each trained from its own seed, combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Any, final

import numpy as np
import polars as pl

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.measurement import Measurement
from chiasm.measuring.mistakes import check_level
from chiasm.measuring.variance.components import GROUPS
from chiasm.measuring.variance.contrasts import Array
from chiasm.statistics import t_margin

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
        """Return (2, ...) low and high: where the mean over all networks of this kind lies, had all samples been shown.

        The variance of the mean has two parts. The spread between networks, over their number, holds how networks
        differ and what the draw of anchors adds to each alone, with as many degrees of freedom as networks, less one.
        What anchors that networks have in common add to all of them alike does not show in that spread and does not
        average out: `shared` estimates it, with 15 degrees of freedom (groups of blocks, less one). The half width is
        the root of the squared half widths of both, each by its own Student's t (`chiasm.statistics.t_margin`). For two
        to five linear networks of known RSV, 95 % covered 94 to 96 % where one part is nearly all of the error, up to
        98.5 % where both count, and up to 99 % where networks with seeds of their own share half of their anchors.
        It takes networks for roughly normal, as every interval of a few numbers does. A percentile bootstrap of three
        to ten networks, which resamples networks first and anchors within, covers less than it says (of three about
        75 % for 95).

        Returns:
            The ends, cut at the range of the quantity; NaN where a measurement has too few anchors for an error.

        Raises:
            ChiasmError: a level outside (0, 1), or what `each` raises.
        """
        check_level(level)
        x = self.each(layer, quantity, **options)
        own, common = x.var(0, ddof=1) / len(x), self.shared(layer, quantity, **options)
        if self._groups_less_one < 1:
            margin = np.full(x.shape[1:], np.nan)
        else:
            margin = t_margin(level, [(own, len(x) - 1), (common, self._groups_less_one)])
        ends: Array = np.clip(np.stack([x.mean(0) - margin, x.mean(0) + margin]), *SUMMARIES[quantity])
        return ends

    def spread(self, layer: str, quantity: str, **options: Any) -> tuple[Array, Array]:
        """Return the standard deviation between networks, and the standard error of one of them by its anchors alone.

        Where the second is as large or larger, more anchors narrow the interval; otherwise more networks do.
        """
        x = self.each(layer, quantity, **options)
        if self._groups_less_one < 1:
            return x.std(0, ddof=1), np.full(x.shape[1:], np.nan)
        errors = [m[layer].standard_error(quantity, **options) for m in self.measurements]
        return x.std(0, ddof=1), np.asarray(np.sqrt(np.mean(np.square(errors), 0)))

    def shared(self, layer: str, quantity: str, **options: Any) -> Array:
        """Return (...) the variance of a summary that the draw of anchors adds to all networks alike, 0 or more.

        The mean over pairs of networks of the covariance of their errors. With the same anchors (equal seeds, samples
        and blocks) by the jackknife, which leaves a group of them out of both networks at a time. With seeds of their
        own, but of the same samples, two draws have a share of anchors / samples in common, and so much of the error;
        that counts as if both networks answered alike, as it does where blocks differ at equal seeds: at most too much.
        What it takes for granted is that equal numbers of samples are the same samples.

        Raises:
            ChiasmError: what `each` raises.
        """
        x = self.each(layer, quantity, **options)
        if self._groups_less_one < 1:
            return np.full(x.shape[1:], np.nan)
        without = [m[layer].without_groups(quantity, **options) for m in self.measurements]
        deviations = [one - one.mean(0) for one in without]
        errors = [np.sqrt((len(d) - 1) / len(d) * (d**2).sum(0)) for d in deviations]
        covariances = []
        for i, j in combinations(range(len(x)), 2):
            one, other = self.measurements[i], self.measurements[j]
            if _draw(one) == _draw(other):
                groups = len(deviations[i])
                covariances.append((groups - 1) / groups * (deviations[i] * deviations[j]).sum(0))
            else:
                alike = one.seed == other.seed
                part = 1.0 if alike else min(1.0, sqrt(one.anchors * other.anchors / (one.samples * other.samples)))
                covariances.append(part * errors[i] * errors[j])
        return np.asarray(np.maximum(np.mean(covariances, 0), 0.0))

    @property
    def _groups_less_one(self) -> int:
        """Degrees of freedom of an error by anchors; 0 where there is none."""
        return min(GROUPS, *(m.blocks for m in self.measurements)) - 1

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


def _draw(measurement: Measurement) -> tuple[int, ...]:
    """What says which anchors stand in which group of blocks."""
    return measurement.seed, measurement.samples, measurement.anchors, measurement.blocks
