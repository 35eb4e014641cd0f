"""Synthetic results of a study, for the tests of the report: the numbers are whatever a test wants them to be."""

from __future__ import annotations

import copy
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec
import numpy as np
import polars as pl

from chiasm.study.results import SCHEMA, Results, Units
from chiasm.study.spec import Study

CLOCKS = ["absolute", "since_release", "constant"]
RAW: dict[str, Any] = {
    "name": "synthetic",
    "question": "Does silence of the right eye leave <traces> & when?",
    "task": {"kind": "stereogram", "size": 8, "train": 128, "test": 64},
    "network": {"kind": "split_mlp", "depth": 1, "width": 12, "trunk": [8]},
    "training": {"lr": 0.05, "decay": 0.97},
    "probe": {"layers": ["fusion"], "every": 10},
}
ARMS: dict[str, dict[str, Any]] = {
    "duration": {
        "role": "duration",
        "title": "Longer and longer",
        "timeline": "silence(right) {d} | clean 60",
        "d": [0, 5, 10, 20, 40, 80],
        "training": {"clock": CLOCKS},
    },
    "onset": {
        "role": "onset",
        "timeline": "clean {t} | silence(right) 40 | clean 60",
        "t": [0, 20, 80],
        "training": {"clock": CLOCKS},
    },
    "mirror": {"role": "mirror", "timeline": "silence(left) {d} | clean 60", "d": [20, 80]},
    "noise": {"role": "deficit", "timeline": "noise(right, 1, mode=replace) 80 | clean 60"},
    "apart": {"role": "deficit", "timeline": "dissociate(first) 80 | clean 60"},
    "fresh": {
        "role": "fresh",
        "timeline": "silence(right) {d} | clean 60",
        "d": [0, 80],
        "task": {"fresh": True},
        "training": {"clock": "constant"},
    },
    "alone": {"role": "alone", "timeline": "silence(right) 60"},
    "longer": {"role": "longer", "timeline": "silence(right) {d} | clean 180", "d": [0, 80]},
    "total": {"role": "total", "timeline": "clean {n}", "n": [140, 180]},
    "wide": {
        "role": "other",
        "timeline": "silence(right) {d} | clean 60",
        "d": [0, 80],
        "training": {"momentum": [0.5]},
    },
}


@dataclass(frozen=True)
class Told:
    """What a scenario may look at to make up a cell's numbers."""

    arm: str
    role: str
    clock: str
    onset: int
    duration: int
    after: int
    mirrored: bool


Accuracy = Callable[[Told, int], float]
RSV = Callable[[Told], float]


def wiggle(*about: object) -> float:
    """A number in [-1, 1] that depends on nothing but its arguments."""
    return int.from_bytes(hashlib.blake2b(repr(about).encode(), digest_size=4).digest()) / 2**31 - 1


def flat(told: Told, seed: int) -> float:
    """No effect of anything: 93 %, give or take."""
    return 0.93 + 0.01 * wiggle(told.arm, told.duration, told.onset, told.clock, seed)


def early_window(told: Told, seed: int) -> float:
    """The stereogram's pattern: early deficits leave lasting damage, a restart of the rate wins most of it back."""
    if told.role == "alone":
        return 0.25 + 0.01 * wiggle("alone", seed)
    lost = 0.61 * min(1.0, told.duration / 50) * (0.05 if told.onset >= 20 else 1.0)
    if told.role == "fresh":
        lost = 0.0
    elif told.clock == "since_release":
        lost *= 0.2
    return flat(told, seed) - lost


def turning(told: Told) -> float:
    """Mean RSV that turns to the healthy source with the length of an early deficit."""
    shift = 0.7 * min(1.0, told.duration / 40) * (0.1 if told.onset >= 20 else 1.0)
    return -shift if told.mirrored else shift


def still(told: Told) -> float:
    """Mean RSV that stays at 0."""
    return 0.0


def make(
    accuracy: Accuracy = early_window,
    rsv: RSV = turning,
    *,
    arms: Iterable[str] = tuple(ARMS),
    seeds: int = 3,
    units: int = 12,
    diverged: Iterable[tuple[str, int]] = (),
    changes: Mapping[str, Any] | None = None,
    question: str | None = None,
) -> Results:
    """Make up the results of a study.

    Args:
        accuracy: final accuracy of a cell and seed.
        rsv: mean RSV of a cell's units at its last epoch.
        arms: which of `ARMS` the study has.
        seeds: replicates.
        units: units of the layer "fusion"; 0: none was measured.
        diverged: runs ("<arm>[<cell>]", seed) whose loss became non-finite at epoch 3.
        changes: replaces keys of the arms, by "<arm>.<key>".
        question: replaces the question.
    """
    raw = copy.deepcopy(RAW) | {"seeds": seeds}
    raw["arm"] = [{"name": name, **copy.deepcopy(ARMS[name])} for name in arms]
    if question is not None:
        raw["question"] = question
    for arm in raw["arm"]:
        for key, value in (changes or {}).items():
            name, at = key.split(".", 1)
            if name == arm["name"]:
                arm[at] = value
    study = Study.from_dict(raw)
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA}
    arrays: dict[str, list[Any]] = {
        name: [] for name in ("run", "epoch", "rsv", "synergy", "first", "share", "variance", "dead")
    }
    bad = set(diverged)
    for cell in study.cells():
        line = cell.timeline
        role = study.arm(cell.arm).role
        mirrored = any(d.touches == ("left",) for _, _, deficits in line.spans() for d in deficits)
        clock = cell.settings.training.clock
        told = Told(cell.arm, role, clock, line.onset or 0, line.duration, line.after, mirrored)
        for seed in range(seeds):
            name = f"{cell.arm}[{cell.label}]" if cell.label else cell.arm
            about: dict[str, Any] = {
                "arm": cell.arm,
                "role": role,
                "run": f"{name}#{seed}",
                "cell": cell.label,
                "seed": seed,
                "timeline": str(line),
                "onset": line.onset,
                "duration": line.duration,
                "after": line.after,
                "clock": clock,
            }

            say = partial(_say, columns, about, line.epochs)
            lost = (name, seed) in bad
            if lost:
                say(3, "diverged", 1.0)
            for epoch in sorted({0, *range(0, line.epochs, 20), line.epochs}):
                progress = epoch / line.epochs
                level = float("nan") if lost and epoch > 3 else 0.25 + progress * (accuracy(told, seed) - 0.25)
                say(epoch, "accuracy", level, source="all")
                for source in ("left", "right"):
                    alone = 0.25 if told.role != "alone" or source == "right" else level
                    say(epoch, "accuracy", float("nan") if lost and epoch > 3 else alone, source=source)
                if not units or (lost and epoch > 3):
                    continue
                _measure(say, arrays, about["run"], seed, epoch, progress * rsv(told), units)
    layers = {}
    if units:
        layers["fusion"] = Units(
            "fusion",
            ("left", "right"),
            np.array(arrays["run"]),
            np.array(arrays["epoch"]),
            *(np.array(arrays[name]) for name in ("rsv", "synergy", "first", "share", "variance", "dead")),
        )
    environment = {"device": "none (synthetic)", "threads": 1, "versions": {"chiasm": "0.1.0", "python": "3.11"}}
    return Results(study, pl.DataFrame(columns, schema=SCHEMA), layers, environment)


def regressing(results: Results, scale: float = 0.02) -> Results:
    """The same study as one that answers with numbers: an error that is smaller where accuracy was larger."""
    study = msgspec.structs.replace(
        results.study, sections={**results.study.sections, "objective": {"kind": "regress"}}
    )
    error = pl.col("quantity").is_in(["accuracy", "train_accuracy"])
    table = results.table.with_columns(
        pl.when(error).then(scale * (1 - pl.col("value"))).otherwise(pl.col("value")).alias("value"),
        pl.col("quantity").str.replace("accuracy", "error"),
    )
    return replace(results, study=study, table=table)


def _say(
    columns: dict[str, list[Any]],
    about: dict[str, Any],
    last: int,
    epoch: int,
    quantity: str,
    value: float,
    layer: str | None = None,
    source: str | None = None,
) -> None:
    row = {**about, "epoch": epoch, "final": epoch == last, "layer": layer, "source": source}
    for key, entry in {**row, "quantity": quantity, "value": value}.items():
        columns[key].append(entry)


def _measure(
    say: Callable[..., None],
    arrays: dict[str, list[Any]],
    run: str,
    seed: int,
    epoch: int,
    mean: float,
    units: int,
) -> None:
    draws = np.random.default_rng(zlib.crc32(f"{run} {epoch}".encode()))
    rsv = np.clip(mean + 0.02 * wiggle("rsv", run) + 0.2 * draws.standard_normal(units), -1, 1)
    dead = np.arange(units) == 0 if seed == 0 else np.zeros(units, bool)
    rsv[~dead] += np.clip(mean - rsv[~dead].mean(), -0.05, 0.05)
    rsv = np.where(dead, np.nan, np.clip(rsv, -1, 1)).astype(np.float32)
    synergy = np.where(dead, np.nan, np.clip(0.4 * (1 - abs(mean)) * draws.random(units) * 2, 0, 1)).astype(np.float32)
    first = np.stack([(1 + rsv - synergy) / 2, (1 - rsv - synergy) / 2]).astype(np.float32)
    share = np.stack([(1 + rsv) / 2, (1 - rsv) / 2]).astype(np.float32)
    live = rsv[~dead]
    values = {
        "rsv_mean": live.mean(),
        "rsv_sd": live.std(),
        "rsv_beyond": (live > 0.5).mean(),
        "polarised": (abs(live) > 0.5).mean(),
        "synergy_mean": synergy[~dead].mean(),
        "dead": dead.sum(),
        "units": units,
    }
    for quantity, value in values.items():
        say(epoch, quantity, float(value), layer="fusion")
    for quantity, shares in (("first_mean", first), ("share_mean", share)):
        for source, one in zip(("left", "right"), shares, strict=True):
            say(epoch, quantity, float(one[~dead].mean()), layer="fusion", source=source)
    made = {"run": run, "epoch": epoch, "rsv": rsv, "synergy": synergy, "first": first, "share": share, "dead": dead}
    for name, value in (made | {"variance": np.ones(units, np.float32)}).items():
        arrays[name].append(value)
