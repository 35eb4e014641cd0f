"""The paper's own pooling: a ratio for each pair of anchors, of the variances over one source while the other stays."""

from __future__ import annotations

from math import prod
from typing import final

import numpy as np
import torch
from torch import Tensor

from chiasm.measuring.components import Array


@final
class PerAnchor:
    """Accumulate, for every anchor, the variance of many units over the other source.

    For anchor pair k: RSV_k = [Var_a(f | b_k) - Var_b(f | a_k)] / [their sum], +1 where only the first-named source
    matters (Kleinman, Achille and Soatto, CVPR 2023, equation 5; the histograms they plot show the opposite sign).

    Args:
        anchors: (K, M).
        shape: (units,) or any other trailing shape of a block.
        device: where the blocks are.

    >>> a, b = torch.tensor([1.0, -1.0]), torch.tensor([0.0, 1.0, 5.0])
    >>> grid = PerAnchor((2, 3), (1,))
    >>> grid.add(0, (a[:, None] + b).unsqueeze(-1))
    >>> grid.result()[:, 0].round(3).tolist()  # (2 - 7) / (2 + 7) at each of the two pairs
    [-0.556, -0.556]
    """

    def __init__(self, anchors: tuple[int, int], shape: tuple[int, ...], device: torch.device | str = "cpu") -> None:
        self.anchors, self.shape = anchors, shape
        (K, M), units = anchors, prod(shape)
        self._rows = torch.zeros(K, units, dtype=torch.float64, device=device)
        self._sums = torch.zeros(2, M, units, dtype=torch.float64, device=device)
        self._pilot: Tensor | None = None

    def add(self, start: int, block: Tensor) -> None:
        """Take in (k, M, *shape) responses to the a-anchors [start, start + k) with every b-anchor."""
        flat = block.detach().reshape(len(block), self.anchors[1], -1)
        if self._pilot is None:
            self._pilot = flat[0].clone()
        # Relative to one response, a unit that ignores a source has a variance of exactly zero over it.
        self._rows[start : start + len(flat)] = (flat - flat[:, :1]).var(1).double()
        d = flat - self._pilot
        self._sums[0] += d.sum(0)
        self._sums[1] += d.square_().sum(0)

    def result(self) -> Array:
        """Return (anchors, *shape): one RSV in [-1, 1] a pair (a_k, b_k), k < min(K, M); NaN where nothing varies."""
        K, pairs = self.anchors[0], min(self.anchors)
        sums, squares = self._sums[:, :pairs]
        over_a = ((squares - sums.square() / K) / (K - 1)).clamp_min(0)
        over_b = self._rows[:pairs]
        ratio = ((over_a - over_b) / (over_a + over_b)).reshape(pairs, *self.shape)
        return np.asarray(ratio.cpu().numpy(), dtype=np.float64)
