"""Small sets of images in the official layouts and in folders, for tests."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Set = tuple[NDArray[np.uint8], NDArray[np.int64]]

BATCHES = [f"data_batch_{i}" for i in range(1, 6)]


def drawn(train: int = 60, test: int = 40, classes: int = 10, side: int = 32) -> dict[str, Set]:
    """Draw images (n, 3, side, side) and labels (n,), each class in turn, by split."""
    rng = np.random.default_rng(0)
    return {
        split: (rng.integers(0, 256, (n, 3, side, side), np.uint8), np.arange(n) % classes)
        for split, n in (("train", train), ("test", test))
    }


def write_binary(folder: Path, sets: dict[str, Set]) -> Path:
    """Write CIFAR-10's binary layout, the training set in five files; returns `folder`."""
    place = folder / "cifar-10-batches-bin"
    place.mkdir(parents=True)
    for name, (images, labels) in _files(sets).items():
        np.concatenate([labels[:, None].astype(np.uint8), images.reshape(-1, 3072)], 1).tofile(place / f"{name}.bin")
    return folder


def write_pickles(folder: Path, sets: dict[str, Set]) -> Path:
    """Write CIFAR-10's Python layout, as Python 2 and an old numpy name things; returns `folder`."""
    place = folder / "cifar-10-batches-py"
    place.mkdir(parents=True)
    for name, (images, labels) in _files(sets).items():
        content = {b"batch_label": b"x", b"labels": labels.tolist(), b"data": images.reshape(-1, 3072)}
        (place / name).write_bytes(pickle.dumps(content, 2).replace(b"numpy._core.", b"numpy.core."))
    return folder


def write_folder(folder: Path, sets: dict[str, Set], mode: str = "RGB") -> Path:
    """Write train/<class>/*.png and test/<class>/*.png, classes "c0", "c1", ...; returns `folder`."""
    for split, (images, labels) in sets.items():
        for i, (x, label) in enumerate(zip(images, labels, strict=True)):
            place = folder / split / f"c{label}"
            place.mkdir(parents=True, exist_ok=True)
            picture = x[0] if mode == "L" else x.transpose(1, 2, 0)
            Image.fromarray(np.ascontiguousarray(picture), mode=None).save(place / f"{i:04d}.png")
    return folder


def _files(sets: dict[str, Set]) -> dict[str, Set]:
    images, labels = sets["train"]
    cuts = zip(np.array_split(images, 5), np.array_split(labels, 5), strict=True)
    return dict(zip(BATCHES, cuts, strict=True)) | {"test_batch": sets["test"]}
