"""Matrices to be completed from some of their entries: low rank, any pattern of what is shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.theory.arguments import Floats, check, numbers

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class CompletionTask:
    """A matrix, and what is shown of it.

    Attributes:
        truth: (n, n) the matrix.
        mask: (n, n) which entries are shown.
        shown: (n, n) their values, with noise or without; what lies outside the mask does not count.

    Raises:
        ChiasmError: shapes differ, an entry is not finite, or none is shown.

    >>> CompletionTask.of(np.eye(2), [[1, 0], [0, 1]]).observed
    2
    """

    truth: Floats
    mask: Bools
    shown: Floats

    def __post_init__(self) -> None:
        if self.truth.ndim != 2 or self.truth.shape[0] != self.truth.shape[1]:
            raise ChiasmError(f"truth has shape {self.truth.shape}; expected a square matrix")
        for name in ("mask", "shown"):
            if getattr(self, name).shape != self.truth.shape:
                raise ChiasmError(f"{name}: its shape {getattr(self, name).shape} is not that of truth")
        if not (np.isfinite(self.truth).all() and np.isfinite(self.shown[self.mask]).all()):
            raise ChiasmError("truth: the matrix has entries that are NaN or infinite; expected finite ones")
        if not self.mask.any():
            raise ChiasmError("mask: no entry is shown; show one or more")

    @staticmethod
    def of(truth: ArrayLike, mask: ArrayLike, noise: float = 0.0, seed: int = 0) -> CompletionTask:
        """Show the entries of a matrix that a mask picks.

        Args:
            truth: (n, n) finite.
            mask: (n, n), true or 1 where an entry is shown.
            noise: standard deviation of Gaussian noise on what is shown, 0 or more.
            seed: of the noise.

        Raises:
            ChiasmError: as the class, or the noise is negative.
        """
        picked = np.asarray(mask)
        if picked.dtype.kind not in "biuf" or not np.isin(picked, (0, 1)).all():
            raise ChiasmError("mask: expected an array of true and false, or of 1 and 0")
        check("noise", noise, least=0)
        matrix = numbers("truth", truth).copy()
        drawn = _normal(matrix.shape, seed, "completion noise") if noise else 0.0
        return CompletionTask(matrix, np.array(mask, bool), matrix + noise * drawn)

    @property
    def size(self) -> int:
        """The side n of the matrix."""
        return len(self.truth)

    @property
    def observed(self) -> int:
        """How many entries are shown."""
        return int(self.mask.sum())

    def error(self, matrices: Floats) -> Floats:
        """Return the squared error on the entries that are not shown, as a share of the truth's squares there.

        Args:
            matrices: (..., n, n).

        Returns:
            (...): 0 where they are right, 1 for the answer 0; NaN where every entry is shown.
        """
        hidden = ~self.mask
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            squares = ((matrices - self.truth)[..., hidden] ** 2).sum(-1)
            return np.asarray(squares / (self.truth[hidden] ** 2).sum())


def low_rank(size: int, rank: int, seed: int, purpose: str = "completion matrix") -> Floats:
    """Draw a matrix U V^T with Gaussian factors, scaled to the Frobenius norm `size`: its entries have mean square 1.

    Args:
        size: side n, at least 1.
        rank: columns of U and V, 1 to n.
        seed: of the draw.
        purpose: names the stream; another name gives another matrix.

    Raises:
        ChiasmError: the rank does not fit.

    >>> matrix = low_rank(6, 2, seed=0)
    >>> int(np.linalg.matrix_rank(matrix)), round(float(np.linalg.norm(matrix)), 6)
    (2, 6.0)
    """
    if size < 1 or not 1 <= rank <= size:
        raise ChiasmError(f"rank = {rank} of a {size} x {size} matrix; expected 1 to {max(size, 1)}")
    u, v = (_normal((size, rank), seed, purpose, factor) for factor in range(2))
    product = u @ v.T
    return np.asarray(product * (size / np.linalg.norm(product)))


def random_mask(size: int, observed: int, seed: int) -> Bools:
    """Show `observed` entries of a square matrix, drawn without replacement; fewer of one seed are among more.

    Raises:
        ChiasmError: there are not so many entries.

    >>> bool((random_mask(4, 3, seed=0) <= random_mask(4, 8, seed=0)).all())
    True
    """
    if not 1 <= observed <= size * size:
        raise ChiasmError(f"observed = {observed}; expected 1 to {size * size} entries")
    order = torch.randperm(size * size, generator=generator(seed, "completion mask")).numpy()
    mask = np.zeros(size * size, bool)
    mask[order[:observed]] = True
    return mask.reshape(size, size)


def block_mask(size: int, blocks: int) -> Bools:
    """Show the blocks on the diagonal, as equal as can be: two that share no row and no column with another.

    Raises:
        ChiasmError: there are more blocks than rows.

    >>> block_mask(3, 2).astype(int).tolist()
    [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    """
    if not 1 <= blocks <= size:
        raise ChiasmError(f"blocks = {blocks} of a {size} x {size} matrix; expected 1 to {size}")
    block = np.concatenate([np.full(len(part), k) for k, part in enumerate(np.array_split(np.arange(size), blocks))])
    return np.asarray(block[:, None] == block)


def thin(mask: Bools, observed: int, seed: int) -> Bools:
    """Keep `observed` of the shown entries of a mask, drawn without replacement.

    Raises:
        ChiasmError: fewer are shown.

    >>> int(thin(block_mask(4, 2), 3, seed=0).sum())
    3
    """
    shown = np.flatnonzero(mask)
    if not 1 <= observed <= len(shown):
        raise ChiasmError(f"few = {observed}; expected 1 to {len(shown)} of the shown entries")
    order = torch.randperm(len(shown), generator=generator(seed, "completion few")).numpy()
    kept = np.zeros(mask.size, bool)
    kept[shown[order[:observed]]] = True
    return kept.reshape(mask.shape)


def _normal(shape: tuple[int, ...], seed: int, purpose: str, step: int = 0) -> Floats:
    drawn: Floats = torch.randn(shape, generator=generator(seed, purpose, 0, step), dtype=torch.float64).numpy()
    return drawn
