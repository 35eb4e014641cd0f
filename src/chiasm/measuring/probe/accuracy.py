"""Accuracy and loss with all sources, and with each alone while the others are at rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from chiasm.measuring.probe.heard import Subset
from chiasm.measuring.probe.number import Number


def conditions(names: Sequence[str]) -> dict[str, Subset]:
    """Return what is heard, by what the table calls it: "all", and each source alone where there are several.

    >>> conditions(["left", "right"])
    {'all': ('left', 'right'), 'left': ('left',), 'right': ('right',)}
    """
    return {"all": tuple(names)} | ({name: (name,) for name in names} if len(names) > 1 else {})


def accuracies(found: Mapping[Subset, Tensor], names: Sequence[str], row: int) -> list[Number]:
    """Tell the accuracy and loss of one row, from those of every subset (2, rows)."""
    return [
        (quantity, None, condition, float(found[subset][i, row]))
        for condition, subset in conditions(names).items()
        for i, quantity in enumerate(("accuracy", "loss"))
    ]
