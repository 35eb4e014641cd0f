"""Dependence: whether sources depend on each other in the data, so that pairing them at random leaves the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import final

import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.measuring.mistakes import check_whole_number
from chiasm.measuring.sampling.samples import same_length
from chiasm.randomness import generator

# The centring divides by n - 2 and n - 1 and leaves n (n - 3) / 2 free numbers: none with three samples.
FEWEST = 4

SURE = 0.01

# A correlation of .11 in a bivariate normal. The weakest real pairs that were tried share nothing but their label (a
# spoken and a written digit; two CIFAR-10 pictures of one class): .018 to .053 over draws of 500, and nine in ten of
# their product pairs join labels that never meet in the data. All other real pairs were above .1 (halves of digits
# .33). Independent sources reach .007 to .017, by their distribution, in one draw of a hundred. So small a number can
# be far, because noise of many features dilutes it: at 500 samples it is p that decides, and the bar is for many more
# samples, where any speck is sure.
FAR = 0.01

# How many of each sample are in float64 at a time: 16 MiB at 500 samples.
FEATURES = 4096

# Of the squares: rounding leaves about 1e-16 of them where the distance is zero, and the root of that is 1e-8.
SAME = 1e-13

# Of the mean distance: rounding leaves about 1e-15 where all distances are equal.
LEVEL = 1e-10

# Sums of 250,000 products of unit norm that are equal on paper differ by about 1e-15.
TIE = 1e-12


@final
@dataclass(frozen=True, slots=True)
class Dependence:
    """The result of a test of independence of two sources.

    Attributes:
        first: a source.
        second: the other source.
        correlation: their bias-corrected squared distance correlation, at most 1 and around 0 if they are independent
            (then slightly negative as often as not); NaN from fewer than 4 samples.
        p: the p value of the permutation test of independence, in (0, 1]; 1 without a verdict.
        samples: how many samples it rests on.

    >>> Dependence("left", "right", 0.31, 0.005, 500).far
    True
    """

    first: str
    second: str
    correlation: float
    p: float
    samples: int

    @property
    def far(self) -> bool:
        """Whether product pairing is far from the data: p <= 0.01 and a correlation of at least 0.01."""
        return self.p <= SURE and self.correlation >= FAR

    def sentence(self) -> str:
        """Return the result in one sentence and, where it is far, which pairing stays closer.

        >>> Dependence("left", "right", 0.002, 0.3, 500).sentence()
        'sources left and right show no dependence (squared distance correlation 0.002, p = 0.3, 500 samples)'
        """
        pair = f"sources {self.first} and {self.second}"
        if math.isnan(self.correlation):
            return f"{pair}: {self.samples} samples are too few to tell whether they depend on each other"
        numbers = f"squared distance correlation {self.correlation:.2g}, p = {self.p:.2g}, {self.samples} samples"
        if self.far:
            return (
                f"{pair} depend on each other ({numbers}): product pairing shows pairs unlike the data; "
                f"pairing='within_class' or 'local' stays closer"
            )
        if self.p <= SURE:
            return f"{pair} depend on each other too little to matter ({numbers})"
        return f"{pair} show no dependence ({numbers})"


def dependence(
    sources: Mapping[str, Tensor], seed: int = 0, samples: int = 500, permutations: int = 199
) -> tuple[Dependence, ...]:
    """Test every pair of sources for independence by distance correlation and permutation.

    Distances are Euclidean over all elements of a sample, each feature as it stands: what is large in the data as the
    network sees them counts most, and what is given in other units gives other numbers. (Standardising each feature
    first gave .27 instead of .33 for halves of digits, .23 instead of .17 for depth and inertia of one movement, and
    the same verdict for each of 25 real pairs.) Token ids count as numbers.

    Any p is valid, as the permutations include the one at hand and ties count against dependence. In many dimensions
    the test sees little but linear dependence between features (Zhu, Zhang, Yao and Shao 2020, Annals of Statistics
    48: 3366): in 500 samples, a copy with a random sign for each is found at 16 features and missed at 64. No
    dependence shown is no proof of independence. A constant source depends on nothing: correlation 0 and p 1. Fewer
    than 4 samples give no verdict: correlation NaN and p 1.

    Args:
        sources: (n, *shape) real tensors by name, in step: sample i of all sources belongs together. On any device;
            the test is done on the CPU in float64.
        seed: of the drawn samples and the permutations.
        samples: how many are drawn at most; memory and time go with its square.
        permutations: the smallest possible p is 1 / (permutations + 1), so below 99 nothing is ever far.

    Returns:
        One verdict for each pair, in the order of the sources; none for a single source.

    Raises:
        ChiasmError: a source that is no real tensor with samples first, unequal numbers of samples, NaN, infinity or
            overflow in a source, `samples` or `permutations` below 1.

    Source:
        Székely and Rizzo 2013 (J. Multivariate Analysis 117: 193) and 2014 (Annals of Statistics 42: 2382).

    >>> x = torch.linspace(-1, 1, 101)[:, None]
    >>> [(d.first, d.second, d.far, d.p) for d in dependence({"left": x, "right": x**2})]
    [('left', 'right', True, 0.005)]
    """
    check_whole_number("samples", samples, 1, optional=False)
    check_whole_number("permutations", permutations, 1, optional=False)
    n = _in_step(sources)
    index = torch.randperm(n, generator=generator(seed, "dependence"))[:samples]
    n = len(index)
    pairs = tuple(combinations(sources, 2))
    if n < FEWEST:
        return tuple(Dependence(first, second, math.nan, 1.0, n) for first, second in pairs)
    centred = {name: _centred(name, x.detach().index_select(0, index.to(x.device))) for name, x in sources.items()}
    stream = generator(seed, "dependence permutations")
    orders = [torch.randperm(n, generator=stream) for _ in range(permutations)]
    results = []
    for first, second in pairs:
        # By name, so that the order of the sources changes no number.
        a, b = (centred[name].flatten() for name in sorted((first, second)))
        correlation = float(a @ b)
        # One flat index a permutation: 2.5 times faster than b[order][:, order] at 500 samples.
        permuted = torch.stack([a @ b.index_select(0, (n * order[:, None] + order).flatten()) for order in orders])
        reached = int((permuted >= correlation - TIE).sum())
        results.append(Dependence(first, second, correlation, (1 + reached) / (1 + permutations), n))
    return tuple(results)


def distance_correlation(x: Tensor, y: Tensor) -> float:
    """Return the bias-corrected squared distance correlation of two sources, from all of their samples.

    Args:
        x: (n, ...) real numbers, one sample a row.
        y: (n, ...) real numbers, in step with `x`.

    Returns:
        A number up to 1: about 0 for independent sources, where it is negative as often as not; 0 if a source is
        constant or all its samples are equally far from each other; NaN for fewer than 4 samples. Not a root: it
        compares with the square of a correlation.

    Raises:
        ChiasmError: as `dependence` does.

    Source:
        Székely and Rizzo 2014 (Annals of Statistics 42: 2382), Definition 2; tested against the closed form for the
        bivariate normal of Székely, Rizzo and Bakirov 2007 (Annals of Statistics 35: 2769), Theorem 7.

    >>> x = torch.tensor([[0.0], [1.0], [3.0], [4.0], [9.0]])
    >>> round(distance_correlation(x, 2 - 5 * x), 9)
    1.0
    """
    if _in_step({"x": x, "y": y}) < FEWEST:
        return math.nan
    return float(_centred("x", x.detach()).flatten() @ _centred("y", y.detach()).flatten())


def _in_step(sources: Mapping[str, Tensor]) -> int:
    """Return the number of samples, the same for all sources (0 without a source)."""
    for name, x in sources.items():
        if not isinstance(x, Tensor) or x.ndim == 0 or x.is_complex():
            given = f"of {x.ndim} axes and type {x.dtype}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
            raise ChiasmError(f"source '{name}' is {given}; give a torch tensor of real numbers, samples first")
    return same_length({name: len(x) for name, x in sources.items()})


def _distances(name: str, x: Tensor) -> Tensor:
    """Return the Euclidean distances (n, n) between the samples of x (n, ...), in float64 on the CPU."""
    gram = torch.zeros(len(x), len(x), dtype=torch.float64)
    rows = x.reshape(len(x), math.prod(x.shape[1:]))
    for start in range(0, rows.shape[1], FEATURES):
        values = rows[:, start : start + FEATURES].to("cpu", torch.float64)
        # Distances stay, what is far from zero cancels less, and a constant is zero exactly: its mean may not be.
        values = values - values[0]
        gram.addmm_(values, values.T)
    if not gram.isfinite().all():
        raise ChiasmError(f"source '{name}' holds NaN, infinity or numbers too large to square; remove those samples")
    norms = gram.diagonal()
    squares = norms[:, None] + norms
    differences = squares - gram - gram.T
    return torch.where(differences > SAME * squares, differences, 0.0).sqrt().fill_diagonal_(0.0)


def _centred(name: str, x: Tensor) -> Tensor:
    """Return the U-centred distances (n, n) with norm 1, or zero if nothing is left after centring."""
    distances = _distances(name, x)
    n = len(distances)
    sums = distances.sum(1)
    total = sums.sum()
    centred = distances - (sums[:, None] + sums) / (n - 2) + total / ((n - 1) * (n - 2))
    centred.fill_diagonal_(0.0)
    norm = torch.linalg.matrix_norm(centred)
    # Of a matrix of n x n elements that are LEVEL of the mean distance, the norm is this.
    return centred / norm if norm > LEVEL * total / (n - 1) else torch.zeros_like(centred)
