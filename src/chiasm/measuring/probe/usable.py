"""Usable bits with all sources, each alone and each at rest, and what each source is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import log

import numpy as np
from torch import Tensor

from chiasm.measuring.information.shapley import shapley
from chiasm.measuring.probe.accuracy import conditions
from chiasm.measuring.probe.heard import Subset
from chiasm.measuring.probe.number import Number
from chiasm.sources import Batch

ALL_UP_TO = 5  # sources: 32 subsets


def subsets(names: Sequence[str]) -> list[Subset]:
    """Return what must be heard: every subset of up to five sources, of more all, each missing, each alone, none.

    The source that is j-th in order is heard in the subsets at whose place bit j is set, where there are all of them.

    >>> subsets(["left", "right"])
    [(), ('left',), ('right',), ('left', 'right')]
    """
    n = len(names)
    if n <= ALL_UP_TO:
        return [tuple(name for j, name in enumerate(names) if mask >> j & 1) for mask in range(2**n)]
    return [(), *combinations(names, 1), *combinations(names, n - 1), tuple(names)]


def usable(found: Mapping[Subset, Tensor], test: Batch, row: int) -> list[Number]:
    """Tell the usable bits of one row, and Shapley values of up to five sources, as `chiasm.decode` defines them."""
    names = list(test)
    share = test.target.bincount().double().cpu() / len(test)
    entropy = float(-(share * share.log2()).nan_to_num().sum())  # a class that does not occur adds nothing
    bits = {subset: entropy - float(two[1, row]) / log(2) for subset, two in found.items()}
    without = {f"without {name}": tuple(other for other in names if other != name) for name in names}
    told: list[Number] = [
        ("usable_bits", None, condition, bits[subset]) for condition, subset in (conditions(names) | without).items()
    ]
    if len(names) <= ALL_UP_TO:
        worths = {"accuracy": {s: float(two[0, row]) for s, two in found.items()}, "bits": bits}
        for quantity, worth in worths.items():
            # A row at a time: a matrix product of several rows need not add up in the same order.
            values = shapley(np.array([worth[subset] for subset in subsets(names)]))
            told += [
                (f"shapley_{quantity}", None, name, float(value)) for name, value in zip(names, values, strict=True)
            ]
    return told
