"""`units`: which source the units of layers listen to, of many rows at once, each on its own test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.measuring.instrument.units import to_units
from chiasm.measuring.plan import plan
from chiasm.measuring.probe.measure import Measure, ProbeInput, ProbeResult
from chiasm.measuring.probe.number import CHUNK, Number, require_samples
from chiasm.measuring.probe.spec import Probe
from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.sampling.blocks import product
from chiasm.measuring.variance.components import Accumulator
from chiasm.networks import Stacked
from chiasm.objectives import Objective
from chiasm.quantity import Quantity
from chiasm.sources import Batch

BEYOND = 0.5  # the cut of "leans to one source": three quarters of the two total effects are that source's


@final
class UnitsMeasure(Measure):
    """RSV, synergy, first-order effects and shares of total effects of every unit of `probe.layers`, and their means.

    Units of `probe.positions` are measured at each place as well, as the layer "<name> per position".
    """

    tag: ClassVar[str] = "units"
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("rsv_mean", "mean RSV", "", "layer", -1.0, 1.0),
        Quantity("rsv_sd", "spread of RSV", "", "layer", 0.0, 1.0),
        Quantity("rsv_beyond", "units that lean to the first source", "%", "layer", 0.0, 1.0, 0, 100.0),
        Quantity("polarised", "units that lean to one source", "%", "layer", 0.0, 1.0, 0, 100.0),
        Quantity("synergy_mean", "mean synergy", "%", "layer", 0.0, 1.0, 0, 100.0),
        Quantity("dead", "dead units", "", "layer", 0.0, digits=1),
        Quantity("units", "units", "", "layer", 0.0, digits=0),
        Quantity("explained_by_position", "spread of RSV that the place explains", "%", "layer", 0.0, 1.0, 0, 100.0),
        Quantity("explained_by_column", "spread of RSV that the column explains", "%", "layer", 0.0, 1.0, 0, 100.0),
        Quantity("first_mean", "mean first-order effect", "%", "layer", 0.0, 1.0, 0, 100.0),
        Quantity("share_mean", "mean share of total effects", "%", "layer", 0.0, 1.0, 0, 100.0),
    )

    def check(self, network: Stacked, probe: Probe, sources: Sequence[str], test: int, objective: Objective) -> None:
        if not probe.layers:
            return
        require_samples(self.tag, test)
        if len(sources) < 2:
            raise ChiasmError(
                f"probe.layers = {list(probe.layers)}: units are measured for two sources or more, this task has one "
                f"({', '.join(sources)}); leave 'units' out of probe.measures, or say probe.layers = []"
            )

    def measure(self, given: ProbeInput) -> list[ProbeResult]:
        results = [ProbeResult() for _ in given.tests]
        layers = units(given.network, given.weights, given.padded_tests, given.padded_seeds, given.probe)
        for layer, rows in layers.items():
            for result, measurement in zip(results, rows, strict=False):
                result.numbers.extend(summary(layer, measurement))
                result.units[layer] = _fields(measurement)
        return results


def summary(layer: str, one: LayerMeasurement) -> list[Number]:
    """Summarise a layer's live units: mean and spread of RSV, shares beyond a cut, mean synergy, shares a source.

    Of three sources and more, RSV is that of the first two, over the units that either of them moves; `share_mean` says
    what each source has of all total effects.
    """
    live = ~one.dead
    rsv = one.rsv()[live]
    rsv = rsv[~np.isnan(rsv)]
    values = {
        "rsv_mean": _mean(rsv),
        "rsv_sd": float(rsv.std()) if rsv.size else float("nan"),
        "rsv_beyond": _mean((rsv > BEYOND).astype(np.float64)),
        "polarised": _mean((abs(rsv) > BEYOND).astype(np.float64)),
        "synergy_mean": _mean(one.synergy()[live]),
        "dead": float(one.dead.sum()),
        "units": float(len(one)),
    }
    numbers: list[Number] = [(quantity, layer, None, value) for quantity, value in values.items()]
    if len(one.shape) > 1:
        for factor in ("position", "column")[: len(one.shape) - 1]:
            numbers.append((f"explained_by_{factor}", layer, None, one.explained_by(factor)))
    for quantity, shares in (("first_mean", one.first()), ("share_mean", one.share())):
        numbers += [(quantity, layer, s, _mean(x[live])) for s, x in zip(one.sources, shares, strict=True)]
    return numbers


def _mean(x: NDArray[np.float64]) -> float:
    return float(x.mean()) if x.size else float("nan")


def units(
    network: Stacked, weights: Mapping[str, Tensor], tests: Sequence[Batch], seeds: Sequence[int], probe: Probe
) -> dict[str, list[LayerMeasurement]]:
    """Measure every unit of the probe's layers, a measurement a row; anchors are those that `measure` would take.

    Raises:
        ChiasmError: units of a layer whose output has no positions are asked for at each place.
    """
    if not probe.layers:
        return {}
    names = list(tests[0])
    how = plan(len(names), len(tests[0]), probe.anchors, "auto", None, "ratio", "product")
    design, points = how.design, len(how.design.points)
    anchors = _anchors(tests, seeds, names, how.blocks, how.levels)
    apart = network.separable and not any(layer.startswith("pathways") for layer in probe.layers)
    if apart:
        anchors = network.encode(weights, anchors)
    device = tests[0].target.device
    sums: dict[str, list[Accumulator]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    step = max(1, CHUNK // points)
    for start in range(0, how.blocks, step):
        blocks = min(step, how.blocks - start)
        firsts = (torch.arange(start, start + blocks) * how.levels).unsqueeze(1)
        met = {
            name: anchors[name].index_select(1, (firsts + design.points[:, axis]).flatten().to(device))
            for axis, name in enumerate(names)
        }
        answer = (
            network.join(weights, met, probe.layers, logits=False) if apart else network(weights, met, probe.layers)
        )
        for layer in probe.layers:
            # A row at a time: the order of the sums, and so their last bits, must not depend on a row's company.
            for row, response in enumerate(answer.layers[layer]):
                for per in ("channel", "position") if layer in probe.positions else ("channel",):
                    name = layer if per == "channel" else f"{layer} per position"
                    answers = to_units(response, per)
                    if name not in sums:
                        shapes[name] = tuple(answers.shape[1:])
                        flat = (prod(shapes[name]),)
                        sums[name] = [Accumulator(design, how.blocks, flat, device) for _ in tests]
                    sums[name][row].add(start, answers.reshape(blocks, points, -1))
    for name in probe.positions:
        if len(shapes[f"{name} per position"]) < 2:
            raise ChiasmError(f"probe.positions = {list(probe.positions)}: units of layer '{name}' have no positions")
    return {
        name: [LayerMeasurement(name, tuple(names), one.result(), shapes[name]) for one in rows]
        for name, rows in sums.items()
    }


def _fields(one: LayerMeasurement) -> dict[str, NDArray[Any]]:
    fields = {
        "rsv": one.rsv(),
        "synergy": one.synergy(),
        "first": one.first(),
        "share": one.share(),
        "variance": one.variance(),
    }
    return {name: x.astype(np.float32) for name, x in fields.items()} | {"dead": one.dead}


def _anchors(
    tests: Sequence[Batch], seeds: Sequence[int], names: Sequence[str], blocks: int, levels: int
) -> dict[str, Tensor]:
    """Draw each row's anchors of every source, (rows, blocks * levels, ...), independently of the other sources."""
    chosen: dict[str, list[Tensor]] = {name: [] for name in names}
    for test, seed in zip(tests, seeds, strict=True):
        index = product(test.sources, len(test), blocks, levels, seed).index
        for name in names:
            chosen[name].append(test.sources[name].index_select(0, index[name].flatten().to(test.target.device)))
    return {name: torch.stack(parts) for name, parts in chosen.items()}
