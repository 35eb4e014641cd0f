"""The units through training, as data for the slider: RSV and synergy of every unit at every measured epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chiasm.pictures.plane import thinned
from chiasm.quantity import Quantity
from chiasm.report.outcomes import CellOutcome, RunOutcome
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.units import LAYERS, measured

if TYPE_CHECKING:
    from chiasm.study.results import Results

#: Numbers in all; 300,000 of them are about one megabyte of the page.
MOST = 300_000
#: Units of a run that are kept however many runs and epochs there are.
FEWEST = 16


def slider(
    results: Results, outcomes: StudyOutcomes, cells: Sequence[tuple[str, CellOutcome]]
) -> dict[str, Any] | None:
    """Gather what the slider shows.

    Args:
        results: the study's results.
        outcomes: its outcomes.
        cells: the named cells to show side by side.

    Returns:
        A plain value for JSON: the sources that RSV compares, and by layer and cell the spans of the timeline and, a
        seed, the epochs, RSV and synergy in hundredths (null: dead), dead units and the outcome as it is shown; None
        where no unit was measured more than once.
    """
    quantity = outcomes.outcome.quantity
    layers: list[dict[str, Any]] = []
    for layer in outcomes.layers[:LAYERS]:
        drawn = [entry for name, cell in cells if (entry := _cell(results, layer, name, cell, quantity))]
        if drawn:
            layers.append({"name": layer, "cells": drawn})
    every = [seed for layer in layers for cell in layer["cells"] for seed in cell["seeds"]]
    if max((len(seed["epochs"]) for seed in every), default=0) < 2:
        return None
    total = sum(2 * len(seed["epochs"]) * seed["units"] for seed in every)
    share = min(1.0, MOST / total)
    for seed in every:
        # Rows first: a smooth slider is worth less than the spread of the units.
        seed.update(_rounded(seed.pop("arrays"), max(FEWEST, int(share * seed["units"]))))
    outcome = {"label": quantity.label, "unit": quantity.unit, "digits": quantity.digits}
    return {"sources": list(outcomes.sources[:2]), "outcome": outcome, "layers": layers, "thinned": share < 1}


def as_json(value: Mapping[str, Any]) -> str:
    """Write a value as JSON that cannot end the script element it stands in."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")


def _cell(results: Results, layer: str, name: str, cell: CellOutcome, quantity: Quantity) -> dict[str, Any] | None:
    scores = _scores(results, cell, quantity)
    seeds = [entry for run in cell.runs if run.diverged is None and (entry := _seed(results, layer, run, scores))]
    if not seeds:
        return None
    spans = [
        [start, end, " + ".join(map(str, deficits)) or "clean", *([objective] if objective else [])]
        for start, end, deficits, objective in cell.timeline.segments()
    ]
    return {"name": name, "timeline": str(cell.timeline), "spans": spans, "seeds": seeds}


def _seed(
    results: Results, layer: str, run: RunOutcome, scores: Mapping[tuple[str, int], float]
) -> dict[str, Any] | None:
    units = measured(results, layer, run.name)
    if units is None:
        return None
    rows = np.flatnonzero(units.run == run.name)
    rows = rows[np.argsort(units.epoch[rows], kind="stable")]
    epochs = [int(epoch) for epoch in units.epoch[rows]]
    dead = units.dead[rows].reshape(len(rows), -1)
    arrays = [np.where(dead, np.nan, x[rows].reshape(len(rows), -1)) for x in (units.rsv, units.synergy)]
    return {
        "seed": run.seed,
        "epochs": epochs,
        "units": dead.shape[1],
        "dead": [int(n) for n in dead.sum(1)],
        "mean": [_mean(row) for row in arrays[0]],
        "outcome": [scores.get((run.name, epoch)) for epoch in epochs],
        "arrays": arrays,
    }


def _mean(rsv: NDArray[np.float64]) -> float | None:
    live = rsv[np.isfinite(rsv)]
    return round(float(live.mean()), 3) if live.size else None


def _rounded(arrays: Sequence[NDArray[np.float64]], most: int) -> dict[str, list[list[int | None]]]:
    kept = thinned(arrays[0].shape[1], most)
    rounded = {}
    for name, x in zip(("rsv", "synergy"), arrays, strict=True):
        rounded[name] = [[int(v) if np.isfinite(v) else None for v in row] for row in np.round(100 * x[:, kept])]
    return rounded


def _scores(results: Results, cell: CellOutcome, quantity: Quantity) -> dict[tuple[str, int], float]:
    rows = results.frame().filter(
        (pl.col("quantity") == quantity.name)
        & pl.col("source").fill_null("all").eq("all")
        & pl.col("run").is_in([run.name for run in cell.runs])
        & pl.col("value").is_finite()
    )
    picked = rows.select("run", "epoch", "value").iter_rows()
    return {(run, epoch): round(quantity.scale * value, quantity.digits) for run, epoch, value in picked}
