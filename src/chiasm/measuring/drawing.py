"""Pictures of a measurement: which sources the units of each layer depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.variance.contrasts import Array
from chiasm.pictures.bands import TICKS, Band, bands, bands_height
from chiasm.pictures.field import field_height, heat, line
from chiasm.pictures.plane import MOST, plane
from chiasm.pictures.style import HEIGHT, MUTED, PAPER, SOURCES, rsv_axis, shorten, tail, theme
from chiasm.pictures.tile import Tile, heading_height, tiles
from chiasm.pictures.triangle import triangle, triangle_height
from chiasm.pictures.words import count, listed, number, percent, rsv_ends

#: Every kind of picture, and how many sources it shows; None: any number.
KINDS = {"ridgeline": 2, "plane": 2, "triangle": 3, "shares": None, "map": 2}
#: Layers that one picture shows at most; of more, so many evenly picked.
RIDGES, CELLS = 24, 12


class Measured(Protocol):
    """What is drawn: layers by name, their pairing and their anchors."""

    @property
    def sources(self) -> tuple[str, ...]: ...

    @property
    def pairing(self) -> str: ...

    @property
    def anchors(self) -> int: ...

    def __getitem__(self, layer: str, /) -> LayerMeasurement: ...

    def __iter__(self) -> Iterator[str]: ...


def draw(measurement: Measured, kind: str | None = None, layers: str | Sequence[str] | None = None) -> Figure:
    """Draw a measurement; every picture names its pairing, its anchors and its dead units.

    Args:
        measurement: what `chiasm.measure` returned.
        kind: "ridgeline", two sources, RSV of every unit, a ridge a layer; "plane", two sources, RSV and synergy of
            every unit; "triangle", three sources, shares of total effects and synergy; "shares", any number of sources,
            a ridge a source; "map", two sources and units per position, the mean RSV of every place. By default a
            ridgeline of several layers, a plane of one, a triangle for three sources and shares for more.
        layers: the name of one, or names; by default all, each in a picture of its own but for the ridgeline. Of more
            layers than fit (24 ridges, 12 pictures), so many evenly picked, and the heading says so.

    Returns:
        A matplotlib Figure that belongs to no window: `figure.savefig("units.png")` writes it.

    Raises:
        ChiasmError: an unknown kind or layer, or a kind that does not fit the number of sources or the units.

    >>> import chiasm, torch
    >>> class Sum(torch.nn.Module):
    ...     def forward(self, left, right):
    ...         return left + 0.5 * right
    >>> samples = {"left": torch.randn(50, 8), "right": torch.randn(50, 8)}
    >>> m = chiasm.measure(Sum(), samples, [""], check_dependence=False)
    >>> draw(m).axes[0].get_ylabel()
    'synergy (% of variance)'
    """
    names = [layers] if isinstance(layers, str) else list(measurement if layers is None else layers)
    drawn = [measurement[name] for name in names]
    if not drawn:
        raise ChiasmError("no layer to draw; give the name of one, or None for all")
    kind = _kind(measurement, kind, len(drawn))
    most = RIDGES if kind == "ridgeline" else CELLS
    kept = [drawn[i] for i in np.unique(np.linspace(0, len(drawn) - 1, min(most, len(drawn))).round().astype(int))]
    how = f"{measurement.pairing} pairing, {count(measurement.anchors, 'anchor')} a source"
    how += f"; {len(kept)} of {len(drawn)} layers" if len(kept) < len(drawn) else ""
    with theme():
        if kind == "ridgeline":
            figure = _ridgeline(kept, how)
        else:
            height, picture = PICTURES[kind]
            figure, places = tiles(len(kept), max(height(layer) for layer in kept))
            for cell, layer in zip(places, kept, strict=True):
                picture(cell, layer, how)
    return figure


def _kind(measurement: Measured, kind: str | None, layers: int) -> str:
    sources = measurement.sources
    if kind is None:
        usual = "ridgeline" if layers > 1 else "plane"
        return {2: usual, 3: "triangle"}.get(len(sources), "shares")
    if kind not in KINDS:
        raise unknown("kind of picture", kind, KINDS)
    if KINDS[kind] not in (None, len(sources)):
        fitting = " or ".join(f"'{name}'" for name, n in KINDS.items() if n in (None, len(sources)))
        raise ChiasmError(
            f"kind='{kind}' shows {KINDS[kind]} sources and this measurement has {len(sources)} ({listed(sources)}); "
            f"expected {fitting}"
        )
    return kind


def _ridgeline(layers: Sequence[LayerMeasurement], how: str) -> Figure:
    title = "RSV of every unit" + (", layer by layer" if len(layers) > 1 else "")
    fewest = min(int(np.isfinite(layer.rsv()).sum()) for layer in layers)
    lines = [how, _key(fewest, "mean, with its 95 % interval")]
    top, below = heading_height(len(lines)), 0.72
    figure, (cell,) = tiles(1, top + bands_height(len(layers)) + below)
    cell.heading(title, lines)
    axes = cell.axes(0.2, 0.2, below, top)
    colours = SOURCES[1], SOURCES[0]
    rows = []
    for layer in layers:
        mean = layer.mean_rsv()
        note = f"mean {number(mean, 2, sign=True)}, " if np.isfinite(mean) else ""
        note += f"{int(layer.dead.sum())} of {len(layer)} dead"
        bar = (mean, *layer.interval_if_known("mean_rsv")) if np.isfinite(mean) else None
        rows.append(Band(layer.name or "the output", _finite(layer.rsv()), note, bar, colours))
    bands(axes, rows, -1, 0, 1)
    rsv_axis(axes, rsv_ends(_short(layers[0])))
    return figure


def _plane(cell: Tile, layer: LayerMeasurement, how: str) -> None:
    mean, (low, high) = layer.mean_rsv(), layer.interval_if_known("mean_rsv")
    lines = [how, _units(layer, MOST)]
    if np.isfinite(mean):
        between = f" [{number(low, 2, sign=True)}, {number(high, 2, sign=True)}]" if np.isfinite(low + high) else ""
        lines.append(f"mean RSV {number(mean, 2, sign=True)}{between}, synergy {percent(layer.mean_synergy())}")
    cell.heading(f"Units of {_titled(layer)}", lines)
    axes = cell.axes(0.62, 0.2, 0.72, heading_height(3) + 0.08)
    rsv, synergy = layer.rsv(), layer.synergy()
    live = np.isfinite(rsv) & np.isfinite(synergy)
    plane(axes, rsv[live], synergy[live], _short(layer))
    if not live.any():
        axes.text(0, 0.5, "no live unit", ha="center", va="center", color=MUTED, bbox={"fc": PAPER, "ec": "none"})


def _triangle(cell: Tile, layer: LayerMeasurement, how: str) -> None:
    share, synergy, mean = layer.share(), layer.synergy(), layer.mean_synergy()
    shown = f"mean synergy {percent(mean)}; " if np.isfinite(mean) else ""
    lines = [how, _units(layer, MOST), f"{shown}dashed: one source has half"]
    cell.heading(f"Units of {_titled(layer)}", lines)
    live = np.isfinite(share).all(0) & np.isfinite(synergy)
    triangle(cell, share[:, live], synergy[live], share[:, live].mean(1) if live.any() else None, layer.sources)


def _shares(cell: Tile, layer: LayerMeasurement, how: str) -> None:
    share, mean = layer.share(), layer.mean_synergy()
    shown = f"; mean synergy {percent(mean)}" if np.isfinite(mean) else ""
    live = np.isfinite(share).all(0)
    lines = [how, _units(layer) + shown, _key(int(live.sum()), "mean, 95 % interval; dashed: even share")]
    cell.heading(f"Units of {_titled(layer)}", lines)
    inner = bands_height(len(layer.sources))
    axes = cell.axes(0.2, 0.2, cell.height - heading_height(len(lines)) - inner, heading_height(len(lines)))
    low, high = layer.interval_if_known("mean_share")
    rows = []
    for i, source in enumerate(layer.sources):
        values, colour = share[i, live], SOURCES[i % len(SOURCES)]
        bar = (float(values.mean()), float(low[i]), float(high[i])) if live.any() else None
        note = f"mean {percent(bar[0])}" if bar else ""
        rows.append(Band(source, values, note, bar, (colour, colour)))
    bands(axes, rows, 0, 1 / len(layer.sources), 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.set_xlabel("share of a unit's total effects (%)")


def _map(cell: Tile, layer: LayerMeasurement, how: str) -> None:
    if len(layer.shape) not in (2, 3):
        what = "have no places" if len(layer.shape) < 2 else f"have {len(layer.shape) - 1} axes of places"
        raise ChiasmError(
            f"kind='map' shows one or two axes of places and units of layer '{layer.name}' {what}; measure a layer of "
            "maps or tokens with per='position'"
        )
    rsv = layer.rsv().reshape(layer.shape)
    explained = layer.explained_by("position")
    shape = " × ".join(map(str, layer.shape))
    lines = [how, f"{shape} units, {int(layer.dead.sum())} dead"]
    if np.isfinite(explained):
        lines.append(f"position explains {percent(max(0.0, explained))} of the spread of RSV")
    if len(layer.shape) == 2:
        lines.append("band: the middle 80 % of channels")
    cell.heading(f"RSV across {_titled(layer)}", lines)
    if len(layer.shape) == 2:
        line(cell, rsv, rsv_ends(_short(layer)))
        return
    live = np.isfinite(rsv)
    n = live.sum(0)
    heat(cell, np.where(n > 0, np.where(live, rsv, 0).sum(0) / np.maximum(n, 1), np.nan), rsv_ends(_short(layer)))


def _plane_height(layer: LayerMeasurement) -> float:
    return heading_height(3) + HEIGHT - 0.3


def _triangle_height(layer: LayerMeasurement) -> float:
    return triangle_height(3)


def _shares_height(layer: LayerMeasurement) -> float:
    return heading_height(3) + bands_height(len(layer.sources)) + 0.52


def _map_height(layer: LayerMeasurement) -> float:
    return field_height(layer.shape[1:], 3 if len(layer.shape) == 3 else 4)


PICTURES: dict[str, tuple[Callable[[LayerMeasurement], float], Callable[[Tile, LayerMeasurement, str], None]]] = {
    "plane": (_plane_height, _plane),
    "triangle": (_triangle_height, _triangle),
    "shares": (_shares_height, _shares),
    "map": (_map_height, _map),
}


def _titled(layer: LayerMeasurement) -> str:
    return f"layer {tail(layer.name, 24)}" if layer.name else "the output"


def _key(units: int, bar: str) -> str:
    return f"ticks: units; bar: {bar}" if units <= TICKS else f"bar: {bar}"


def _units(layer: LayerMeasurement, most: int | None = None) -> str:
    dead = int(layer.dead.sum())
    live = len(layer) - dead
    return f"{count(live, 'live unit')}{f' ({most} drawn)' if most and live > most else ''}, {dead} dead"


def _short(layer: LayerMeasurement) -> list[str]:
    return [shorten(source, 14) for source in layer.sources]


def _finite(values: Array) -> Array:
    return values[np.isfinite(values)]
