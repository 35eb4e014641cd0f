"""A task says what there is to learn: named sources, classes, and samples that depend on nothing but a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args, get_origin

import msgspec

from chiasm.errors import ChiasmError
from chiasm.sources import Batch, Source


@dataclass(frozen=True, slots=True)
class Description:
    """What a task holds, without its samples.

    Attributes:
        sources: the sources in order, with the shape of one sample.
        classes: the names of the classes; a target t means `classes[t]`.
        train: how many training samples (in one epoch).
        test: how many test samples.
        chance: the accuracy of the best constant answer, the share of the most frequent class, in (0, 1].
        note: one plain sentence.
    """

    sources: tuple[Source, ...]
    classes: tuple[str, ...]
    train: int
    test: int
    chance: float
    note: str


@dataclass(frozen=True, slots=True)
class Data:
    """The two sets of one seed: CPU tensors, sources and rest in float32, targets in int64."""

    train: Batch
    test: Batch


class Task(Protocol):
    """What every task can do; its fields are the keys of `[task]` in a study file."""

    def describe(self) -> Description:
        """Return what the task holds, equal for all seeds."""
        ...

    def load(self, seed: int) -> Data:
        """Return the training and the test set of a seed; the same seed gives the same bits."""
        ...

    @property
    def fresh(self) -> bool:
        """Whether every epoch trains on new samples, `draw(seed, epoch)`, instead of `load(seed).train`."""
        ...

    def draw(self, seed: int, epoch: int) -> Batch:
        """Return `describe().train` new training samples; ChiasmError where a task cannot be generated."""
        ...

    def content_key(self) -> str:
        """Return what identifies data from outside the fields (a hash, a version); "" where the fields say all."""
        ...


def settle(task: msgspec.Struct) -> None:
    """Check each field against its annotation and bring it to that type (a list to a tuple, 0 to 0.0).

    msgspec checks what it decodes from a file, but not what Python constructs; called from `__post_init__`, this
    makes both the same object with the same identity.

    Args:
        task: a struct; its fields are exchanged in place.

    Raises:
        ChiasmError: a field has the wrong type or lies outside its range.
    """
    for field in msgspec.structs.fields(type(task)):
        given = getattr(task, field.name)
        try:
            value = msgspec.convert(given, field.type)
        except msgspec.ValidationError as error:
            why = str(error)[:1].lower() + str(error)[1:]
            if get_origin(field.type) is Literal:
                why = "what would do: " + ", ".join(repr(choice) for choice in get_args(field.type))
            raise ChiasmError(f"{field.name} = {given!r}: {why}") from None
        msgspec.structs.force_setattr(task, field.name, value)
