"""Two frames of a texture that moves on a torus: neither alone knows anything of the motion, both together know it."""

from __future__ import annotations

from math import prod
from typing import Annotated, ClassVar, Literal, final

import torch
from msgspec import Meta
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.sources import Batch, Source
from chiasm.tasks.task import Data, Description, Task, validate

#: Steps down and to the right of each direction.
STEPS = {
    "up": (-1, 0),
    "down": (1, 0),
    "left": (0, -1),
    "right": (0, 1),
    "up left": (-1, -1),
    "up right": (-1, 1),
    "down left": (1, -1),
    "down right": (1, 1),
}
SHAPES = ("disc", "square", "ring", "cross")


@final
class Motion(Task, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="motion"):
    """Tell in which direction a texture moved between two frames, and, of several shapes, which one it bears.

    The first frame is a grey texture rolled by a uniform shift, so that no place is special, the second one the same
    rolled on by `shift` pixels in the sample's direction. Each frame by itself is exactly independent of the direction;
    both determine it. A shape is an outline painted on the texture, which either frame shows.

    Attributes:
        size: pixels a side.
        shift: pixels between the frames.
        directions: 4, or 8 with the diagonals.
        shapes: of how many shapes each sample bears one; 0: none. A class is a shape and a direction.
        texture: "noise": Gaussian noise of mean 0 and variance 1 with spatial frequencies about `cycles` a side, or
            "dots" of -1 and 1.
        cycles: standard deviation of the noise's frequencies, in cycles a side; by default a sixth of the size.
        contrast: how much brighter a shape is than the texture, in its standard deviations.
        train: training samples (in an epoch).
        test: test samples, from a stream of their own.
        fresh: whether every epoch brings new training samples.
    """

    size: Annotated[int, Meta(ge=4)] = 12
    shift: Annotated[int, Meta(ge=1)] = 1
    directions: Literal[4, 8] = 4
    shapes: Annotated[int, Meta(ge=0, le=4)] = 0
    texture: Literal["noise", "dots"] = "noise"
    cycles: Annotated[float, Meta(gt=0)] | None = None
    contrast: Annotated[float, Meta(gt=0)] = 2.0
    train: Annotated[int, Meta(ge=1)] = 2048
    test: Annotated[int, Meta(ge=1)] = 2000
    fresh: bool = False

    source_names: ClassVar[tuple[str, ...]] = ("first", "second")

    def __post_init__(self) -> None:
        validate(self)
        if 2 * self.shift >= self.size:
            raise ChiasmError(
                f"shift = {self.shift} of {self.size} pixels: opposite directions meet on the torus; "
                f"expected less than half the size"
            )

    @property
    def _ways(self) -> list[str]:
        return list(STEPS)[: self.directions]

    def describe(self) -> Description:
        """Return two sources, "first" and "second", pictures of shape (1, size, size)."""
        ways, shapes = self._ways, SHAPES[: self.shapes]
        classes = tuple(f"{shape} {way}" for shape in shapes for way in ways) if shapes else tuple(ways)
        return Description(
            sources=tuple(Source(name, (1, self.size, self.size), "image") for name in self.source_names),
            classes=classes,
            train=self.train,
            test=self.test,
            chance=1 / len(classes),
            note="Two frames of a texture that moves on a torus: only both frames together know where to.",
            factors={"shape": shapes, "direction": tuple(ways)} if shapes else {},
        )

    def draws(self) -> bool:
        """Return the field `fresh`."""
        return self.fresh

    def load(self, seed: int) -> Data:
        """Return the sets of a seed; the training set is `draw(seed, 0)`."""
        return Data(self.draw(seed, 0), self._sample(generator(seed, "task test"), self.test))

    def draw(self, seed: int, epoch: int) -> Batch:
        """Return a whole new training epoch: `train` samples from the stream of (seed, epoch)."""
        return self._sample(generator(seed, "task train", epoch), self.train)

    def _sample(self, stream: torch.Generator, samples: int) -> Batch:
        image = self._texture(stream, samples)
        target = torch.randint(prod((max(1, self.shapes), self.directions)), (samples,), generator=stream)
        if self.shapes:
            image = image + self.contrast * _outlines(self.size)[target // self.directions]
        start = torch.randint(self.size, (samples, 2), generator=stream)
        step = torch.tensor([STEPS[way] for way in self._ways])[target % self.directions] * self.shift
        frames = {"first": rolled(image, start), "second": rolled(image, start + step)}
        mean = torch.full((1, self.size, self.size), self._mean())
        return Batch({n: x.unsqueeze(1) for n, x in frames.items()}, target, dict.fromkeys(frames, mean))

    def _texture(self, stream: torch.Generator, samples: int) -> Tensor:
        white = torch.randn(samples, self.size, self.size, generator=stream)
        if self.texture == "dots":
            return white.sign()
        frequency = torch.fft.fftfreq(self.size) * self.size
        squared = frequency[:, None] ** 2 + frequency[None, :] ** 2
        wide = self.cycles or self.size / 6
        kept = torch.exp(-squared / (2 * wide**2))
        kept[0, 0] = 0.0  # no picture is brighter than another
        kept = kept / kept.square().mean().sqrt()  # of variance 1
        smooth: Tensor = torch.fft.ifft2(torch.fft.fft2(white) * kept).real
        return smooth

    def _mean(self) -> float:
        """The mean brightness of a pixel, equal for all as shifts are uniform."""
        return float(self.contrast * _outlines(self.size)[: self.shapes].mean()) if self.shapes else 0.0


def rolled(image: Tensor, shift: Tensor) -> Tensor:
    """Roll each picture down and to the right: (samples, size, size), (samples, 2) -> (samples, size, size)."""
    size = image.shape[-1]
    rows, columns = (((torch.arange(size) - shift[:, axis : axis + 1]) % size) for axis in range(2))
    picked = image.gather(1, rows.unsqueeze(2).expand_as(image))
    return picked.gather(2, columns.unsqueeze(1).expand_as(image))


def _outlines(size: int) -> Tensor:
    """Return the shapes, (4, size, size), 1 where they are painted: within the middle half of the picture."""
    axis = torch.arange(size) - (size - 1) / 2
    far, reach = (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt(), size / 4
    wide = torch.maximum(axis.abs()[:, None], axis.abs()[None, :])
    narrow = torch.minimum(axis.abs()[:, None], axis.abs()[None, :])
    disc = far <= reach
    square = wide <= reach * 0.89  # of the disc's area
    ring = (far <= reach * 1.3) & (far > reach * 0.83)
    cross = (narrow <= reach / 3) & (wide <= reach * 1.3)
    return torch.stack([disc, square, ring, cross]).float()
