"""Intervals over seeds: Student's t, against scipy and against what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from chiasm.intervals import difference, estimate, percents


def test_an_interval_is_that_of_scipy() -> None:
    values = [0.91, 0.94, 0.92, 0.97]
    made = estimate(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert made is not None
    assert (made.mean, made.low, made.high, made.n) == pytest.approx((0.935, low, high, 4))


def test_intervals_of_three_seeds_cover_as_often_as_they_say() -> None:
    draws = np.random.default_rng(0).standard_normal((4000, 3))
    made = [estimate(row) for row in draws]
    covered = np.mean([not one.excludes(0) for one in made if one is not None])
    assert covered == pytest.approx(0.95, abs=0.012)


def test_intervals_stop_at_what_is_possible() -> None:
    made = estimate([0.99, 1.0], bounds=(0, 1))
    assert made is not None
    assert made.high == 1
    assert made.low is not None
    assert made.low > 0.9


def test_one_seed_has_no_interval_and_none_has_nothing() -> None:
    made = estimate([0.5])
    assert made is not None
    assert (made.mean, made.low, made.high) == (0.5, None, None)
    assert not made.excludes(0)
    assert estimate([]) is None
    assert percents(None) is None


def test_differences_are_paired_by_seed() -> None:
    made = difference({0: 0.9, 1: 0.5, 3: 0.7}, {1: 0.4, 0: 0.8, 2: 0.1})
    assert made is not None
    assert made.values == pytest.approx((0.1, 0.1))
    assert difference({0: 1.0}, {1: 1.0}) is None
