"""`usable`: usable bits with all sources, each alone and each at baseline, and what each source is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import log
from typing import ClassVar, final

import numpy as np
from torch import Tensor

from chiasm.measuring.information.shapley import shapley
from chiasm.measuring.probe.measure import Measure, ProbeInput, ProbeResult, Subset
from chiasm.measuring.probe.number import Number, require_classes
from chiasm.measuring.probe.outcome import conditions
from chiasm.measuring.probe.spec import Probe
from chiasm.networks import Stacked
from chiasm.objectives import Objective
from chiasm.quantity import Quantity
from chiasm.sources import Batch

ALL_UP_TO = 5  # sources: 32 subsets


@final
class UsableMeasure(Measure):
    """`usable_bits`, H(Y) minus the cross entropy: all sources, each alone ("left"), each at baseline ("without left").

    Of up to five sources also `shapley_accuracy` and `shapley_bits` of each.
    """

    tag: ClassVar[str] = "usable"
    title: ClassVar[str] = "Usable information"
    about: ClassVar[str] = (
        "Usable bits are the entropy of the test labels minus the cross entropy of the network's answers, with all "
        "sources, with one alone, or with one at rest: below 0 the network guesses worse than the labels' frequencies "
        "do. A Shapley value is what a source adds, averaged over all orders in which the sources may come; over "
        "sources they add up to what all of them are worth beyond none."
    )
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("usable_bits", "usable bits", "bits", "source"),
        Quantity("shapley_bits", "Shapley value", "bits", "source"),
        Quantity("shapley_accuracy", "Shapley value", "points", "source", -1.0, 1.0, digits=1, scale=100.0),
    )

    def check(self, network: Stacked, probe: Probe, sources: Sequence[str], test: int, objective: Objective) -> None:
        require_classes(self.tag, objective)

    def subsets(self, sources: Sequence[str]) -> list[Subset]:
        return subsets(sources)

    def measure(self, given: ProbeInput) -> list[ProbeResult]:
        return [ProbeResult(usable(given.ablated, test, row)) for row, test in enumerate(given.tests)]


def subsets(names: Sequence[str]) -> list[Subset]:
    """Return what must be shown: every subset of up to five sources, of more all, each missing, each alone, none.

    The source that is j-th in order is shown in the subsets at whose place bit j is set, where there are all of them.

    >>> subsets(["left", "right"])
    [(), ('left',), ('right',), ('left', 'right')]
    """
    n = len(names)
    if n <= ALL_UP_TO:
        return [tuple(name for j, name in enumerate(names) if mask >> j & 1) for mask in range(2**n)]
    return [(), *combinations(names, 1), *combinations(names, n - 1), tuple(names)]


def usable(ablated: Mapping[Subset, Tensor], test: Batch, row: int) -> list[Number]:
    """Return the usable bits of one row, and Shapley values of up to five sources, as `chiasm.decode` defines them."""
    names = list(test)
    share = test.target.bincount().double().cpu() / len(test)
    entropy = float(-(share * share.log2()).nan_to_num().sum())  # a class that does not occur adds nothing
    bits = {subset: entropy - float(two[1, row]) / log(2) for subset, two in ablated.items()}
    without = {f"without {name}": tuple(other for other in names if other != name) for name in names}
    numbers: list[Number] = [
        ("usable_bits", None, condition, bits[subset]) for condition, subset in (conditions(names) | without).items()
    ]
    if len(names) <= ALL_UP_TO:
        worths = {"accuracy": {s: float(two[0, row]) for s, two in ablated.items()}, "bits": bits}
        for quantity, worth in worths.items():
            # A row at a time: a matrix product of several rows need not add up in the same order.
            values = shapley(np.array([worth[subset] for subset in subsets(names)]))
            numbers += [
                (f"shapley_{quantity}", None, name, float(value)) for name, value in zip(names, values, strict=True)
            ]
    return numbers
