"""Channel statistics: the mean and spread of each channel of a set, and the colour that its images are padded with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """The mean and spread of each channel of a set, and the colour that pads its images.

    Attributes:
        mean: of each channel, in [0, 1].
        sd: of each channel, above 0.
        fill: the padding colour, a byte a channel.
    """

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    fill: tuple[int, ...]


#: What the original experiments normalise and pad with (Kleinman, Achille & Soatto 2023, published code).
CIFAR10_STATISTICS = ChannelStatistics((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010), (125, 123, 113))


def channel_statistics(pieces: Iterable[Tensor]) -> ChannelStatistics:
    """Compute mean and standard deviation of each channel over all pixels; the fill is the rounded mean.

    Args:
        pieces: (k, channels, height, width) uint8 each. Sums are of integers, so that it does not matter how the
            images are cut into pieces.

    Returns:
        The statistics; a channel that is constant has spread 1.

    >>> channel_statistics([torch.tensor([[[[0, 255]]]], dtype=torch.uint8)])
    ChannelStatistics(mean=(0.5,), sd=(0.5,), fill=(128,))
    """
    count, totals, squares = 0, torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)
    for piece in pieces:
        x = piece.to(torch.int64).movedim(1, 0).flatten(1)
        count, totals, squares = count + x.shape[1], totals + x.sum(1), squares + (x * x).sum(1)
    mean = totals.double() / count
    # count * squares - total^2 in Python's integers: exact, where a difference of float64 moments is not.
    spread = [(count * s - t * t) ** 0.5 / count for t, s in zip(totals.tolist(), squares.tolist(), strict=True)]
    return ChannelStatistics(
        tuple((mean / 255).tolist()),
        tuple(sd / 255 if sd > 0 else 1.0 for sd in spread),
        tuple(int(m + 0.5) for m in mean.tolist()),
    )
