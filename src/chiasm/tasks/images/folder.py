"""Images in folders: train/<class>/*.png and test/<class>/*.png, or jpg."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chiasm.errors import ChiasmError
from chiasm.tasks.images.image_dataset import SPLITS, ImageDataset, Split
from chiasm.tasks.images.photo import Channels, channels_of, photo
from chiasm.tasks.images.shrinking import check_one_size, shrunk

SUFFIXES = (".png", ".jpg", ".jpeg")


def listed(path: Path) -> dict[Split, dict[str, list[Path]]]:
    """Return the images by split and class, both sorted by name; hidden files and folders do not count.

    Raises:
        ChiasmError: train or test is missing or holds no folders; a file in a class is no png or jpg.
    """
    files: dict[Split, dict[str, list[Path]]] = {}
    for split in SPLITS:
        inside = _visible(path / split) if (path / split).is_dir() else []
        classes = {folder.name: _visible(folder) for folder in inside if folder.is_dir()}
        if not classes:
            raise ChiasmError(f"'{path / split}' has no folders of images, one a class; expected {split}/<class>/*.png")
        for group in classes.values():
            for file in group:
                if file.suffix.lower() not in SUFFIXES:
                    raise ChiasmError(f"'{file}' is no image; expected files that end in {', '.join(SUFFIXES)}")
        files[split] = classes
    return files


def read_folder(path: Path) -> ImageDataset:
    """Return a folder of images as a data set; they are decoded when they are asked for.

    The first training image decides how many channels all have: 1 if it is grey, else 3.

    Args:
        path: the folder that holds train and test; classes are the names of the folders in them, in sorted order.

    Raises:
        ChiasmError: see `listed`; a class is in only one of the two; and on reading: a file cannot be decoded, or is
            of another size than the first where no size is asked for.

    >>> read_folder(Path("nowhere"))
    Traceback (most recent call last):
    chiasm.errors.ChiasmError: 'nowhere/train' has no folders of images, one a class; expected train/<class>/*.png
    """
    folders = listed(path)
    classes = tuple(sorted({*folders["train"], *folders["test"]}))
    target, files = {}, {}
    for split in SPLITS:
        by_class = [folders[split].get(name, []) for name in classes]
        files[split] = [file for group in by_class for file in group]
        target[split] = np.repeat(np.arange(len(classes)), [len(group) for group in by_class])
    if not files["train"]:
        raise ChiasmError(f"'{path / 'train'}' holds no images; expected train/<class>/*.png")
    channels, first = _opened(files["train"][0])

    def pieces(split: Split, size: int | None) -> Iterator[NDArray[np.uint8]]:
        for file in files[split]:
            _, image = _opened(file, channels)
            if size is None:
                check_one_size(image, first, f"'{file}'", f"'{files['train'][0].name}'")
            yield from shrunk(image[None], size, f"'{file}'")

    def digest() -> str:
        sha = hashlib.sha256()
        for split in SPLITS:
            for file in files[split]:
                sha.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
                sha.update(file.read_bytes())
        return sha.hexdigest()

    _, high, wide = first.shape
    return ImageDataset(f"the folder {path.name}", f"'{path}'", classes, (channels, high, wide), target, pieces, digest)


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _opened(file: Path, channels: Channels | None = None) -> tuple[Channels, NDArray[np.uint8]]:
    from PIL import Image

    try:
        with Image.open(file) as image:
            image.load()
            known = channels or channels_of(image)
            return known, photo(image, known, f"'{file}'")
    except ChiasmError:
        raise
    except Exception as error:  # Pillow's decoders fail in many ways
        raise ChiasmError(f"'{file}' is no image that Pillow can read ({error})") from None
