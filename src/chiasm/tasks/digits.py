"""Scikit-learn's handwritten digits, cut into a left and a right half: two sources that are mostly redundant."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Annotated, final

import torch
from msgspec import Meta
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.sources import Batch, Source
from chiasm.tasks.task import Data, Description, Task, validate

SAMPLES = 1797
LARGEST_CLASS = 183  # the threes


@final
class Digits(Task, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="digits"):
    """Tell a handwritten digit from the left and the right half of its 8 x 8 picture.

    The 1797 pictures that come with scikit-learn (the test part of UCI "Optical Recognition of Handwritten Digits",
    Alpaydin and Kaynak 1998) are split at random for each seed and standardised by the mean and standard deviation
    of all pixels of the training pictures.

    Attributes:
        train: training samples, at most 1796.
        test: test samples; None: all that remain.

    Raises:
        ChiasmError: more samples are asked for than there are.

    >>> Digits().describe().test
    517
    """

    train: Annotated[int, Meta(ge=1)] = 1280
    test: Annotated[int, Meta(ge=1)] | None = None

    def __post_init__(self) -> None:
        validate(self)
        if self.train + (self.test or 1) > SAMPLES:
            asked = f"train = {self.train}" + (f" and test = {self.test}" if self.test else "")
            raise ChiasmError(f"{asked}: there are {SAMPLES} digits, and at least one is for testing")

    def describe(self) -> Description:
        """Return two sources, "left" and "right", images of shape (1, 8, 4), and ten classes."""
        return Description(
            sources=tuple(Source(name, (1, 8, 4), "image") for name in ("left", "right")),
            classes=tuple("0123456789"),
            train=self.train,
            test=SAMPLES - self.train if self.test is None else self.test,
            chance=LARGEST_CLASS / SAMPLES,
            note="Left and right halves of handwritten digits: either half alone tells most of them.",
        )

    def load(self, seed: int) -> Data:
        """Return the sets of a seed.

        Args:
            seed: the replicate's seed; it decides the split.

        Returns:
            Standardised halves (samples, 1, 8, 4); baseline is the mean of each pixel over the training set.

        Raises:
            ChiasmError: scikit-learn brings other digits than the known 1797.
        """
        pixels, target = _pictures()
        order = torch.randperm(SAMPLES, generator=generator(seed, "task split"))
        train, test = order[: self.train], order[self.train : self.train + self.describe().test]
        known = pixels[train]
        pixels = (pixels - known.mean()) / known.std(correction=0)
        baseline = _halves(pixels[train].mean(0))
        return Data(
            Batch(_halves(pixels[train]), target[train], baseline),
            Batch(_halves(pixels[test]), target[test], baseline),
        )

    def content_key(self) -> str:
        """Return the version of scikit-learn, whose files the digits are."""
        return f"scikit-learn {version('scikit-learn')}"


@cache
def _pictures() -> tuple[Tensor, Tensor]:
    """Return the raw pictures (1797, 1, 8, 8), whole numbers from 0 to 16 in float64, and their digits (1797,)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    if bunch.images.shape != (SAMPLES, 8, 8):
        raise ChiasmError(f"this scikit-learn brings digits of shape {bunch.images.shape}, not ({SAMPLES}, 8, 8)")
    return torch.tensor(bunch.images, dtype=torch.float64).unsqueeze(1), torch.tensor(bunch.target, dtype=torch.int64)


def _halves(pixels: Tensor) -> dict[str, Tensor]:
    pixels = pixels.float()
    return {"left": pixels[..., :4].contiguous(), "right": pixels[..., 4:].contiguous()}
