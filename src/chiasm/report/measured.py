"""The report of one measurement: a page, its figures, and a table of every unit."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chiasm.files import write_whole
from chiasm.measuring.drawing import draw
from chiasm.pictures.page import Figure, asset, render, written
from chiasm.pictures.plane import MOST
from chiasm.pictures.style import Panel, theme
from chiasm.pictures.words import listed
from chiasm.report.measurement_text import RULES, headline, measurement_text
from chiasm.report.phrases import capital
from chiasm.report.unit_table import layer_table, pair_table, unit_table

if TYPE_CHECKING:
    from chiasm.measuring import LayerMeasurement, Measurement

#: Layers with pictures of their own; of more, so many evenly picked.
LAYERS = 8
PAIRINGS = {
    "product": "each source drawn independently of the others, so the network is shown combinations that the data may "
    "not hold",
    "within_class": "sources drawn independently among samples of one class; what classes differ in is taken out",
    "local": "variants of each source around one sample of the data",
}
ESTIMATORS = {
    "grid": "each anchor of a block with each of the others: an analysis of variance by mean squares",
    "pick_freeze": "two anchors a source and block, in combinations that differ in few sources",
}


def write_measured(measurement: Measurement, folder: str | Path, title: str, notes: Sequence[str] = ()) -> Path:
    """Write the report of a measurement: report.html, figures/ as SVG and PNG, and units.parquet.

    Each file is written aside and renamed, the page last; equal measurements give equal bytes.

    Args:
        measurement: what `chiasm.measure` returned.
        folder: where the files go; made if it is not there.
        title: the page's heading, in plain text.
        notes: further sentences on how it was measured: the model's file, the command.

    Returns:
        The path of report.html, one file that opens offline.

    Raises:
        ChiasmError: a folder that cannot be written; what was there stays as it was.

    >>> import chiasm, tempfile, torch
    >>> class Sum(torch.nn.Module):
    ...     def forward(self, left, right):
    ...         return left + 0.5 * right
    >>> samples = {"left": torch.randn(50, 8), "right": torch.randn(50, 8)}
    >>> m = chiasm.measure(Sum(), samples, [""], check_dependence=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_measured(m, folder, "A sum").name
    'report.html'
    """
    folder = Path(folder)
    units = io.BytesIO()
    measurement.frame().write_parquet(units)
    write_whole(folder / "units.parquet", units.getvalue())
    with theme():
        drawn = [written(panel, folder) for panel in _panels(measurement)]
    path = folder / "report.html"
    write_whole(path, _page(measurement, title, notes, drawn).encode())
    return path


def _panels(measurement: Measurement) -> Iterator[Panel]:
    layers = list(measurement.values())
    two = len(measurement.sources) == 2
    if two and len(layers) > 1:
        text = "A ridge a layer, each as tall as any other: where its live units lie on the axis of RSV."
        yield Panel("ridgeline", draw(measurement, "ridgeline"), text)
    kind = {2: "plane", 3: "triangle"}.get(len(measurement.sources), "shares")
    for i, layer in enumerate(_picked(measurement)):
        called = f"{i + 1}-{re.sub(r'[^A-Za-z0-9]+', '-', layer.name or 'output').strip('-')[-40:]}"
        yield Panel(f"{kind}-{called}", draw(measurement, kind, layer.name), _caption(kind, layer))
        if two and measurement.per == "position" and len(layer.shape) in (2, 3):
            words = "RSV of every position, averaged over the layer's live channels."
            if len(layer.shape) == 3 and layer.dead.reshape(layer.shape).all(0).any():
                words += " Hatched: no channel is alive there."
            yield Panel(f"map-{called}", draw(measurement, "map", layer.name), words)


def _picked(measurement: Measurement) -> list[LayerMeasurement]:
    layers = list(measurement.values())
    kept = np.unique(np.linspace(0, len(layers) - 1, min(LAYERS, len(layers))).round().astype(int))
    return [layers[i] for i in kept]


def _caption(kind: str, layer: LayerMeasurement) -> str:
    live = len(layer) - int(layer.dead.sum())
    thinned = f" {MOST} of {live} units are drawn, evenly picked." if live > MOST and kind != "shares" else ""
    name = f"Layer {layer.name}" if layer.name else "The output"
    text = {
        "plane": "across, which source moves a unit; up, how much of its variance needs both.",
        "triangle": "the nearer to a corner, the more that source moves a unit; the larger, the more needs several.",
        "shares": "which part of the units' total effects each source has; every ridge as tall as any other.",
    }
    return f"{name}: {text[kind]}{thinned}"


def _page(measurement: Measurement, title: str, notes: Sequence[str], figures: Sequence[Figure]) -> str:
    texts = [measurement_text(layer) for layer in measurement.values()]
    first = figures[:3] if len(figures) > 1 else figures
    return render(
        "measured.html",
        "chiasm.report",
        title=f"{title}: a chiasm measurement",
        kicker=f"chiasm measurement of {listed(measurement.sources)}",
        heading=title,
        style=asset("page.css"),
        script="",
        headline=headline(texts),
        texts=[(a.layer, f"{capital(a.verdict)}. {a.text}" if len(texts) > 1 else a.text) for a in texts],
        warnings=[f"{capital(d.sentence())}." for d in measurement.dependence if d.far],
        rules=RULES,
        first=first,
        figures=[figure for figure in figures if figure not in first],
        sources=measurement.sources,
        drawn=len(_picked(measurement)),
        several=len(measurement),
        layers=layer_table(measurement),
        pairs=pair_table(measurement) if len(measurement.sources) > 2 else None,
        outstanding=unit_table(_picked(measurement)),
        terms=_measured(measurement, notes),
        limits=_limits(measurement),
        version=version("chiasm"),
    )


def _measured(measurement: Measurement, notes: Sequence[str]) -> list[tuple[str, str]]:
    m = measurement
    anchors = f"{m.anchors:,} of {m.samples:,} samples of each source"
    if m.anchors < m.wanted:
        anchors += f"; {m.wanted:,} were wanted"
    rows = [
        ("sources", listed(m.sources)),
        ("anchors", anchors),
        ("pairing", f"{m.pairing}: {PAIRINGS.get(m.pairing, 'as named')}"),
        ("estimator", f"{m.estimator}: {ESTIMATORS.get(m.estimator, 'as named')}"),
        ("answers computed", f"{m.evaluations:,}"),
        ("units", "every channel at every position" if m.per == "position" else "channels, averaged over positions"),
        ("pooling", "the ratio of expectations" + ("; per-anchor ratios too" if m.pooling == "per_anchor" else "")),
        ("seed of the draw", str(m.seed)),
        *(("note", note) for note in (m.note, *notes) if note),
    ]
    if len(m.dependence) > 1 and not any(d.far for d in m.dependence):
        rows.append(("dependence", f"none of {len(m.dependence)} pairs of sources was found far from independent"))
    elif len(m.dependence) == 1 and not m.dependence[0].far:
        rows.append(("dependence", m.dependence[0].sentence()))
    return rows


def _limits(measurement: Measurement) -> str:
    text = "Intervals are over the draw of anchors from these samples, for this one network, and not corrected for how "
    text += "many numbers stand here; RSV, shares and synergy say what moves a unit, not whether that helps a task. "
    return text + {
        "product": "Sources were drawn independently of each other: where real ones depend on each other, this is a "
        "property of the network, not of the network on its data.",
        "within_class": "Within a class sources were drawn independently of each other, and what tells classes apart "
        "is not in these numbers.",
        "local": "Variants of a sample show what moves a unit near the data, and only by as much as they differ.",
    }.get(measurement.pairing, "The pairing decides what the network was shown: compare only what shares it.")
