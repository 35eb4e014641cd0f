"""A task says what there is to learn: named sources, classes, and samples that depend on nothing but a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, get_args, get_origin

import msgspec
import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.registry import Registry, tag_of
from chiasm.sources import Batch, Source
from chiasm.structs import fields_of


@dataclass(frozen=True, slots=True)
class Description:
    """What a task holds, without its samples.

    Attributes:
        sources: the sources in order, with the shape of one sample.
        classes: the names of the classes, a target t means `classes[t]`; empty where targets are numbers.
        train: how many training samples (in one epoch).
        test: how many test samples.
        chance: what the best constant answer scores: its accuracy, the share of the most frequent class, in (0, 1]; its
            mean squared error where targets are numbers, their variance. NaN where nobody knows.
        note: one plain sentence.
        target: the shape of one target: () for a class or one number.
        factors: where a class is a combination of several things, the levels of each by its name, the last one changing
            fastest from class to class.
    """

    sources: tuple[Source, ...]
    classes: tuple[str, ...]
    train: int
    test: int
    chance: float
    note: str
    target: tuple[int, ...] = ()
    factors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Feed(Protocol):
    """Training samples that are made ready batch by batch: too large to lie ready, or seen anew in every epoch.

    A step draws whole samples, lets the deficits act on them, and shows the network what `present` leaves of them.

    Attributes:
        target: (samples,) integer class labels.
        baseline: what a silent source shows of a whole sample, one tensor a source.
    """

    @property
    def target(self) -> Tensor: ...

    @property
    def baseline(self) -> Mapping[str, Tensor]: ...

    def __len__(self) -> int: ...

    def to(self, device: torch.device | str) -> Feed:
        """Return the feed on another device."""
        ...

    def draw(self, index: Tensor, generator: torch.Generator) -> Batch:
        """Return whole samples, augmented by the generator's draws: (k,) integers in [0, samples)."""
        ...

    def present(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return what the network is shown of whole samples, in float32 and in the shapes that `describe` tells."""
        ...


@dataclass(frozen=True, slots=True)
class Data:
    """The two sets of one seed: CPU tensors, sources, baselines and numbers in float32, classes in int64."""

    train: Batch
    test: Batch

    def to(self, device: torch.device | str) -> Data:
        """Return the sets on another device."""
        return Data(self.train.to(device), self.test.to(device))


@dataclass(frozen=True, slots=True)
class StreamedData:
    """The two sets of one seed where training samples are made ready batch by batch; the test set lies ready."""

    train: Feed
    test: Batch

    def to(self, device: torch.device | str) -> StreamedData:
        """Return the sets on another device."""
        return StreamedData(self.train.to(device), self.test.to(device))


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to learn; a kind is a frozen struct with a tag, and its fields are the keys of `[task]`.

    Every task describes itself and loads its sets. What only some can do has an answer here for all others: new samples
    in every epoch, data from outside of the fields, sources that are known without the data.

    Attributes:
        whereabouts: fields that say only where data lie and how they are read: no part of a run's identity, where
            `content_key` says what the data hold.
        source_names: names of the sources, where they are known without the data.
    """

    whereabouts: ClassVar[tuple[str, ...]] = ()
    source_names: ClassVar[tuple[str, ...]] = ()

    def describe(self) -> Description:
        """Return what the task holds, equal for all seeds."""
        raise NotImplementedError

    def load(self, seed: int) -> Data | StreamedData:
        """Return the training and the test set of a seed; the same seed gives the same bits."""
        raise NotImplementedError

    def content_key(self) -> str:
        """Return what identifies data from outside the fields (a hash, a version); "" where the fields say all."""
        return ""

    def draws(self) -> bool:
        """Return whether every epoch trains on new samples, `draw(seed, epoch)`, instead of `load(seed).train`."""
        return False

    def draw(self, seed: int, epoch: int) -> Batch:
        """Return `describe().train` new training samples; ChiasmError where a task cannot be generated."""
        raise ChiasmError(f"the samples of the task '{tag_of(self)}' are a fixed set; new ones cannot be drawn")


TASKS: Registry[Task] = Registry("task", Task, "chiasm.tasks")


def validate(task: msgspec.Struct) -> None:
    """Check each field against its annotation and bring it to that type (a list to a tuple, 0 to 0.0).

    msgspec checks what it decodes from a file, but not what Python constructs; called from `__post_init__`, this
    makes both the same object with the same identity.

    Args:
        task: a struct; its fields are exchanged in place.

    Raises:
        ChiasmError: a field has the wrong type or lies outside its range.
    """
    for one in fields_of(type(task)):
        given = getattr(task, one.name)
        try:
            value = msgspec.convert(given, one.type)
        except msgspec.ValidationError as error:
            why = str(error)[:1].lower() + str(error)[1:]
            if get_origin(one.type) is Literal:
                why = "expected one of " + ", ".join(repr(choice) for choice in get_args(one.type))
            raise ChiasmError(f"{one.name} = {given!r}: {why}") from None
        msgspec.structs.force_setattr(task, one.name, value)
