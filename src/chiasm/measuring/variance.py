"""Two-way analysis of variance on a grid of anchors: one pass, memory that grows with units and not with pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import prod
from typing import final

import numpy as np
import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.measuring.components import Components

# A block is worked on in tiles of at most this many anchors a side, so that a tile is still in the processor's cache
# when it is read the second, third and fourth time (2 MB at 2,048 units; measured 3 to 4 times faster than untiled).
TILE = 16
# Small layers take wider tiles, up to so many numbers (512 KB): 2.6 times faster at 64 units than 16 anchors a side.
NUMBERS = 131072
# The result is worked out for so many units at a time: a hundredth of what the sums of a layer of 100,000 units take.
UNITS = 4096


@final
class TwoWay:
    """Accumulate the responses f(a_k, b_m) of many units to every pair of K anchors of a and M anchors of b.

    The mean squares of a two-way layout with random rows and columns (a_k, b_m drawn from the product of marginals)
    give unbiased components:

        V_AB = MS_AB        V_A = (MS_A - MS_AB) / M        V_B = (MS_B - MS_AB) / K
        T_A = V_A + V_AB    T_B = V_B + V_AB                V = V_A + V_B + V_AB

    (Searle, Casella and McCulloch, Variance Components, 1992, section 4.3; one observation a cell.)

    Every response is taken relative to the first row seen and to the first column, d = f_km - f_0m - f_k0 + f_00,
    which leaves interactions as they are. So a unit's offset costs no digits, float32 is enough within a block, and a
    unit that only one source reaches has the other's components at exactly zero.

    Args:
        anchors: (K, M), both 2 or more.
        shape: the trailing shape of a block, any: (units,), (rows, units).
        groups: into how many groups the anchors of each source are divided for standard errors; 0 keeps none.
        device: where the blocks are.

    Raises:
        ChiasmError: fewer than 2 anchors, or groups that cannot be left out.

    >>> grid = TwoWay((2, 3), (1,))
    >>> a, b = torch.tensor([1.0, -1.0]), torch.tensor([0.0, 1.0, 5.0])
    >>> grid.add(0, (a[:, None] + b).unsqueeze(-1))
    >>> c = grid.result()
    >>> c.first[:, 0].tolist(), c.interaction.tolist()  # the sample variances of a and b; nothing needs both
    ([2.0, 7.0], [0.0])
    """

    def __init__(
        self, anchors: tuple[int, int], shape: tuple[int, ...], groups: int = 0, device: torch.device | str = "cpu"
    ) -> None:
        K, M = anchors
        if min(K, M) < 2:
            raise ChiasmError(f"a grid needs 2 anchors or more of each source; given: {K} and {M}")
        if groups and not (2 <= groups <= min(K, M) and min(n - -(-n // groups) for n in anchors) >= 2):
            raise ChiasmError(
                f"groups = {groups} cannot be left out one by one from {K} and {M} anchors; give 0, or 2 or more that "
                "leave 2 anchors of each source"
            )
        self.anchors, self.shape, self.groups = (K, M), shape, groups
        units, parts = prod(shape), max(groups, 1)
        # Anchors come in random order, so that neighbours make as good a group as any others.
        self._rows = [g * K // parts for g in range(parts + 1)]
        self._columns = [g * M // parts for g in range(parts + 1)]
        self._seen = [False] * K
        self._pilot: Tensor | None = None

        def zeros(*lead: int) -> Tensor:
            return torch.zeros(*lead, units, dtype=torch.float64, device=device)

        # Of d²: sums by group of rows, and by group of columns. Of d: sums over a group of rows, column by column.
        self._squares = zeros(2, parts)
        self._column_sums = zeros(parts, M)
        # Of R, R², S and S², where R is a row's sum of d and S its sum of f less a constant: sums over a group of rows
        # with all columns; and over all rows without a group of columns.
        self._rows_in = zeros(parts, 4)
        self._rows_without = zeros(groups, 4)

    def add(self, start: int, block: Tensor) -> None:
        """Take in the responses to the a-anchors [start, start + k) with every b-anchor.

        Args:
            start: the first a-anchor, in [0, K).
            block: (k, M, *shape), any floating dtype; half precision is widened to float32.

        Raises:
            ChiasmError: the block does not fit the grid, or holds anchors that were already taken in.
        """
        k, M = len(block), self.anchors[1]
        if tuple(block.shape[1:]) != (M, *self.shape) or start < 0 or start + k > self.anchors[0]:
            raise ChiasmError(
                f"a block of shape {tuple(block.shape)} from anchor {start} does not fit a grid of {self.anchors} "
                f"anchors of shape {self.shape}"
            )
        if any(self._seen[start : start + k]):
            raise ChiasmError(f"anchors {start} to {start + k - 1} were already taken in")
        self._seen[start : start + k] = [True] * k
        block = block.detach()
        if block.dtype not in (torch.float32, torch.float64):
            block = block.float()
        if self._pilot is None:
            self._pilot = block[0].reshape(M, -1).clone()
        for g, first, last in self._spans(start, k):
            self._add_rows(g, block[first - start : last - start])

    def result(self) -> Components:
        """Return the components in float64, raw and unbiased, on the host.

        Raises:
            ChiasmError: anchors are missing.
        """
        if not all(self._seen):
            raise ChiasmError(
                f"the grid is not whole: {sum(self._seen)} of {len(self._seen)} anchors of the first source were seen"
            )
        units = prod(self.shape)
        slices = [self._slice(slice(start, start + UNITS)) for start in range(0, max(units, 1), UNITS)]
        whole, left_out = slices[0]
        if len(slices) > 1:
            whole = _side_by_side([part for part, _ in slices])
            left_out = tuple(map(_side_by_side, zip(*(rest for _, rest in slices), strict=True)))
        return Components(whole.first, whole.total, whole.interaction, whole.variance, left_out).shaped(self.shape)

    def _slice(self, units: slice) -> tuple[Components, tuple[Components, ...]]:
        """Return the components of some units, and the same with each group of rows, and of columns, left out."""
        assert self._pilot is not None
        K, M = self.anchors
        constant = self._pilot[:, units].double()
        constant = constant - constant[0]
        by_group = self._column_sums[..., units]
        columns, squares = by_group.sum(0), self._squares[..., units]
        rows_in, rows_without = self._rows_in[..., units], self._rows_without[..., units]
        whole = _components(K, constant, columns, rows_in.sum(0), squares[0].sum(0))
        if not self.groups:
            return whole, ()
        less_rows, less_columns = [], []
        for g, (first, last) in enumerate(pairwise(self._rows)):
            rest = [r for r in range(self.groups) if r != g]
            some = rows_in[rest].sum(0), squares[0, rest].sum(0)
            less_rows.append(_components(K - last + first, constant, columns - by_group[g], *some))
        for h, (first, last) in enumerate(pairwise(self._columns)):
            rest = [c for c in range(self.groups) if c != h]
            kept = torch.cat([torch.arange(first), torch.arange(last, M)]).to(columns.device)
            some = rows_without[h], squares[1, rest].sum(0)
            less_columns.append(_components(K, constant[kept], columns[kept], *some))
        return whole, (_stacked(less_rows), _stacked(less_columns))

    def _spans(self, start: int, k: int) -> Iterator[tuple[int, int, int]]:
        for g, (low, high) in enumerate(pairwise(self._rows)):
            for first in range(max(low, start), min(high, start + k), TILE):
                yield g, first, min(first + TILE, high, start + k)

    def _add_rows(self, g: int, block: Tensor) -> None:
        assert self._pilot is not None
        offset = block[:, 0].reshape(len(block), -1) - self._pilot[0]
        sums = []
        for h, (low, high) in enumerate(pairwise(self._columns)):
            by_row = torch.zeros_like(offset)
            wide = max(TILE, NUMBERS // max(1, offset.numel()))
            for first in range(low, high, wide):
                last = min(first + wide, high)
                d = block[:, first:last].reshape(len(block), last - first, -1) - self._pilot[first:last]
                d.sub_(offset[:, None])
                by_row += d.sum(1)
                self._column_sums[g, first:last] += d.sum(0)
                square = d.square_().sum((0, 1))
                self._squares[0, g] += square
                self._squares[1, h] += square
            sums.append(by_row.double())
        whole, M, e = torch.stack(sums).sum(0), self.anchors[1], offset.double()
        self._add_row_sums(self._rows_in[g], whole, e * M)
        for h in range(self.groups):
            left = M - self._columns[h + 1] + self._columns[h]
            self._add_row_sums(self._rows_without[h], whole - sums[h], e * left)

    @staticmethod
    def _add_row_sums(into: Tensor, R: Tensor, e: Tensor) -> None:
        S = R + e
        into[0] += R.sum(0)
        into[1] += R.square().sum(0)
        into[2] += S.sum(0)
        into[3] += S.square().sum(0)


def _components(K: int, constant: Tensor, columns: Tensor, rows: Tensor, squares: Tensor) -> Components:
    """Turn the sums over K rows and len(columns) columns that `TwoWay` keeps into components."""
    M = len(columns)
    R, R2, S, S2 = rows
    mean = columns / K + constant
    ss_a = ((S2 - S.square() / K) / M).clamp_min(0)
    ss_b = K * (mean - mean.mean(0)).square().sum(0)
    ss_ab = (squares - R2 / M - columns.square().sum(0) / K + R.square() / (K * M)).clamp_min(0)
    ms_a, ms_b, ms_ab = ss_a / (K - 1), ss_b / (M - 1), ss_ab / ((K - 1) * (M - 1))
    first = torch.stack([(ms_a - ms_ab) / M, (ms_b - ms_ab) / K])
    # T_A = mean over b of the variance over a; written as a sum of terms that cannot be negative, as V is.
    total = torch.stack([(ms_a + (M - 1) * ms_ab) / M, (ms_b + (K - 1) * ms_ab) / K])
    variance = ms_a / M + ms_b / K + ms_ab * (1 - 1 / K - 1 / M)
    return Components(first.cpu().numpy(), total.cpu().numpy(), ms_ab.cpu().numpy(), variance.cpu().numpy())


def _stacked(less: Sequence[Components]) -> Components:
    """Put components on a new axis before the units: (sources, groups, units) and (groups, units)."""
    return Components(
        np.stack([c.first for c in less], 1),
        np.stack([c.total for c in less], 1),
        np.stack([c.interaction for c in less]),
        np.stack([c.variance for c in less]),
    )


def _side_by_side(parts: Sequence[Components]) -> Components:
    """Join components along the units."""
    return Components(
        np.concatenate([c.first for c in parts], -1),
        np.concatenate([c.total for c in parts], -1),
        np.concatenate([c.interaction for c in parts], -1),
        np.concatenate([c.variance for c in parts], -1),
    )
