"""One look at several rows: everything a probe measures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chiasm.measuring.probe.accuracy import accuracies, conditions
from chiasm.measuring.probe.fisher import fishers
from chiasm.measuring.probe.heard import heard
from chiasm.measuring.probe.number import Number
from chiasm.measuring.probe.rank import ranks
from chiasm.measuring.probe.spec import Probe
from chiasm.measuring.probe.units import summary, units
from chiasm.measuring.probe.usable import subsets, usable
from chiasm.measuring.result import LayerMeasurement
from chiasm.networks import Stacked
from chiasm.randomness import seeded_globals
from chiasm.sources import Batch


@dataclass(frozen=True, slots=True)
class Seen:
    """What a probe saw of one row.

    Attributes:
        numbers: (quantity, layer or None, source or None, value).
        units: arrays by layer and field: rsv (of the first two sources), synergy, variance (units,), first, share
            (sources, units), dead (units,) bool.
    """

    numbers: list[Number]
    units: dict[str, dict[str, NDArray[Any]]]


@torch.no_grad()
def look(
    network: Stacked, weights: Mapping[str, Tensor], tests: Sequence[Batch], seeds: Sequence[int], probe: Probe
) -> list[Seen]:
    """Measure several rows on their test sets.

    Args:
        network: the stacked template.
        weights: parameters and buffers, (rows, ...); may hold one padding row more than there are tests.
        tests: one clean test set a row.
        seeds: one seed a row; anchors, samples and labels are drawn from it, the same at every epoch.
        probe: what to measure.

    Returns:
        One `Seen` a row, which hangs on nothing but that row. Neither weights nor any random stream are changed.
    """
    network.template.eval()
    padding = len(next(iter(weights.values()))) - len(tests)
    padded, drawn = [*tests, *[tests[0]] * padding], [*seeds, *[seeds[0]] * padding]
    seen = [Seen([], {}) for _ in tests]

    names = list(tests[0])
    wanted = [*(conditions(names).values() if "accuracy" in probe.measures else ())]
    wanted += subsets(names) if "usable" in probe.measures else []
    # Networks that draw even in evaluation mode draw from streams of the probe's own, one a measure.
    with seeded_globals(seeds[0], "probe heard"):
        found = heard(network, weights, padded, dict.fromkeys(wanted)) if wanted else {}
    if "accuracy" in probe.measures:
        for row, one in enumerate(seen):
            one.numbers.extend(accuracies(found, names, row))
    if "units" in probe.measures:
        with seeded_globals(seeds[0], "probe units"):
            measured = units(network, weights, padded, drawn, probe)
        for layer, rows in measured.items():
            for one, whole in zip(seen, rows, strict=False):
                one.numbers.extend(summary(layer, whole))
                one.units[layer] = _fields(whole)
    if "usable" in probe.measures:
        for row, (one, test) in enumerate(zip(seen, tests, strict=True)):
            one.numbers.extend(usable(found, test, row))
    if "fisher" in probe.measures:
        with seeded_globals(seeds[0], "probe fisher"):
            for one, traces in zip(seen, fishers(network, weights, tests, seeds, probe.fisher_samples), strict=True):
                one.numbers.extend(traces)
    if "rank" in probe.measures:
        with seeded_globals(seeds[0], "probe rank"):
            for one, told in zip(seen, ranks(network, weights, padded, drawn, probe.layers, len(tests)), strict=True):
                one.numbers.extend(told)
    return seen


def _fields(one: LayerMeasurement) -> dict[str, NDArray[Any]]:
    found = {
        "rsv": one.rsv(),
        "synergy": one.synergy(),
        "first": one.first(),
        "share": one.share(),
        "variance": one.variance(),
    }
    return {name: x.astype(np.float32) for name, x in found.items()} | {"dead": one.dead}
