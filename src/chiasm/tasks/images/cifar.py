"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in their two official layouts, Python pickles and plain binary."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from chiasm.errors import ChiasmError
from chiasm.tasks.images.image_dataset import SPLITS, ImageDataset, Split, classes_of
from chiasm.tasks.images.shrinking import shrunk
from chiasm.tasks.images.unpickle import read_pickle

Layout = Literal["bin", "py"]
SHAPE = (3, 32, 32)
PIXELS = 3072
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@final
@dataclass(frozen=True, slots=True)
class CifarSet:
    """One of the two sets as it is published.

    Attributes:
        name: what it is called.
        classes: how many there are.
        folders: what its archives unpack to, by layout.
        files: the names of its batches, by split; the binary layout adds ".bin".
        label: the key of the labels in a pickle.
        lead: bytes before the pixels of a binary record; the last of them is the label.
        names: the file and the key of the classes' names in the Python layout, and their file in the binary one.
    """

    name: str
    classes: int
    folders: dict[Layout, str]
    files: dict[Split, tuple[str, ...]]
    label: str
    lead: int
    names: tuple[str, str, str]

    def paths(self, folder: Path, layout: Layout, split: Split) -> list[Path]:
        """Return the files of a split in a folder."""
        return [folder / (name + (".bin" if layout == "bin" else "")) for name in self.files[split]]


CIFAR_SETS = (
    CifarSet(
        "CIFAR-10",
        10,
        {"bin": "cifar-10-batches-bin", "py": "cifar-10-batches-py"},
        {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)},
        "labels",
        1,
        ("batches.meta", "label_names", "batches.meta.txt"),
    ),
    CifarSet(
        "CIFAR-100",
        100,
        {"bin": "cifar-100-binary", "py": "cifar-100-python"},
        {"train": ("train",), "test": ("test",)},
        "fine_labels",
        2,
        ("meta", "fine_label_names", "fine_label_names.txt"),
    ),
)


def find(path: Path, layout: Layout) -> tuple[CifarSet, Path] | None:
    """Return the set that lies at a path in a layout, and its folder: the path itself, or the official one in it.

    A set counts as found where any of its batches is.
    """
    for cifar in CIFAR_SETS:
        for folder in (path, path / cifar.folders[layout]):
            if any(file.is_file() for split in SPLITS for file in cifar.paths(folder, layout, split)):
                return cifar, folder
    return None


def read_cifar(cifar: CifarSet, folder: Path, layout: Layout) -> ImageDataset:
    """Return one of the sets; pixels are read when they are asked for.

    Args:
        cifar: which set.
        folder: where its batches lie.
        layout: how they are written.

    Raises:
        ChiasmError: a batch is missing, cut short, of another layout, or holds a label that is no class.

    >>> read_cifar(CIFAR_SETS[1], Path("nowhere"), "bin")
    Traceback (most recent call last):
    chiasm.errors.ChiasmError: 'nowhere' lacks train.bin, test.bin of CIFAR-100; unpack the archive again
    """
    paths = {split: cifar.paths(folder, layout, split) for split in SPLITS}
    lacking = [path.name for split in SPLITS for path in paths[split] if not path.is_file()]
    if lacking:
        raise ChiasmError(f"'{folder}' lacks {', '.join(lacking)} of {cifar.name}; unpack the archive again")
    target = {split: np.concatenate([_batch(p, cifar, layout)[0] for p in paths[split]]) for split in SPLITS}

    def pieces(split: Split, size: int | None) -> Iterator[NDArray[np.uint8]]:
        for path in paths[split]:
            yield from shrunk(_batch(path, cifar, layout)[1], size, cifar.name)

    def digest() -> str:
        # Of what the batches hold, not of their bytes: both layouts are one set.
        sha = hashlib.sha256(cifar.name.encode())
        for split in SPLITS:
            for path in paths[split]:
                labels, images = _batch(path, cifar, layout)
                sha.update(labels.astype("<i8").tobytes())
                sha.update(images.tobytes())
        return sha.hexdigest()

    names = _names(cifar, folder, layout)
    return ImageDataset(cifar.name, f"{cifar.name} in '{folder}'", names, SHAPE, target, pieces, digest)


def _batch(path: Path, cifar: CifarSet, layout: Layout) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return labels (n,) and images (n, 3, 32, 32) of one file."""
    labels, rows = _binary(path, cifar) if layout == "bin" else _pickled(path, cifar)
    return classes_of(labels, cifar.classes, f"'{path}'"), rows.reshape(-1, *SHAPE)


def _binary(path: Path, cifar: CifarSet) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    length = cifar.lead + PIXELS
    size = path.stat().st_size
    if size == 0 or size % length:
        raise ChiasmError(
            f"'{path}' holds {size} bytes, which is no whole number of {cifar.name}'s records of {length}: it is cut "
            f"short or of another layout; unpack the archive again"
        )
    records = np.memmap(path, np.uint8, mode="r").reshape(-1, length)
    return records[:, cifar.lead - 1], records[:, cifar.lead :]


def _pickled(path: Path, cifar: CifarSet) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    batch = read_pickle(path)
    for key in ("data", cifar.label):
        if key not in batch:
            raise ChiasmError(
                f"'{path}' has no '{key}', so it is no batch of {cifar.name}'s Python layout; it has: "
                f"{', '.join(sorted(batch)) or 'nothing'}"
            )
    data, labels = batch["data"], batch[cifar.label]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1:] != (PIXELS,):
        kind = f"{data.dtype} of shape {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise ChiasmError(f"'{path}': 'data' is {kind}; expected uint8 of shape (images, {PIXELS})")
    if isinstance(labels, list) and all(type(label) is int and abs(label) < 2**31 for label in labels):
        labels = np.array(labels, np.int64)
    if not isinstance(labels, np.ndarray) or len(labels) != len(data) or not len(data):
        raise ChiasmError(f"'{path}': '{cifar.label}' is no list of {len(data)} integers, one an image")
    return labels, data


def _names(cifar: CifarSet, folder: Path, layout: Layout) -> tuple[str, ...]:
    if cifar.classes == len(CIFAR10):
        return CIFAR10
    pickled, key, text = cifar.names
    path = folder / (text if layout == "bin" else pickled)
    if not path.is_file():
        return tuple(str(label) for label in range(cifar.classes))
    listed = path.read_text(encoding="utf-8").split() if layout == "bin" else read_pickle(path).get(key)
    if not isinstance(listed, list) or len(listed) != cifar.classes:
        raise ChiasmError(f"'{path}' does not name the {cifar.classes} classes; unpack the archive again")
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in listed)
