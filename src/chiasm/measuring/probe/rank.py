"""In how many directions the units of layers vary together, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import ClassVar, final

import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.measuring.information.rank import Spread
from chiasm.measuring.instrument.units import to_units
from chiasm.measuring.probe.measure import Measure, ProbeInput, ProbeResult
from chiasm.measuring.probe.number import CHUNK, Number, require_samples
from chiasm.measuring.probe.spec import Probe
from chiasm.networks import Stacked
from chiasm.objectives import Objective
from chiasm.quantity import Quantity
from chiasm.randomness import generator
from chiasm.sources import Batch

SAMPLES = 2048  # as many as `chiasm.rank` shows by default


@final
class RankMeasure(Measure):
    """`effective_rank` and `participation_ratio` of each of `probe.layers`, and how many units are dead, `rank_dead`.

    Test samples are shown as they are, 2048 at most.
    """

    tag: ClassVar[str] = "rank"
    title: ClassVar[str] = "Rank"
    about: ClassVar[str] = (
        "In how many directions the units of a layer vary together on test samples as they are: the effective rank "
        "counts weak directions too, the participation ratio strong ones. Compare at equal numbers of samples."
    )
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("effective_rank", "effective rank", "", "layer", 1.0, digits=1),
        Quantity("participation_ratio", "participation ratio", "", "layer", 1.0, digits=1),
        Quantity("rank_dead", "dead units", "", "layer", 0.0, digits=1),
    )

    def check(self, network: Stacked, probe: Probe, sources: Sequence[str], test: int, objective: Objective) -> None:
        if not probe.layers:
            raise ChiasmError(
                "probe.layers = []: 'rank' among probe.measures is of layers; name one, 'fusion' for instance"
            )
        require_samples(self.tag, test)

    def measure(self, given: ProbeInput) -> list[ProbeResult]:
        tests, seeds, layers = given.padded_tests, given.padded_seeds, given.probe.layers
        numbers = ranks(given.network, given.weights, tests, seeds, layers, len(given.tests))
        return [ProbeResult(one) for one in numbers]


def ranks(
    network: Stacked,
    weights: Mapping[str, Tensor],
    tests: Sequence[Batch],
    seeds: Sequence[int],
    layers: Sequence[str],
    rows: int,
) -> list[list[Number]]:
    """Return the ranks of the first rows, those of `chiasm.rank`, sources in their true tuples; NaN where units are."""
    index = [
        torch.randperm(len(test), generator=generator(seed, "rank samples"))[:SAMPLES].sort().values
        for test, seed in zip(tests, seeds, strict=True)
    ]
    shown = len(index[0])
    spreads = [{layer: Spread(layer, shown) for layer in layers} for _ in range(rows)]
    for start in range(0, shown, CHUNK):
        x = {
            name: torch.stack(
                [
                    test.sources[name][own[start : start + CHUNK].to(test.target.device)]
                    for test, own in zip(tests, index, strict=True)
                ]
            )
            for name in tests[0]
        }
        seen = network(weights, x, layers).layers
        for row, by_layer in enumerate(spreads):
            for layer in list(by_layer):
                units = to_units(seen[layer][row], "channel").flatten(1)
                if units.isfinite().all():
                    by_layer[layer].add(units, len(units))
                else:  # a network that has just blown up, which is told elsewhere
                    del by_layer[layer]
    return [[number for layer in layers for number in _numbers(layer, by_layer.get(layer))] for by_layer in spreads]


def _numbers(layer: str, spread: Spread | None) -> list[Number]:
    ranking = spread.result() if spread else None
    values = (ranking.effective_rank, ranking.participation, float(ranking.dead)) if ranking else (nan, nan, nan)
    quantities = ("effective_rank", "participation_ratio", "rank_dead")
    return [(quantity, layer, None, value) for quantity, value in zip(quantities, values, strict=True)]
