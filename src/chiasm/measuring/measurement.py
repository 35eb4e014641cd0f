"""What was measured of a model: its layers by name, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np
import polars as pl

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.components import Array
from chiasm.measuring.result import LayerMeasurement


class UnknownLayer(ChiasmError, KeyError):  # noqa: N818 (a ChiasmError that keeps the promise of a mapping)
    """A layer that was not measured."""

    def __str__(self) -> str:
        return Exception.__str__(self)


@final
@dataclass(frozen=True, eq=False, repr=False)
class Measurement(Mapping[str, LayerMeasurement]):
    """A mapping from layer name to `LayerMeasurement`, in the order asked for.

    Attributes:
        layers: the layers by name.
        sources: the sources, in the order given; RSV is +1 where only the first one matters.
        anchors: how many anchors of each source were used.
        wanted: how many were asked for; more than `anchors` where there were too few samples, and all were used.
        samples: how many samples of the sources there were to draw from.
        pairing: which pairs were shown. "product": each source drawn from all its samples, independently of the other.
        pooling: "ratio": expectations first, their ratio then; "per_anchor": that, and the paper's per-anchor ratios.
        per: "channel" (maps and tokens averaged over positions) or "position".
        seed: of the draw of anchors.
    """

    layers: Mapping[str, LayerMeasurement]
    sources: tuple[str, ...]
    anchors: tuple[int, ...]
    wanted: tuple[int, ...]
    samples: int
    pairing: str = "product"
    pooling: str = "ratio"
    per: str = "channel"
    seed: int = field(default=0, kw_only=True)

    def __getitem__(self, layer: str) -> LayerMeasurement:
        if layer not in self.layers:
            raise UnknownLayer(str(unknown("layer", layer, self.layers)))
        return self.layers[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        return f"<Measurement\n{self.summary()}>"

    def summary(self) -> str:
        """Return in words what was measured, how, and what came out; a line a layer."""
        anchors = " x ".join(
            f"{n} of {source}{f' (all samples; {asked} wanted)' if n < asked else ''}"
            for source, n, asked in zip(self.sources, self.anchors, self.wanted, strict=True)
        )
        how = f"{self.pairing} pairing, anchors {anchors}, units per {self.per}, pooling {self.pooling}"
        return "\n".join([how, *(layer.summary() for layer in self.layers.values())])

    def frame(self) -> pl.DataFrame:
        """Return a tidy table of every unit of every layer.

        Columns: layer, unit (from 0), quantity, source, value. Quantities: rsv (its source names the pair, first the
        one at +1: "left - right"), synergy, variance, dead (0 or 1), without source; total, first, share for each
        source. NaN: dead units.
        """
        parts = [_rows(name, quantity, source, x) for name in self for quantity, source, x in _columns(self[name])]
        return pl.concat(parts)


def _columns(layer: LayerMeasurement) -> Iterator[tuple[str, str | None, Array]]:
    for i, j in layer.pairs():
        yield "rsv", f"{i} - {j}", layer.rsv(i, j)
    yield "synergy", None, layer.synergy()
    for quantity, values in (("total", layer.total()), ("first", layer.first()), ("share", layer.share())):
        for source, x in zip(layer.sources, values, strict=True):
            yield quantity, source, x
    yield "variance", None, layer.variance()
    yield "dead", None, layer.dead.astype(np.float64)


def _rows(layer: str, quantity: str, source: str | None, x: Array) -> pl.DataFrame:
    return pl.DataFrame({"unit": np.arange(len(x)), "value": x}).select(
        pl.lit(layer).alias("layer"),
        "unit",
        pl.lit(quantity).alias("quantity"),
        pl.lit(source, dtype=pl.String).alias("source"),
        "value",
    )
