"""What every measure of a probe is: numbers and units of many rows at once, of networks that it leaves as they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray
from torch import Tensor

from chiasm.measuring.probe.number import Number
from chiasm.measuring.probe.spec import Probe
from chiasm.networks import Stacked
from chiasm.objectives import Objective
from chiasm.quantity import Quantity
from chiasm.registry import Registry
from chiasm.sources import Batch

#: Names of the sources that a network is shown, in the order of the task; the others are at their baseline.
Subset = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProbeInput:
    """What a measure is given: some rows, each with its own weights, test set and seed.

    Attributes:
        network: the stacked template, in evaluation mode.
        weights: parameters and buffers, (rows, ...); may hold one padding row more than there are tests.
        tests: one clean test set a row, all of one size.
        seeds: one seed a row; whatever is drawn for a row is drawn from its own.
        probe: the settings of `[probe]`.
        objective: the study's own.
        factors: where a class is a combination, the levels of each factor by its name, the last changing fastest.
        ablated: outcome and held-out loss, (2, rows) float64, by the subsets that the measures ask for.
    """

    network: Stacked
    weights: Mapping[str, Tensor]
    tests: Sequence[Batch]
    seeds: Sequence[int]
    probe: Probe
    objective: Objective
    factors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ablated: Mapping[Subset, Tensor] = field(default_factory=dict)

    @property
    def sources(self) -> list[str]:
        """Names of the sources, in the order of the task."""
        return list(self.tests[0])

    @property
    def padding(self) -> int:
        """How many rows of the weights have no test set: they fill the stack."""
        return len(next(iter(self.weights.values()))) - len(self.tests)

    @property
    def padded_tests(self) -> list[Batch]:
        """A test set for every row of the weights."""
        return [*self.tests, *[self.tests[0]] * self.padding]

    @property
    def padded_seeds(self) -> list[int]:
        """A seed for every row of the weights."""
        return [*self.seeds, *[self.seeds[0]] * self.padding]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What was measured of one row.

    Attributes:
        numbers: (quantity, layer or None, source or None, value).
        units: arrays by layer and field: rsv (of the first two sources), synergy, variance (units,), first, share
            (sources, units), dead (units,) bool.
    """

    numbers: list[Number] = field(default_factory=list)
    units: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)


class Measure(ABC):
    """A measure that a study can name in `probe.measures`; a kind has a tag, and no state.

    Attributes:
        tag: how the study names it.
        title: of its table in the report; empty for none.
        about: an introduction to that table.
        quantities: what it adds to the table of results, in the order of the report's columns.
        of_factors: whether it needs a task whose classes are combinations of factors.
    """

    tag: ClassVar[str]
    title: ClassVar[str] = ""
    about: ClassVar[str] = ""
    quantities: ClassVar[tuple[Quantity, ...]] = ()
    of_factors: ClassVar[bool] = False

    def subsets(self, sources: Sequence[str]) -> list[Subset]:
        """Return the subsets of sources whose outcome and loss it needs (`ProbeInput.ablated`)."""
        return []

    def check(  # noqa: B027  (most measures refuse nothing)
        self, network: Stacked, probe: Probe, sources: Sequence[str], test: int, objective: Objective
    ) -> None:
        """Refuse what it cannot measure, before anything is trained.

        Args:
            network: the template.
            probe: the settings of `[probe]`.
            sources: names of the sources.
            test: how many test samples there are.
            objective: the study's own.

        Raises:
            ChiasmError: in one sentence.
        """

    @abstractmethod
    def measure(self, given: ProbeInput) -> list[ProbeResult]:
        """Return what it finds in each row, which hangs on nothing but that row; weights are left as they are."""


MEASURES: Registry[Measure] = Registry("measure", Measure, "chiasm.measuring.probe")
