"""Components of variance of many units, and the groups of blocks that their standard errors come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self, final

import numpy as np
import torch
from torch import Tensor

from chiasm.measuring.variance.contrasts import Array, Contrasts
from chiasm.measuring.variance.designs import Design
from chiasm.statistics import jackknife_error

# Groups of blocks for standard errors. Student's t of 15 degrees of freedom widens an interval by 8.7 % over the normal
# one; coverage was the same with 16, 64 and 256 groups, and memory grows with them.
GROUPS = 16


@final
@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """Unbiased components of variance of many units; (*units,) stands for the units' axes.

    Attributes:
        contrasts: the coefficients that combine the rows.
        rows: (rows, *units) what a design keeps, averaged over blocks.
    """

    contrasts: Contrasts
    rows: Array

    @property
    def first(self) -> Array:
        """(sources, *units) what each source explains alone, V_j; noise may make it slightly negative."""
        return self._of(self.contrasts.first)

    @property
    def total(self) -> Array:
        """(sources, *units) the total effect of each source, T_j; never negative."""
        return self._of(self.contrasts.total)

    @property
    def variance(self) -> Array:
        """(*units,) the variance over all sources, V; never negative."""
        return self._of(self.contrasts.variance)

    @property
    def synergy(self) -> Array:
        """(*units,) what needs more than one source, V - sum of V_j."""
        return self._of(self.contrasts.synergy)

    @property
    def pairs(self) -> Array:
        """(pairs, *units) what needs both sources of a pair; never negative."""
        return self._of(self.contrasts.pairs)

    @property
    def shapley(self) -> Array | None:
        """(sources, *units) Shapley effects times V, adding to V; None where the design mixes subsets."""
        return None if self.contrasts.shapley is None else self._of(self.contrasts.shapley)

    def _of(self, contrast: Array) -> Array:
        return np.tensordot(contrast, self.rows, axes=1)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The sums that a design keeps, added up over the blocks of each group.

    Attributes:
        contrasts: the coefficients that combine the rows.
        sums: (groups, rows, *units) float64, added up over the blocks of a group.
        counts: (groups,) the number of blocks of each group, weighted.
    """

    contrasts: Contrasts
    sums: Array
    counts: Array

    @property
    def whole(self) -> Effects:
        """The components from all blocks."""
        return Effects(self.contrasts, self.sums.sum(0) / self.counts.sum())

    def without(self, group: int) -> Effects:
        """The components with one group of blocks left out."""
        rest = np.arange(len(self.counts)) != group
        return Effects(self.contrasts, self.sums[rest].sum(0) / self.counts[rest].sum())

    def spread(self, quantity: Callable[[Effects], Array]) -> tuple[Array, int]:
        """Return the standard error of a function of the effects, and its degrees of freedom.

        Blocks share no anchor, so they are independent replicates: the delete-one-group jackknife (Shao and Tu, The
        Jackknife and Bootstrap, 1995, section 2.3) holds for any smooth function.

        Args:
            quantity: maps effects with arrays (..., *units) to an array (..., *units) or to one of (...,).

        Returns:
            The error, of the quantity's shape, NaN where it is undefined once a group is left out; groups - 1.

        Raises:
            ValueError: fewer than two groups.
        """
        groups = len(self.counts)
        if groups < 2:
            raise ValueError("a standard error needs two groups or more")
        return jackknife_error(quantity(self.without(n)) for n in range(groups)), groups - 1

    def __getitem__(self, index: int) -> Self:
        """Return the components at one place of the first axis of the units: a row of a stack of networks."""
        return type(self)(self.contrasts, self.sums[:, :, index], self.counts)

    def part(self, units: slice) -> Self:
        """Return the components of some of the units of one axis."""
        return type(self)(self.contrasts, self.sums[..., units].copy(), self.counts)

    def flat(self) -> Self:
        """Return the components with units on one axis, whatever axes they had."""
        return type(self)(self.contrasts, self.sums.reshape(*self.sums.shape[:2], -1), self.counts)

    def arrays(self) -> Mapping[str, Array]:
        """Return what is needed beside the contrasts to rebuild the components."""
        return {"sums": self.sums, "counts": self.counts}


@final
class Accumulator:
    """Add up what a design keeps of many blocks, group by group: memory grows with units, not with answers.

    Args:
        design: the combinations of one block.
        blocks: the number of blocks.
        shape: the units' axes.
        device: where the answers are.
        groups: the number of groups that the blocks are divided into; at most `blocks`.

    >>> from chiasm.measuring.variance.designs import FactorialDesign
    >>> sums = Accumulator(FactorialDesign(2, 2), blocks=1, shape=(1,))
    >>> a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0, 4.0]])
    >>> sums.add(0, (a + b).reshape(1, 4, 1))
    >>> effects = sums.result().whole
    >>> effects.first[:, 0].round(4).tolist(), effects.synergy.tolist()  # variances of two values; no synergy
    ([2.0, 8.0], [0.0])
    """

    def __init__(
        self,
        design: Design,
        blocks: int,
        shape: tuple[int, ...],
        device: torch.device | str = "cpu",
        groups: int = GROUPS,
    ) -> None:
        self.design, self.blocks, self.shape = design, blocks, shape
        self.groups = min(groups, blocks)
        self._added = torch.zeros(blocks, dtype=torch.bool)
        self._weights = torch.zeros(self.groups, dtype=torch.float64)
        self._sums: Tensor | None = None
        self._device = device

    def add(self, start: int, answers: Tensor, weights: Tensor | None = None) -> None:
        """Add the answers to blocks [start, start + n); each block may be added once.

        Args:
            start: the first block.
            answers: (n, points, *shape), any floating dtype; half precision is widened to float32.
            weights: (n,) the weight of each block; by default 1.

        Raises:
            ValueError: the answers have the wrong shape, or belong to blocks already added.
        """
        n, points = len(answers), len(self.design.points)
        if tuple(answers.shape[1:]) != (points, *self.shape) or start < 0 or start + n > self.blocks:
            raise ValueError(f"answers {tuple(answers.shape)} from block {start} do not fit {self.blocks} blocks")
        if bool(self._added[start : start + n].any()):
            raise ValueError(f"blocks {start} to {start + n - 1} were already added")
        self._added[start : start + n] = True
        x = answers.detach().reshape(n, points, -1)
        rows = self.design.rows(x if x.dtype in (torch.float32, torch.float64) else x.float())
        if weights is not None:
            rows = rows * weights.to(rows.device, rows.dtype)[:, None, None]
        if self._sums is None:
            self._sums = torch.zeros(self.groups, *rows.shape[1:], dtype=torch.float64, device=self._device)
        size = self.blocks // self.groups
        if weights is None and self.blocks % self.groups == start % size == n % size == 0:  # whole groups, of one size
            whole = slice(start // size, (start + n) // size)
            self._sums[whole] += rows.reshape(-1, size, *rows.shape[1:]).sum(1, dtype=torch.float64)
            self._weights[whole] += size
            return
        for group in range(self._group(start), self._group(start + n - 1) + 1):
            first, last = self._first(group), self._first(group + 1)
            own = slice(max(first - start, 0), last - start)
            group_rows = rows[own]
            self._sums[group] += group_rows.sum(0, dtype=torch.float64)
            self._weights[group] += float(len(group_rows) if weights is None else weights[own].double().sum())

    def result(self) -> Components:
        """Return the components in float64 on the host.

        Raises:
            ValueError: blocks are missing.
        """
        if self._sums is None or not bool(self._added.all()):
            raise ValueError(f"{int(self._added.sum())} of {self.blocks} blocks were added")
        sums = self._sums.cpu().numpy()
        return Components(
            self.design.contrasts, sums.reshape(*sums.shape[:2], *self.shape), self._weights.numpy().copy()
        )

    def _first(self, group: int) -> int:
        return -(-group * self.blocks // self.groups)

    def _group(self, block: int) -> int:
        return block * self.groups // self.blocks
