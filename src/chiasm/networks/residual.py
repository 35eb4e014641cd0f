"""What convolutional networks are built of: a normalised, rectified convolution, and a pre-activation block."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

Norm = Literal["batch", "group", "none"]


def normed(norm: Norm, channels: int) -> nn.Module:
    """Return a normalisation of maps: BatchNorm, GroupNorm, or nothing.

    GroupNorm takes as many groups as divide the channels, up to 32, of four channels or more: with fewer a group comes
    close to one channel, whose mean over the image is then lost.

    >>> normed("group", 512).num_groups, normed("group", 16).num_groups
    (32, 4)
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "none":
        return nn.Identity()
    most = max(1, min(32, channels // 4))
    return nn.GroupNorm(max(g for g in range(1, most + 1) if channels % g == 0), channels)


class Convolution(nn.Module):
    """A convolution, its normalisation and a rectifier: (samples, inside, h, w) -> (samples, outside, h', w').

    The map keeps its size at stride 1, and has ceil(size / stride) pixels a side else. Without normalisation the
    convolution has a bias.

    Args:
        inside: channels that come in.
        outside: channels that go out.
        kernel: odd side of the kernel.
        stride: step of the convolution.
        norm: "batch", "group" or "none".

    >>> Convolution(3, 8, stride=2)(torch.zeros(2, 3, 9, 6)).shape
    torch.Size([2, 8, 5, 3])
    """

    def __init__(self, inside: int, outside: int, kernel: int = 3, stride: int = 1, norm: Norm = "batch") -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=norm == "none")
        self.norm = normed(norm, outside)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalise, rectify."""
        # In place: neither the convolution nor the normalisation needs what it gave for its gradient.
        return relu(self.norm(self.conv(x)), inplace=True)


class Block(nn.Module):
    """A pre-activation residual block (He et al. 2016): twice norm, ReLU and conv 3 x 3, plus a shortcut.

    Where channels or size change, the shortcut is a 1 x 1 convolution of the normalised, rectified input; else it is
    the input itself. What comes out is signed and not normalised. Without normalisation the convolutions have biases,
    and the residual branch is scaled by a learned number that begins at 0 (SkipInit, De and Smith 2020), so that any
    depth begins as its shortcuts alone.

    Args:
        inside: channels that come in.
        outside: channels that go out.
        stride: of the first convolution and of the shortcut.
        norm: "batch", "group" or "none".
        skip: whether there is a shortcut.

    >>> Block(8, 16, stride=2)(torch.zeros(2, 8, 9, 6)).shape
    torch.Size([2, 16, 5, 3])
    """

    def __init__(self, inside: int, outside: int, stride: int = 1, norm: Norm = "batch", skip: bool = True) -> None:
        super().__init__()
        bare = norm == "none"
        self.norm1 = normed(norm, inside)
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=bare)
        self.norm2 = normed(norm, outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=bare)
        self.skip = skip
        changes = skip and (inside != outside or stride > 1)
        self.shortcut = nn.Conv2d(inside, outside, 1, stride, bias=False) if changes else None
        self.scale = nn.Parameter(torch.zeros(())) if bare and skip else None
        self.fresh = not bare  # whether what norm1 gives is a tensor of its own

    def forward(self, x: Tensor) -> Tensor:
        """Map (samples, inside, h, w) to (samples, outside, h', w')."""
        active = relu(self.norm1(x), inplace=self.fresh)
        out: Tensor = self.conv2(relu(self.norm2(self.conv1(active)), inplace=True))
        if self.scale is not None:
            out = out * self.scale
        if not self.skip:
            return out
        return out + (x if self.shortcut is None else self.shortcut(active))
