"""A probe: what a study measures of every run while it trains, for many runs at once; it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.variance import TwoWay
from chiasm.networks import Stacked
from chiasm.randomness import generator
from chiasm.sources import Batch

CHUNK = 2048  # samples or pairs a row and forward: small enough to stay near the processor, large enough to be busy
BEYOND = 0.5  # the cut of "leans to one source": three quarters of the two total effects are that source's


class Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to measure during training: the keys of [probe].

    Attributes:
        layers: names of layers whose units are measured, for tasks of two sources; may be empty.
        every: epochs between measurements; starts, ends of phases and the end of the run are always measured.
        anchors: samples of each source that the grid of pairs is made of (all of the test set if it has fewer).
    """

    layers: tuple[str, ...] = ("fusion",)
    every: Annotated[int, msgspec.Meta(ge=1)] = 10
    anchors: Annotated[int, msgspec.Meta(ge=8)] = 128


@dataclass(frozen=True, slots=True)
class Seen:
    """What a probe saw of one row.

    Attributes:
        numbers: (quantity, layer or None, source or None, value).
        units: arrays by layer and field: rsv, synergy, variance (units,), first (sources, units), dead (units,) bool.
    """

    numbers: list[tuple[str, str | None, str | None, float]]
    units: dict[str, dict[str, NDArray[Any]]]


def check_layers(network: Stacked, probe: Probe, sources: Sequence[str], test: int) -> None:
    """Refuse a probe that this network or task cannot answer, before anything is trained."""
    modules = network.template.named_modules()
    names = [name for name, module in modules if name and not isinstance(module, torch.nn.ModuleDict)]
    for layer in probe.layers:
        if layer and layer not in names:
            raise unknown("layer", layer, names, "probe.layers")
    if len(set(probe.layers)) < len(probe.layers):
        raise ChiasmError(f"probe.layers = {list(probe.layers)}: a layer is named twice")
    if probe.layers and test < 2:
        raise ChiasmError(
            f"probe.layers = {list(probe.layers)}: units are measured on 2 test samples or more, not {test}"
        )
    if probe.layers and len(sources) != 2:
        raise ChiasmError(
            f"probe.layers = {list(probe.layers)}: units are measured for two sources, this task has {len(sources)} "
            f"({', '.join(sources)}); probe.layers = [] measures accuracy alone"
        )


@torch.no_grad()
def look(
    network: Stacked, weights: Mapping[str, Tensor], tests: Sequence[Batch], seeds: Sequence[int], probe: Probe
) -> list[Seen]:
    """Measure several rows on their test sets.

    Args:
        network: the stacked template.
        weights: parameters and buffers, (rows, ...); may hold one padding row more than there are tests.
        tests: one clean test set a row.
        seeds: one seed a row; anchors are drawn from it, the same at every epoch.
        probe: what to measure.

    Returns:
        One `Seen` a row. Neither weights nor any random stream are changed.
    """
    network.template.eval()
    padding = len(next(iter(weights.values()))) - len(tests)
    padded = [*tests, *[tests[0]] * padding]
    numbers = _accuracies(network, weights, padded)
    units = _units(network, weights, padded, [*seeds, *[seeds[0]] * padding], probe)
    seen = []
    for row in range(len(tests)):
        told = list(numbers[row])
        fields = {}
        for layer, measured in units.items():
            one = measured[row]
            told += summary(layer, one)
            fields[layer] = {
                "rsv": one.rsv().astype(np.float32),
                "synergy": one.synergy().astype(np.float32),
                "first": one.first().astype(np.float32),
                "variance": one.variance().astype(np.float32),
                "dead": one.dead,
            }
        seen.append(Seen(told, fields))
    return seen


def summary(layer: str, one: LayerMeasurement) -> list[tuple[str, str | None, str | None, float]]:
    """Summarise a layer's live units: mean and spread of RSV, shares beyond a cut, mean synergy, first-order shares."""
    live = ~one.dead
    rsv, synergy = one.rsv()[live], one.synergy()[live]
    first = one.first()[:, live]
    nothing = float("nan")
    some = live.any()
    values = {
        "rsv_mean": rsv.mean() if some else nothing,
        "rsv_sd": rsv.std() if some else nothing,
        "rsv_beyond": (rsv > BEYOND).mean() if some else nothing,
        "polarised": (abs(rsv) > BEYOND).mean() if some else nothing,
        "synergy_mean": synergy.mean() if some else nothing,
        "dead": one.dead.sum(),
        "units": len(one.dead),
    }
    told: list[tuple[str, str | None, str | None, float]] = [(q, layer, None, float(v)) for q, v in values.items()]
    for source, share in zip(one.sources, first, strict=True):
        told.append(("first_mean", layer, source, float(share.mean()) if some else nothing))
    return told


def _accuracies(
    network: Stacked, weights: Mapping[str, Tensor], tests: Sequence[Batch]
) -> list[list[tuple[str, str | None, str | None, float]]]:
    """Accuracy and loss with all sources, and with each alone while the others are at rest."""
    names = list(tests[0])
    conditions = {"all": names} | ({name: [name] for name in names} if len(names) > 1 else {})
    totals = {condition: torch.zeros(2, len(tests), dtype=torch.float64) for condition in conditions}
    samples = len(tests[0])
    rest = {name: torch.stack([test.rest[name] for test in tests]).unsqueeze(1) for name in names}
    quiet = network.encode(weights, rest) if network.separable else rest
    for start in range(0, samples, CHUNK):
        cut = slice(start, start + CHUNK)
        x = {name: torch.stack([test.sources[name][cut] for test in tests]) for name in names}
        target = torch.stack([test.target[cut] for test in tests])
        shown = network.encode(weights, x) if network.separable else x
        for condition, heard in conditions.items():
            mixed = {name: shown[name] if name in heard else quiet[name].expand_as(shown[name]) for name in names}
            answer = network.join(weights, mixed) if network.separable else network(weights, mixed)
            logits = answer.logits["both"]
            loss = cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target)
            right = logits.argmax(-1) == target
            totals[condition] += torch.stack([right.double().sum(1), loss.double().sum(1)]).cpu()
    return [
        [
            (quantity, None, condition, float(total[i, row] / samples))
            for condition, total in totals.items()
            for i, quantity in enumerate(("accuracy", "loss"))
        ]
        for row in range(len(tests))
    ]


def _units(
    network: Stacked, weights: Mapping[str, Tensor], tests: Sequence[Batch], seeds: Sequence[int], probe: Probe
) -> dict[str, list[LayerMeasurement]]:
    """Two-way analysis of variance of every unit of the probe's layers, on a grid of anchors from the test set."""
    if not probe.layers:
        return {}
    names = list(tests[0])
    K = min(probe.anchors, len(tests[0]))
    anchors = {name: _anchors(tests, seeds, name, K) for name in names}
    apart = network.separable and not any(layer.startswith("pathways") for layer in probe.layers)
    held = network.encode(weights, anchors) if apart else anchors
    a, b = (held[name] for name in names)
    grids: dict[str, list[TwoWay]] = {}
    step = max(1, CHUNK // K)
    for start in range(0, K, step):
        some = a[:, start : start + step]
        k = some.shape[1]
        if apart:
            answer = network.join_pairs(weights, some, b, probe.layers)
        else:
            pairs = dict(zip(names, _every_pair(some, b), strict=True))
            answer = network(weights, pairs, probe.layers)
        for layer in probe.layers:
            response = answer.layers[layer]
            pooled = response.mean(tuple(range(3, response.dim()))) if response.dim() > 3 else response
            blocks = pooled.reshape(pooled.shape[0], k, K, *pooled.shape[2:])  # (rows, k, K, units)
            if layer not in grids:
                grids[layer] = [TwoWay((K, K), tuple(blocks.shape[3:]), device=blocks.device) for _ in tests]
            # A row at a time: the order of the sums, and so their last bits, must not depend on a row's company.
            for grid, block in zip(grids[layer], blocks, strict=True):
                grid.add(start, block)
    return {
        layer: [LayerMeasurement(layer, tuple(names), grid.result()) for grid in rows] for layer, rows in grids.items()
    }


def _every_pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Lay out (rows, k, ...) and (rows, m, ...) as (rows, k * m, ...) each, the first varying slowest."""
    pairs = (a.shape[1], b.shape[1])
    left = a.unsqueeze(2).expand(-1, *pairs, *a.shape[2:]).flatten(1, 2)
    return left, b.unsqueeze(1).expand(-1, *pairs, *b.shape[2:]).flatten(1, 2)


def _anchors(tests: Sequence[Batch], seeds: Sequence[int], name: str, count: int) -> Tensor:
    """Draw each row's anchors of one source without replacement, independently of the other source's."""
    chosen = []
    for test, seed in zip(tests, seeds, strict=True):
        index = torch.randperm(len(test), generator=generator(seed, f"anchors {name}"))[:count]
        chosen.append(test.sources[name].index_select(0, index.to(test.target.device)))
    return torch.stack(chosen)
