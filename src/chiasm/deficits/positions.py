"""The positions of a source: which of its axes are places, the rest being samples, channels or time."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from chiasm.deficits.arguments import require
from chiasm.errors import ChiasmError

Dims = Literal[1, 2]


def require_dims(name: str, dims: object) -> None:
    """Refuse a `dims` that is none of 1, 2 and None.

    Raises:
        ChiasmError: naming what is expected.
    """
    require(dims is None or (type(dims) is int and dims in (1, 2)), name, "dims", dims, "1 or 2")


def extent(x: Tensor, dims: Dims | None, name: str, source: str) -> tuple[int, ...]:
    """Return the sizes of the axes of `x` that are positions: its last one or its last two.

    Args:
        x: (samples, ..., positions): the source.
        dims: 1 or 2 axes; None: the last two of (n, H, W) and of anything with more axes, the last of (n, L).
        name: the deficit that asks, for the error.
        source: the source's name, for the error.

    Raises:
        ChiasmError: if `x` has too few axes.
    """
    wanted = dims or max(1, min(x.ndim - 1, 2))
    if x.ndim <= wanted:
        raise ChiasmError(
            f"{name}: source '{source}' is {tuple(x.shape)}, samples first; expected {wanted} more axes of positions"
        )
    return tuple(x.shape[-wanted:])
