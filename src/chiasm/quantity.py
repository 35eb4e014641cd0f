"""A quantity: a number that results hold, and how people read it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

Of = Literal["run", "source", "layer"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that results hold, and how people read it.

    Attributes:
        name: in the table of results ("usable_bits").
        label: in words ("usable bits").
        unit: of the number as it is shown: "%", "bits", "nats"; "" for a plain number.
        of: what it is a number of: a "run", a "source" (or a set of them), or a "layer" (or a part).
        low: the least that it can be, as in the table.
        high: the most that it can be, as in the table.
        digits: decimals that people are shown.
        scale: what the table's number is multiplied by to be shown in `unit`: 100 for a share in percent.
    """

    name: str
    label: str
    unit: str = ""
    of: Of = "run"
    low: float = -inf
    high: float = inf
    digits: int = 2
    scale: float = 1.0
