"""Two noisy copies of one signal, to be fused: what a linear map of both can reach, and what one alone can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from chiasm.errors import ChiasmError, unknown
from chiasm.theory.arguments import Floats, check, check_int

KINDS = ("zero", "decorrelate")


@dataclass(frozen=True)
class FusionProblem:
    """Predict a signal from two sources, each the signal plus independent noise: x_a = s + n_a, x_b = s + n_b, y = s.

    s ~ N(0, I), n ~ N(0, noise I), all independent. Everything is a multiple of the identity, so the population's
    second moments are a matrix over the two sources: (1 + noise_a, 1; 1, 1 + noise_b), and 1 with the target for each.
    The loss of maps W_a, W_b is E |y - W_a x_a - W_b x_b|^2 / 2, summed over features.

    Attributes:
        features: how many features the signal has, at least 1.
        noise: the variance of the noise of either source, 0 or more. Both 0: the sources are redundant.
        deficit: what source b shows while it is impaired. "zero": nothing. "decorrelate": an independent copy of
            itself, of the same variance.

    Raises:
        ChiasmError: a field is out of its range.

    >>> problem = FusionProblem(noise=(0.3, 0.3))
    >>> [round(w, 4) for w in problem.optimum], round(problem.single, 4)
    ([0.4348, 0.4348], 0.2007)
    """

    features: int = 4
    noise: tuple[float, float] = (0.3, 0.3)
    deficit: Literal["zero", "decorrelate"] = "zero"

    def __post_init__(self) -> None:
        check_int("features", self.features)
        if check("noise", self.noise, least=0).shape != (2,):
            raise ChiasmError(f"noise = {self.noise}; expected the variance of source a's noise and of source b's")
        if self.deficit not in KINDS:
            raise unknown("deficit", self.deficit, KINDS)

    @property
    def seconds(self) -> Floats:
        """Second moments of the two sources with each other, (2, 2), in units of the signal's variance."""
        return np.array([[1 + self.noise[0], 1.0], [1.0, 1 + self.noise[1]]])

    def moments(self, impaired: bool) -> tuple[Floats, Floats]:
        """Return the second moments (2, 2) of the sources and their moments (2,) with the target.

        >>> FusionProblem(deficit="decorrelate").moments(impaired=True)[0].tolist()
        [[1.3, 0.0], [0.0, 1.3]]
        """
        seconds, target = self.seconds, np.ones(2)
        if impaired:
            seconds[0, 1] = seconds[1, 0] = target[1] = 0
            if self.deficit == "zero":
                seconds[1, 1] = 0
        return seconds, target

    @property
    def optimum(self) -> tuple[float, float]:
        """The best W_a and W_b, as multiples of the identity; without noise the ones of least norm."""
        a, b = self.noise
        both = a + b + a * b
        return (b / both, a / both) if both > 0 else (0.5, 0.5)

    @property
    def single(self) -> float:
        """By how much the loss of the better source alone exceeds the optimum; 0 where a source has no noise."""
        alone = 1 / (1 + min(self.noise))
        return self.features / 2 * (sum(self.optimum) - alone)

    def excess(self, maps: Floats) -> Floats:
        """Return the excess loss of maps over the optimum, as a share of the excess of the best single source.

        Args:
            maps: (..., 2, features, features) of W_a and W_b.

        Returns:
            (...): 0 at the optimum, 1 for the best map of one source alone; NaN where a single source is as good as
            both. The optimum is that of the loss itself: a penalty on the weights keeps a network a little above it.
        """
        if self.single < 1e-12:
            return np.full(maps.shape[:-3], np.nan)
        away = maps - np.array(self.optimum)[:, None, None] * np.eye(self.features)
        # From the distance, not as a difference of losses: no cancellation near the optimum.
        flat = away.reshape(*away.shape[:-2], -1)
        with np.errstate(over="ignore", invalid="ignore"):
            excess: Floats = 0.5 * (flat @ flat.swapaxes(-2, -1) * self.seconds).sum((-2, -1)) / self.single
        return excess


def share(maps: Floats) -> Floats:
    """Return |W_b| / (|W_a| + |W_b|) with Frobenius norms: 1/2 where both sources count alike, 0 where b is lost.

    Args:
        maps: (..., 2, features, features) of W_a and W_b.

    >>> share(np.array([[[3.0]], [[1.0]]])).item()
    0.25
    """
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt((maps * maps).sum((-2, -1)))
        return np.asarray(norms[..., 1] / norms.sum(-1))
