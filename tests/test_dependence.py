"""Distance correlation: its closed form, the textbook sums; its permutation test: size, power, ties, constants."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import hypergeom, permutation_test
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.measuring.sampling import dependence as room
from chiasm.measuring.sampling.dependence import Dependence, dependence, distance_correlation
from chiasm.tasks.digits import Digits
from chiasm.tasks.stereogram import Stereogram


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def p_of(x: Tensor, y: Tensor, seed: int = 0, permutations: int = 199) -> float:
    (found,) = dependence({"x": x, "y": y}, seed=seed, permutations=permutations)
    return found.p


def three_sums(x: Tensor, y: Tensor) -> float:
    """Unbiased squared distance covariance without any centring (Huo and Székely 2016, equation 2.1)."""
    n = len(x)
    a, b = (cdist(z.flatten(1).numpy(), z.flatten(1).numpy()) for z in (x, y))
    rows = a.sum(1) @ b.sum(1)
    return float(
        (a * b).sum() / (n * (n - 3))
        - 2 * rows / (n * (n - 2) * (n - 3))
        + a.sum() * b.sum() / (n * (n - 1) * (n - 2) * (n - 3))
    )


@pytest.mark.parametrize("features", [10**6, 3])
@pytest.mark.parametrize("n", [4, 5, 60])
def test_the_correlation_is_the_ratio_of_the_unbiased_sums(
    n: int, features: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "FEATURES", features)  # in one piece, or in several
    x = normal(n, 2, 4) + 1000
    y = x[:, :1, :3].square() + 0.3 * normal(n, 1, 3, seed=1)
    expected = three_sums(x, y) / math.sqrt(three_sums(x, x) * three_sums(y, y))
    # The distances agree to about 1e-15 of their size, 1000 above which all samples stand.
    assert distance_correlation(x, y) == pytest.approx(expected, abs=1e-9)
    assert distance_correlation(y, x) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.7, -0.9])
def test_a_bivariate_normal_has_the_closed_form(rho: float) -> None:
    """Székely, Rizzo and Bakirov 2007, Theorem 7."""
    top = rho * math.asin(rho) + math.sqrt(1 - rho**2) - rho * math.asin(rho / 2) - math.sqrt(4 - rho**2) + 1
    expected = top / (1 + math.pi / 3 - math.sqrt(3))
    found = []
    for seed in range(60):
        z = normal(300, 2, seed=seed)
        found.append(distance_correlation(z[:, 0], rho * z[:, 0] + math.sqrt(1 - rho**2) * z[:, 1]))
    # Four standard errors, and a bias of the ratio of less than 1/n.
    assert abs(np.mean(found) - expected) < 4 * np.std(found) / math.sqrt(60) + 1 / 300


def test_moving_turning_and_scaling_a_source_changes_nothing() -> None:
    x, y = normal(50, 3), normal(50, 2, seed=1)
    y[:, 0] += x[:, 0]
    turn = torch.linalg.qr(normal(3, 3, seed=2))[0]
    # Rounding of 1e-16 of the offset's square, under a root at the smallest distances.
    assert distance_correlation(7 - 1e-3 * x @ turn, y) == pytest.approx(distance_correlation(x, y), abs=1e-10)


def rejected(x: Callable[[int], Tensor], y: Callable[[int], Tensor], times: int) -> np.ndarray[Any, Any]:
    return np.array([p_of(x(seed), y(10**6 + seed), seed, permutations=19) for seed in range(times)])


def test_p_is_uniform_under_independence() -> None:
    p = rejected(lambda seed: normal(25, 2, seed=seed), lambda seed: normal(25, 1, seed=seed).exp(), 600)
    # p takes the values 1/20 .. 1, each as often: 30 of 600 at .05, with a standard deviation of 5.3.
    assert 30 - 3 * 5.3 <= (p < 0.051).sum() <= 30 + 3 * 5.3
    steps = np.arange(1, 21) / 20
    off = np.abs((p[:, None] < steps + 1e-9).mean(0) - steps).max()
    assert off < 1.63 / math.sqrt(600)  # Kolmogorov and Smirnov at 1 %


def test_p_is_no_smaller_than_uniform_with_many_ties() -> None:
    p = rejected(lambda seed: normal(12, seed=seed) > 0, lambda seed: normal(12, seed=seed) > 0.5, 400)
    assert (p < 0.051).mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_ties_count_as_scipy_counts_them() -> None:
    x = torch.tensor([0, 0, 0, 1, 1, 1, 2])
    y = torch.tensor([5, 5, 5, 7, 7, 7, 7])

    def statistic(order: np.ndarray[Any, Any]) -> float:
        return distance_correlation(x[torch.from_numpy(order.astype(np.int64))], y)

    exact = permutation_test(
        (np.arange(7),), statistic, permutation_type="pairings", n_resamples=10**5, alternative="greater"
    ).pvalue
    # Four standard errors of a share of 4999 draws. Ties that count for dependence would make it about half.
    assert p_of(x, y, permutations=4999) == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 4999))


def test_equal_samples_of_many_features_tie_as_their_groups_do() -> None:
    """Two sources of two patterns each: the table of counts says all, and shuffled it is hypergeometric."""
    off = []
    for seed in range(20):
        group = torch.arange(40) % 2
        other = torch.where(normal(40, seed=seed) > 0.3, 1 - group, group)
        first, second = normal(2, 50, seed=seed), normal(2, 70, seed=100 + seed)
        ones, both = int(other.sum()), int((group * other).sum())

        def of_table(k: int, group: Tensor = group, ones: int = ones) -> float:
            order = group.argsort(descending=True)
            y = torch.zeros(40, dtype=torch.int64)
            y[order[:k]], y[order[20 : 20 + ones - k]] = 1, 1
            return distance_correlation(group, y)

        counts = range(max(0, ones - 20), min(20, ones) + 1)
        exact = sum(hypergeom.pmf(k, 40, 20, ones) for k in counts if of_table(k) >= of_table(both) - 1e-12)
        off.append(p_of(first[group], second[other], seed) - exact)
    # Four standard errors of 20 x 199 draws, and the order at hand, which is 1 of 200. Ties that rounding breaks would
    # take away half the chance of the table at hand, a tenth or so.
    assert abs(np.mean(off)) < 4 * math.sqrt(0.25 / (20 * 199)) + 1 / 200


def test_uncorrelated_but_dependent_sources_are_found() -> None:
    for seed in range(20):
        x = normal(100, 1, seed=seed)
        assert p_of(x, x.square() + 0.1 * normal(100, 1, seed=100 + seed), seed) == 0.005


def test_the_shipped_tasks_are_far_from_product_pairing_and_shuffled_they_are_not() -> None:
    for batch, about in ((Stereogram().draw(0, 0), 0.25), (Digits().load(0).train, 0.33)):
        sources = dict(batch.sources)
        (found,) = dependence(sources)
        assert found.far
        # The draw of 500: its standard deviation over seeds is about .02. For stereograms 1/4 is the sum of the squared
        # correlations of dots, 16 x 4 x (1/4)^2, over that within an eye, 16.
        assert found.correlation == pytest.approx(about, abs=0.06)
        left, right = sources.values()
        order = torch.randperm(len(right), generator=torch.Generator().manual_seed(1))
        (shuffled,) = dependence({"left": left, "right": right[order]})
        assert not shuffled.far
        assert abs(shuffled.correlation) < 0.02


def test_sources_that_share_only_their_label_are_far() -> None:
    folder = Path(os.environ.get("CHIASM_TEST_DATA", ""))
    files = [folder / name for name in ("fsdd.npz", "mnist.npz", "avmnist_pairs.npz")]
    if not (os.environ.get("CHIASM_TEST_DATA") and all(file.exists() for file in files)):
        pytest.skip("CHIASM_TEST_DATA names no folder with fsdd.npz, mnist.npz and avmnist_pairs.npz")
    sounds, images, pairs = (np.load(file) for file in files)
    audio = torch.from_numpy(sounds["logmel"][pairs["test_audio"]])
    image = torch.from_numpy(images["test_images"][pairs["test_image"]])
    for seed in range(5):
        (found,) = dependence({"audio": audio, "image": image}, seed)
        assert found.far, found.sentence()


def test_every_pair_is_told_in_order_whatever_the_order_of_the_sources() -> None:
    sources = {"b": normal(40, 2), "a": normal(40, 3, seed=1), "c": normal(40, seed=2)}
    found = {(d.first, d.second): d for d in dependence(sources, seed=3)}
    assert list(found) == [("b", "a"), ("b", "c"), ("a", "c")]
    back = dependence(dict(reversed(sources.items())), seed=3)
    for d in back:
        assert found[d.second, d.first] == Dependence(d.second, d.first, d.correlation, d.p, d.samples)
    assert dependence({"a": sources["a"]}) == ()


def test_at_most_so_many_rows_are_drawn_in_step_and_by_the_seed_alone() -> None:
    x = normal(300, 2)
    before, state = x.clone(), torch.get_rng_state()
    one, again, other = (dependence({"x": x, "y": x}, seed, samples=50)[0] for seed in (1, 1, 2))
    assert one.samples == 50
    assert one.correlation == pytest.approx(1, abs=1e-12)
    y = x + normal(300, 2, seed=1)
    one, again, other = (dependence({"x": x, "y": y}, seed, samples=50)[0] for seed in (1, 1, 2))
    assert one == again
    assert one.correlation != other.correlation
    assert torch.equal(x, before)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.bfloat16, torch.float32])
def test_types_are_read_as_numbers(dtype: torch.dtype) -> None:
    x = (normal(40, 3, 2) > 0).to(dtype)
    y = normal(40, 1, seed=1)
    assert distance_correlation(x, y) == distance_correlation(x.double(), y)


@pytest.mark.parametrize(
    "still",
    [torch.full((30, 5), 0.1), torch.zeros(30, 2, 2), torch.zeros(30, 0), torch.eye(30), 0.1 * torch.eye(30) + 1e3],
    ids=["constant", "zero", "no features", "equally far", "equally far, far away"],
)
def test_a_source_that_cannot_tell_samples_apart_depends_on_nothing(still: Tensor) -> None:
    (found,) = dependence({"still": still, "moving": normal(30, 2)})
    assert (found.correlation, found.p, found.far) == (0.0, 1.0, False)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_samples_give_no_verdict(n: int) -> None:
    (found,) = dependence({"x": normal(n, 2), "y": normal(n, 2)})
    assert math.isnan(found.correlation)
    assert (found.p, found.samples, found.far) == (1.0, n, False)
    assert "too few" in found.sentence()
    assert math.isnan(distance_correlation(normal(n, 2), normal(n, 2)))


@pytest.mark.parametrize(
    ("correlation", "p", "far", "words"),
    [
        (
            0.31,
            0.005,
            True,
            "depend on each other (squared distance correlation 0.31, p = 0.005, 500 samples): product",
        ),
        (0.009, 0.005, False, "too little to matter"),
        (0.31, 0.015, False, "show no dependence"),
        (0.01, 0.01, True, "pairing='within_class' or 'local' stays closer"),
    ],
)
def test_far_and_its_sentence(correlation: float, p: float, far: bool, words: str) -> None:
    found = Dependence("left", "right", correlation, p, 500)
    assert found.far is far
    assert words in found.sentence()
    assert "sources left and right" in found.sentence()


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ({"a": torch.zeros(5), "b": torch.zeros(6)}, "same number of samples; given: a 5, b 6"),
        ({"a": torch.zeros(5), "b": torch.full((5, 2), math.nan)}, "source 'b' holds NaN"),
        ({"a": torch.tensor([1.0, 2.0, 3.0, math.inf]), "b": torch.zeros(4)}, "source 'a' holds NaN, infinity"),
        ({"a": 1e200 * normal(5), "b": torch.zeros(5)}, "too large"),
        ({"a": torch.zeros(()), "b": torch.zeros(5)}, "source 'a' is of 0 axes"),
        ({"a": torch.zeros(5, dtype=torch.complex64), "b": torch.zeros(5)}, "type torch.complex64"),
        ({"a": [1.0, 2.0], "b": torch.zeros(2)}, "source 'a' is a list"),
    ],
)
def test_mistakes_are_told_in_a_sentence(sources: dict[str, Any], words: str) -> None:
    with pytest.raises(ChiasmError, match=words):
        dependence(sources)


def test_numbers_out_of_range_are_told() -> None:
    sources = {"a": normal(9), "b": normal(9)}
    with pytest.raises(ChiasmError, match="permutations = 0; expected a whole number"):
        dependence(sources, permutations=0)
    with pytest.raises(ChiasmError, match=r"samples = 2\.5; expected a whole number"):
        dependence(sources, samples=2.5)  # type: ignore[arg-type]
    with pytest.raises(ChiasmError, match="same number of samples"):
        distance_correlation(normal(9), normal(8))
