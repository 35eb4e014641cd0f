"""The tables of a measurement: its layers, its pairs of sources, and the units that one source moves most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chiasm.pictures.style import tail
from chiasm.pictures.table import Entry, PageTable, RowGroup
from chiasm.pictures.words import number
from chiasm.report.measurement_text import ALONE, OUTPUT, SLIGHT, Floats

if TYPE_CHECKING:
    from chiasm.measuring import LayerMeasurement, Measurement

#: Units a layer and source.
UNITS = 3
#: Characters of a layer's name.
LONGEST = 34


def layer_table(measurement: Measurement) -> PageTable:
    """Return one row a layer: live and dead units, RSV or shares, synergy, each with its interval."""
    sources = measurement.sources
    heads = [["layer"], ["units"], ["dead"]]
    if len(sources) == 2:
        heads += [["mean RSV", f"+1: {sources[0]} only"], [f"mostly {sources[0]}", "RSV > +0.5, %"]]
        heads += [[f"mostly {sources[1]}", "RSV < −0.5, %"]]
    else:
        heads += [[source, "mean share, %"] for source in sources]
    heads.append(["synergy", "% of variance"])
    rows = []
    for layer in measurement.values():
        row = [_name(layer), Entry(" × ".join(map(str, layer.shape))), Entry(str(int(layer.dead.sum())))]
        if len(sources) == 2:
            row.append(_entry(layer.mean_rsv(), layer.interval_if_known("mean_rsv"), sign=True))
            for cut in (0.5, -0.5):
                row.append(_entry(layer.beyond(cut), layer.interval_if_known("beyond", cut=cut), percent=True))
        else:
            ends = layer.interval_if_known("mean_share")
            row += [_entry(float(x), ends[:, k], percent=True) for k, x in enumerate(layer.mean_share())]
        row.append(_entry(layer.mean_synergy(), layer.interval_if_known("mean_synergy"), percent=True))
        rows.append(row)
    return PageTable("Table of the layers", heads, [RowGroup(rows)])


def pair_table(measurement: Measurement) -> PageTable:
    """Return one row a layer and pair of sources: the mean RSV between them, and what needs both."""
    rows = []
    for layer in measurement.values():
        for i, j in layer.pairs():
            both = layer.interaction(i, j)
            needs = float(both[np.isfinite(both)].mean()) if np.isfinite(both).any() else float("nan")
            rsv = _entry(layer.mean_rsv(i, j), layer.interval_if_known("mean_rsv", i=i, j=j), sign=True)
            rows.append([_name(layer), Entry(f"{i}, {j}"), rsv, _entry(needs, percent=True)])
    heads = [["layer"], ["sources"], ["mean RSV", "+1: the first only"], ["needs both", "% of variance"]]
    return PageTable("Table of the pairs of sources", heads, [RowGroup(rows)], words=2)


def unit_table(layers: Sequence[LayerMeasurement]) -> PageTable | None:
    """Return the units of each layer that listen most to each source, and those that need several most.

    Units are ranked by the end of their interval that is nearer to the middle, so that an unsure one does not win by
    chance. None where no layer has any to compare.
    """
    rows = []
    for layer in layers:
        share = layer.share()
        live = np.isfinite(share).all(0)
        if not live.any() or (share[:, live].max(0) > (1 + ALONE) / 2).all():
            continue  # a pathway: one source has every unit
        outstanding = {source: _most(*_toward(layer, k)) for k, source in enumerate(layer.sources)}
        outstanding["synergy"] = _most(layer.synergy(), layer.interval_if_known("synergy")[0])
        value = layer.rsv() if len(share) == 2 else None
        ends = layer.interval_if_known("share" if value is None else "rsv")
        synergy, sure = layer.synergy(), layer.interval_if_known("synergy")
        for what, units in outstanding.items():
            for u in units:
                if value is not None:
                    entry = _entry(float(value[u]), ends[:, u], sign=True)
                else:
                    k = layer.sources.index(what) if what in layer.sources else int(share[:, u].argmax())
                    which = "" if what in layer.sources else f"{layer.sources[k]} "
                    entry = _entry(float(share[k, u]), ends[:, k, u], percent=True, before=which)
                both = _entry(float(synergy[u]), sure[:, u], percent=True)
                rows.append([_name(layer), Entry(what), Entry(_unit(layer, u)), entry, both])
    if not rows:
        return None
    first = layers[0].sources[0]
    two = len(layers[0].sources) == 2
    what_heads = ["RSV", f"+1: {first} only"] if two else ["largest share", "% of total effects"]
    heads = [["layer"], ["most"], ["unit"], what_heads, ["synergy", "% of variance"]]
    return PageTable("Table of the units that stand out", heads, [RowGroup(rows)], words=3)


def _toward(layer: LayerMeasurement, source: int) -> tuple[Floats, Floats]:
    """How far each unit lies beyond an RSV of 0, or beyond half of its total effects, and the lower end of that."""
    if len(layer.sources) == 2:
        sign = 1 if source == 0 else -1
        return sign * layer.rsv(), (sign * layer.interval_if_known("rsv")).min(0)
    return layer.share()[source] - 0.5, layer.interval_if_known("share")[0, source] - 0.5


def _most(value: Floats, low: Floats) -> list[int]:
    rank = np.where(np.isfinite(low), low, value)
    rank = np.where(np.isfinite(rank), rank, -np.inf)
    return [int(u) for u in np.argsort(-rank, kind="stable")[:UNITS] if rank[u] > SLIGHT]


def _unit(layer: LayerMeasurement, unit: int) -> str:
    if len(layer.shape) < 2:
        return str(unit)
    channel, *place = (int(k) for k in np.unravel_index(unit, layer.shape))
    return f"channel {channel} at {', '.join(map(str, place))}"


def _name(layer: LayerMeasurement) -> Entry:
    name = layer.name or OUTPUT
    return Entry(tail(name, LONGEST), title=name)


def _entry(
    value: float, ends: Floats | None = None, *, sign: bool = False, percent: bool = False, before: str = ""
) -> Entry:
    if not np.isfinite(value):
        return Entry()
    scale, digits = (100, 0) if percent else (1, 2)
    text = before + number(scale * value, digits, sign)
    if ends is None or not np.isfinite(ends).all():
        return Entry(text)
    low, high = (number(scale * float(end), digits, sign) for end in ends)
    return Entry(text, f"[{low}, {high}]")
