"""Deficits of one pathway for a while: it is frozen, or it is silenced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from chiasm.errors import ChiasmError, unknown
from chiasm.theory.arguments import broadcast, check
from chiasm.theory.pathway.coordinates import Floats
from chiasm.theory.pathway.pathways import Pathways

Kind = Literal["freeze", "silence"]
KINDS: tuple[Kind, ...] = get_args(Kind)


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
class DeficitWindows:
    """A system and its deficits, broadcast against each other and laid flat: C cells, m deficits."""

    system: Pathways  # with the broadcast shape of cells
    deficits: tuple[PathwayDeficit, ...]
    onset: Floats  # (m, C)
    release: Floats  # (m, C)
    rate: Floats  # (m, C)

    def gates(self, now: Floats | float) -> tuple[Floats, Floats]:
        """Return what is left in expectation at a time, (n, C) each: the share of gradient, and the share of output.

        A pathway under several deficits suffers each of them independently.
        """
        active = np.where((self.onset <= now) & (now < self.release), self.rate, 0.0)
        shape = (self.system.count, self.onset.shape[1])
        learns, speaks = np.ones(shape), np.ones(shape)
        for deficit, rate in zip(self.deficits, active, strict=True):
            learns[deficit.pathway] *= 1 - rate
            if deficit.kind == "silence":
                speaks[deficit.pathway] *= 1 - rate
        return learns, speaks


def windows(system: Pathways, deficits: Sequence[PathwayDeficit], shape: tuple[int, ...] = ()) -> DeficitWindows:
    """Check deficits and broadcast them, the cells of a system and a further shape of cells against each other.

    Raises:
        ChiasmError: a pathway that is not there, a window that ends before it begins or begins before 0, a rate beyond
            [0, 1], a kind that is not known, shapes that do not broadcast.
    """
    arrays = {"strength": system.strength, **({"step": np.zeros(shape)} if shape else {})}
    for k, one in enumerate(deficits):
        if one.kind not in KINDS:
            raise unknown("kind of pathway deficit", str(one.kind), KINDS)
        if one.pathway not in range(system.count):
            raise ChiasmError(f"there is no pathway {one.pathway}; the pathways are numbered 0 to {system.count - 1}")
        onset = check("onset of a deficit", one.onset, least=0)
        release = check("release of a deficit", one.release, least=0, finite=False)
        fields = {f"onset {k}": onset, f"release {k}": release}
        early, late = broadcast(**fields)
        if (late < early).any():
            raise ChiasmError(f"a deficit ends at {late[late < early].flat[0]:g}, before its onset")
        arrays |= {**fields, f"rate {k}": check("rate of a deficit", one.rate, least=0, most=1)}
    cells = dict(zip(arrays, broadcast(**arrays), strict=True))
    strength = cells["strength"]
    each = (*strength.shape, system.count)
    shaped: dict[str, Any] = {
        name: np.broadcast_to(getattr(system, name), each) for name in ("depth", "start", "missing")
    }
    onset, release, rate = (
        np.array([cells[f"{name} {k}"].ravel() for k in range(len(deficits))]).reshape(len(deficits), strength.size)
        for name in ("onset", "release", "rate")
    )
    return DeficitWindows(replace(system, strength=strength, **shaped), tuple(deficits), onset, release, rate)
