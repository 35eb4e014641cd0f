"""Statistics over replicates: intervals, paired contrasts, equivalence, many questions at once, the jackknife.

The replicate is a seed, a network or a group of blocks, whichever was drawn anew; units are never resampled. What each
interval covers is measured in `tests/test_statistics.py`. Numbers that are not finite, or out of their range, raise a
ChiasmError; `jackknife_error` alone takes NaN, and answers with NaN.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError, unknown

Name = TypeVar("Name", bound=Hashable)
#: The name of a replicate, a number or a word.
Seed = TypeVar("Seed", bound=Hashable)

LEVEL = 0.95
UNBOUNDED = (-math.inf, math.inf)
#: A spread below this share of the numbers that it comes from is rounding, not a spread.
ROUNDING = 1e-12
#: Degrees of freedom that the pooled variance counts for beside a contrast's own, found by simulation.
PRIOR = 4
#: Most seeds that `seeds_to_settle` looks at.
MOST_SEEDS = 1000


def t_quantile(level: float, freedom: float) -> float:
    """Return how many standard errors an interval of Student's t reaches to either side.

    Args:
        level: its coverage, in (0, 1).
        freedom: degrees of freedom, above 0.

    >>> round(t_quantile(0.95, 4), 3)
    2.776
    """
    if not 0 < level < 1:
        raise ChiasmError(f"level = {level}; expected a level inside (0, 1), 0.95 for instance")
    if not freedom > 0:
        raise ChiasmError(f"freedom = {freedom}; expected degrees of freedom above 0")
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def t_margin(level: float, parts: Sequence[tuple[ArrayLike, float]]) -> NDArray[np.float64]:
    """Return the half width of an interval whose error has several independent parts.

    The root of the sum of each part's own squared half width (Howe 1974): Student's t where one part is all of it, and
    in between at least as wide as it should be. The degrees of freedom of Welch and Satterthwaite, estimated
    themselves, make it too short where a part of 1 degree of freedom happens to come out small: 95 % covered 86 %.

    Args:
        level: its coverage, in (0, 1).
        parts: of each the variance of the estimate, a number or an array, and its degrees of freedom.

    >>> round(float(t_margin(0.95, [(0.04, 4), (0.0, 15)])), 3) == round(0.2 * t_quantile(0.95, 4), 3)
    True
    """
    squares = [t_quantile(level, freedom) ** 2 * np.asarray(variance) for variance, freedom in parts]
    return np.asarray(np.sqrt(np.sum(squares, axis=0)))


@dataclass(frozen=True)
class Estimate:
    """A mean over replicates, and how far to trust it.

    Attributes:
        mean: the mean.
        values: one number a replicate, in order.
        error: its standard error; None with fewer than two replicates, and where all agree exactly, which leaves no
            spread to judge by.
        freedom: degrees of freedom of the error.
        bounds: the range in which the quantity lies, the lower end first; intervals are cut there, which cannot lower
            their coverage.
    """

    mean: float
    values: tuple[float, ...] = ()
    error: float | None = None
    freedom: float = 0.0
    bounds: tuple[float, float] = UNBOUNDED

    def __post_init__(self) -> None:
        _check_finite((self.mean,), "mean")
        if self.error is not None and not (0 < self.error < math.inf and self.freedom > 0):
            raise ChiasmError(f"error = {self.error}, freedom = {self.freedom}; expected both above 0, or no error")
        if not self.bounds[0] <= self.bounds[1]:
            raise ChiasmError(f"bounds = {self.bounds}; expected the lower one first")

    @property
    def n(self) -> int:
        """The number of replicates."""
        return len(self.values)

    def interval(self, level: float = LEVEL) -> tuple[float, float] | None:
        """Return the ends of an interval of Student's t; None without an error."""
        if self.error is None:
            return None
        half, (least, most) = t_quantile(level, self.freedom) * self.error, self.bounds
        return min(max(least, self.mean - half), most), max(min(most, self.mean + half), least)

    @property
    def low(self) -> float | None:
        """The lower end of the 95 % interval; None without one."""
        return (self.interval() or (None, None))[0]

    @property
    def high(self) -> float | None:
        """The upper end of the 95 % interval; None without one."""
        return (self.interval() or (None, None))[1]

    def excludes(self, value: float, level: float = LEVEL) -> bool:
        """Tell whether there is an interval, and `value` lies outside of it."""
        ends = self.interval(level)
        return ends is not None and not ends[0] <= value <= ends[1]

    def within(self, margin: float, level: float = LEVEL) -> bool:
        """Tell whether the whole interval lies within (-margin, margin): no difference that counts is possible.

        A true difference as large as the margin is called within in at most half of 1 - level of all studies, which
        is the error of two one-sided tests.
        """
        ends = self.interval(level)
        return ends is not None and -margin < ends[0] and ends[1] < margin

    def p(self, value: float = 0.0) -> float:
        """Return the two-sided p of Student's t for a true mean of `value`; 1 without an error."""
        if self.error is None:
            return 1.0
        from scipy.special import stdtr

        return 2 * float(stdtr(self.freedom, -abs(self.mean - value) / self.error))

    def scaled(self, scale: float) -> Estimate:
        """Return the estimate in another unit, or turned round: 100 makes a share percent, -1 a gain a loss."""
        if scale == 0 or not math.isfinite(scale):
            raise ChiasmError(f"scale = {scale}; expected a number other than 0")
        values, error = tuple(scale * value for value in self.values), self.error and abs(scale) * self.error
        low, high = sorted(scale * end for end in self.bounds)
        return Estimate(scale * self.mean, values, error, self.freedom, (low, high))


def estimate(values: Sequence[float], bounds: tuple[float, float] = UNBOUNDED) -> Estimate | None:
    """Return the mean over replicates with its Student's t.

    It covers what it says where replicates are roughly normal. Of two, three and five skewed ones (log-normal, sigma 1)
    a 95 % interval covers 89, 84 and 82 %. Where one seed in ten collapses by sixty times the spread of the others, it
    covers the mean over all seeds in 59, 27 and 41 % of studies: a few seeds mostly hold no collapsed one.

    Args:
        values: one number a replicate.
        bounds: the range in which the quantity lies.

    Returns:
        The estimate; None without values; one without an error for a single value, or for values that agree exactly.

    >>> accuracy = estimate([0.90, 0.92, 0.94], bounds=(0, 1))
    >>> round(accuracy.mean, 3), round(accuracy.low, 3), round(accuracy.high, 3)
    (0.92, 0.87, 0.97)
    """
    numbers = tuple(float(value) for value in values)
    _check_finite(numbers, "value")
    return _estimate(numbers, max(map(abs, numbers), default=0.0), bounds)


def difference(
    left: Mapping[Seed, float], right: Mapping[Seed, float], bounds: tuple[float, float] = UNBOUNDED
) -> Estimate | None:
    """Return the mean of left - right over the seeds that both have, in their order; as `estimate`.

    Differences that are only rounding of the numbers have no error.

    Args:
        left: one number a seed, by seed.
        right: likewise.
        bounds: as for `estimate`.

    >>> difference({0: 0.9, 1: 0.8, 2: 0.5}, {0: 0.4, 1: 0.4}).values
    (0.5, 0.4)
    """
    common = _in_order(left.keys() & right.keys())
    terms = [float(values[seed]) for values in (left, right) for seed in common]
    _check_finite(terms, "value")
    numbers = tuple(float(left[seed]) - float(right[seed]) for seed in common)
    return _estimate(numbers, max(map(abs, terms), default=0.0), bounds)


class Replicates(Generic[Name]):
    """A quantity of several cells over the same seeds: contrasts of cells, with the spread of all cells behind each.

    A contrast is a weighted sum of cells within each seed. Its variance is its own over seeds and that of all cells,
    weighed as degrees of freedom: with two to five seeds its own alone says next to nothing, and that of all cells
    alone is wrong for cells of unusual spread. In studies of 10 and 33 cells and two to five seeds without any effect,
    95 % intervals covered 96 to 98 % where cells spread alike, with an effect of the seed and a run in ten missing, and
    98 to 99 % for skewed and for collapsing seeds. Where half of the cells spread five times as much as the others: 95
    to 98 % between a calm and a wild cell, 89 to 94 % between wild ones. Where two cells alone do: 74 to 91 % and 69 to
    88 %, which is why `unusual` names them.

    Args:
        cells: by name, one number a seed, by seed; a cell without any is known, and has no contrast.

    >>> cells = Replicates({"control": {0: 90.0, 1: 92.0, 2: 91.0}, "early": {0: 80.0, 1: 83.0, 2: 81.0}})
    >>> lost = cells.contrast({"control": 1, "early": -1})
    >>> round(lost.mean, 2), lost.freedom
    (9.67, 2)
    """

    def __init__(self, cells: Mapping[Name, Mapping[Any, float]]) -> None:
        self.cells = {name: {seed: float(y) for seed, y in values.items()} for name, values in cells.items()}
        for values in self.cells.values():
            _check_finite(values.values(), "value")

    @cached_property
    def _pooled(self) -> tuple[float, int]:
        """The residual variance of one run after cell and seed, and its degrees of freedom."""
        cells = [values for values in self.cells.values() if values]
        seeds = dict.fromkeys(seed for values in cells for seed in values)
        if not cells:
            return 0.0, 0
        y = np.array([[values.get(seed, np.nan) for seed in seeds] for values in cells])
        there = np.isfinite(y)
        # Cells are absorbed by centring within them, which leaves normal equations of the seeds alone.
        share = there / there.sum(1, keepdims=True)
        left = np.where(there, y - np.nansum(share * y, axis=1, keepdims=True), 0.0)
        normal = np.diag(there.sum(0)) - there.T @ share
        effects, _, rank, _ = np.linalg.lstsq(normal, left.sum(0), rcond=1e-9)
        freedom = int(there.sum() - len(y) - rank)
        if freedom < 1:
            return 0.0, 0
        residual = np.where(there, left - effects + (share @ effects)[:, None], 0.0)
        variance = float((residual**2).sum() / freedom)
        return variance if math.sqrt(variance) > ROUNDING * float(np.nanmax(abs(y))) else 0.0, freedom

    def contrast(self, weights: Mapping[Name, float], bounds: tuple[float, float] = UNBOUNDED) -> Estimate | None:
        """Return a weighted sum of cells, paired by seed.

        Args:
            weights: by name of cells that are there; {"control": 1, "early": -1} is what the early deficit costs.
            bounds: the range in which it lies.

        Returns:
            The estimate over the seeds that all of its cells have, in their order; None where there is none. It has no
            error where these are fewer than two, or fewer than half of the seeds that any of its cells has.
        """
        for name in weights:
            if name not in self.cells:
                raise unknown("cell", str(name), map(str, self.cells))
        _check_finite(weights.values(), "weight")
        cells = [self.cells[name] for name in weights]
        every = {seed for values in cells for seed in values}
        common = _in_order(seed for seed in every if all(seed in values for values in cells))
        if not common:
            return None
        terms = [[w * values[seed] for w, values in zip(weights.values(), cells, strict=True)] for seed in common]
        numbers, scale = tuple(map(math.fsum, terms)), max(abs(term) for row in terms for term in row)
        n, mean = len(numbers), math.fsum(numbers) / len(numbers)
        if 2 * n < len(every) or n < 2:
            return Estimate(mean, numbers, None, 0, bounds)
        pool, freedom = self._pooled
        if not freedom:
            return _estimate(numbers, scale, bounds)
        own = math.fsum((value - mean) ** 2 for value in numbers) / (n - 1)
        pooled = math.fsum(w * w for w in weights.values()) * pool
        variance = (PRIOR * pooled + (n - 1) * own) / (PRIOR + n - 1)
        return Estimate(mean, numbers, _error(variance / n, n, scale), min(PRIOR + n - 1, freedom), bounds)

    def unusual(self, times: float = 3.0) -> list[Name]:
        """Return the cells whose spread over seeds is more than `times` the median spread of all cells."""
        spreads = {name: float(np.std(list(v.values()), ddof=1)) for name, v in self.cells.items() if len(v) > 1}
        middle = float(np.median(list(spreads.values()))) if spreads else 0.0
        return [name for name, spread in spreads.items() if spread > times * middle > 0]


def collapsed(values: Mapping[Seed, float], by: float, higher_is_better: bool = True) -> list[Seed]:
    """Return the seeds that are worse than their cell's median by more than `by`; none of fewer than three seeds.

    Args:
        values: one number a seed, by seed.
        by: in the unit of the values; 0 or less finds none.
        higher_is_better: the direction.

    >>> collapsed({0: 91.0, 1: 25.0, 2: 92.0}, by=20), collapsed({0: 91.0, 1: 25.0}, by=20)
    ([1], [])
    """
    _check_finite(values.values(), "value")
    if len(values) < 3 or by <= 0:
        return []
    middle, sign = median(values.values()), 1 if higher_is_better else -1
    return [seed for seed, value in values.items() if sign * (middle - value) > by]


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p values of several questions, adjusted for their number by Holm's step-down procedure.

    To call those at or below a level is to call a false one in at most that share of studies, however the questions
    depend on each other.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    if not all(0 <= p <= 1 for p in ps):
        raise ChiasmError(f"p values = {list(ps)}; expected numbers in [0, 1]")
    adjusted, least = [1.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        least = max(least, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = least
    return adjusted


def seeds_to_settle(estimated: Estimate, margin: float, level: float = LEVEL) -> int | None:
    """Return how many seeds would settle whether a difference counts, if it and its spread are what they seem.

    Args:
        estimated: a difference over n >= 2 seeds.
        margin: what counts, in the same unit; at 0 or below, any difference does.
        level: of the interval that must leave 0 out, for a difference of the margin or more.

    Returns:
        The least number above n at which the interval leaves 0 out, for a difference of the margin or more, or lies
        within the margin, for a smaller one; None where more than a thousand would not do, or without an error.

    >>> seeds_to_settle(estimate([1.0, 4.0, 2.5]), margin=2.0)
    4
    """
    if estimated.error is None:
        return None
    gap = abs(estimated.mean) if abs(estimated.mean) >= margin else margin - abs(estimated.mean)
    spread, first = estimated.error * math.sqrt(estimated.n), estimated.n + 1

    def enough(n: int) -> bool:
        return t_quantile(level, max(estimated.freedom + n - estimated.n, 1)) * spread / math.sqrt(n) < gap

    n = first + bisect_left(range(first, MOST_SEEDS + 1), True, key=enough)
    return n if n <= MOST_SEEDS else None


def jackknife(whole: float, without: Sequence[float], bounds: tuple[float, float] = UNBOUNDED) -> Estimate:
    """Return a statistic over replicates with the interval that leaving each out in turn gives, by Tukey's jackknife.

    The mean and Student's t of the pseudo-values n whole - (n - 1) without. Of a mean it is exactly Student's; of a
    smooth function of means, such as a ratio, approximately that, with the bias of order 1 / n taken out.

    Args:
        whole: the statistic of all replicates.
        without: the statistic without each replicate in turn, two of them or more.
        bounds: as for `estimate`.

    >>> made = jackknife(0.92, [0.93, 0.92, 0.91])
    >>> round(made.mean, 3), [round(value, 3) for value in made.values], round(made.low, 3)
    (0.92, [0.9, 0.92, 0.94], 0.87)
    """
    n = len(without)
    pseudo_values = estimate([n * whole - (n - 1) * value for value in without], bounds)
    if pseudo_values is None or n < 2:
        raise ChiasmError(f"a jackknife of {n} replicates; expected two or more")
    return pseudo_values


def jackknife_error(without: Iterable[ArrayLike]) -> NDArray[np.float64]:
    """Return the standard error of a statistic by the delete-one jackknife, Tukey's.

    One pass with two arrays in memory, as a hundred thousand units times sixteen groups of blocks take room.

    Args:
        without: the statistic without each replicate in turn, two of them or more; numbers, or arrays of one shape.

    Returns:
        The error, of the statistic's shape, with a degree of freedom fewer than replicates; NaN where one is NaN.

    >>> round(float(jackknife_error([0.93, 0.92, 0.91])), 5), round(estimate([0.90, 0.92, 0.94]).error, 5)
    (0.01155, 0.01155)
    """
    n, mean, squares = 0, np.zeros(()), np.zeros(())
    for n, statistic in enumerate(without, start=1):
        value = np.asarray(statistic, dtype=np.float64)
        if n == 1:
            mean, squares = value.copy(), np.zeros_like(value)
            continue
        step = value - mean
        mean += step / n
        squares += step * (value - mean)
    if n < 2:
        raise ChiasmError(f"a jackknife of {n} replicates; expected two or more")
    return np.asarray(np.sqrt(squares * ((n - 1) / n)))


def _estimate(numbers: tuple[float, ...], scale: float, bounds: tuple[float, float]) -> Estimate | None:
    if not numbers:
        return None
    n, mean = len(numbers), math.fsum(numbers) / len(numbers)
    variance = math.fsum((value - mean) ** 2 for value in numbers) / max(1, n - 1)
    return Estimate(mean, numbers, _error(variance / n, n, scale), n - 1, bounds)


def _error(squared: float, n: int, scale: float) -> float | None:
    """The error, unless it is that of one number, or rounding of numbers as large as `scale`."""
    error = math.sqrt(squared)
    return error if n > 1 and error > ROUNDING * scale else None


def _in_order(seeds: Iterable[Seed]) -> list[Seed]:
    """Sort seeds, numbers before words."""
    return sorted(seeds, key=lambda seed: (isinstance(seed, str), seed))


def _check_finite(numbers: Iterable[float], what: str) -> None:
    if not all(map(math.isfinite, numbers := list(numbers))):
        wrong = next(number for number in numbers if not math.isfinite(number))
        raise ChiasmError(f"{what} = {wrong}; expected a finite number")
