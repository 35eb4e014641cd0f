"""From a layer's output to its units: which axis holds channels, and how positions are pooled."""

from __future__ import annotations

import torch
from torch import Tensor

from chiasm.errors import ChiasmError


def to_units(x: Tensor, per: str, channel_axis: int | None = None) -> Tensor:
    """Turn a layer's output into units: (n, ...) -> (n, *units), float32 or float64, copied only where necessary.

    Args:
        x: samples first. (n,) is one unit a sample whatever the axis.
        per: "channel": the mean over all positions, (n, C). "position": each channel at each place is a unit of its
            own, (n, C, *positions), channels first.
        channel_axis: which axis holds the channels (tokens: features), also counted from the end. By default (n, U) are
            units, (n, T, D) tokens with features last, and (n, C, ...) maps with channels first.

    Means are taken in float32 for half precision and whole numbers, in float64 for float64.

    Raises:
        ChiasmError: no such axis, the axis of samples, another `per`, or a complex output.

    >>> to_units(torch.ones(2, 3, 4, 4), "channel").shape, to_units(torch.ones(2, 7, 5), "channel").shape
    (torch.Size([2, 3]), torch.Size([2, 5]))
    >>> to_units(torch.ones(2, 7, 5), "position").shape, to_units(torch.ones(2, 4, 4, 3), "position", -1).shape
    (torch.Size([2, 5, 7]), torch.Size([2, 3, 4, 4]))
    """
    if per not in ("channel", "position"):
        raise ChiasmError(f"per = {per!r}; expected 'channel' or 'position'")
    if x.is_complex():
        raise ChiasmError("a layer's output is complex; measure its real part, its imaginary part or its modulus")
    if x.dim() == 0:
        raise ChiasmError("a layer's output is a single number; it must hold one a sample")
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    if x.dim() == 1:
        return x.to(wide).unsqueeze(1)
    axis = _axis(x, channel_axis)
    if per == "position" or x.dim() == 2:
        return x.movedim(axis, 1).to(wide)
    return x.mean([i for i in range(1, x.dim()) if i != axis], dtype=wide)


def _axis(x: Tensor, channel_axis: int | None) -> int:
    if channel_axis is None:
        return 2 if x.dim() == 3 else 1
    axis = channel_axis + x.dim() if channel_axis < 0 else channel_axis
    shape = tuple(x.shape)
    if axis == 0:
        raise ChiasmError(f"channel_axis = {channel_axis} is the axis of samples of an output of shape {shape}")
    if not 0 < axis < x.dim():
        raise ChiasmError(f"channel_axis = {channel_axis}: an output of shape {shape} has no such axis")
    return axis
