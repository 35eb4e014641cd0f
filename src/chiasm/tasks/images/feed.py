"""A feed of images: gathered as bytes, cropped, flipped and normalised batch by batch, where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from chiasm.sources import Batch
from chiasm.tasks.images.channel_statistics import ChannelStatistics
from chiasm.tasks.images.crop import crop_and_flip
from chiasm.tasks.images.pixels import Pixels
from chiasm.tasks.images.window import SOURCES, Windows


@final
@dataclass(frozen=True, slots=True)
class Colours:
    """Channel statistics as tensors: bytes x become x * scale + shift, and padding has the colour fill.

    Attributes:
        scale: (channels, 1, 1) float32, 1 / (255 sd).
        shift: (channels, 1, 1) float32, -mean / sd.
        fill: (channels,) uint8.
    """

    scale: Tensor
    shift: Tensor
    fill: Tensor

    @classmethod
    def of(cls, statistics: ChannelStatistics) -> Colours:
        """Return the tensors of channel statistics, rounded once from float64."""
        mean, sd = (torch.tensor(x, dtype=torch.float64).view(-1, 1, 1) for x in (statistics.mean, statistics.sd))
        return cls((1 / (255 * sd)).float(), (-mean / sd).float(), torch.tensor(statistics.fill, dtype=torch.uint8))

    def normalised(self, x: Tensor) -> Tensor:
        """Return bytes (k, channels, height, width) as float32 around 0."""
        return x.float().mul_(self.scale).add_(self.shift)

    def to(self, device: torch.device | str) -> Colours:
        """Return them on another device."""
        return Colours(self.scale.to(device), self.shift.to(device), self.fill.to(device))


@final
@dataclass(frozen=True, slots=True)
class ImageFeed:
    """The training images of one seed.

    Attributes:
        pixels: the images of the whole set, which all seeds share.
        rows: (samples,) which of them are this seed's.
        target: (samples,) int64 classes.
        baseline: zeros (channels, height, width) for each source: the mean colour.
        colours: how bytes become numbers.
        windows: what each source shows.
        pad: pixels of padding for random crops and flips; None: none of either.
        shared: whether both sources show one crop and flip, or each its own.
        mask: the chance of each source to be blank, in [0, .5); never both at once.
    """

    pixels: Pixels
    rows: Tensor
    target: Tensor
    baseline: Mapping[str, Tensor]
    colours: Colours
    windows: Windows
    pad: int | None
    shared: bool
    mask: float

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device | str) -> ImageFeed:
        """Return the feed on another device; the pixels are there once, whatever the number of feeds."""
        return replace(
            self,
            pixels=self.pixels.to(device),
            rows=self.rows.to(device),
            target=self.target.to(device),
            baseline={name: x.to(device) for name, x in self.baseline.items()},
            colours=self.colours.to(device),
        )

    def draw(self, index: Tensor, generator: torch.Generator) -> Batch:
        """Return whole images under both names, cropped, flipped and normalised.

        Args:
            index: (k,) integers in [0, samples), on the feed's device.
            generator: the crops and flips.

        Returns:
            Sources (k, channels, height, width) float32; one and the same tensor under both names where they share
            their crops.
        """
        raw = self.pixels.take(self.rows.index_select(0, index))
        separate = self.pad is not None and not self.shared
        views = [self._augmented(raw, generator) for _ in (SOURCES if separate else SOURCES[:1])]
        sources = {name: views[i if separate else 0] for i, name in enumerate(SOURCES)}
        return Batch(sources, self.target.index_select(0, index), self.baseline)

    def present(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return the windows of whole images, some of them blank.

        Args:
            batch: whole images, as `draw` and the deficits leave them.
            generator: which sources are blank; nothing is drawn if `mask` is 0.
        """
        views = self.windows(batch.sources)
        if self.mask:
            drawn = torch.rand(len(batch), generator=generator, device=generator.device).to(batch.target.device)
            part = drawn.view(-1, 1, 1, 1)
            visible = {"left": part >= self.mask, "right": (part < self.mask) | (part >= 2 * self.mask)}
            views = {name: x.mul_(visible[name]) for name, x in views.items()}
        return Batch(views, batch.target, self.windows(batch.baseline), batch.head)

    def _augmented(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        if self.pad is not None:
            raw = crop_and_flip(raw, self.colours.fill, self.pad, generator)
        return self.colours.normalised(raw)
