"""The two halves of images: left and right columns of a labelled set, as in the original experiments on CIFAR-10."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, ClassVar, final

import torch
from msgspec import Meta

from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.sources import Batch, Source
from chiasm.tasks.images.feed import Colours, ImageFeed
from chiasm.tasks.images.image_dataset import ImageDataset, Split
from chiasm.tasks.images.loaded_images import LoadedImages, load_images, shape_of
from chiasm.tasks.images.opening import Format, open_dataset
from chiasm.tasks.images.pixels import CHUNK
from chiasm.tasks.images.subset import quotas, subset
from chiasm.tasks.images.window import SOURCES, Layout, Windows
from chiasm.tasks.task import Description, StreamedData, Task, validate

Count = Annotated[int, Meta(ge=1)]


@final
class Halves(Task, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="halves"):
    """Classify images of which one source shows the left columns and the other one the right columns.

    The task of Kleinman, Achille & Soatto (CVPR 2023) with its defaults: CIFAR-10, halves in place, crops and flips
    that both sources share. Images are bytes that lie on the device once; batches are cropped, flipped and normalised
    there; deficits act on whole images, before the columns are cut.

    Attributes:
        path: the folder of the data, or the one that holds an official folder of CIFAR-10 or CIFAR-100; empty: the
            folder in the variable CHIASM_DATA, or "data". Relative paths count from the working directory.
        format: "cifar-py" and "cifar-bin", the official layouts; "folder", train/<class>/*.png and test/<class>/*.png
            or jpg; "auto", the first of "cifar-bin", "cifar-py" and "folder" that is there; "hf", `dataset` of the
            Hugging Face hub, which may use the network.
        dataset: the name on the hub, for "hf" only.
        train: training images, as many of each class as can be, drawn by seed; None: all.
        test: test images, likewise.
        width: columns of each source; None: half of the image (the smaller half). Less leaves a gap, more overlaps.
        layout: "in_place": images of full width whose other columns are 0, the mean colour; "cropped": the columns
            alone, (channels, height, width).
        size: average the centre square of each image down to size x size, once; None: as they are.
        augment: crop and flip training images at random. A flip comes before the cut, so the left source then shows
            the mirrored right half.
        pad: pixels of padding before a crop; None: an eighth of the height (4 of 32).
        shared_augment: both sources show one crop and flip (the published code), or each its own.
        mask: the chance of each source to be blank in a training sample, in [0, .5); never both.
        limit: bytes of images beyond which they are not kept in memory: they are decoded once into a file in the
            folder of the variable CHIASM_CACHE (~/.cache/chiasm) and read from there. It changes no number.

    Raises:
        ChiasmError: a field is out of its range.

    >>> Halves(width=14, mask=0.1).layout
    'in_place'
    """

    source_names: ClassVar[tuple[str, ...]] = SOURCES
    whereabouts: ClassVar[tuple[str, ...]] = ("path", "format", "dataset", "limit")

    path: str = ""
    format: Format = "auto"
    dataset: str = ""
    train: Count | None = None
    test: Count | None = None
    width: Count | None = None
    layout: Layout = "in_place"
    size: Annotated[int, Meta(ge=2)] | None = None
    augment: bool = True
    pad: Annotated[int, Meta(ge=0)] | None = None
    shared_augment: bool = True
    mask: Annotated[float, Meta(ge=0, lt=0.5)] = 0.0
    limit: Annotated[int, Meta(ge=0)] = 2**31

    def __post_init__(self) -> None:
        validate(self)
        if (self.format == "hf") != bool(self.dataset):
            given = "format = 'hf'" if self.format == "hf" else f"dataset = '{self.dataset}'"
            raise ChiasmError(f"{given}: format = 'hf' and a dataset of the Hugging Face hub go together; give both")

    def describe(self) -> Description:
        """Return two sources, "left" and "right", images; no pixel is decoded but those of one image.

        Raises:
            ChiasmError: the data are missing or unusable, or have fewer images or columns than asked for.
        """
        images = self._dataset()
        shape = shape_of(images, self.size)
        windows = self._windows(shape)
        taken = self._quotas(images, "test")
        return Description(
            sources=tuple(Source(name, windows.shape(shape), "image") for name in SOURCES),
            classes=images.classes,
            train=sum(self._quotas(images, "train")),
            test=sum(taken),
            chance=max(taken) / sum(taken),
            note=f"Left and right columns of images, {windows.width} of {shape[2]} each: {images.name}.",
        )

    def load(self, seed: int) -> StreamedData:
        """Return the sets of a seed: a feed of training images, and the windows of the test images.

        Args:
            seed: the replicate's seed; it decides which images where not all are taken.

        Returns:
            Images normalised channel by channel: by CIFAR-10's published means and deviations for a set with its
            classes and shape, else by those of all training images at `size`. Baseline is 0. Test images are not
            augmented or masked; a whole test set is one and the same tensors for all seeds of the process.

        Raises:
            ChiasmError: see `describe`; an image cannot be read, or images differ in size where none is asked for.
        """
        images = self._dataset()
        windows = self._windows(shape_of(images, self.size))
        wanted = {split: sum(self._quotas(images, split)) for split in images.target}
        loaded = load_images(images, self.size, self.limit)
        # One step a split: how many training images are asked for leaves the test images as they are.
        rows = {
            split: subset(loaded.target[split], len(images.classes), count, generator(seed, "task split", 0, step))
            for step, (split, count) in enumerate(wanted.items())
        }
        pad = self.pad if self.pad is not None else loaded.shape[1] // 8
        feed = ImageFeed(
            pixels=loaded.pixels["train"],
            rows=rows["train"],
            target=loaded.target["train"][rows["train"]],
            baseline={name: torch.zeros(loaded.shape) for name in SOURCES},
            colours=Colours.of(loaded.statistics),
            windows=windows,
            pad=pad if self.augment else None,
            shared=self.shared_augment,
            mask=self.mask,
        )
        complete = len(rows["test"]) == len(loaded.target["test"])
        test = _whole_test(loaded, windows) if complete else _test(loaded, windows, rows["test"])
        return StreamedData(feed, test)

    def content_key(self) -> str:
        """Return a sha256 of the images and labels, once a process as long as no file changes.

        Both layouts of CIFAR are one set and have one key. A folder is known by the names and bytes of its images, a
        set of the hub by its name and fingerprints.

        Raises:
            ChiasmError: the data are missing or unusable.
        """
        return _digest(self._dataset())

    def _dataset(self) -> ImageDataset:
        return open_dataset(self.path, self.format, self.dataset)

    def _windows(self, shape: tuple[int, int, int]) -> Windows:
        columns = shape[2]
        width = columns // 2 if self.width is None else self.width
        if not 1 <= width <= columns:
            raise ChiasmError(f"width = {width}: the images have {columns} columns; expected 1 to {columns}")
        return Windows(width, self.layout)

    def _quotas(self, images: ImageDataset, split: Split) -> list[int]:
        counts = [int((images.target[split] == c).sum()) for c in range(len(images.classes))]
        asked = self.train if split == "train" else self.test
        if asked is None:
            return counts
        if asked > sum(counts):
            raise ChiasmError(
                f"{split} = {asked}: {images.where} has {sum(counts)} images to {split}; expected that many or fewer"
            )
        return quotas(counts, asked)


@lru_cache(maxsize=8)
def _digest(images: ImageDataset) -> str:
    return images.digest()


@lru_cache(maxsize=1)
def _whole_test(loaded: LoadedImages, windows: Windows) -> Batch:
    return _test(loaded, windows, torch.arange(len(loaded.target["test"])))


def _test(loaded: LoadedImages, windows: Windows, rows: torch.Tensor) -> Batch:
    """Return the windows of test images, in chunks: the whole images are never all in memory as float32."""
    colours = Colours.of(loaded.statistics)
    shape = windows.shape(loaded.shape)
    sources = {name: torch.empty(len(rows), *shape) for name in SOURCES}
    for start, chunk in zip(range(0, len(rows), CHUNK), torch.split(rows, CHUNK), strict=True):
        images = colours.normalised(loaded.pixels["test"].take(chunk))
        for name, x in windows(dict.fromkeys(SOURCES, images)).items():
            sources[name][start : start + len(chunk)] = x
    return Batch(sources, loaded.target["test"][rows], {name: torch.zeros(shape) for name in SOURCES})
