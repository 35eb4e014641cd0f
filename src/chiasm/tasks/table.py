"""Named arrays checked as one table: sources, label and split with a row a sample each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.sources import Kind
from chiasm.tasks.archive import objects
from chiasm.tasks.scaling import pieces

# How many axes a sample of a kind has at least ("vector" and "sequence" may be plain numbers in a row).
AXES: dict[Kind, int] = {"vector": 1, "sequence": 1, "image": 2, "video": 3}


@dataclass(frozen=True, slots=True)
class Table:
    """Arrays that passed every check.

    Attributes:
        sources: (samples, *shape) finite real numbers as they were given, in order.
        target: (samples,) int64 classes, or (samples, *shape) finite float32 numbers.
        classes: the names of the classes, in the sorted order of the labels; empty where the target is numbers.
        train: (samples,) booleans, true for training; None: there is no official split.
        used: all arrays in use as they were given: label, train, sources.
    """

    sources: Mapping[str, NDArray[Any]]
    target: NDArray[Any]
    classes: tuple[str, ...]
    train: NDArray[np.bool_] | None
    used: Mapping[str, NDArray[Any]]


def tabulate(
    arrays: Mapping[str, NDArray[Any]],
    *,
    path: str,
    label: str,
    sources: tuple[str, ...],
    train: str,
    kinds: Mapping[str, Kind],
) -> Table:
    """Check arrays and lay them out as sources, target and split.

    Args:
        arrays: the arrays by name; only those in use are touched.
        path: where they are, for errors.
        label: the name of the label.
        sources: the names of the sources, in order; empty: all but label and train.
        train: the name of the split; "train" may be missing.
        kinds: the kinds of some sources.

    Returns:
        The table.

    Raises:
        ChiasmError: see `Arrays.load`.
    """
    where = f"'{path}'"
    if label not in arrays:
        raise unknown("name", label, arrays, f"label: {where}")
    if train not in arrays and train != "train":
        raise unknown("name", train, arrays, f"train: {where}")
    names = _names(arrays, where, label, sources, train)
    for name in kinds:
        if name not in names:
            raise unknown("source", name, names, "kinds")

    labels = _plain(arrays, label, where)
    target, classes = _target(labels, label, where)
    used = {label: labels}
    split = None
    if train in arrays:
        used[train] = _plain(arrays, train, where)
        split = _split(used[train], train, target, classes, label, where)
    columns = {}
    for name in names:
        used[name] = _plain(arrays, name, where)
        columns[name] = _column(used[name], name, len(target), label, where)
        if name in kinds and columns[name].ndim - 1 < AXES[kinds[name]]:
            raise ChiasmError(
                f"kinds: {kinds[name]} needs samples of at least {AXES[kinds[name]]} axes, "
                f"and those of '{name}' have shape {columns[name].shape[1:]}"
            )
    return Table(columns, target, classes, split, used)


def _names(
    arrays: Mapping[str, NDArray[Any]], where: str, label: str, sources: tuple[str, ...], train: str
) -> tuple[str, ...]:
    free = [name for name in arrays if name not in (label, train)]
    for name in sources:
        if name in (label, train):
            raise ChiasmError(f"sources: '{name}' is the {'label' if name == label else 'split'}, not a source")
        if name not in free:
            raise unknown("source", name, free, f"sources: {where}")
        if sources.count(name) > 1:
            raise ChiasmError(f"sources: '{name}' is named twice")
    if not free:
        raise ChiasmError(f"{where} holds no source, only {', '.join(arrays)}; add an array of (samples, ...) numbers")
    return sources or tuple(free)


def _plain(arrays: Mapping[str, NDArray[Any]], name: str, where: str) -> NDArray[Any]:
    x = arrays[name]
    if x.dtype.hasobject:
        raise objects(where, name)
    return x


def _target(labels: NDArray[Any], label: str, where: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    if labels.dtype.kind == "f":
        return _numbers(labels, label, where), ()
    return _classes(labels, label, where)


def _classes(labels: NDArray[Any], label: str, where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if labels.ndim != 1:
        raise ChiasmError(f"{where}: label '{label}' has shape {labels.shape}; give one label a sample, (samples,)")
    if labels.dtype.kind not in "biuU":
        raise ChiasmError(f"{where}: label '{label}' holds {labels.dtype}; give integers, strings or floats")
    values, target = np.unique(labels, return_inverse=True)
    if len(values) < 2:
        raise ChiasmError(f"{where}: label '{label}' has {_count(len(values), 'class', 'classes')}; give two or more")
    return target.astype(np.int64), tuple(str(value) for value in values)


def _numbers(labels: NDArray[Any], label: str, where: str) -> NDArray[np.float32]:
    if labels.ndim == 0 or labels.size == 0:
        raise ChiasmError(
            f"{where}: label '{label}' has shape {labels.shape}; give a number a sample, or an array of them, "
            f"(samples, ...)"
        )
    _check_finite(labels, f"label '{label}'", where)
    return labels.astype(np.float32)


def _split(
    train: NDArray[Any], name: str, target: NDArray[Any], classes: tuple[str, ...], label: str, where: str
) -> NDArray[np.bool_]:
    if train.ndim != 1 or train.dtype != bool:
        raise ChiasmError(
            f"{where}: the split '{name}' is {train.dtype} of shape {train.shape}; give booleans, (samples,), true for "
            f"training"
        )
    _in_step(train, name, len(target), label, where)
    if train.all() or not train.any():
        raise ChiasmError(f"{where}: the split '{name}' leaves the {'test' if train.all() else 'training'} set empty")
    if classes and len(np.unique(target[train])) < 2:
        raise ChiasmError(f"{where}: the split '{name}' leaves one class in the training set; give two or more")
    return train


def _column(x: NDArray[Any], name: str, samples: int, label: str, where: str) -> NDArray[Any]:
    if x.dtype.kind not in "biuf":
        raise ChiasmError(f"{where}: '{name}' holds {x.dtype}, not real numbers; name the sources to use in sources")
    if x.ndim == 0:
        raise ChiasmError(f"{where}: '{name}' is a single number; name the sources to use in sources")
    _in_step(x, name, samples, label, where)
    if x.size == 0:
        raise ChiasmError(f"{where}: '{name}' has shape {x.shape}, which holds no numbers")
    if x.dtype.kind == "f":
        _check_finite(x, f"'{name}'", where)
    return x if x.ndim > 1 else x[:, None]


def _check_finite(x: NDArray[Any], what: str, where: str) -> None:
    """Refuse floats that are not finite as float32: what a network would be given."""
    with np.errstate(over="ignore"):
        parts = (x[piece].astype(np.float32) for piece in pieces(len(x), x[0].size))
        bad = sum(int((~np.isfinite(part)).sum()) for part in parts)
    if bad:
        raise ChiasmError(f"{where}: {what} holds {_count(bad, 'value that is', 'values that are')} NaN or infinite")


def _in_step(x: NDArray[Any], name: str, samples: int, label: str, where: str) -> None:
    if len(x) != samples:
        raise ChiasmError(
            f"{where}: '{name}' has {_count(len(x), 'row', 'rows')} and '{label}' {samples}; every array holds one row "
            f"a sample (or name the sources to use in sources)"
        )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
