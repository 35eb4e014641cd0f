"""From nodes to results: each run reads its numbers off its way through the tree."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from chiasm.study.plan import Plan, Run
from chiasm.study.results import FIELDS, SCHEMA, Results, Units
from chiasm.study.store import Record, Stored

# What a probe says of the loss, whichever it measures.
OF_LOSS = ("loss", "usable_bits")
# What training records in every epoch, besides "train_" and the name of an outcome.
OF_TRAINING = ("learning_rate", "diverged")


def collect(plan: Plan, nodes: Mapping[str, Stored], folder: Path, device: str, threads: int = 1) -> Results:
    """Assemble the results of a plan whose nodes are all there."""
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA}
    units: dict[str, dict[str, list[Any]]] = {}
    for run in plan.runs:
        about = _about(run, plan)
        chain = _chain(run, nodes)
        last = run.cell.timeline.epochs
        every = run.cell.settings.probe.every
        wanted = {0, *run.boundaries}
        records = [record for node in chain for record in node.records]
        if _blown_up(records, last):
            records.append((last, "diverged", None, None, 1.0))
        outcome = run.cell.settings.objective.outcome().quantity.name
        records = _settled(records, last, run.cell.settings.probe.tail, outcome)
        for epoch, quantity, layer, source, value in records:
            by_epoch = quantity.startswith("train_") or quantity in OF_TRAINING
            if not (by_epoch or epoch in wanted or epoch % every == 0):
                continue
            row = {
                **about,
                "epoch": epoch,
                "final": epoch == last,
                "layer": layer,
                "source": source,
                "quantity": quantity,
                "value": value,
            }
            for name, entry in row.items():
                columns[name].append(entry)
        for node in chain:
            for epoch, layer, name, array in _in_order(node):
                if epoch in wanted or epoch % every == 0:
                    fields = units.setdefault(f"{layer}\x1f{array.shape[-1]}", {})
                    fields.setdefault(name, []).append(array)
                    if name == "rsv":
                        fields.setdefault("run", []).append(run.name)
                        fields.setdefault("epoch", []).append(epoch)
    frame = pl.DataFrame(columns, schema=SCHEMA)
    layers = _layers(units, plan)
    return Results(plan.study, frame, layers, environment(device, threads), folder)


def environment(device: str, threads: int = 1) -> dict[str, Any]:
    """Return the versions, the device and the threads that the numbers were made with."""
    from importlib.metadata import version

    gpu = torch.cuda.get_device_name() if device.startswith("cuda") else None
    packages = ("chiasm", "torch", "numpy", "polars", "scikit-learn")
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "device": gpu or f"{platform.machine()} ({platform.system()})",
        "threads": threads,  # of each process; see `workers.train`
    }


def _about(run: Run, plan: Plan) -> dict[str, Any]:
    timeline = run.cell.timeline
    return {
        "arm": run.cell.arm,
        "role": plan.study.arm(run.cell.arm).role,
        "run": run.name,
        "cell": run.cell.label,
        "seed": run.seed,
        "timeline": str(timeline),
        "onset": timeline.onset,
        "duration": timeline.duration,
        "after": timeline.after,
        "clock": run.cell.settings.training.clock,
    }


def _chain(run: Run, nodes: Mapping[str, Stored]) -> list[Stored]:
    """Walk from the run's end back to its root; the tree on disk may be cut finer than the plan's."""
    chain = []
    key: str | None = run.path.key(run.cell.timeline.epochs)
    while key is not None:
        chain.append(nodes[key])
        key = nodes[key].parent
    return chain[::-1]


def _blown_up(records: list[Record], last: int) -> bool:
    """Whether a run ends with a loss that is no number although its last training loss was one: a late divergence."""
    marked = any(quantity == "diverged" for _, quantity, _, _, _ in records)
    ends = [v for epoch, quantity, _, source, v in records if (epoch, source) == (last, "all") and quantity in OF_LOSS]
    return not marked and any(not isfinite(v) for v in ends)


def _settled(records: list[Record], last: int, tail: int, outcome: str) -> list[Record]:
    """Let a run's final outcomes and losses be means over its last epochs."""
    settled: dict[tuple[str, str | None], list[float]] = {}
    for epoch, quantity, _, source, value in records:
        if quantity in (outcome, "loss") and epoch > last - tail:
            settled.setdefault((quantity, source), []).append(value)
    return [
        (epoch, quantity, layer, source, sum(values) / len(values))
        if epoch == last and (values := settled.get((quantity, source)))
        else (epoch, quantity, layer, source, value)
        for epoch, quantity, layer, source, value in records
    ]


def _in_order(node: Stored) -> list[tuple[int, str, str, Any]]:
    """Return a node's unit arrays as (epoch, layer, field, array), in an order that no file format decides."""
    arrays = []
    for address, array in node.units.items():
        epoch, rest = address.split("/", 1)
        layer, name = rest.rsplit("/", 1)
        arrays.append((int(epoch), layer, name, array))
    return sorted(arrays, key=lambda entry: entry[:3])


def _layers(units: Mapping[str, Mapping[str, list[Any]]], plan: Plan) -> dict[str, Units]:
    """Lay measurements of one layer side by side; a layer whose width an arm varies is told apart by its width."""
    names = [address.split("\x1f")[0] for address in units]
    sources = tuple(source.name for source in plan.runs[0].path.root.about.sources)
    layers = {}
    for address, fields in units.items():
        name, width = address.split("\x1f")
        label = name if names.count(name) == 1 else f"{name} ({width} units)"
        layers[label] = Units(label, sources, **{field: np.array(fields[field]) for field in FIELDS})
    return layers
