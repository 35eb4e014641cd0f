"""Shrinking: the centre square of an image averaged down to fewer pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from chiasm.errors import ChiasmError

CHUNK = 1000  # images in float32 at a time: 12 MB of CIFAR's


def shrunk(x: NDArray[np.uint8], size: int | None, where: str) -> Iterator[NDArray[np.uint8]]:
    """Average the centre square of images down to size x size; without a size, hand them on as they are.

    Args:
        x: (k, channels, height, width).
        size: pixels a side, at most the shorter side; where it divides that, each new pixel is the mean of a square of
            old ones, else of the old pixels that it touches ("area" of torch's interpolate).
        where: what to call the images in a sentence.

    Yields:
        Pieces (j, channels, size, size) in order, rounded half to even.

    Raises:
        ChiasmError: an image is smaller than `size`.

    >>> [piece.tolist() for piece in shrunk(np.array([[[[0, 2, 9], [4, 6, 9]]]], np.uint8), 1, "this")]
    [[[[[3]]]]]
    """
    high, wide = x.shape[-2:]
    side = min(high, wide)
    if size is None or size == high == wide:
        yield x
        return
    if size > side:
        raise too_small(size, where, wide, high)
    top, left = (high - side) // 2, (wide - side) // 2
    square = x[:, :, top : top + side, left : left + side]
    for start in range(0, len(x), CHUNK):
        whole = torch.from_numpy(square[start : start + CHUNK].astype(np.float32))
        yield interpolate(whole, size=(size, size), mode="area").round().to(torch.uint8).numpy()


def check_one_size(image: NDArray[np.uint8], first: NDArray[np.uint8], where: str, first_where: str) -> None:
    """Refuse an image (channels, height, width) of another size than the first one of its set.

    Raises:
        ChiasmError: the sizes differ.
    """
    if image.shape != first.shape:
        (high, wide), (first_high, first_wide) = image.shape[-2:], first.shape[-2:]
        raise ChiasmError(
            f"{where} is {wide} x {high} pixels and {first_where} {first_wide} x {first_high}; expected images of one "
            f"size, or size = n, which averages all to n x n"
        )


def too_small(size: int, where: str, wide: int, high: int) -> ChiasmError:
    """Build the error for images of fewer pixels than they are to be averaged down to."""
    return ChiasmError(
        f"size = {size}: {where} is {wide} x {high} pixels; expected a size of {min(wide, high)} or less"
    )
