"""Named arrays on disk, an npz file or a folder of .npy files, read without pickles: nothing read can run code."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from chiasm.errors import ChiasmError

NPY = b"\x93NUMPY"
ZIP = b"PK"


def data_folder(path: str) -> Path:
    """Return where the data lie: `path`; if that is empty, the folder in the variable CHIASM_DATA, or "data"."""
    return Path(path or os.environ.get("CHIASM_DATA") or "data").expanduser()


def digest_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the sha256 of arrays: their names, types, shapes and bytes, wherever they lie."""
    digest = hashlib.sha256()
    for name, x in arrays.items():
        digest.update(repr((name, x.dtype.str, x.shape)).encode())
        digest.update(x.tobytes())
    return digest.hexdigest()


@final
class Archive(Mapping[str, NDArray[Any]]):
    """The arrays of an npz file (in file order) or of a folder of .npy files (by name), read one by one on demand.

    Args:
        path: the file or the folder; "~" is the home folder.

    Raises:
        ChiasmError: there is nothing at `path`, or it holds no arrays; on access: an array is damaged or holds
            Python objects.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        if not self.path.exists():
            raise ChiasmError(f"path: there is no file or folder '{path}'")
        if self.path.is_dir():
            self._names = sorted(file.stem for file in self.path.glob("*.npy"))
        else:
            self._names = self._members()
        if not self._names:
            raise ChiasmError(f"'{self.path}' holds no arrays; give an npz file or a folder with one .npy per array")

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        try:
            if self.path.is_dir():
                array = np.load(self.path / f"{name}.npy", allow_pickle=False)
            else:
                with np.load(self.path, allow_pickle=False) as members:
                    array = members[name]
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
            if "Object arrays" in str(error):
                raise objects(f"'{self.path}'", name) from None
            raise ChiasmError(f"'{self.path}': '{name}' is cut short or damaged ({error}); write it again") from None
        if not isinstance(array, np.ndarray):
            raise ChiasmError(f"'{self.path}': '{name}' is not a numpy array; write the file with numpy.savez")
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _members(self) -> list[str]:
        with self.path.open("rb") as file:
            start = file.read(len(NPY))
        if start == NPY:
            raise ChiasmError(f"'{self.path}' is a single array; give an npz file or a folder with one .npy per array")
        if not start.startswith(ZIP):
            raise ChiasmError(f"'{self.path}' is not an npz file; write one with numpy.savez, or give a folder of .npy")
        try:
            with zipfile.ZipFile(self.path) as members:
                return [name.removesuffix(".npy") for name in members.namelist()]
        except zipfile.BadZipFile as error:
            raise ChiasmError(f"'{self.path}' is cut short or damaged ({error}); write it again") from None


def objects(where: str, name: str) -> ChiasmError:
    """Build the error for an array of Python objects."""
    return ChiasmError(
        f"{where}: '{name}' is an array of Python objects, which is never read because it could run code; "
        f"save it as numbers, or strings as astype(str)"
    )


def write(arrays: Mapping[str, NDArray[Any]], path: str | Path) -> None:
    """Write arrays as an npz file, under another name until it is complete; equal arrays give equal files.

    Args:
        arrays: by name, none of Python objects.
        path: where to, exactly (no suffix is added).

    Raises:
        ChiasmError: the folder of `path` does not exist, or `path` is a folder.
    """
    path = Path(path).expanduser()
    if path.is_dir() or not path.parent.is_dir():
        why = "it is a folder" if path.is_dir() else f"there is no folder '{path.parent}'"
        raise ChiasmError(f"path: cannot write '{path}': {why}")
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        # Not numpy.savez: an array may be called "file", and the names of its own arguments are taken there.
        with zipfile.ZipFile(part, "w") as members:
            for name, x in arrays.items():
                with members.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, x, allow_pickle=False)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
