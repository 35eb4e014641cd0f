"""Images of the Hugging Face hub, by name: the one reader that may use a network, and only when it is named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiasm.errors import ChiasmError
from chiasm.tasks.images.image_dataset import SPLITS, ImageDataset, Split, classes_of
from chiasm.tasks.images.photo import channels_of, photo
from chiasm.tasks.images.shrinking import check_one_size, shrunk

TESTS = ("test", "validation", "valid")


def read_hub(name: str) -> ImageDataset:
    """Return a data set of the hub; what is on disk already is not fetched again.

    Args:
        name: as the hub spells it ("uoft-cs/cifar10"). It needs a split "train", one of "test", "validation" and
            "valid", a column of images and one of class labels; of several columns the first is taken.

    Raises:
        ChiasmError: the package `datasets` is missing, the set cannot be had, or lacks a split or a column.
    """
    try:
        hub = import_module("datasets")
    except ImportError:
        raise ChiasmError("format = 'hf' needs datasets, which is not installed; pip install datasets") from None
    try:
        sets = hub.load_dataset(name)
    except Exception as error:  # network, disk and the hub fail in many ways
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ChiasmError(f"dataset = '{name}' cannot be had from the Hugging Face hub: {reason}") from None
    test = next((split for split in TESTS if split in sets), None)
    if "train" not in sets or test is None:
        raise ChiasmError(f"dataset = '{name}' has the splits {', '.join(sets)}; train and one of {TESTS} are needed")
    rows = {"train": sets["train"], "test": sets[test]}
    features = rows["train"].features
    image = _column(features, "Image", name)
    label = _column(features, "ClassLabel", name)
    classes = tuple(features[label].names)
    target = {}
    for split in SPLITS:
        target[split] = classes_of(np.asarray(rows[split][label]), len(classes), f"dataset = '{name}', {split}")
    first_image = rows["train"][0][image]
    channels = channels_of(first_image)
    first = photo(first_image, channels, f"image 0 of '{name}'")

    def pieces(split: Split, size: int | None) -> Iterator[NDArray[np.uint8]]:
        for i in range(len(rows[split])):
            where = f"image {i} of {split} of '{name}'"
            pixels = photo(rows[split][i][image], channels, where)
            if size is None:
                check_one_size(pixels, first, where, "image 0 of train")
            yield from shrunk(pixels[None], size, where)

    def digest() -> str:
        # Arrow's own fingerprints say which files and which steps a set comes from.
        parts = [name, *(str(rows[split]._fingerprint) for split in SPLITS)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    _, high, wide = first.shape
    return ImageDataset(name, f"dataset '{name}'", classes, (channels, high, wide), target, pieces, digest)


def _column(features: Any, kind: str, name: str) -> str:
    columns = [column for column, feature in features.items() if type(feature).__name__ == kind]
    if not columns:
        raise ChiasmError(f"dataset = '{name}' has no column of type {kind}; its columns: {', '.join(features)}")
    return str(columns[0])
