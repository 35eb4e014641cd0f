"""What every deficit is: a frozen value that maps a batch and a generator to a new batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, final, runtime_checkable

import torch

from chiasm.sources import Batch


@runtime_checkable
class Deficit(Protocol):
    """What is wrong with the data for a while: a pure function of a batch and a generator.

    Every deficit is a frozen value. Calling it returns a new batch, leaves the given one as it was (sources that it
    does not touch are shared, not copied), and draws from the given generator only: on the generator's device, moved to
    the batch's. Equal generators give equal bits.

    Attributes:
        name: how the notation calls it ("blur").
        touches: the sources that it names; () for a deficit that names none.
        frozen: the sources whose pathway learns nothing while it lasts.
        pointwise: whether it draws nothing and treats each sample by itself, so that it may act on a whole set at once.
    """

    name: ClassVar[str]

    @property
    def pointwise(self) -> bool: ...

    @property
    def touches(self) -> tuple[str, ...]: ...

    @property
    def frozen(self) -> tuple[str, ...]: ...

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch: ...

    def __add__(self, other: Deficit) -> Together: ...

    def __str__(self) -> str: ...


@final
@dataclass(frozen=True, slots=True)
class Together:
    """Several deficits at once, applied from left to right; `a + b` builds it.

    The parts draw in turn from the one generator that the caller passes, so no two share a draw, and a part appended on
    the right leaves the draws of those before it as they were. Without parts it is clean: the identity.

    Attributes:
        parts: the deficits in order; parts that are themselves `Together` are flattened.

    >>> from chiasm.deficits import Noise, Silence
    >>> print(Silence("left") + Noise("right", 0.5) + Silence("touch"))
    silence(left) + noise(right, 0.5) + silence(touch)
    """

    parts: tuple[Deficit, ...]
    name: ClassVar[str] = "together"

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", flat(self.parts))

    @property
    def touches(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(source for part in self.parts for source in part.touches))

    @property
    def pointwise(self) -> bool:
        return all(part.pointwise for part in self.parts)

    @property
    def frozen(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(source for part in self.parts for source in part.frozen))

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        for part in self.parts:
            batch = part(batch, generator)
        return batch

    def __add__(self, other: Deficit) -> Together:
        return Together((self, other))

    def __str__(self) -> str:
        return " + ".join(str(part) for part in self.parts) or "clean"


def flat(deficits: tuple[Deficit, ...]) -> tuple[Deficit, ...]:
    """Return the deficits in order, with the parts of every `Together` in its place."""
    return tuple(leaf for d in deficits for leaf in (d.parts if isinstance(d, Together) else (d,)))
