"""Deep linear pathways side by side that compete for the same modes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.theory.arguments import broadcast, check, check_int
from chiasm.theory.pathway import coordinates
from chiasm.theory.pathway.coordinates import GAPS, Floats, Ints

#: One value for all pathways of a cell, or a tuple with one for each.
PerPathway = ArrayLike | tuple[ArrayLike, ...]
Bools = NDArray[np.bool_]

#: Beyond it powers of weights leave float64.
DEEPEST = 1000


@dataclass(frozen=True)
class Pathways:
    """Cells of n parallel deep linear pathways, each cell one mode that the pathways share.

    Modes do not interact where weights lie along them, so a network of several modes is several cells.

    Attributes:
        strength: (*cells,) singular values s > 0 of the task: what the outputs of all pathways must add up to.
        depth: (*cells, n) weight matrices of a pathway, from 1.
        start: (*cells, n) weights p at time 0.
        init: "balanced" (every layer of a mode has the weight p) or "wide" (all but one layer begin at 1).
        missing: (*cells, n) where a pathway lacks the mode for ever: it neither learns it nor contributes to it.
    """

    strength: Floats
    depth: Ints
    start: Floats
    init: str
    missing: Bools

    @property
    def gap(self) -> float:
        """q^2 - p^2 within a pathway, which gradient flow conserves: 0 (balanced) or 1 (wide)."""
        return GAPS[self.init]

    @property
    def cells(self) -> tuple[int, ...]:
        """The shape of the cells, without the axis of the pathways."""
        return self.strength.shape

    @property
    def count(self) -> int:
        """The number n of pathways."""
        return int(self.start.shape[-1])

    def each(self, what: str, value: ArrayLike) -> Floats:
        """Return a number for each pathway of each cell, (*cells, n); what does not fit is a ChiasmError."""
        values = check(what, value, finite=False)
        try:
            return np.broadcast_to(values, self.start.shape)
        except ValueError:
            raise ChiasmError(f"{what} has shape {values.shape}; expected {self.start.shape}, (*cells, n)") from None

    def flat(self, values: NDArray[Any]) -> NDArray[Any]:
        """Lay values of each pathway, (*cells, n), out as (n, C)."""
        return np.ascontiguousarray(values.reshape(-1, self.count).T)

    def shaped(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values laid out as (n, C) to the shape (*cells, n)."""
        return values.T.reshape(self.start.shape)

    def output(self, weight: Floats) -> Floats:
        """Return the outputs K of weights p, both (*cells, n)."""
        return coordinates.output(weight, self.depth, self.gap)

    def lesson(self, weight: Floats) -> Floats:
        """Return the lessons H of weights p, both (*cells, n); their differences are conserved while pathways learn."""
        return coordinates.lesson(weight, self.depth, self.gap)


def pathways(
    strength: ArrayLike,
    depth: PerPathway,
    output: PerPathway | None = None,
    weight: PerPathway | None = None,
    init: Literal["balanced", "wide"] = "balanced",
    count: int = 2,
    missing: PerPathway = False,
) -> Pathways:
    """Describe cells of parallel pathways.

    A tuple holds one value (or array) for each pathway; anything else is one for all pathways of a cell. All of it is
    broadcast over the cells.

    Args:
        strength: (*cells,) singular values of the task, above 0.
        depth: (*cells,) layers of all pathways, from 1, or a tuple.
        output: (*cells,) outputs K at time 0, or a tuple. Give this or `weight`.
        weight: the same, as weights p of one layer.
        init: "balanced": dp/dt = p^(D-1) r, K = p^D. "wide": dp/dt = (1 + p^2)^((D-1)/2) r, K = p (1 + p^2)^((D-1)/2).
        count: the number n of pathways.
        missing: (*cells,) whether a mode is lacking for ever, as a tuple.

    Raises:
        ChiasmError: a depth below 1, a strength that is not positive, a start at or below 0 from which a balanced
            pathway of depth 2 or more could not move, a tuple of another length, anything that is not finite.

    Source: Shi, Shea-Brown and Buice, 2022, on parallel pathways; Kleinman, Achille and Soatto, ICLR 2024.

    >>> pathways([3.873, 1.0], depth=(1, 3), output=0.001).start.round(3).tolist()
    [[0.001, 0.1], [0.001, 0.1]]
    """
    if init not in GAPS:
        raise unknown("init", str(init), GAPS)
    check_int("count", count)
    begun = weight if output is None else output
    if begun is None or (output is not None and weight is not None):
        raise ChiasmError("give the start of the pathways either as output (K) or as weight (p), not both or none")
    named: dict[str, PerPathway] = {"strength": strength, "depth": depth, "start": begun, "missing": missing}
    s, layers, p, lacks = broadcast(**{name: _each(name, value, count) for name, value in named.items()})
    check("strength", s, above=0)
    d, gone = check("depth", layers, least=1, most=DEEPEST, whole=True).astype(np.int64), lacks != 0
    if init == "balanced" and np.any((p <= 0) & (d > 1) & ~gone):
        raise ChiasmError(
            f"a balanced pathway of depth 2 or more must start above 0, or it cannot learn; got {p.min():g}"
        )
    if weight is None:
        p = coordinates.weight(p, d, GAPS[init])
    return Pathways(s[..., 0].copy(), d, np.where(gone, 0.0, p), init, gone)


def _each(name: str, value: PerPathway, count: int) -> Floats:
    """Give a value an axis for the pathways, the last: (*cells, n), or (*cells, 1) where it is the same for all."""
    if isinstance(value, tuple) and len(value) != count:
        raise ChiasmError(f"{name} is a tuple of {len(value)}; a tuple holds one value for each of {count} pathways")
    parts = [check(name, part) for part in (value if isinstance(value, tuple) else (value,) * count)]
    return np.stack(broadcast(**{f"{name} {i}": part for i, part in enumerate(parts)}), axis=-1)
