"""What may go wrong with one pathway for a while: it is frozen, or it is silenced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from chiasm.errors import ChiasmError, unknown
from chiasm.theory.pathway.coordinates import Floats
from chiasm.theory.pathway.pathways import Pathways

Kind = Literal["freeze", "silence"]
KINDS = ("freeze", "silence")


@dataclass(frozen=True)
class PathwayDeficit:
    """What is wrong with one pathway during [onset, release).

    Attributes:
        pathway: its number, from 0.
        onset: (*cells,) or one for all; time for gradient flow, steps for gradient descent.
        release: the same; not before the onset. Infinity: never (gradient flow only).
        kind: "freeze": it gets no gradient, its output still counts. "silence": it gives no output, gets no gradient.
        rate: (*cells,) in [0, 1], how much of the time; 1 is always. Gradient flow follows the expectation, gradient
            descent tosses a coin at each step.
    """

    pathway: int
    onset: ArrayLike
    release: ArrayLike
    kind: Kind = "freeze"
    rate: ArrayLike = 1.0

    def times(self, factor: float) -> PathwayDeficit:
        """Return the deficit with its window multiplied: by the length of a step, from steps to time.

        >>> float(PathwayDeficit(1, 100, 250).times(0.01).release)
        2.5
        """
        return replace(self, onset=np.multiply(self.onset, factor), release=np.multiply(self.release, factor))


@dataclass(frozen=True)
class Windows:
    """A system and its deficits, broadcast against each other and laid flat: C cells, m deficits.

    Attributes:
        system: with the broadcast shape of cells.
        deficits: in the order given.
        onset: (m, C).
        release: (m, C).
        rate: (m, C).
    """

    system: Pathways
    deficits: tuple[PathwayDeficit, ...]
    onset: Floats
    release: Floats
    rate: Floats

    def rates(self, now: Floats | float) -> tuple[Floats, Floats]:
        """Return how often each deficit freezes, and silences, its pathway at a time: two of (m, C)."""
        active = np.where((self.onset <= now) & (now < self.release), self.rate, 0.0)
        freezes = np.array([d.kind == "freeze" for d in self.deficits])[:, None]
        return np.where(freezes, active, 0.0), np.where(freezes, 0.0, active)

    def gates(self, now: Floats | float) -> tuple[Floats, Floats]:
        """Return what is left in expectation, (n, C) each: the share of gradient, and the share of output.

        A pathway under several deficits suffers each of them independently.
        """
        shape = (self.system.count, self.onset.shape[1])
        learns, speaks = np.ones(shape), np.ones(shape)
        for one, freeze, silence in zip(self.deficits, *self.rates(now), strict=True):
            learns[one.pathway] *= (1 - freeze) * (1 - silence)
            speaks[one.pathway] *= 1 - silence
        return learns, speaks


def windows(system: Pathways, deficits: Sequence[PathwayDeficit]) -> Windows:
    """Check deficits and broadcast them and the cells of a system against each other.

    Raises:
        ChiasmError: a pathway that is not there, a window that ends before it begins or begins before 0, a rate beyond
            [0, 1], a kind that is not known, shapes that do not broadcast.
    """
    values = []
    for one in deficits:
        if one.kind not in KINDS:
            raise unknown("kind of pathway deficit", str(one.kind), KINDS)
        if one.pathway not in range(system.count):
            raise ChiasmError(f"there is no pathway {one.pathway}; the pathways are numbered 0 to {system.count - 1}")
        try:
            onset, release, rate = (np.asarray(v, dtype=np.float64) for v in (one.onset, one.release, one.rate))
        except (TypeError, ValueError) as wrong:
            raise ChiasmError(
                f"onset {one.onset!r}, release {one.release!r} and rate {one.rate!r} of a deficit must be numbers"
            ) from wrong
        try:
            late = np.any(~(release >= onset))
            shape = np.broadcast_shapes(system.cells, onset.shape, release.shape, rate.shape)
        except ValueError as wrong:
            raise ChiasmError(
                f"onset, release and rate of shapes {onset.shape}, {release.shape} and {rate.shape} do not broadcast "
                f"with cells of shape {system.cells}"
            ) from wrong
        if late or not np.all((onset >= 0) & np.isfinite(onset)):
            raise ChiasmError(
                f"a deficit begins at 0 or later and ends no sooner than it begins; got onset {_ends(onset)}, "
                f"release {_ends(release)}"
            )
        if not np.all((rate >= 0) & (rate <= 1)):
            raise ChiasmError(f"the rate of a deficit lies in [0, 1]; got {_ends(rate)}")
        if not np.prod(shape):
            raise ChiasmError("onset, release and rate of a deficit hold no cell; give one number or more of each")
        values.append((onset, release, rate))
        system = _over(system, shape)
    rows = [np.stack([np.broadcast_to(v, system.cells).ravel() for v in row]) for row in zip(*values, strict=True)]
    none = np.zeros((0, int(np.prod(system.cells, dtype=np.int64))))
    onset, release, rate = rows or (none, none, none)
    return Windows(system, tuple(deficits), onset, release, rate)


def _over(system: Pathways, cells: tuple[int, ...]) -> Pathways:
    if cells == system.cells:
        return system
    each = (*cells, system.count)
    return replace(
        system,
        strength=np.broadcast_to(system.strength, cells),
        depth=np.broadcast_to(system.depth, each),
        start=np.broadcast_to(system.start, each),
        missing=np.broadcast_to(system.missing, each),
    )


def _ends(values: Floats) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
