"""Variants: other samples that mean the same, for pairing in the neighbourhood of a sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final, get_args

import torch
from torch import Tensor

from chiasm.errors import ChiasmError, unknown
from chiasm.sources import Kind

Variant = Callable[[Tensor, torch.Generator], Tensor]
"""Takes samples (n, *shape) and a CPU generator; returns as many, each varied independently of the others."""

PICTURES = ("image", "video")


@final
@dataclass(frozen=True, slots=True)
class ShiftsAndNoise:
    """A `Variant` made by `shifts_and_noise`, which says what its fields mean."""

    shift: float
    noise: float
    scale: float | None
    kind: Kind | None

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if not x.is_floating_point():
            raise ChiasmError(
                f"shifts and noise vary floating point samples, not {x.dtype}; convert pictures to floats first, and "
                f"for tokens give a variant of your own, a function of (samples, generator)"
            )
        if x.numel() == 0:
            return x
        furthest = self._furthest(x)
        if not self.noise and not any(furthest):
            raise ChiasmError(
                f"shift = {self.shift:g} and noise = {self.noise:g} leave samples of shape {tuple(x.shape[1:])} as "
                f"they are; give a noise above 0"
            )
        if any(furthest):
            x = _shifted(x, furthest, generator)
        return x + self._noise(x, generator) if self.noise else x

    def _furthest(self, x: Tensor) -> tuple[int, int]:
        """Return the largest shifts down and to the right, in elements."""
        if x.ndim < 3 or (self.kind or "image") not in PICTURES:
            return 0, 0
        # 0.29 * 100 is a hair under 29.
        height, width = (int(self.shift * length + 1e-9) for length in x.shape[-2:])
        return height, width

    def _noise(self, x: Tensor, generator: torch.Generator) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        normal = torch.randn(x.shape, generator=generator, device=generator.device, dtype=wide).to(x.device)
        if self.scale is not None:
            return (self.noise * self.scale * normal).to(x.dtype)
        elements = math.prod(x.shape[1:])
        if elements == 1:
            raise ChiasmError(
                "samples of a single number have no spread of their own to scale the noise; give scale, the standard "
                "deviation of the source"
            )
        spread = x.to(wide).reshape(len(x), elements).std(1, correction=0)
        return (self.noise * spread.view(-1, *[1] * (x.ndim - 1)) * normal).to(x.dtype)


def shifts_and_noise(
    shift: float = 0.125, noise: float = 0.1, scale: float | None = None, kind: Kind | None = None
) -> ShiftsAndNoise:
    """Return a variant that moves a picture a little and adds Gaussian noise.

    Pictures move by a whole number of elements along each of their last two axes, drawn uniformly for each sample and
    axis; all channels and frames of a sample move together, and the edge is repeated into the gap. The noise is drawn
    for each element. Both are of the sample alone, whatever stands beside it.

    Args:
        shift: the largest shift as a share of the height, or of the width, rounded down; in [0, 0.5]. An axis shorter
            than 1 / shift stays where it is.
        noise: the noise's standard deviation, 0 or more, as a share of `scale`.
        scale: a standard deviation in the source's units, above 0. None: of each sample the standard deviation of its
            own values (as shifted), so that pictures in 0 .. 255 and in 0 .. 1 are treated alike; a constant sample
            then gets no noise, and a sample of one number is refused.
        kind: what a sample is. "image", "video": shifts and noise; "vector", "sequence": noise only. None: by its
            axes: one axis is a vector, two or more are a picture, height and width last. So name a sequence (time,
            features), which looks like a picture; as one, its features would take each other's places.

    Returns:
        A function of samples (n, *shape), floating, on any device, and a CPU generator; it returns new samples of the
        same shape, type and device. The same generator state gives the same variants. It raises ChiasmError for other
        types than floating, and where it would change nothing.

    Raises:
        ChiasmError: a number out of its range, or an unknown kind.

    Source:
        The shift is the one of Kostrikov, Yarats and Fergus 2021 (ICLR, DrQ): pad by repetition, crop; tested against
        numpy's padding.

    >>> vary = shifts_and_noise(shift=0.25, noise=0.0)
    >>> pictures = torch.eye(4).expand(2, 1, 4, 4)
    >>> vary(pictures, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 4, 4])
    """
    if not (isinstance(shift, int | float) and 0 <= shift <= 0.5):
        raise ChiasmError(f"shift = {shift!r}; give a share of the height and width, from 0 to 0.5")
    if not (isinstance(noise, int | float) and 0 <= noise < math.inf):
        raise ChiasmError(f"noise = {noise!r}; give a number of 0 or more")
    if scale is not None and not (isinstance(scale, int | float) and 0 < scale < math.inf):
        raise ChiasmError(f"scale = {scale!r}; give a standard deviation above 0, or None for that of each sample")
    if kind is not None and kind not in get_args(Kind):
        raise unknown("kind", str(kind), get_args(Kind))
    return ShiftsAndNoise(shift, noise, scale, kind)


def _shifted(x: Tensor, furthest: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Shift each sample of x (n, ..., height, width) by its own number of elements, edges repeated."""
    n, (height, width) = len(x), x.shape[-2:]
    places = []
    for length, most in zip((height, width), furthest, strict=True):
        by = torch.randint(-most, most + 1, (n, 1), generator=generator, device=generator.device).to(x.device)
        places.append((torch.arange(length, device=x.device) - by).clamp(0, length - 1))
    rows, columns = places
    planes = x.reshape(n, math.prod(x.shape[1:-2]), height, width)
    sample = torch.arange(n, device=x.device).view(n, 1, 1, 1)
    plane = torch.arange(planes.shape[1], device=x.device).view(1, -1, 1, 1)
    return planes[sample, plane, rows[:, None, :, None], columns[:, None, None, :]].reshape(x.shape)
