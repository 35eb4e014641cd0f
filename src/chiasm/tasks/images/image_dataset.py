"""A labelled set of images with an official split, before any pixel of it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from chiasm.errors import ChiasmError

Split = Literal["train", "test"]
SPLITS: tuple[Split, Split] = ("train", "test")

Pieces = Callable[[Split, int | None], Iterator[NDArray[np.uint8]]]


@final
@dataclass(frozen=True, eq=False)  # by identity: what is computed from a data set is cached by it
class ImageDataset:
    """A labelled set of images.

    Attributes:
        name: what it is called, wherever it lies.
        where: what to call it in a sentence.
        classes: the names of the classes.
        shape: (channels, height, width) of an image; where images differ in size, that of the first one.
        target: the class of each image, (images,) int64, by split.
        pieces: (split, size) -> the images in the order of `target`, in pieces of (k, channels, height, width) uint8;
            with a size, the centre square of each averaged down to size x size, else all of one shape.
        digest: hashes the content.
    """

    name: str
    where: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    target: Mapping[Split, NDArray[np.int64]]
    pieces: Pieces
    digest: Callable[[], str]

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise ChiasmError(f"{self.where} has {len(self.classes)} class; expected two or more")
        for split in SPLITS:
            present = np.bincount(self.target[split], minlength=len(self.classes))
            missing = [name for name, count in zip(self.classes, present, strict=True) if not count]
            if missing:
                raise ChiasmError(
                    f"{self.where}: the class '{missing[0]}' has no images in {split}; every class needs one or more "
                    f"in both train and test"
                )


def classes_of(labels: NDArray[Any], count: int, where: str) -> NDArray[np.int64]:
    """Return labels as int64, (images,), once they are all classes.

    Raises:
        ChiasmError: a label is no integer in [0, count).
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ChiasmError(f"{where}: labels are {labels.dtype} of shape {labels.shape}; expected one integer an image")
    wrong = labels[(labels < 0) | (labels >= count)]
    if len(wrong):
        raise ChiasmError(f"{where}: {wrong[0]} is no label of {count} classes; expected 0 to {count - 1}")
    return labels.astype(np.int64)
