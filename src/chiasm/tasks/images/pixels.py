"""Pixels: the images of one split as bytes, in memory and on a device once, or in a file that is read as needed."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chiasm.errors import ChiasmError

CHUNK = 1024  # images at a time where all are passed through


class Pixels(Protocol):
    """The images of a split, (images, channels, height, width) uint8."""

    def __len__(self) -> int: ...

    def to(self, device: torch.device | str) -> Pixels:
        """Return the pixels for a device: one copy a device, whoever asks."""
        ...

    def take(self, index: Tensor) -> Tensor:
        """Return the images that `index` names, (k, channels, height, width) uint8 on the device."""
        ...


@final
class Resident:
    """Pixels that lie on a device.

    Args:
        data: (images, channels, height, width) uint8.
    """

    def __init__(self, data: Tensor) -> None:
        self.data = data
        self._elsewhere: dict[torch.device, Resident] = {}

    def __len__(self) -> int:
        return len(self.data)

    def to(self, device: torch.device | str) -> Resident:
        device = torch.device(device)
        if device == self.data.device or (device.type == self.data.device.type and device.index is None):
            return self
        if device not in self._elsewhere:
            self._elsewhere[device] = Resident(self.data.to(device))
        return self._elsewhere[device]

    def take(self, index: Tensor) -> Tensor:
        return self.data.index_select(0, index)


@final
class Mapped:
    """Pixels that stay in a file; what is taken is read, and moved to the device.

    Args:
        path: the bytes of the images, end to end.
        shape: (images, channels, height, width).
        device: where taken images go.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int, int], device: torch.device | str = "cpu") -> None:
        self.path, self.shape, self.device = path, shape, torch.device(device)
        self._bytes = np.memmap(path, np.uint8, mode="r", shape=shape)

    def __len__(self) -> int:
        return self.shape[0]

    def to(self, device: torch.device | str) -> Mapped:
        return Mapped(self.path, self.shape, device)

    def take(self, index: Tensor) -> Tensor:
        taken = torch.from_numpy(np.take(self._bytes, index.cpu().numpy(), axis=0))
        if self.device.type == "cpu":
            return taken
        return taken.pin_memory().to(self.device, non_blocking=True)


def resident(pieces: Iterable[NDArray[np.uint8]], shape: tuple[int, int, int, int]) -> Resident:
    """Read pieces into memory, where they fill (images, channels, height, width)."""
    data = torch.empty(shape, dtype=torch.uint8)
    start = 0
    for piece in pieces:
        data.numpy()[start : start + len(piece)] = piece
        start += len(piece)
    assert start == shape[0]
    return Resident(data)


def mapped(pieces: Iterable[NDArray[np.uint8]], shape: tuple[int, int, int, int], path: Path) -> Mapped:
    """Write pieces to a file, unless it is there whole already, and map it.

    Written aside, synced and renamed: a file of that name is always whole, however often its writer was killed, and
    writers at the same time do not disturb each other.

    Args:
        pieces: (k, channels, height, width) each; not touched if the file is there.
        shape: (images, channels, height, width) of all.
        path: the file; its folder is made.

    Raises:
        ChiasmError: the file cannot be written.
    """
    if not (path.is_file() and path.stat().st_size == int(np.prod(shape))):
        mine = f"{path.name}.{platform.node()}."
        aside = path.with_name(f"{mine}{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for left_by_the_killed in path.parent.glob(f"{mine}*.part"):
                if not _alive(left_by_the_killed):
                    left_by_the_killed.unlink(missing_ok=True)
            with aside.open("wb") as file:
                for piece in pieces:
                    file.write(piece.tobytes())
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except OSError as error:
            raise ChiasmError(
                f"images that exceed limit are kept in '{path.parent}', which cannot be written "
                f"({error.strerror or error}); name another folder in the variable CHIASM_CACHE, or raise limit"
            ) from None
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
    return Mapped(path, shape)


def cache_folder() -> Path:
    """Return where decoded images are kept: the folder in the variable CHIASM_CACHE, or ~/.cache/chiasm."""
    return Path(os.environ.get("CHIASM_CACHE") or "~/.cache/chiasm").expanduser()


def in_chunks(pixels: Pixels) -> Iterator[Tensor]:
    """Yield all images in order, CHUNK at a time."""
    return (pixels.take(index) for index in torch.split(torch.arange(len(pixels)), CHUNK))


def _alive(part: Path) -> bool:
    """Tell whether the process that a part's name gives still runs, on this machine."""
    writer = part.name.split(".")[-2]
    try:
        os.kill(int(writer), 0)  # signal 0 asks and does nothing
    except (ValueError, ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
