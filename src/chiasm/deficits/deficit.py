"""What every deficit is: a frozen value that maps a batch and a generator to a new batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, final

import torch

from chiasm.registry import Registry
from chiasm.sources import Batch


class Deficit(ABC):
    """What is wrong with the data for a while: a pure function of a batch and a generator.

    A kind is a frozen dataclass with a tag; its fields are the arguments of the notation, numbers or words, those
    without a default first. Calling it returns a new batch, leaves the given one as it was (sources that it does not
    touch are shared, not copied), and draws from the given generator only: on the generator's device, moved to the
    batch's. Equal generators give equal bits.

    Attributes:
        tag: how the notation calls it ("blur").
        verb: what it does, to stand before the sources that it touches ("blurring").
        colour: in pictures of a timeline, a name of `chiasm.pictures.style`, none of a source: "INK", "MUTED", "UMBER".
        hatch: likewise, matplotlib's hatch, so that colour alone need not tell it.
        row: likewise, the row of a deficit that names no source.
        pointwise: whether it draws nothing and treats each sample by itself, so that it may act on a whole set at once.
        example: one in the notation, of the sources left and right, for docs and for the tests of every kind.
        of_all: whether it acts on all sources of the batch although it names none.
    """

    __slots__ = ()
    tag: ClassVar[str]
    verb: ClassVar[str] = "impairing"
    colour: ClassVar[str] = "MUTED"
    hatch: ClassVar[str] = "****"
    row: ClassVar[str] = "all sources"
    example: ClassVar[str] = ""
    pointwise: ClassVar[bool] = False
    of_all: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return the impaired batch."""

    @property
    def touches(self) -> tuple[str, ...]:
        """The sources that it names: the field `source`, where there is one."""
        source = getattr(self, "source", None)
        return (source,) if isinstance(source, str) else ()

    @property
    def frozen(self) -> tuple[str, ...]:
        """The sources whose pathway learns nothing while it lasts."""
        return ()

    @property
    def needs_baseline(self) -> bool:
        """Whether it shows the baseline of the sources that it touches."""
        return False

    @property
    def needs_target(self) -> bool:
        """Whether it looks at the targets, or moves them."""
        return False

    @property
    def chooses_head(self) -> bool:
        """Whether it chooses the label of each sample and the head that reads it."""
        return False

    @property
    def doing(self) -> str:
        """What it does, to stand before the sources: `verb`, where its arguments change nothing about that."""
        return self.verb

    @property
    def phrase(self) -> str:
        """What it does, in words, with the notation behind where the words do not say all: "silencing right"."""
        words = " ".join([self.doing, " and ".join(self.touches)]).strip()
        bare = f"{self.tag}({self.touches[0]})" if self.touches else self.tag
        return words if str(self) == bare else f"{words} [{self}]"

    def __add__(self, other: Deficit) -> Composed:
        return Composed((self, other))

    def __str__(self) -> str:
        """Write it as notation: required arguments in order, then by name those that differ from their default."""
        arguments = []
        for field in fields(self):  # type: ignore[arg-type]  # every kind is a dataclass, which the base cannot say
            value = getattr(self, field.name)
            if field.default is MISSING:
                arguments.append(_text(value))
            elif value != field.default:
                arguments.append(f"{field.name}={_text(value)}")
        return f"{self.tag}({', '.join(arguments)})" if arguments else self.tag


@final
@dataclass(frozen=True, slots=True)
class Composed(Deficit):
    """Several deficits at once, applied from left to right; `a + b` builds it.

    The parts draw in turn from the one generator that the caller passes, so no two share a draw, and a part appended on
    the right leaves the draws of those before it as they were. Without parts it is clean: the identity.

    Attributes:
        parts: the deficits in order; parts that are themselves `Composed` are flattened.

    >>> from chiasm.deficits import Noise, Silence
    >>> print(Silence("left") + Noise("right", 0.5) + Silence("touch"))
    silence(left) + noise(right, 0.5) + silence(touch)
    """

    parts: tuple[Deficit, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", flat(self.parts))

    @property
    def touches(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(source for part in self.parts for source in part.touches))

    @property
    def frozen(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(source for part in self.parts for source in part.frozen))

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        for part in self.parts:
            batch = part(batch, generator)
        return batch

    def __str__(self) -> str:
        return " + ".join(str(part) for part in self.parts) or "clean"


def flat(deficits: tuple[Deficit, ...]) -> tuple[Deficit, ...]:
    """Return the deficits in order, with the parts of every `Composed` in its place."""
    return tuple(leaf for d in deficits for leaf in (d.parts if isinstance(d, Composed) else (d,)))


def _text(value: Any) -> str:
    # repr is the shortest text that reads back as the same float; a whole one is written as people write it.
    return repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value)


DEFICITS: Registry[Deficit] = Registry("deficit", Deficit, "chiasm.deficits")
