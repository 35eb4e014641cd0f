"""Statistics over replicates, against scipy, closed forms, and what they promise over thousands of simulated studies.

A share of `STUDIES` simulated studies that is p in truth is seen with a standard error of sqrt(p (1 - p) / STUDIES);
accepted is what lies within four of them: 1.4 points of 95 %, 2.7 points of 75 %. Draws are fixed, so nothing here
fails by chance; another seed would fail each test once in ten thousand times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from chiasm.errors import ChiasmError
from chiasm.statistics import (
    Estimate,
    Replicates,
    collapsed,
    difference,
    estimate,
    holm,
    jackknife,
    jackknife_error,
    seeds_to_settle,
    t_margin,
    t_quantile,
)

Floats = NDArray[np.float64]
STUDIES = 4000


def slack(share: float, studies: int) -> float:
    """Four standard errors of a share that is seen in so many studies."""
    return 4 * math.sqrt(share * (1 - share) / studies)


def made(values: list[float] | Floats, bounds: tuple[float, float] = (-math.inf, math.inf)) -> Estimate:
    found = estimate(list(values), bounds)
    assert found is not None
    return found


def covered(estimates: list[Estimate | None], truth: float) -> float:
    """The share of estimates with an interval, all of them, that holds the truth."""
    intervals = [one.interval() for one in estimates if one is not None]
    assert len(intervals) == len(estimates)
    return float(np.mean([ends is not None and ends[0] <= truth <= ends[1] for ends in intervals]))


# -- one sample of replicates ----------------------------------------------------------------------------------------


Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Log-normal of sigma 1, shifted to mean 0: skewness 6.2."""
    return rng.lognormal(0, 1, shape) - math.exp(0.5)


def collapsing(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """One seed in ten ends 60 points lower, the others spread by one point; shifted to mean 0."""
    return rng.standard_normal(shape) - 60.0 * (rng.random(shape) < 0.1) + 6.0


# What `estimate` says of itself. The shares of skewed and collapsing seeds have no closed form that is simpler than the
# simulation; of collapsing ones they are a little below the share of samples that hold some but not only collapsed
# seeds, and for five, 1 - .9^5 = .41.
OF_ESTIMATE = [
    (normal, 2, 0.95), (normal, 3, 0.95), (normal, 5, 0.95),
    (skewed, 2, 0.89), (skewed, 3, 0.84), (skewed, 5, 0.82),
    (collapsing, 2, 0.59), (collapsing, 3, 0.27), (collapsing, 5, 0.41),
]  # fmt: skip


@pytest.mark.parametrize(("draw", "n", "expected"), OF_ESTIMATE)
def test_an_interval_over_seeds_covers_what_its_docstring_says(draw: Draw, n: int, expected: float) -> None:
    # 4000 studies; nominal 95 %, accepted: what is expected (given to half a point) within four standard errors.
    rows = draw(np.random.default_rng(n), (STUDIES, n))
    share = covered([estimate(row) for row in rows.tolist()], 0.0)
    assert abs(share - expected) < 0.005 + slack(expected, STUDIES)


def test_an_interval_is_that_of_scipy() -> None:
    values = [0.91, 0.94, 0.92, 0.97]
    one = made(values)
    for level in (0.5, 0.95, 0.999):
        low, high = stats.t.interval(level, 3, np.mean(values), stats.sem(values))
        assert one.interval(level) == pytest.approx((low, high))
    assert (one.mean, one.low, one.high, one.n) == pytest.approx(
        (0.935, *stats.t.interval(0.95, 3, 0.935, one.error), 4)
    )
    assert t_quantile(0.9, 7) == pytest.approx(stats.t.ppf(0.95, 7))


def test_p_values_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 3, 5, 20):
        x, y = rng.standard_normal((2, n)) + 0.5
        assert made(x).p() == pytest.approx(stats.ttest_1samp(x, 0).pvalue, rel=1e-9)
        assert made(x).p(1.3) == pytest.approx(stats.ttest_1samp(x, 1.3).pvalue, rel=1e-9)
        paired = difference(dict(enumerate(x)), dict(enumerate(y)))
        assert paired is not None
        assert paired.p() == pytest.approx(stats.ttest_rel(x, y).pvalue, rel=1e-9)
        # An interval leaves 0 out where p is below one minus its level.
        assert paired.excludes(0, 0.9) == (paired.p() < 0.1)
    assert Estimate(3.0).p() == 1


def test_intervals_stop_at_what_is_possible_and_still_cover() -> None:
    one = made([0.99, 1.0], (0, 1))
    assert one.high == 1
    assert one.low is not None
    assert one.low > 0.9
    # A share whose mean is .97, cut at 1: the 4000 studies without a cut that hold .97 are those with one.
    draws = np.random.default_rng(0).beta(97, 3, (STUDIES, 3)).tolist()
    assert covered([estimate(row, (0, 1)) for row in draws], 0.97) == covered([estimate(row) for row in draws], 0.97)
    # Numbers beyond the range give an interval at its edge, not one turned round.
    assert made([1.2, 1.21, 1.22], (0, 1)).interval() == (1, 1)


def test_one_seed_has_no_interval_and_none_has_nothing() -> None:
    one = made([0.5])
    assert (one.mean, one.low, one.high, one.p()) == (0.5, None, None, 1)
    assert not one.excludes(0)
    assert not one.within(10)
    assert estimate([]) is None


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-30, 3.3e29])
def test_replicates_that_agree_have_no_interval(value: float) -> None:
    last_digit = value * (1 + 2**-52)
    for values in ([value] * 3, [value, value, last_digit], [last_digit, value]):
        one = made(values)
        assert (one.error, one.interval(), one.p()) == (None, None, 1)
        assert not one.excludes(-1)
        assert not one.within(1e31)  # a spread of nothing may be one that is not seen
    level = dict.fromkeys(range(4), 0.1 + 0.2)
    same = {0: 0.3, 1: 0.3, 2: 0.1 + 0.2, 3: 0.3}  # the last digit differs
    changed = difference(level, same)
    assert changed is not None
    assert changed.error is None
    contrast = Replicates({"a": level, "b": same, "c": {s: v + 1e-16 for s, v in same.items()}}).contrast(
        {"a": 1, "b": -1}
    )
    assert contrast is not None
    assert contrast.error is None


@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1.0, 1e9, 1e30])
def test_the_scale_of_the_numbers_does_not_matter(scale: float) -> None:
    values = [0.90, 0.92, 0.97]
    one, other = made(values).scaled(scale), made([scale * value for value in values])
    assert other.interval() == pytest.approx(one.interval(), rel=1e-9)
    assert other.p(0.8 * scale) == pytest.approx(made(values).p(0.8))
    assert other.within(2 * scale)
    rng = np.random.default_rng(0)
    for holes in ((), ((1, 2), (4, 0))):
        cells = {
            c: {s: y for s, y in enumerate(row) if (c, s) not in holes}
            for c, row in enumerate(rng.normal(50, 2, (6, 3)))
        }
        far = {c: {s: scale * y for s, y in row.items()} for c, row in cells.items()}
        plain, scaled = (Replicates(x).contrast({0: 1, 1: -1}) for x in (cells, far))
        assert plain is not None
        assert scaled is not None
        assert (scaled.mean, scaled.error) == pytest.approx((scale * plain.mean, scale * plain.error), rel=1e-9, abs=0)  # type: ignore[operator]
        assert scaled.freedom == plain.freedom
        assert Replicates(far).unusual() == Replicates(cells).unusual()


def test_an_estimate_in_another_unit_or_turned_round() -> None:
    one = made([0.2, 0.4, 0.3], (0, 1))
    lost = one.scaled(-100)
    assert lost.values == pytest.approx((-20, -40, -30))
    assert lost.bounds == (-100, 0)
    assert lost.interval() == pytest.approx(tuple(sorted(-100 * end for end in one.interval() or ())))
    assert lost.p(-20) == pytest.approx(one.p(0.2))
    for scale in (0.0, math.inf, math.nan):
        with pytest.raises(ChiasmError, match="expected a number other than 0"):
            one.scaled(scale)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    for call in (
        lambda: estimate([1.0, bad, 2.0]),
        lambda: difference({0: 1.0, 1: bad}, {0: 1.0, 1: 2.0}),
        lambda: Replicates({"a": {0: 1.0, 1: bad}}),
        lambda: Replicates({"a": {0: 1.0}}).contrast({"a": bad}),
        lambda: collapsed({0: 1.0, 1: bad, 2: 3.0}, 1.0),
        lambda: jackknife(1.0, [bad, 1.0]),
        lambda: Estimate(bad),
    ):
        with pytest.raises(ChiasmError, match=r"= (nan|-?inf); expected a finite number"):
            call()
    with pytest.raises(ChiasmError, match="expected numbers in"):
        holm([0.2, bad])
    assert difference({0: 1.0, 1: bad}, {0: 2.0}) is not None  # a seed that is not compared does not count


def test_what_cannot_be_is_refused() -> None:
    for level in (0, 1, 95, math.nan):
        with pytest.raises(ChiasmError, match="expected a level inside"):
            made([1.0, 2.0]).interval(level)
    with pytest.raises(ChiasmError, match="expected degrees of freedom above 0"):
        t_quantile(0.95, 0)
    for error, freedom in ((0.0, 2), (-1.0, 2), (math.nan, 2), (math.inf, 2), (1.0, 0)):
        with pytest.raises(ChiasmError, match="expected both above 0, or no error"):
            Estimate(0.0, (), error, freedom)
    with pytest.raises(ChiasmError, match="lower one first"):
        estimate([0.5], (1, 0))
    with pytest.raises(ChiasmError, match="unknown cell 'erly'; known cells: control, early"):
        Replicates({"control": {0: 1.0}, "early": {}}).contrast({"control": 1, "erly": -1})
    for p in (-0.1, 1.1):
        with pytest.raises(ChiasmError, match="expected numbers in"):
            holm([p])


# -- paired by seed ----------------------------------------------------------------------------------------------------


def test_differences_are_paired_by_seed() -> None:
    one = difference({0: 0.9, 1: 0.5, 3: 0.7}, {1: 0.4, 0: 0.8, 2: 0.1})
    assert one is not None
    assert one.values == pytest.approx((0.1, 0.1))
    assert one.error is None  # they agree but for rounding
    assert difference({0: 1.0}, {1: 1.0}) is None


def test_seeds_may_be_words() -> None:
    one = difference({"ten": 3.0, "one": 1.0}, {"one": 0.0, "ten": 1.0, "two": 5.0})
    assert one is not None
    assert one.values == (1.0, 2.0)
    both = Replicates({"a": {"x": 1.0, 2: 5.0, 1: 3.0}, "b": {1: 0.0, "x": 0.0, 2: 0.0}}).contrast({"a": 1, "b": -1})
    assert both is not None
    assert both.values == (3.0, 5.0, 1.0)
    assert collapsed({"a": 9.0, "b": 1.0, "c": 8.0}, 5.0) == ["b"]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_difference_covers_whatever_effect_a_seed_has_on_both(n: int) -> None:
    # 4000 studies; nominal 95 %, accepted 93.6 to 96.4: four standard errors of .34 points. Spreads are 1 and 5.
    rng = np.random.default_rng(n)
    left, right = 10 * rng.standard_normal((STUDIES, 1, n)) + rng.standard_normal((2, STUDIES, 1, n)) * [
        [[[1]]],
        [[[5]]],
    ]
    pairs = zip(left[:, 0].tolist(), right[:, 0].tolist(), strict=True)
    share = covered([difference(dict(enumerate(x)), dict(enumerate(y))) for x, y in pairs], 0.0)
    assert abs(share - 0.95) < slack(0.95, STUDIES)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_a_difference_as_large_as_the_margin_is_seldom_called_none(n: int) -> None:
    # 4000 studies, a spread so small that the interval would fit; nominal at most 2.5 %, accepted up to 3.5.
    rows = np.random.default_rng(n).normal(2.0, 0.1, (STUDIES, n)).tolist()
    share = np.mean([made(row).within(2.0) for row in rows])
    assert share < 0.025 + slack(0.025, STUDIES)
    assert share > 0.025 - slack(0.025, STUDIES)  # and not by being deaf
    # The same between cells with a pool: 1000 studies of ten cells, accepted up to 4.5 %.
    rng, false = np.random.default_rng(n), 0
    for _ in range(300 if n == 10 else 1000):
        cells = rng.normal(0, 0.1, (10, n))
        cells[0] += 2.0
        one = replicates(cells).contrast({0: 1, 1: -1})
        assert one is not None
        false += one.within(2.0)
    assert false / (300 if n == 10 else 1000) < 0.025 + slack(0.025, 300 if n == 10 else 1000)


# -- many cells --------------------------------------------------------------------------------------------------------


def replicates(table: Floats, holes: NDArray[np.bool_] | None = None) -> Replicates[int]:
    """Cells of a table (cells, seeds), without the runs that are missing."""
    rows = table.tolist()
    if holes is None:
        return Replicates({c: dict(enumerate(row)) for c, row in enumerate(rows)})
    return Replicates({c: {s: y for s, y in enumerate(row) if not holes[c, s]} for c, row in enumerate(rows)})


def half_wild(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """The second half of the cells spread five times as much as the first."""
    return rng.standard_normal(shape) * np.where(np.arange(shape[0]) < shape[0] // 2, 1, 5)[:, None]


def two_wild(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """The last two cells spread five times as much as all others."""
    return rng.standard_normal(shape) * np.where(np.arange(shape[0]) < shape[0] - 2, 1, 5)[:, None]


def with_seed_effect(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """A seed moves all cells by three times their spread."""
    return rng.standard_normal(shape) + 3 * rng.standard_normal((1, shape[1]))


CALM, MIXED, WILD = (0, 1), (0, -1), (-2, -1)
# The lowest and highest coverage that the docstring of `Replicates` gives, over 10 and 33 cells and 2, 3 and 5 seeds.
OF_CONTRASTS = [
    *((normal, cells, n, CALM, 0.955, 0.985) for cells in (10, 33) for n in (2, 3, 5)),
    *((with_seed_effect, *size, CALM, 0.955, 0.985) for size in ((10, 3), (33, 2))),
    *((skewed, *size, CALM, 0.975, 0.995) for size in ((10, 2), (10, 3), (10, 5), (33, 3))),
    *((collapsing, *size, CALM, 0.975, 0.995) for size in ((10, 2), (10, 5))),
    *((half_wild, *size, MIXED, 0.95, 0.985) for size in ((10, 2), (10, 3), (10, 5), (33, 5))),
    (half_wild, 10, 3, CALM, 0.99, 1.0),
    *((half_wild, *size, WILD, 0.885, 0.94) for size in ((10, 2), (10, 5), (33, 3))),
    *((two_wild, *size, MIXED, 0.735, 0.91) for size in ((10, 5), (33, 2))),
    *((two_wild, *size, WILD, 0.685, 0.88) for size in ((10, 5), (33, 2))),
]


@pytest.mark.parametrize(("draw", "cells", "n", "pair", "lowest", "highest"), OF_CONTRASTS)
def test_a_contrast_covers_what_its_docstring_says(
    draw: Draw, cells: int, n: int, pair: tuple[int, int], lowest: float, highest: float
) -> None:
    # 1000 studies without any effect (500 of 33 cells); nominal 95 %, accepted: the range within four standard errors.
    rng, studies = np.random.default_rng([cells, n]), 1000 if cells == 10 else 500
    weights = {pair[0] % cells: 1.0, pair[1] % cells: -1.0}
    share = covered([replicates(draw(rng, (cells, n))).contrast(weights) for _ in range(studies)], 0.0)
    assert lowest - slack(lowest, studies) <= share <= highest + slack(highest, studies)


@pytest.mark.parametrize("n", [3, 5])
def test_a_contrast_covers_where_runs_are_missing(n: int) -> None:
    # 1000 studies of 10 cells, a run in ten missing; of those with an interval nominal 95 %, accepted 92.3 to 100.
    rng, estimates = np.random.default_rng(n), []
    for _ in range(1000):
        one = replicates(rng.standard_normal((10, n)), rng.random((10, n)) < 0.1).contrast({0: 1, 1: -1})
        if one is not None and one.error is not None:
            estimates.append(one)
    assert len(estimates) > 850
    assert covered([*estimates], 0.0) > 0.95 - slack(0.95, len(estimates))


def test_the_pool_is_the_residual_of_a_two_way_analysis() -> None:
    # Means of cells 2 and 5, of seeds 2, 3 and 5.5, of all 3.5; residuals +-.5, 0 and +-.5 with (2 - 1)(3 - 1) = 2.
    cells = {"a": {0: 1.0, 1: 1.5, 2: 3.5}, "b": {0: 3.0, 1: 4.5, 2: 7.5}}
    grand, by_cell, by_seed = 3.5, {"a": 2.0, "b": 5.0}, {0: 2.0, 1: 3.0, 2: 5.5}
    squares = sum((y - by_cell[c] - by_seed[s] + grand) ** 2 for c, row in cells.items() for s, y in row.items())
    assert squares == 1.0
    assert Replicates(cells)._pooled == pytest.approx((squares / 2, 2))
    # With two cells the pool is the contrast's own spread, so that it is the paired t test.
    one, paired = Replicates(cells).contrast({"a": 1, "b": -1}), difference(cells["a"], cells["b"])
    assert one is not None
    assert paired is not None
    assert one.error == pytest.approx(paired.error)
    assert one.freedom == paired.freedom
    # A cell of one run adds nothing; nor do cells of other seeds and one run a seed.
    assert Replicates({**cells, "c": {1: 90.0}})._pooled == pytest.approx((squares / 2, 2))
    assert Replicates({**cells, "c": {7: 90.0}, "d": {}})._pooled == pytest.approx((squares / 2, 2))
    # Two studies that share no seed: squares and degrees of freedom add.
    apart = {f"other {c}": {s + 10: 2 * y for s, y in row.items()} for c, row in cells.items()}
    assert Replicates({**cells, **apart})._pooled == pytest.approx((5 * squares / 4, 4))
    # One run missing: what remains are three cells less one value, 3 * 3 - 1 runs and 3 + 3 - 1 means.
    holed = {**cells, "c": {0: 2.0, 2: 6.0}}
    pool, freedom = Replicates(holed)._pooled
    assert freedom == 3
    free = {**holed, "c": {**holed["c"], 1: 0.0}}
    least = min(_residual({**free, "c": {**free["c"], 1: y}}) for y in np.linspace(0, 8, 8001))
    assert pool == pytest.approx(least / 3, abs=1e-6)  # a missing value at its best place leaves the same residual


def _residual(cells: Mapping[str, Mapping[int, float]]) -> float:
    table = np.array([[row[s] for s in sorted(row)] for row in cells.values()])
    return float(((table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()) ** 2).sum())


def test_contrasts_of_few_cells_and_few_seeds() -> None:
    alone = Replicates({"a": {0: 1.0, 1: 2.0, 2: 4.0}})
    one = alone.contrast({"a": 1})
    assert one == made([1.0, 2.0, 4.0])  # a single cell has no pool: it is the plain estimate
    assert Replicates({"a": {}}).contrast({"a": 1}) is None
    assert Replicates[str]({}).unusual() == []
    assert alone.contrast({}) is None
    cells = Replicates(
        {"a": dict.fromkeys(range(5), 1.0), "b": {0: 1.0, 1: 3.0}, "c": {9: 0.0}, "d": {4: 2.0}, "e": {}}
    )
    few = cells.contrast({"a": 1, "b": -1})
    assert few is not None
    assert (few.values, few.error) == ((0.0, -2.0), None)  # two of five seeds are fewer than half
    one_seed = cells.contrast({"a": 1, "d": -1})
    assert one_seed is not None
    assert one_seed.error is None
    assert cells.contrast({"a": 1, "c": -1}) is None  # no seed in common
    assert cells.contrast({"a": 1, "e": -1}) is None  # no run at all
    still = Replicates({c: dict.fromkeys(range(3), float(c)) for c in range(4)}).contrast({0: 1, 3: -1})
    assert still is not None
    assert (still.mean, still.error) == (-3.0, None)


def test_cells_of_unusual_spread_are_named() -> None:
    cells = {c: {0: 0.0, 1: 1.0, 2: -1.0} for c in "abcd"}
    assert Replicates({**cells, "wild": {0: 0.0, 1: 3.1, 2: -3.1}, "one": {0: 99.0}}).unusual() == ["wild"]
    assert Replicates({**cells, "wide": {0: 0.0, 1: 2.9, 2: -2.9}}).unusual() == []
    assert Replicates({c: dict.fromkeys(range(3), 1.0) for c in "abc"}).unusual() == []
    # Of cells that spread alike, at five seeds, three in a thousand are named: 300 studies of ten cells.
    rng = np.random.default_rng(0)
    assert sum(len(replicates(rng.standard_normal((10, 5))).unusual()) for _ in range(300)) < 30


# -- collapsed seeds, many questions, how many seeds -------------------------------------------------------------------


def test_collapsed_seeds_are_found_and_no_others() -> None:
    # 1000 cells of five seeds, spread 1, of which one in ten ends 60 lower: exactly those are found as long as they are
    # fewer than half; a sound seed would have to lie 20 spreads below the median.
    rng = np.random.default_rng(0)
    fallen = rng.random((1000, 5)) < 0.1
    values = rng.standard_normal((1000, 5)) - 60 * fallen
    for row, lost in zip(values.tolist(), fallen, strict=True):
        if lost.sum() < 3:
            assert collapsed(dict(enumerate(row)), by=20) == np.flatnonzero(lost).tolist()
            worse = {seed: -value for seed, value in enumerate(row)}  # an error, where lower is better
            assert collapsed(worse, by=20, higher_is_better=False) == np.flatnonzero(lost).tolist()
    assert collapsed({0: 90.0, 1: 60.0, 2: 90.0}, by=30) == []  # by more than that
    assert collapsed({0: 1.0, 1: 50.0, 2: 99.0}, by=0) == []
    assert collapsed({}, by=1) == []


def test_holm_is_that_of_the_textbook() -> None:
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1: .02, .03, .06, .04, and none less than the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.3, 0.9, 0.4]) == pytest.approx([0.9, 0.9, 0.9])
    assert holm([0.6, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95, -0.1])
def test_holm_keeps_its_level_however_questions_depend(correlation: float) -> None:
    # 4000 studies of ten questions without any effect, level 5 %; accepted up to 6.4: four standard errors.
    cover = np.full((10, 10), correlation) + (1 - correlation) * np.eye(10)
    z = np.random.default_rng(1).multivariate_normal(np.zeros(10), cover, STUDIES, method="eigh")
    ps = 2 * stats.norm.sf(np.abs(z))
    share = np.mean([min(holm(row)) <= 0.05 for row in ps.tolist()])
    assert share < 0.05 + slack(0.05, STUDIES)


def test_holm_over_contrasts_that_share_a_control() -> None:
    # 1000 studies of ten cells and three seeds, nine contrasts with one control; level 5 %, accepted up to 7.8.
    rng, false = np.random.default_rng(2), 0
    for _ in range(1000):
        cells = replicates(rng.standard_normal((10, 3)))
        estimates = [cells.contrast({0: 1, c: -1}) for c in range(1, 10)]
        false += min(holm([one.p() for one in estimates if one is not None])) <= 0.05
    assert false / 1000 < 0.05 + slack(0.05, 1000)


def _like(mean: float, spread: float, n: int) -> Estimate:
    """An estimate of n values with exactly this mean and standard deviation."""
    x = np.linspace(-1, 1, n)
    return made(mean + spread * x / x.std(ddof=1))


@pytest.mark.parametrize("mean", [0.0, 0.5, 1.9, 2.0, 3.0, -4.0])
@pytest.mark.parametrize("spread", [0.5, 2.0, 5.0])
def test_as_many_seeds_as_are_asked_for_settle_it(mean: float, spread: float) -> None:
    margin, n = 2.0, 3
    wanted = seeds_to_settle(_like(mean, spread, n), margin)

    def settled(seeds: int) -> bool:
        one = _like(mean, spread, seeds)
        return one.excludes(0) if abs(mean) >= margin else one.within(margin)

    assert wanted is not None or not settled(1000)
    if wanted is not None:
        assert settled(wanted)
        assert wanted == n + 1 or not settled(wanted - 1)
        assert wanted > n


def test_seeds_to_settle_with_a_pool_and_without_an_error() -> None:
    # Contrasts have degrees of freedom beside their own, which stay: with them, fewer seeds are wanted.
    own = _like(3.0, 4.0, 3)
    pooled = Estimate(own.mean, own.values, own.error, own.freedom + 4)
    plain, with_pool = seeds_to_settle(own, 2.0), seeds_to_settle(pooled, 2.0)
    assert plain is not None
    assert with_pool is not None
    assert with_pool < plain
    half = t_quantile(0.95, pooled.freedom + with_pool - 3) * 4.0 / math.sqrt(with_pool)
    assert half < 3.0
    assert seeds_to_settle(made([1.0]), 2.0) is None
    assert seeds_to_settle(_like(0.001, 5.0, 3), 0.0) is None  # more than a thousand


# -- the jackknife, and errors of several parts ------------------------------------------------------------------------


def test_the_jackknife_of_a_mean_is_students() -> None:
    values = np.random.default_rng(0).standard_normal(7)
    without = [np.delete(values, i).mean() for i in range(7)]
    assert float(jackknife_error(without)) == pytest.approx(stats.sem(values), rel=1e-12)
    one, other = jackknife(values.mean(), without), made(values)
    assert one.values == pytest.approx(other.values)
    assert (one.mean, one.error, one.freedom) == pytest.approx((other.mean, other.error, other.freedom))
    for few in ([], [1.0]):
        with pytest.raises(ChiasmError, match=f"a jackknife of {len(few)} replicates; expected two or more"):
            jackknife_error(few)
        with pytest.raises(ChiasmError, match="expected two or more"):
            jackknife(1.0, few)


def test_the_jackknife_of_a_ratio_is_the_delta_method_and_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(5, 1, 200)
    y = 2 * x + rng.normal(0, 1, 200)
    without = [np.delete(y, i).mean() / np.delete(x, i).mean() for i in range(200)]
    error, ratio = float(jackknife_error(without)), y.mean() / x.mean()
    delta = (y - ratio * x).std(ddof=1) / math.sqrt(200) / x.mean()
    assert error == pytest.approx(delta, rel=0.01)
    drawn = stats.bootstrap(
        (y, x), lambda a, b, axis: a.mean(axis) / b.mean(axis), paired=True, vectorized=True, n_resamples=2000, rng=rng
    )
    assert error == pytest.approx(float(drawn.standard_error), rel=0.08)  # 2000 resamples: a standard error of 1.6 %


def test_a_jackknifed_ratio_covers() -> None:
    # 1000 studies of five seeds, means 5 and 10, spread 1: nominal 95 %, accepted 92.2 to 97.8, four standard errors.
    rng, estimates = np.random.default_rng(3), []
    for _ in range(1000):
        x, y = rng.normal(5, 1, 5), rng.normal(10, 1, 5)
        rest = (y.sum() - y) / (x.sum() - x)
        estimates.append(jackknife(y.mean() / x.mean(), rest.tolist()))
    assert abs(covered([*estimates], 2.0) - 0.95) < slack(0.95, 1000)


def test_the_jackknife_takes_arrays_one_at_a_time() -> None:
    without = np.random.default_rng(0).standard_normal((16, 3, 4))
    without[5, 1, 2] = np.nan
    error = jackknife_error(iter(without))
    expected = np.sqrt(15 / 16 * ((without - without.mean(0)) ** 2).sum(0))
    np.testing.assert_allclose(error, expected)
    assert np.isnan(error).sum() == 1  # what is undefined without a replicate has no error, its neighbours have


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("freedom", [1, 2, 4])
def test_an_error_of_two_parts_covers(share: float, freedom: int) -> None:
    # 4000 studies; one part of the variance with few degrees of freedom, the rest with 15. Nominal at least 95 %,
    # accepted from 93.6; where one part is all of it 95 %, accepted to 96.4, else up to 99.5.
    rng = np.random.default_rng([freedom, round(10 * share)])
    first = share * rng.chisquare(freedom, STUDIES) / freedom
    second = (1 - share) * rng.chisquare(15, STUDIES) / 15
    inside = np.mean(np.abs(rng.standard_normal(STUDIES)) <= t_margin(0.95, [(first, freedom), (second, 15)]))
    most = 0.95 + slack(0.95, STUDIES) if share in (0, 1) else 0.995
    assert 0.95 - slack(0.95, STUDIES) < inside < most
