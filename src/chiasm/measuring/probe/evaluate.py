"""Evaluating several rows: everything a probe measures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from chiasm.measuring.probe.ablation import ablated_outcomes
from chiasm.measuring.probe.measure import MEASURES, ProbeInput, ProbeResult
from chiasm.measuring.probe.spec import Probe
from chiasm.networks import Stacked
from chiasm.objectives import Classify, Objective
from chiasm.randomness import seeded_globals
from chiasm.sources import Batch


@torch.no_grad()
def evaluate(
    network: Stacked,
    weights: Mapping[str, Tensor],
    tests: Sequence[Batch],
    seeds: Sequence[int],
    probe: Probe,
    objective: Objective | None = None,
    factors: Mapping[str, Sequence[str]] | None = None,
) -> list[ProbeResult]:
    """Measure several rows on their test sets.

    Args:
        network: the stacked template.
        weights: parameters and buffers, (rows, ...); may hold one padding row more than there are tests.
        tests: one clean test set a row.
        seeds: one seed a row; anchors, samples and labels are drawn from it, the same at every epoch.
        probe: what to measure.
        objective: what scores answers; None: `classify`.
        factors: where a class is a combination, the levels of each factor by its name (`Description.factors`).

    Returns:
        One result a row, which hangs on nothing but that row. Neither weights nor any random stream are changed.
    """
    network.template.eval()
    given = ProbeInput(network, weights, tests, seeds, probe, objective or Classify(), factors or {})
    measures = [MEASURES[tag]() for tag in probe.measures]
    subsets = dict.fromkeys(subset for measure in measures for subset in measure.subsets(given.sources))
    # Networks that draw even in evaluation mode draw from streams of the probe's own, one a measure.
    if subsets:
        with seeded_globals(seeds[0], "probe heard"):  # an address, and so kept: it decides their bits
            ablated = ablated_outcomes(network, weights, given.padded_tests, subsets, given.objective)
        given = replace(given, ablated=ablated)
    results = [ProbeResult() for _ in tests]
    for measure in measures:
        with seeded_globals(seeds[0], f"probe {measure.tag}"):
            for result, part in zip(results, measure.measure(given), strict=True):
                result.numbers.extend(part.numbers)
                result.units.update(part.units)
    return results
