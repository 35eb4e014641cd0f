"""Whether a network, a task and an objective can answer a probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.probe.measure import MEASURES
from chiasm.measuring.probe.spec import Probe
from chiasm.networks import Stacked
from chiasm.objectives import Objective


def check_measures(probe: Probe) -> None:
    """Refuse a measure that nobody knows."""
    for tag in probe.measures:
        if tag not in MEASURES:
            raise unknown("measure", tag, MEASURES, "probe.measures")


def check_probe(
    network: Stacked,
    probe: Probe,
    sources: Sequence[str],
    test: int,
    objective: Objective,
    factors: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Refuse a probe that this network, task or objective cannot answer, before anything is trained."""
    modules = network.template.named_modules()
    names = [name for name, module in modules if name and not isinstance(module, torch.nn.ModuleDict)]
    for layer in probe.layers:
        if layer and layer not in names:
            raise unknown("layer", layer, names, "probe.layers")
    for layer in probe.positions:
        if layer not in probe.layers:
            raise ChiasmError(f"probe.positions = {list(probe.positions)}: '{layer}' is not among probe.layers; add it")
    if len(set(probe.layers)) < len(probe.layers):
        raise ChiasmError(f"probe.layers = {list(probe.layers)}: a layer is named twice")
    check_measures(probe)
    for tag in probe.measures:
        if MEASURES[tag].of_factors and not factors:
            raise ChiasmError(
                f"probe.measures: '{tag}' is of classes that are combinations of factors; those of this task are not"
            )
        MEASURES[tag]().check(network, probe, sources, test, objective)
