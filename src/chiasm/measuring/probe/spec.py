"""The keys of [probe]."""

from __future__ import annotations

from typing import Annotated

import msgspec

from chiasm.errors import ChiasmError

#: The measure of the outcome under the name that it had while every outcome was an accuracy.
FORMER = {"accuracy": "outcome"}


class Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to measure during training: the keys of [probe].

    Attributes:
        measures: tags of measures; `chiasm studies` lists them, those of plug-ins among them.
        layers: names of layers that "units" (of two sources or more) and "rank" look at; may be empty.
        positions: layers of maps or tokens whose units are measured at each place as well, as the layer "<name> per
            position"; `explained_by_position` and, of maps, `explained_by_column` say how much of the spread of RSV
            the place alone explains.
        every: epochs between measurements; starts, ends of phases and the end of the run are always measured.
        tail: a run's final outcome and loss are means over so many last epochs (the paper's code: 5).
        anchors: samples of each source whose combinations "units" shows (all of the test set if it has fewer).
        fisher_samples: test samples whose gradients "fisher" takes, with one label each drawn from the network (all of
            the test set if it has fewer).
    """

    measures: tuple[str, ...] = ("outcome", "units")
    layers: tuple[str, ...] = ("fusion",)
    positions: tuple[str, ...] = ()
    every: Annotated[int, msgspec.Meta(ge=1)] = 10
    tail: Annotated[int, msgspec.Meta(ge=1)] = 1
    anchors: Annotated[int, msgspec.Meta(ge=8)] = 512
    fisher_samples: Annotated[int, msgspec.Meta(ge=2)] = 256

    def __post_init__(self) -> None:
        measures = tuple(FORMER.get(name, name) for name in self.measures)
        if len(set(measures)) < len(measures):
            raise ChiasmError(f"measures = {list(self.measures)}: a measure is named twice")
        msgspec.structs.force_setattr(self, "measures", measures)
