"""Random-dot stereograms on a torus: neither eye alone knows anything of the disparity, both together know it."""

from __future__ import annotations

from typing import Annotated, Literal, final

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.sources import Batch, Source
from chiasm.tasks.task import Data, Description, Task, validate

# If a fraction p of all pairs is not in the training set, test * (1-p)^200 samples are expected to be still without
# a place after 200 rounds: under one in twenty for 1024 samples and p = 0.05.
ROUNDS = 200


@final
class Stereogram(Task, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="stereogram"):
    """Tell by how many dots the right eye's picture is shifted against the left eye's (after Julesz 1971).

    The left eye sees independent dots, -1 or +1 with probability 1/2 each; the right eye the same dots rolled by the
    disparity. Labels are drawn independently and uniformly (not balanced by count). The roll of uniform dots is
    uniform whatever the label, so each eye is exactly independent of the label; both eyes determine it, save for
    patterns that are equal to themselves after a roll by the difference of two disparities.

    The test set comes from its own stream. With a fixed training set, pairs of pictures that occur in training are
    drawn again, so no training sample is tested (`rejected` counts them). What a network has memorised of one eye then
    moves it off chance on the test set (down, where it answers as memorised), by at most `train / 2**dots` of chance:
    3 % of it at the defaults, .25 +- .008.

    Attributes:
        dims: 1: a ring of `size` dots, source kind "vector", shape (size,). 2: `size` x `size` dots, kind "image",
            shape (1, size, size), shifted along the last axis.
        size: dots per side, at least 2.
        disparities: shifts in dots, at least two, different modulo `size`; class k is `disparities[k]`.
        train: training samples (in an epoch).
        test: test samples.
        fresh: draw new training samples in every epoch.
        noise: the share of dots flipped, independently in each eye, in [0, 0.5].
        dots: "binary": -1 and +1.

    Raises:
        ChiasmError: a field is out of its range, or two disparities are the same shift.

    >>> data = Stereogram(size=8, disparities=(-1, 1), train=4, test=2).load(seed=0)
    >>> tuple(data.train.sources["left"].shape), data.train.baseline["right"].sum().item()
    ((4, 8), 0.0)
    """

    dims: Literal[1, 2] = 1
    size: Annotated[int, Meta(ge=2)] = 16
    disparities: Annotated[tuple[int, ...], Meta(min_length=2)] = (-2, -1, 1, 2)
    train: Annotated[int, Meta(ge=1)] = 2048
    test: Annotated[int, Meta(ge=1)] = 1024
    fresh: bool = False
    noise: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    dots: Literal["binary"] = "binary"

    def __post_init__(self) -> None:
        validate(self)
        for later, disparity in enumerate(self.disparities):
            for other in self.disparities[:later]:
                if (disparity - other) % self.size == 0:
                    raise ChiasmError(
                        f"disparities: {other} and {disparity} are the same shift of {self.size} dots; "
                        f"give shifts that differ modulo the size"
                    )

    def describe(self) -> Description:
        """Return two sources, "left" and "right", of shape (size,) or (1, size, size), a class a disparity."""
        if self.dims == 1:
            sources = tuple(Source(name, (self.size,), "vector") for name in ("left", "right"))
        else:
            sources = tuple(Source(name, (1, self.size, self.size), "image") for name in ("left", "right"))
        return Description(
            sources=sources,
            classes=tuple(str(disparity) for disparity in self.disparities),
            train=self.train,
            test=self.test,
            chance=1 / len(self.disparities),
            note="Random-dot stereograms on a torus: only both eyes together know the disparity.",
        )

    def draws(self) -> bool:
        """Return the field `fresh`."""
        return self.fresh

    def load(self, seed: int) -> Data:
        """Return the sets of a seed; the training set is `draw(seed, 0)`.

        Args:
            seed: the replicate's seed.

        Returns:
            Sources of -1 and +1 (float32), baseline 0, which is their exact mean.

        Raises:
            ChiasmError: there are too few different patterns for a test set without training samples.
        """
        train = self.draw(seed, 0)
        return Data(train, self._test(seed, train)[0])

    def draw(self, seed: int, epoch: int) -> Batch:
        """Return a whole new training epoch: `train` samples from the stream of (seed, epoch)."""
        return self._sample(generator(seed, "task train", epoch), self.train)

    def rejected(self, seed: int) -> int:
        """Return how many test samples of a seed were drawn again because training has them (0 if `fresh`)."""
        return self._test(seed, self.draw(seed, 0))[1]

    def right_eye(self, left: Tensor, target: Tensor) -> Tensor:
        """Roll each pattern by the disparity of its class, along the last axis.

        Args:
            left: (samples, ..., size), any values.
            target: (samples,) classes.

        Returns:
            The rolled patterns, shaped like `left`.

        >>> task = Stereogram(size=4, disparities=(0, 1))
        >>> task.right_eye(torch.tensor([[1, 2, 3, 4], [1, 2, 3, 4]]), torch.tensor([0, 1])).tolist()
        [[1, 2, 3, 4], [4, 1, 2, 3]]
        """
        shift = torch.tensor(self.disparities)[target].view(-1, *[1] * (left.ndim - 1))
        index = (torch.arange(self.size) - shift) % self.size
        return left.gather(-1, index.expand_as(left))

    def _sample(self, stream: torch.Generator, samples: int) -> Batch:
        shape = self.describe().sources[0].shape
        # Dots, labels, flips, in this order: `noise` and `disparities` leave the dots as they are.
        left = torch.randint(2, (samples, *shape), generator=stream).float() * 2 - 1
        target = torch.randint(len(self.disparities), (samples,), generator=stream)
        eyes = {"left": left, "right": self.right_eye(left, target)}
        if self.noise > 0:
            for name, x in eyes.items():
                flip = torch.rand(x.shape, generator=stream) < self.noise
                eyes[name] = torch.where(flip, -x, x)
        return Batch(eyes, target, {name: torch.zeros(shape) for name in eyes})

    def _test(self, seed: int, train: Batch) -> tuple[Batch, int]:
        batch = self._sample(generator(seed, "task test"), self.test)
        if self.fresh:
            return batch, 0
        known = set(_pictures(train))
        rejected = 0
        again = torch.arange(self.test)
        for step in range(1, ROUNDS + 1):
            pictures = _pictures(batch.take(again))
            again = again[torch.tensor([picture in known for picture in pictures])]
            if not len(again):
                return batch, rejected
            rejected += len(again)
            # In place, so that all other samples are those of the fresh task.
            new = self._sample(generator(seed, "task test", 0, step), len(again))
            for name, x in batch.sources.items():
                x[again] = new.sources[name]
            batch.target[again] = new.target
        raise ChiasmError(
            f"size = {self.size}: nearly every pair of pictures is among the {self.train} training samples, so none is "
            f"left to test; give a larger size, fewer training samples, or fresh = true"
        )


def _pictures(batch: Batch) -> list[bytes]:
    """Pack both eyes of each sample into bytes: equal bytes, equal pair."""
    both = torch.cat([x.flatten(1) for x in batch.sources.values()], dim=1)
    return [row.tobytes() for row in np.packbits(both.numpy() > 0, axis=1)]
