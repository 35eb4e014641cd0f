"""A photo: one image as Pillow opens it, as an array of bytes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chiasm.errors import ChiasmError

Channels = Literal[1, 3]
GREY = ("1", "L")
DEEP = ("I", "F")  # more than eight bits a channel: brought to bytes, they would lose what they hold


def channels_of(image: Any) -> Channels:
    """Return 1 for a grey image of Pillow's, 3 for any other."""
    return 1 if image.mode in GREY else 3


def photo(image: Any, channels: Channels, where: str) -> NDArray[np.uint8]:
    """Return an image of Pillow's as bytes; transparency is dropped, grey among colours is a colour.

    Args:
        image: a PIL.Image.Image.
        channels: of the set it belongs to.
        where: what to call it in a sentence.

    Returns:
        (channels, height, width).

    Raises:
        ChiasmError: it has colours in a set of grey ones, or more than eight bits a channel.
    """
    if image.mode.startswith(DEEP):
        raise ChiasmError(f"{where} has more than eight bits a channel (mode {image.mode}); expected eight")
    if channels == 1 and image.mode not in GREY:
        raise ChiasmError(f"{where} has colours, and the first image of the set is grey; expected one of the two")
    array: NDArray[np.uint8] = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return array[None] if channels == 1 else array.transpose(2, 0, 1)
