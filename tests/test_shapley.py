"""Shapley values against their axioms, the mean over all orders, and games with a known solution."""

from __future__ import annotations

from itertools import combinations, permutations
from math import comb, factorial

import numpy as np
import pytest
from numpy.typing import NDArray

from chiasm.errors import ChiasmError
from chiasm.measuring.information.shapley import interaction, shapley, subsets

Array = NDArray[np.float64]


def game(n: int, *units: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(2**n, *units))


def mask(subset: tuple[int, ...]) -> int:
    return sum(1 << j for j in subset)


def over_all_orders(v: Array) -> Array:
    n = (len(v) - 1).bit_length()
    worth = np.zeros((n, *v.shape[1:]))
    for order in permutations(range(n)):
        here = 0
        for j in order:
            worth[j] += v[here | 1 << j] - v[here]
            here |= 1 << j
    return worth / factorial(n)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_it_is_the_mean_over_all_orders_of_arrival(n: int) -> None:
    v = game(n, 2, 3, seed=n)
    # Up to 120 orders of numbers of order 1: rounding in the sums, nothing else.
    np.testing.assert_allclose(shapley(v), over_all_orders(v), rtol=0, atol=1e-13)


def test_the_axioms() -> None:
    n, v, w = 6, game(6, 10, seed=1), game(6, 10, seed=2)
    np.testing.assert_allclose(shapley(v).sum(0), v[-1] - v[0], atol=1e-13)  # efficiency
    np.testing.assert_allclose(shapley(2 * v + w), 2 * shapley(v) + shapley(w), atol=1e-13)  # additivity
    every = np.arange(2**n)
    swapped = every & ~0b101 | (every & 1) << 2 | every >> 2 & 1
    symmetric = v + v[swapped]
    np.testing.assert_allclose(shapley(symmetric)[0], shapley(symmetric)[2], atol=1e-13)  # symmetry
    without = v[every & ~0b1000]
    np.testing.assert_allclose(shapley(without)[3], 0, atol=1e-13)  # null player
    assert abs(shapley(v)[3]).min() > 1e-3, "where source 3 matters, it is not 0"


def test_games_with_a_known_solution() -> None:
    left = np.array([1 if m & 1 and m & 0b110 else 0 for m in range(8)])  # a left glove, two right ones
    np.testing.assert_allclose(shapley(left), [2 / 3, 1 / 6, 1 / 6], atol=1e-15)
    n = 12
    size = np.array([m.bit_count() for m in range(2**n)])
    np.testing.assert_allclose(shapley(size**2), np.full(n, n), rtol=1e-12)  # n**2 shared by equals
    cost = np.array([18, 9, 0, 5])  # the airport game: each subset pays for its largest
    airport = np.array([max((cost[j] for j in range(4) if m >> j & 1), default=0) for m in range(16)])
    np.testing.assert_allclose(
        shapley(airport), [5 / 3 + 4 / 2 + 9, 5 / 3 + 4 / 2, 0, 5 / 3], atol=1e-14
    )  # each step of the runway is shared by those who need it


def test_a_unit_is_a_game_of_its_own() -> None:
    v = game(3, 4)
    v[5, 1] = np.nan
    together = shapley(v)
    assert np.isnan(together[:, 1]).all()
    for unit in (0, 2, 3):
        # One product for all may sum in another order than one for one.
        np.testing.assert_allclose(together[:, unit], shapley(v[:, unit]), atol=1e-15)


def test_units_of_many_are_what_each_is_alone() -> None:
    v = game(5, 100_000)
    made = shapley(v)
    for unit in (0, 77_777, 99_999):
        # The same sums in another order.
        np.testing.assert_allclose(made[:, unit], shapley(v[:, unit]), atol=1e-13)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_interaction_is_its_sum_over_subsets(n: int) -> None:
    v = game(n, 4, seed=n)
    for i, j in permutations(range(n), 2):
        others = [k for k in range(n) if k not in (i, j)]
        told = np.zeros(4)
        for size in range(n - 1):
            for subset in combinations(others, size):
                m = mask(subset)
                both = v[m | 1 << i | 1 << j] - v[m | 1 << i] - v[m | 1 << j] + v[m]
                told += both / ((n - 1) * comb(n - 2, size))
        np.testing.assert_allclose(interaction(v, i, j), told, atol=1e-13)


def test_subsets_are_all_there_once() -> None:
    assert sorted(map(mask, subsets(5))) == list(range(32))
    assert [len(s) for s in subsets(3)] == [0, 1, 1, 1, 2, 2, 2, 3]
    assert subsets(0) == [()]
    assert shapley([3.0]).shape == (0,)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: shapley(np.zeros(6)), "6 worths were given"),
        (lambda: shapley(np.zeros((0, 3))), "0 worths were given"),
        (lambda: shapley(1.0), r"2\*\*n subsets"),
        (lambda: interaction(np.zeros(8), 1, 1), "two of 3 sources"),
        (lambda: interaction(np.zeros(4), 0, 2), "two of 2 sources"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call: object, told: str) -> None:
    assert callable(call)
    with pytest.raises(ChiasmError, match=told):
        call()
