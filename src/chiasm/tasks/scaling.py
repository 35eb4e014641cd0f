"""Standardising by the training samples only, in pieces, so that no float64 copy of a large source is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Standard = Literal["global", "feature", "none"]

PIECE = 2**20  # elements in float64 at a time: 8 MiB, about a cache


def standardised(x: NDArray[Any], train: NDArray[np.int64], standard: Standard) -> tuple[Tensor, Tensor]:
    """Standardise a source by its training samples.

    Args:
        x: (samples, *shape) finite numbers of any real type.
        train: (k,) indices of the training samples, k >= 1.
        standard: "global": one mean and standard deviation of all elements; "feature": one of each element; "none".
            What is constant over the training samples is centred and not scaled.

    Returns:
        The source (samples, *shape) and its mean over the training samples (*shape,), both float32.

    >>> x, baseline = standardised(np.array([[0, 10], [2, 30], [9, 99]]), np.array([0, 1]), "feature")
    >>> x[:2].tolist(), baseline.tolist()
    ([[-1.0, -1.0], [1.0, 1.0]], [0.0, 0.0])
    """
    mean, variance = _moments(x, train)
    centre, spread = np.zeros(()), np.ones(())
    if standard == "feature":
        centre, spread = mean, np.sqrt(variance)
    elif standard == "global":
        pivot = mean.flat[0]
        centre = pivot + (mean - pivot).mean()
        spread = np.sqrt(variance.mean() + np.square(mean - centre).mean())
    spread = np.where(spread > 0, spread, 1.0)
    scaled = np.empty(x.shape, np.float32)
    for piece in pieces(len(x), x[0].size):
        scaled[piece] = (x[piece].astype(np.float64) - centre) / spread
    baseline = np.asarray((mean - centre) / spread, np.float32)
    return torch.from_numpy(scaled), torch.from_numpy(baseline)


def _moments(x: NDArray[Any], train: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of each element, in two passes around the first sample.

    With that pivot a constant element has variance 0 exactly; around a rounded mean it would have about 1e-33, and
    dividing by its root would blow rounding errors up to size one.
    """
    pivot = x[train[0]].astype(np.float64)
    total, squares = np.zeros(x.shape[1:]), np.zeros(x.shape[1:])
    for piece in pieces(len(train), x[0].size):
        total += (x[train[piece]].astype(np.float64) - pivot).sum(0)
    offset = total / len(train)
    for piece in pieces(len(train), x[0].size):
        squares += np.square(x[train[piece]].astype(np.float64) - pivot - offset).sum(0)
    return pivot + offset, squares / len(train)


def pieces(samples: int, elements: int) -> Iterator[slice]:
    """Yield slices of so many samples of so many elements that each covers about PIECE elements."""
    step = max(1, PIECE // elements)
    return (slice(start, start + step) for start in range(0, samples, step))
