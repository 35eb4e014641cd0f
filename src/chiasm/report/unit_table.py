"""The tables of a measurement: its layers, its pairs of sources, and the units that one source moves most."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from chiasm.pictures.style import tail
from chiasm.pictures.words import number
from chiasm.report.measurement_text import ALONE, OUTPUT, SLIGHT, Floats

if TYPE_CHECKING:
    from chiasm.measuring import LayerMeasurement, Measurement

ABSENT = '<td class="none">–</td>'
#: Units a layer and source.
UNITS = 3
#: Characters of a layer's name.
LONGEST = 34


def layer_table(measurement: Measurement) -> str:
    """Return one row a layer: live and dead units, RSV or shares, synergy, each with its interval."""
    sources = [escape(source) for source in measurement.sources]
    heads = ["layer", "units", "dead"]
    if len(sources) == 2:
        heads += [f"mean RSV<br>+1: {sources[0]} only", f"mostly {sources[0]}<br>RSV &gt; +0.5, %"]
        heads += [f"mostly {sources[1]}<br>RSV &lt; −0.5, %"]
    else:
        heads += [f"{source}<br>mean share, %" for source in sources]
    heads.append("synergy<br>% of variance")
    rows = []
    for layer in measurement.values():
        cells = [_name(layer), f"<td>{' × '.join(map(str, layer.shape))}</td><td>{int(layer.dead.sum())}</td>"]
        if len(sources) == 2:
            cells.append(_cell(layer.mean_rsv(), layer.interval_if_known("mean_rsv"), sign=True))
            for cut in (0.5, -0.5):
                cells.append(_cell(layer.beyond(cut), layer.interval_if_known("beyond", cut=cut), percent=True))
        else:
            ends = layer.interval_if_known("mean_share")
            cells += [_cell(float(x), ends[:, k], percent=True) for k, x in enumerate(layer.mean_share())]
        cells.append(_cell(layer.mean_synergy(), layer.interval_if_known("mean_synergy"), percent=True))
        rows.append("".join(cells))
    return _table(heads, rows)


def pair_table(measurement: Measurement) -> str:
    """Return one row a layer and pair of sources: the mean RSV between them, and what needs both."""
    rows = []
    for layer in measurement.values():
        for i, j in layer.pairs():
            both = layer.interaction(i, j)
            needs = float(both[np.isfinite(both)].mean()) if np.isfinite(both).any() else float("nan")
            rsv = _cell(layer.mean_rsv(i, j), layer.interval_if_known("mean_rsv", i=i, j=j), sign=True)
            rows.append(f"{_name(layer)}<td>{escape(i)}, {escape(j)}</td>{rsv}{_cell(needs, percent=True)}")
    return _table(["layer", "sources", "mean RSV<br>+1: the first only", "needs both<br>% of variance"], rows)


def unit_table(layers: Sequence[LayerMeasurement]) -> str | None:
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
                    text = _cell(float(value[u]), ends[:, u], sign=True)
                else:
                    k = layer.sources.index(what) if what in layer.sources else int(share[:, u].argmax())
                    which = "" if what in layer.sources else f"{escape(layer.sources[k])} "
                    text = _cell(float(share[k, u]), ends[:, k, u], percent=True, before=which)
                both = _cell(float(synergy[u]), sure[:, u], percent=True)
                rows.append(f"{_name(layer)}<td>{escape(what)}</td><td>{_unit(layer, u)}</td>{text}{both}")
    if not rows:
        return None
    sources = layers[0].sources
    what = f"RSV<br>+1: {escape(sources[0])} only" if len(sources) == 2 else "largest share<br>% of total effects"
    return _table(["layer", "most", "unit", what, "synergy<br>% of variance"], rows)


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


def _name(layer: LayerMeasurement) -> str:
    name = layer.name or OUTPUT
    return f'<th scope="row" title="{escape(name, quote=True)}">{escape(tail(name, LONGEST))}</th>'


def _cell(
    value: float, ends: Floats | None = None, *, sign: bool = False, percent: bool = False, before: str = ""
) -> str:
    if not np.isfinite(value):
        return ABSENT
    scale, digits = (100, 0) if percent else (1, 2)
    text = before + number(scale * value, digits, sign)
    if ends is None or not np.isfinite(ends).all():
        return f"<td>{text}</td>"
    low, high = (number(scale * float(end), digits, sign) for end in ends)
    return f'<td>{text} <span class="interval">[{low}, {high}]</span></td>'


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
