"""Designs: which combinations of anchors a block shows a model, and what is kept of its answers."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import Protocol, final

import numpy as np
import torch
from torch import Tensor

from chiasm.measuring.variance.contrasts import Contrasts, contrasts_from, pairs_of

# All combinations of two anchors a source are 2^N answers a block; beyond this many sources only some are shown.
MOST_FACTORIAL = 5


class Design(Protocol):
    """What is done with a block: `levels` anchors of each of `sources` sources, drawn independently.

    Attributes:
        sources: the number of sources.
        levels: anchors of each source in a block.
        points: (points, sources) int64, which anchor of each source each answer is about, in [0, levels).
        contrasts: the coefficients that combine the rows into components of variance.
    """

    @property
    def sources(self) -> int: ...

    @property
    def levels(self) -> int: ...

    @property
    def points(self) -> Tensor: ...

    @property
    def contrasts(self) -> Contrasts: ...

    def rows(self, x: Tensor) -> Tensor:
        """Reduce the answers (blocks, points, units) to sums of squares (blocks, rows, units), 0 or more."""
        ...


@final
class FactorialDesign:
    """Every anchor of a source with every anchor of all others: a random-effects layout with one answer a cell.

    Kept are the mean squares MS_S of every subset S of sources, of expectation (Searle, Casella and McCulloch, Variance
    Components, 1992, section 4.3)

        E MS_S = sum over U containing S of levels^(sources - |U|) s_U,

    which inverts to the s_U without bias. For two sources these are the mean squares of a two-way layout; with two
    levels the total effects are Jansen's (1999), T_j = E[(f - f')²] / 2 where only source j differs.

    Args:
        sources: 2 or more.
        levels: 2 or more.

    >>> two = FactorialDesign(2, 3)
    >>> a, b = torch.tensor([0.0, 1.0, 5.0])[:, None], torch.tensor([2.0, 4.0, 6.0])
    >>> (torch.from_numpy(two.contrasts.first) @ two.rows((a + b).reshape(1, 9, 1)).double())[0, :, 0].round().tolist()
    [7.0, 4.0]
    """

    def __init__(self, sources: int, levels: int) -> None:
        self.sources, self.levels = sources, levels
        self.points = torch.tensor(list(product(range(levels), repeat=sources)))
        # Orthonormal contrasts of the levels. Their rows add to zero, so they may act on differences from the first.
        steps = np.tril(np.ones((levels - 1, levels)))
        for n in range(1, levels):
            steps[n - 1] = (np.arange(levels) < n) - n * (np.arange(levels) == n)
            steps[n - 1] /= np.sqrt(n * (n + 1))
        self._level_contrasts = torch.from_numpy(steps[:, 1:].copy())

    @cached_property
    def contrasts(self) -> Contrasts:
        """The contrasts, by inversion over supersets."""
        subsets = range(1, 2**self.sources)
        parts = {
            s: {
                u - 1: Fraction((-1) ** (u.bit_count() - s.bit_count()), self.levels ** (self.sources - s.bit_count()))
                for u in subsets
                if u & s == s
            }
            for s in subsets
        }
        return contrasts_from(parts, self.sources, 2**self.sources - 1)

    def rows(self, x: Tensor) -> Tensor:
        """Return the mean squares (blocks, 2^sources - 1, units), by bit mask from 1."""
        k, contrasts = self.levels, self._level_contrasts.to(x.device, x.dtype)
        parts = {0: x.reshape(len(x), *[k] * self.sources, x.shape[-1])}
        for j in reversed(range(self.sources)):
            split: dict[int, Tensor] = {}
            for subset, part in parts.items():
                # Taken relative to the first level, a source that changes nothing leaves exactly zero, and a unit's
                # offset costs no digits.
                head, rest = part.select(j + 1, 0), part.narrow(j + 1, 1, k - 1)
                change = (rest - head.unsqueeze(j + 1)).movedim(j + 1, -2)
                split[subset] = head + change.sum(-2) / k
                effect = change * contrasts.item() if k == 2 else contrasts @ change
                split[subset | 1 << j] = effect.movedim(-2, j + 1)
            parts = split
        kept = []
        for subset in range(1, 2**self.sources):
            size = subset.bit_count()
            effect = parts[subset].reshape(len(x), -1, x.shape[-1])
            kept.append(effect.square().sum(1) * (k ** (self.sources - size) / (k - 1) ** size))
        return torch.stack(kept, 1)


@final
class PickFreeze:
    """Two anchors a source, and only the combinations in which at most two sources differ from the rest.

    The block shows x, y, each with one source taken from the other, and x with each two taken from y. Kept are, per
    block, half the mean squared difference of answers that differ in source j (T_j), in all sources but j, in all
    sources (V), and mixed differences in i and j. Totals by Jansen (1999); first order V_j = V - T_(all but j), the
    estimator of Jansen as recommended by Saltelli et al. (2010, table 2); pairs by mixed differences (Liu and Owen
    2006, theorem 1). Which larger groups of sources work together is not estimated, and so neither are Shapley effects.

    Args:
        sources: 3 or more.
    """

    levels = 2

    def __init__(self, sources: int) -> None:
        self.sources = sources
        full = 2**sources - 1
        single = [1 << j for j in range(sources)]
        self._pairs = pairs_of(sources)
        masks = [0, full, *single, *(full ^ bit for bit in single), *(single[i] | single[j] for i, j in self._pairs)]
        masks = list(dict.fromkeys(masks))
        self.points = torch.tensor([[mask >> j & 1 for j in range(sources)] for mask in masks])
        place = {mask: n for n, mask in enumerate(masks)}

        def differing_in(by: int) -> Tensor:
            """Places of all pairs of answers that differ in just these sources."""
            return torch.tensor([(n, place[m ^ by]) for m, n in place.items() if m ^ by in place and m < m ^ by])

        self._differences = [differing_in(by) for by in (*single, *(full ^ bit for bit in single), full)]
        self._mixed = torch.tensor(
            [[place[0], place[single[i]], place[single[j]], place[single[i] | single[j]]] for i, j in self._pairs]
        )

    @cached_property
    def contrasts(self) -> Contrasts:
        """The contrasts; most rows are components already."""
        n, pairs = self.sources, len(self._pairs)
        rows = np.eye(2 * n + 1 + pairs)
        total, others, variance = rows[:n], rows[n : 2 * n], rows[2 * n]
        first = variance - others
        return Contrasts(first, total, variance, variance - first.sum(0), rows[2 * n + 1 :], None)

    def rows(self, x: Tensor) -> Tensor:
        """Return (blocks, 2 * sources + 1 + pairs, units)."""
        kept = [(x[:, at[:, 0]] - x[:, at[:, 1]]).square().mean(1) / 2 for at in self._differences]
        neither, i, j, both = (x[:, at] for at in self._mixed.T)
        # (f - f_i) - (f_j - f_ij): exactly zero where either source changes nothing.
        mixed = ((neither - i) - (j - both)).square() / 4
        return torch.cat([torch.stack(kept, 1), mixed], 1)
