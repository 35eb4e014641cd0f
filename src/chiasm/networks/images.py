"""Sources that are images whose maps can meet."""

from __future__ import annotations

from collections.abc import Sequence

from chiasm.errors import ChiasmError
from chiasm.sources import Source


def check_images(network: str, sources: Sequence[Source], least: int = 1) -> None:
    """Refuse sources that convolutions cannot read, or whose maps would not fit on one another.

    Args:
        network: its kind, for the message.
        sources: what it is to read; channels may differ from source to source.
        least: pixels that each side must have.

    Raises:
        ChiasmError: a source that is no image of shape (channels, height, width), unequal or too small sides.

    >>> check_images("split_cnn", [Source("left", (3, 32, 16), "image"), Source("depth", (1, 32, 16), "image")])
    """
    for source in sources:
        if source.kind != "image" or len(source.shape) != 3:
            raise ChiasmError(
                f"{network} needs images of shape (channels, height, width); source '{source.name}' is a "
                f"{source.kind} of shape {source.shape}; network.kind = 'split_mlp' takes any shape"
            )
    sides = {source.shape[1:] for source in sources}
    if len(sides) > 1:
        raise ChiasmError(f"{network} needs sources of equal height and width; given: {sorted(sides)}")
    for source in sources:
        if min(source.shape[1:]) < least:
            raise ChiasmError(
                f"{network} needs images of {least} x {least} pixels or more with these settings; source "
                f"'{source.name}' has {source.shape[1]} x {source.shape[2]}"
            )
