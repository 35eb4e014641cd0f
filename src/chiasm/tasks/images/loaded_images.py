"""The pixels of an image data set, loaded once a process for all seeds that train on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from chiasm.tasks.images.channel_statistics import CIFAR10_STATISTICS, ChannelStatistics, channel_statistics
from chiasm.tasks.images.cifar import CIFAR10, SHAPE
from chiasm.tasks.images.image_dataset import SPLITS, ImageDataset, Split
from chiasm.tasks.images.pixels import Pixels, cache_folder, in_chunks, mapped, resident
from chiasm.tasks.images.shrinking import too_small


@final
@dataclass(frozen=True, eq=False)
class LoadedImages:
    """A data set with its pixels.

    Attributes:
        shape: (channels, height, width) of an image.
        pixels: by split.
        target: (images,) int64 classes, by split.
        statistics: CIFAR-10's published ones for a set with its classes and shape, else those of all training images.
    """

    shape: tuple[int, int, int]
    pixels: Mapping[Split, Pixels]
    target: Mapping[Split, Tensor]
    statistics: ChannelStatistics


def shape_of(dataset: ImageDataset, size: int | None) -> tuple[int, int, int]:
    """Return (channels, height, width) of the images as they are loaded.

    Raises:
        ChiasmError: the size is more than the images have.
    """
    channels, high, wide = dataset.shape
    if size is None:
        return dataset.shape
    if size > min(high, wide):
        raise too_small(size, dataset.name, wide, high)
    return channels, size, size


@lru_cache(maxsize=2)  # a study trains on one set; two, so that arms may take turns
def load_images(dataset: ImageDataset, size: int | None, limit: int) -> LoadedImages:
    """Load a data set's pixels, the same ones at every call of this process.

    Args:
        dataset: the images.
        size: see `ImageDataset.pieces`.
        limit: bytes up to which both splits together lie in memory; beyond, they are decoded once into `cache_folder`
            and read from there.

    Raises:
        ChiasmError: an image is unusable, or the cache cannot be written.
    """
    shape = shape_of(dataset, size)
    counts = {split: len(dataset.target[split]) for split in SPLITS}
    pixels: dict[Split, Pixels] = {}
    large = sum(counts.values()) * shape[0] * shape[1] * shape[2] > limit
    for split in SPLITS:
        whole = (counts[split], *shape)
        if large:
            path = cache_folder() / f"{dataset.digest()[:40]}-{size or 'whole'}-{split}.u8"
            pixels[split] = mapped(dataset.pieces(split, size), whole, path)
        else:
            pixels[split] = resident(dataset.pieces(split, size), whole)
    original = (dataset.classes, dataset.shape) == (CIFAR10, SHAPE)
    return LoadedImages(
        shape,
        pixels,
        {split: torch.from_numpy(dataset.target[split].copy()) for split in SPLITS},
        CIFAR10_STATISTICS if original else channel_statistics(in_chunks(pixels["train"])),
    )
