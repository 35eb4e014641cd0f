"""Opening: which kind of image data set lies at a path, and that data set."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from chiasm.errors import ChiasmError
from chiasm.tasks.archive import data_folder
from chiasm.tasks.images.cifar import Layout, find, read_cifar
from chiasm.tasks.images.folder import read_folder
from chiasm.tasks.images.hub import read_hub
from chiasm.tasks.images.image_dataset import ImageDataset

Format = Literal["auto", "cifar-py", "cifar-bin", "folder", "hf"]

Stamp = tuple[tuple[str, int, int], ...]

OFFICIAL = "https://www.cs.toronto.edu/~kriz/cifar.html"


def open_dataset(path: str, form: Format, dataset: str) -> ImageDataset:
    """Return the data set at a path, the same object as long as no file there changes.

    Args:
        path: see `data_folder`; its official subfolders are looked into as well.
        form: what to look for; "auto": CIFAR's binary layout, its Python layout, a folder of images, in this order.
        dataset: the name on the Hugging Face hub, for "hf".

    Raises:
        ChiasmError: there are no such data, or they are unusable.
    """
    if form == "hf":
        return _hub(dataset)
    folder = data_folder(path)
    if folder.is_file():
        raise ChiasmError(f"path: '{folder}' is a file; unpack it, and give the folder")
    for layout in get_args(Layout):
        if form in ("auto", f"cifar-{layout}") and (match := find(folder, layout)):
            cifar, place = match
            return _cifar(str(place), layout, cifar.name, _stamp(place, deep=False))
    if form in ("auto", "folder") and ((folder / "train").is_dir() or (folder / "test").is_dir()):
        return _folder(str(folder), _stamp(folder, deep=True))
    wanted = {
        "auto": "CIFAR-10 (or CIFAR-100) or images",
        "cifar-bin": "CIFAR-10 (or CIFAR-100) in the binary layout",
        "cifar-py": "CIFAR-10 (or CIFAR-100) in the Python layout",
        "folder": "images",
    }[form]
    hints = {
        "cifar-bin": f"unpack cifar-10-binary.tar.gz from {OFFICIAL} there (it holds cifar-10-batches-bin)",
        "cifar-py": f"unpack cifar-10-python.tar.gz from {OFFICIAL} there (it holds cifar-10-batches-py)",
        "folder": "put train/<class>/*.png and test/<class>/*.png there (or jpg)",
    }
    hints["auto"] = f"{hints['cifar-py']}, or {hints['folder']}"
    raise ChiasmError(
        f"there are no {wanted} in '{folder}': {hints[form]}, or name another folder in path or in the variable "
        f"CHIASM_DATA"
    )


@lru_cache(maxsize=4)
def _cifar(place: str, layout: Layout, name: str, stamp: Stamp) -> ImageDataset:
    match = find(Path(place), layout)
    assert match is not None
    return read_cifar(*match, layout)


@lru_cache(maxsize=4)
def _folder(place: str, stamp: Stamp) -> ImageDataset:
    return read_folder(Path(place))


@lru_cache(maxsize=4)
def _hub(dataset: str) -> ImageDataset:
    return read_hub(dataset)


def _stamp(folder: Path, deep: bool) -> Stamp:
    """Return name, size and time of the files in a folder: a data set whose files changed is opened anew."""
    stamps = []
    for top, inside, files in os.walk(folder):
        inside.sort()
        for file in sorted(files):
            path = os.path.join(top, file)
            status = os.stat(path)
            stamps.append((path, status.st_size, status.st_mtime_ns))
        if not deep:
            break
    return tuple(stamps)
