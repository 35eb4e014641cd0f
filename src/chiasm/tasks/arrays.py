"""A user's own data: any number of sources as named arrays in one npz file or one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, final

import msgspec
import numpy as np
import torch
from msgspec import Meta
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from chiasm.errors import ChiasmError, unknown
from chiasm.randomness import generator
from chiasm.sources import Batch, Kind, Source
from chiasm.tasks.archive import Archive, digest_of, write
from chiasm.tasks.scaling import Standard, standardised
from chiasm.tasks.table import Table, tabulate
from chiasm.tasks.task import Data, Description, Task, validate


@final
class Arrays(Task, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="arrays"):
    """Samples that are rows of a user's arrays, each with a class or with numbers to predict.

    Attributes:
        path: an npz file, or a folder with one .npy per array; read anew at every call, never with pickles.
        label: the array of labels. (samples,) integers or strings: classes, its values in sorted order.
            (samples, *shape) floats: numbers to predict, never standardised.
        sources: the arrays that are sources, in order, (samples, *shape) real numbers; empty: all but label and train.
            One number a sample counts as shape (1,).
        train: the array that gives the official split, (samples,) booleans, true for training; where the file has no
            array "train", the split is random for each seed.
        test_share: the share of samples in a random test set, in (0, 1).
        standardise: "global" (one mean and standard deviation a source), "feature" (one an element) or "none"; taken
            from the training samples only.
        kinds: what the axes of a source mean, "vector" where not given.

    Raises:
        ChiasmError: a field is out of its range.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> rows = {"ear": [[0.0], [1.0], [2.0], [3.0]], "eye": [[3.0], [1.0], [1.0], [0.0]], "label": [7, 9, 7, 9]}
    >>> task = write_arrays(rows, folder.name + "/mine.npz", test_share=0.25)
    >>> task.describe().classes, len(task.load(seed=0).train)
    (('7', '9'), 3)
    >>> folder.cleanup()
    """

    whereabouts: ClassVar[tuple[str, ...]] = ("path",)

    path: Annotated[str, Meta(min_length=1)]
    label: str = "label"
    sources: tuple[str, ...] = ()
    train: str = "train"
    test_share: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    standardise: Standard = "global"
    kinds: dict[str, Kind] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        validate(self)

    def describe(self) -> Description:
        """Return the sources and the classes, or the shape of the numbers to predict, that the arrays hold.

        Raises:
            ChiasmError: the file or its arrays are unusable (see `load`).
        """
        table = self._table(Archive(self.path))
        test = self._tested(table)
        split = "a random split for each seed" if table.train is None else f"the split of its array '{self.train}'"
        return Description(
            sources=tuple(
                Source(name, x.shape[1:], self.kinds.get(name, "vector")) for name, x in table.sources.items()
            ),
            classes=table.classes,
            train=len(table.target) - test,
            test=test,
            chance=_chance(table),
            note=f"The arrays of {Path(self.path).name}, with {split}.",
            target=table.target.shape[1:],
        )

    def load(self, seed: int) -> Data:
        """Return the sets of a seed, samples in the order of the file.

        Args:
            seed: the replicate's seed; it decides the split where the arrays do not.

        Returns:
            Standardised sources in float32; baseline is the mean of each element over the training set. Targets are
            int64 classes, or float32 numbers as they were given.

        Raises:
            ChiasmError: there is no such file, it is damaged or no npz file; an array is missing, holds objects, other
                things than numbers, or numbers that are not finite; arrays differ in length; a set is empty; there
                are labels of fewer than two classes.
        """
        table = self._table(Archive(self.path))
        known = table.train
        if known is None:
            order = torch.randperm(len(table.target), generator=generator(seed, "task split")).numpy()
            known = np.ones(len(table.target), dtype=bool)
            known[order[: self._tested(table)]] = False
        rows = {True: np.flatnonzero(known), False: np.flatnonzero(~known)}
        sets: dict[bool, dict[str, Tensor]] = {True: {}, False: {}}
        baseline = {}
        for name, x in table.sources.items():
            scaled, baseline[name] = standardised(x, rows[True], self.standardise)
            for which, chosen in sets.items():
                chosen[name] = scaled[torch.from_numpy(rows[which])]
        target = torch.from_numpy(table.target)
        return Data(
            Batch(sets[True], target[torch.from_numpy(rows[True])], baseline),
            Batch(sets[False], target[torch.from_numpy(rows[False])], baseline),
        )

    def content_key(self) -> str:
        """Return the sha256 of the arrays in use (names, types, shapes, bytes), wherever the file lies.

        Raises:
            ChiasmError: the file or its arrays are unusable (see `load`).
        """
        return digest_of(self._table(Archive(self.path)).used)

    def _table(self, arrays: Mapping[str, NDArray[Any]]) -> Table:
        return tabulate(
            arrays, path=self.path, label=self.label, sources=self.sources, train=self.train, kinds=self.kinds
        )

    def _tested(self, table: Table) -> int:
        samples = len(table.target)
        if table.train is not None:
            return samples - int(table.train.sum())
        test = round(self.test_share * samples)
        if not 0 < test < samples:
            empty = "test" if test == 0 else "training"
            raise ChiasmError(f"test_share = {self.test_share:g} of {samples} samples leaves the {empty} set empty")
        return test


def _chance(table: Table) -> float:
    """Return the share of the most frequent class, or the variance of the numbers, the mean over those of a target."""
    if table.classes:
        return int(np.bincount(table.target).max()) / len(table.target)
    return float(table.target.astype(np.float64).var(axis=0).mean())


def write_arrays(mapping: Mapping[str, ArrayLike | Tensor], path: str | Path, **fields: Any) -> Arrays:
    """Write arrays to an npz file and return the task that reads it, so that a study's data are a file.

    Args:
        mapping: the arrays by name: label, sources, perhaps train; or torch tensors.
        path: where to write, exactly; a file there is replaced, but only by arrays that the task accepts.
        **fields: further fields of `Arrays`.

    Returns:
        The task.

    Raises:
        ChiasmError: unusable arrays (see `Arrays.load`), or a field that is unknown or out of its range.
    """
    for name in fields:
        if name == "path" or name not in Arrays.__struct_fields__:
            raise unknown("field", name, [known for known in Arrays.__struct_fields__ if known != "path"])
    task = Arrays(path=str(path), **fields)
    plain = {name: x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x) for name, x in mapping.items()}
    task._tested(task._table(plain))
    write(plain, path)
    return task
