"""The keys of [probe], and whether a network and a task can answer them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import torch

from chiasm.errors import ChiasmError, unknown
from chiasm.networks import Stacked

MEASURES = ("accuracy", "units", "usable", "fisher", "rank")


class Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to measure during training: the keys of [probe].

    Attributes:
        measures: any of these; behind each what it adds to the table of numbers.
            "accuracy": `accuracy` and `loss` with all sources, and with each alone while the others are at rest.
            "units": RSV, synergy, first-order effects and shares of total effects of every unit of `layers`.
            "usable": `usable_bits`, H(Y) minus the cross entropy, with all sources, with each alone ("left") and each
            at rest ("without left"); of up to five sources also `shapley_accuracy` and `shapley_bits` of each.
            "fisher": `fisher_trace` of each part, which stands in the column of layers: "pathways.<source>", "fusion",
            "trunk", "heads" (of a network of another shape its children), where they have parameters.
            "rank": `effective_rank` and `participation_ratio` of each of `layers` on test samples as they are (2048 at
            most), and how many of its units are dead there, `rank_dead`.
        layers: names of layers that "units" (of two sources or more) and "rank" look at; may be empty.
        positions: layers of maps or tokens whose units are measured at each place as well, as the layer "<name> per
            position"; `explained_by_position` and, of maps, `explained_by_column` say how much of the spread of RSV
            the place alone explains.
        every: epochs between measurements; starts, ends of phases and the end of the run are always measured.
        tail: a run's final accuracy and loss are means over so many last epochs (the paper's code: 5).
        anchors: samples of each source whose combinations "units" shows (all of the test set if it has fewer).
        fisher_samples: test samples whose gradients "fisher" takes, with one label each drawn from the network (all of
            the test set if it has fewer).
    """

    measures: tuple[str, ...] = ("accuracy", "units")
    layers: tuple[str, ...] = ("fusion",)
    positions: tuple[str, ...] = ()
    every: Annotated[int, msgspec.Meta(ge=1)] = 10
    tail: Annotated[int, msgspec.Meta(ge=1)] = 1
    anchors: Annotated[int, msgspec.Meta(ge=8)] = 512
    fisher_samples: Annotated[int, msgspec.Meta(ge=2)] = 256

    def __post_init__(self) -> None:
        for name in self.measures:
            if name not in MEASURES:
                raise unknown("measure", name, MEASURES, "measures")
        if len(set(self.measures)) < len(self.measures):
            raise ChiasmError(f"measures = {list(self.measures)}: a measure is named twice")


def check_layers(network: Stacked, probe: Probe, sources: Sequence[str], test: int) -> None:
    """Refuse a probe that this network or task cannot answer, before anything is trained."""
    modules = network.template.named_modules()
    names = [name for name, module in modules if name and not isinstance(module, torch.nn.ModuleDict)]
    given = f"probe.layers = {list(probe.layers)}"
    for layer in probe.layers:
        if layer and layer not in names:
            raise unknown("layer", layer, names, "probe.layers")
    for layer in probe.positions:
        if layer not in probe.layers:
            raise ChiasmError(f"probe.positions = {list(probe.positions)}: '{layer}' is not among probe.layers; add it")
    if len(set(probe.layers)) < len(probe.layers):
        raise ChiasmError(f"{given}: a layer is named twice")
    if "rank" in probe.measures and not probe.layers:
        raise ChiasmError(f"{given}: 'rank' among probe.measures is of layers; name one, 'fusion' for instance")
    of_units = "units" in probe.measures and bool(probe.layers)
    spread = [name for name in ("units", "fisher", "rank") if name in probe.measures and (name != "units" or of_units)]
    if spread and test < 2:
        raise ChiasmError(
            f"probe.measures = {list(probe.measures)}: {' and '.join(spread)} need 2 test samples or more, not {test}"
        )
    if of_units and len(sources) < 2:
        raise ChiasmError(
            f"{given}: units are measured for two sources or more, this task has one ({', '.join(sources)}); leave "
            "'units' out of probe.measures, or say probe.layers = []"
        )
