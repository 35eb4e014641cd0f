"""The measurement of a model: its layers by name, and how they were measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
import polars as pl

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.archive import load, save
from chiasm.measuring.result import LayerMeasurement, largest_error
from chiasm.measuring.sampling.dependence import Dependence
from chiasm.measuring.variance.contrasts import Array
from chiasm.pictures.notebook import notebook_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# The fields of a measurement that are numbers and strings.
PLAIN = (
    "anchors",
    "wanted",
    "samples",
    "blocks",
    "estimator",
    "evaluations",
    "pairing",
    "pooling",
    "per",
    "seed",
    "precision",
    "note",
)


class UnknownLayer(ChiasmError, KeyError):  # noqa: N818 (a ChiasmError that keeps the promise of a mapping)
    """A layer that was not measured."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class DependentSources(UserWarning):
    """The pairing combines sources in ways unlike the data."""


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Measurement(Mapping[str, LayerMeasurement]):
    """A mapping from layer name to `LayerMeasurement`, in the order asked for.

    Attributes:
        layers: the layers by name.
        sources: the sources, in the order given; RSV is +1 where of the first two only the first one matters.
        anchors: how many samples of each source were used.
        wanted: how many were asked for; more than `anchors` where there were too few samples, and all were used.
        samples: how many samples of the sources there were to draw from.
        blocks: into how many blocks the anchors were divided; only anchors of one block are combined.
        estimator: "grid": every anchor of a block with every other; "pick_freeze": two a source and block.
        evaluations: the number of combinations that the model was evaluated on.
        pairing: which samples share a block. "product": samples of each source drawn independently; "within_class": the
            same within one class; "local": variants of the sources of one sample.
        pooling: "ratio": expectations first, their ratio then; "per_anchor": that, and the paper's per-anchor ratios.
        per: "channel" (maps and tokens averaged over positions) or "position".
        seed: of the draw of anchors.
        precision: the standard error of RSV that was asked for.
        dependence: how far from independent each pair of sources is; empty where it was not tested.
        note: what was left out, in words.
    """

    layers: Mapping[str, LayerMeasurement]
    sources: tuple[str, ...]
    anchors: int
    wanted: int
    samples: int
    blocks: int
    estimator: str
    evaluations: int
    pairing: str = "product"
    pooling: str = "ratio"
    per: str = "channel"
    seed: int = 0
    precision: float | None = None
    dependence: tuple[Dependence, ...] = ()
    note: str = ""

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

    def _repr_html_(self) -> str:
        two = len(self.sources) == 2
        heads = [f"RSV (+1: {self.sources[0]})"] if two else [f"share of {source}" for source in self.sources]
        rows = []
        for name, layer in self.items():
            numbers = [layer.mean_rsv()] if two else layer.mean_share()
            entries = [f"{x:{'+' * two}.2f}" for x in numbers] + [f"{layer.mean_synergy():.2f}"]
            rows.append([name or "output", len(layer), int(layer.dead.sum()), *entries])
        return notebook_table(self.how(), ["layer", "units", "dead", *heads, "synergy"], rows)

    def how(self) -> str:
        """Return in words how it was measured."""
        short = f" ({self.wanted} wanted, {self.samples} samples there)" if self.anchors < self.wanted else ""
        text = (
            f"{self.pairing} pairing, {self.anchors} anchors of each source{short} in {self.blocks} blocks, estimator "
            f"{self.estimator}, {self.evaluations} combinations shown, units per {self.per}, pooling {self.pooling}"
        )
        if self.precision is not None:
            reached = largest_error(self.layers)
            text += f", standard error {self.precision:g} wanted and {reached:.2g} reached"
        return text + (f"; {self.note}" if self.note else "")

    def summary(self) -> str:
        """Return in words how it was measured, and the result of each layer in a line."""
        far = [d.sentence() for d in self.dependence if d.far]
        return "\n".join([self.how(), *(layer.summary() for layer in self.layers.values()), *far])

    def anchors_for(self, precision: float) -> int:
        """Return how many anchors bring nine in ten live units of every layer to a standard error of RSV.

        Errors fall as 1 / sqrt(anchors). For three and more sources the error is that of shares of total effects.

        Raises:
            ChiasmError: a precision that is not positive, or too few anchors for a standard error.
        """
        if not precision > 0:
            raise ChiasmError(f"precision = {precision}; give the standard error wanted of RSV, 0.05 for instance")
        worst = largest_error(self.layers)
        if not np.isfinite(worst):
            raise ChiasmError(f"{self.anchors} anchors give no standard error; measure with more of them first")
        return max(4, ceil(self.anchors * (worst / precision) ** 2))

    def frame(self) -> pl.DataFrame:
        """Return a tidy table of every unit of every layer.

        Columns: layer, unit (from 0), quantity, source, value. Quantities: rsv (its source names the pair, first the
        one at +1: "left - right"), interaction (three and more sources; "left & right"), synergy, variance, dead
        (0 or 1), without source; total, first, share and, for up to five sources, shapley for each source. NaN: dead.
        """
        parts = [_rows(name, quantity, source, x) for name in self for quantity, source, x in _columns(self[name])]
        return pl.concat(parts)

    def plot(self, kind: str | None = None, layer: str | None = None) -> Figure:
        """Draw the units; the pairing is named on every picture.

        Args:
            kind: "ridgeline" (RSV of a layer's units, one ridge a layer), "plane" (RSV and synergy), "triangle" (three
                sources), "shares" (any number), "map" (RSV by position, with per="position"); by default what fits.
            layer: one layer alone; by default all of them.

        Raises:
            ChiasmError: an unknown kind or layer, or a kind that does not fit the number of sources.
        """
        from chiasm.measuring.drawing import draw

        return draw(self, kind, None if layer is None else [layer])

    def save(self, path: str | Path) -> Path:
        """Write everything into one npz file without pickles; it is written aside and renamed, or not at all.

        Returns:
            The path, with the ending ".npz".
        """
        levels = self.anchors // self.blocks
        return save(
            Path(path), self.layers, self.sources, levels, self.dependence, {k: getattr(self, k) for k in PLAIN}
        )

    @staticmethod
    def load(path: str | Path) -> Measurement:
        """Read what `save` wrote; nothing in the file can run code.

        Raises:
            ChiasmError: no such file, or not one of these.
        """
        return Measurement(**load(Path(path)))


def _columns(layer: LayerMeasurement) -> Iterator[tuple[str, str | None, Array]]:
    for i, j in layer.pairs():
        yield "rsv", f"{i} - {j}", layer.rsv(i, j)
        if len(layer.sources) > 2:
            yield "interaction", f"{i} & {j}", layer.interaction(i, j)
    yield "synergy", None, layer.synergy()
    tables = {"total": layer.total(), "first": layer.first(), "share": layer.share()}
    if layer.effects.shapley is not None:
        tables["shapley"] = layer.shapley()
    for quantity, values in tables.items():
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
