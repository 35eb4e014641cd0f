"""Pictures: an album's pixels made ready once a process, for all seeds that train on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from chiasm.tasks.images.album import SPLITS, Album, Split
from chiasm.tasks.images.cifar import CIFAR10, SHAPE
from chiasm.tasks.images.palette import CIFAR10_PALETTE, Palette, palette_of
from chiasm.tasks.images.pixels import Pixels, cache_folder, in_chunks, mapped, resident
from chiasm.tasks.images.shrinking import too_small


@final
@dataclass(frozen=True, eq=False)
class Pictures:
    """An album with its pixels.

    Attributes:
        shape: (channels, height, width) of an image.
        pixels: by split.
        target: (images,) int64 classes, by split.
        palette: CIFAR-10's published one for a set with its classes and shape, else that of all training images.
    """

    shape: tuple[int, int, int]
    pixels: Mapping[Split, Pixels]
    target: Mapping[Split, Tensor]
    palette: Palette


def shape_of(album: Album, size: int | None) -> tuple[int, int, int]:
    """Return (channels, height, width) of the images as they are loaded.

    Raises:
        ChiasmError: the size is more than the images have.
    """
    channels, high, wide = album.shape
    if size is None:
        return album.shape
    if size > min(high, wide):
        raise too_small(size, album.name, wide, high)
    return channels, size, size


@lru_cache(maxsize=2)  # a study trains on one set; two, so that arms may take turns
def pictures_of(album: Album, size: int | None, limit: int) -> Pictures:
    """Make an album's pixels ready, the same ones at every call of this process.

    Args:
        album: the images.
        size: see `Album.pieces`.
        limit: bytes up to which both splits together lie in memory; beyond, they are decoded once into `cache_folder`
            and read from there.

    Raises:
        ChiasmError: an image will not do, or the cache cannot be written.
    """
    shape = shape_of(album, size)
    counts = {split: len(album.target[split]) for split in SPLITS}
    pixels: dict[Split, Pixels] = {}
    large = sum(counts.values()) * shape[0] * shape[1] * shape[2] > limit
    for split in SPLITS:
        whole = (counts[split], *shape)
        if large:
            path = cache_folder() / f"{album.digest()[:40]}-{size or 'whole'}-{split}.u8"
            pixels[split] = mapped(album.pieces(split, size), whole, path)
        else:
            pixels[split] = resident(album.pieces(split, size), whole)
    original = (album.classes, album.shape) == (CIFAR10, SHAPE)
    return Pictures(
        shape,
        pixels,
        {split: torch.from_numpy(album.target[split].copy()) for split in SPLITS},
        CIFAR10_PALETTE if original else palette_of(in_chunks(pixels["train"])),
    )
