"""Effective rank and participation ratio: given spectra, rivals, invariances, and layers of models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring.information.rank import effective_rank, participation_ratio, rank
from chiasm.randomness import generator


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=generator(seed, "test"))


def with_spectrum(s: list[float], n: int = 60, units: int = 20) -> Tensor:
    """Centred activations (n, units) with these singular values, away from zero by a mean."""
    u = normal(n, len(s))
    u = torch.linalg.qr(u - u.mean(0)).Q
    v = torch.linalg.qr(normal(units, len(s), seed=1)).Q
    x: Tensor = (u * torch.tensor(s, dtype=torch.float64)) @ v.T
    return x + 3 * normal(units, seed=2)


@given(st.lists(st.floats(1e-2, 1e3), min_size=1, max_size=20))
@settings(deadline=None, max_examples=30)
def test_a_given_spectrum_gives_the_formulas(s: list[float]) -> None:
    x, values = with_spectrum(s), np.array(s)
    p = values / values.sum()
    # The mean of 3 and float64 leave 1e-13 of the largest value.
    assert effective_rank(x) == pytest.approx(math.exp(-(p * np.log(p)).sum()), rel=1e-6)
    assert participation_ratio(x) == pytest.approx((values**2).sum() ** 2 / (values**4).sum(), rel=1e-6)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_k_equal_directions_are_k_and_not_squared(k: int) -> None:
    x = with_spectrum([5.0] * k)
    assert effective_rank(x) == pytest.approx(k, rel=1e-9)
    assert participation_ratio(x) == pytest.approx(k, rel=1e-9)
    # Float32 leaves singular values of 1e-7 in every other direction; they do not count.
    assert effective_rank(x.float()) == pytest.approx(k, rel=1e-5)


def rivals(x: NDArray[np.float64]) -> tuple[float, float]:
    s = np.linalg.svd(x - x.mean(0), compute_uv=False)
    s = s[: len(x) - 1]  # centring leaves so many directions at most, and numpy another one of rounding
    p = s / s.sum()
    values = np.linalg.eigvalsh(np.cov(x.T))
    return math.exp(-(p * np.log(p)).sum()), values.sum() ** 2 / (values**2).sum()


def test_numpy_agrees_also_by_way_of_a_layer_in_chunks_and_by_the_gram_matrix() -> None:
    for n, units in [(700, 30), (30, 700)]:
        x = normal(n, units) * torch.linspace(0.1, 3, units) + 5
        x[:, 1] += x[:, 0]
        want = rivals(x.numpy())
        assert (effective_rank(x), participation_ratio(x)) == pytest.approx(want, rel=1e-9)
        found = rank(nn.Identity(), {"x": x}, [""])[""]
        # Eigenvalues of the product are exact to 1e-16 of the largest, so the smallest singular values to 1e-8.
        assert (found.effective_rank, found.participation) == pytest.approx(want, rel=1e-6)
        assert (found.units, found.samples, found.dead) == (units, n, 0)


@pytest.mark.parametrize("measure", [effective_rank, participation_ratio])
def test_neither_scale_nor_place_nor_rotation_matter(measure: Any) -> None:
    x = normal(80, 12) * torch.linspace(0.2, 2, 12)
    turn = torch.linalg.qr(normal(12, 12, seed=3)).Q
    for other in (1e-9 * x, 1e9 * x, x + 100, x @ turn, x.flip(0)):
        assert measure(other) == pytest.approx(measure(x), rel=1e-9)


def test_independent_normal_units_give_what_the_spectrum_of_their_sample_covariance_says() -> None:
    n, units = 800, 200
    x = normal(n, units)
    g = units / n
    low, high = (1 - math.sqrt(g)) ** 2, (1 + math.sqrt(g)) ** 2

    def density(v: float) -> float:  # Marchenko and Pastur 1967
        return math.sqrt(max((high - v) * (v - low), 0)) / (2 * math.pi * g * v)

    mean = quad(lambda v: density(v) * math.sqrt(v), low, high)[0]
    log = quad(lambda v: density(v) * math.sqrt(v) * math.log(v) / 2, low, high)[0]
    # The spectrum fluctuates by 1 / units of itself.
    assert effective_rank(x) == pytest.approx(units * mean * math.exp(-log / mean), rel=0.005)
    assert participation_ratio(x) == pytest.approx(1 / (1 / units + 1 / n), rel=0.01)
    assert effective_rank(x) / units == pytest.approx(0.966, abs=0.004)  # what the documentation says


def test_nothing_that_varies_is_nan_and_one_unit_is_one() -> None:
    for still in (torch.zeros(9, 4), torch.full((9, 4), 0.1), torch.ones(1, 4)):
        assert math.isnan(effective_rank(still))
        assert math.isnan(participation_ratio(still))
    # One bit of rounding, as kernels leave it in a constant unit, is nothing; beside a unit that varies as well.
    x = torch.where(normal(300, 4) > 0, torch.tensor(0.1), torch.tensor(0.1).nextafter(torch.tensor(1.0)))
    assert x.std(0).min() > 0
    for still in (x, x[:3], x[:, :0]):
        assert math.isnan(effective_rank(still))
        assert math.isnan(participation_ratio(still))
        found = rank(nn.Identity(), {"x": still}, [""])[""] if still.numel() else None
        assert found is None or (found.dead == 4 and math.isnan(found.effective_rank))
    x = torch.cat([normal(300, 1).float() * 1e-7, x], 1)
    assert effective_rank(x) == 1 == rank(nn.Identity(), {"x": x}, [""])[""].effective_rank
    assert effective_rank(normal(9, 1)) == 1
    assert participation_ratio(normal(9, 1)) == 1


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 16, bias=False), nn.Linear(3, 16, bias=False)
        self.drop, self.norm = nn.Dropout(0.9), nn.BatchNorm1d(16)
        self.dead = nn.ReLU()

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        z: Tensor = self.norm(self.drop(self.left(left) + self.right(right)))
        active: Tensor = self.dead(z - 1e3 * (torch.arange(16) >= 4))
        return active + 7


def test_layers_of_a_model_on_true_pairs() -> None:
    model = Net().train()
    nn.init.orthogonal_(model.left.weight)
    nn.init.orthogonal_(model.right.weight)
    a, b = normal(500, 3).float(), normal(500, 3, seed=1).float()
    before = [x.clone() for x in model.state_dict().values()]
    found = rank(model, {"left": a, "right": b}, ["left", "norm", "dead", ""])
    assert list(found) == ["left", "norm", "dead", ""]
    assert found["left"].effective_rank == pytest.approx(3, abs=0.01)  # 3 / 500 of bias, orthogonal and equal
    assert 5 < found["norm"].effective_rank <= 6
    same = rank(model, {"left": a, "right": a}, ["norm"])  # sources that always agree leave three directions
    assert same["norm"].effective_rank < 3.000001
    assert (found["dead"].dead, found[""].dead, found["norm"].dead) == (12, 12, 0)
    assert found[""].effective_rank == pytest.approx(
        found["dead"].effective_rank, rel=1e-4
    )  # float32 beside a mean of 7
    assert found["dead"].effective_rank <= 4
    assert all(torch.equal(x, y) for x, y in zip(before, model.state_dict().values(), strict=True))
    assert model.drop.training


def test_a_layer_that_gives_zeros_is_dead_and_has_no_rank() -> None:
    linear = nn.Linear(3, 5)
    nn.init.constant_(linear.bias, -1e6)
    model = nn.Sequential(linear, nn.ReLU())
    found = rank(model, {"x": torch.randn(300, 3)}, ["1"])["1"]
    assert (found.dead, found.units) == (5, 5)
    assert math.isnan(found.effective_rank)
    assert math.isnan(found.participation)
    constant = rank(model, {"x": 1e-9 * torch.randn(300, 3)}, ["0"])["0"]  # varies below what float32 can tell
    assert constant.dead == 5
    assert math.isnan(constant.effective_rank)


def test_places_are_units_of_their_own_when_asked_and_samples_are_drawn() -> None:
    maps = normal(400, 2, 3, 3)
    channel = rank(nn.Identity(), {"x": maps}, [""])[""]
    position = rank(nn.Identity(), {"x": maps}, [""], per="position", samples=100)[""]
    assert (channel.units, channel.samples) == (2, 400)
    assert (position.units, position.samples) == (18, 100)
    assert channel.effective_rank == pytest.approx(effective_rank(maps.mean((2, 3))))
    other = rank(nn.Identity(), {"x": maps}, [""], per="position", samples=100, seed=1)[""]
    assert other.effective_rank != position.effective_rank
    assert position == rank(nn.Identity(), {"x": maps}, [""], per="position", samples=100)[""]


def bad(message: str, x: Tensor | None = None, **options: Any) -> Any:
    return pytest.param(x, options, message, id=message)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        bad("samples = 1; expected a whole number of 2 or more", samples=1),
        bad("unknown layer 'fusion'; known layers", layers=["fusion"]),
        bad("per = 'unit'; expected 'channel' or 'position'", per="unit"),
        bad("the model raised RuntimeError (mat1 and mat2", torch.ones(20, 4)),
        bad("layer '0': 5 of 5 units gave NaN or infinity", torch.full((20, 3), 3e38)),
        bad("layer '' gave 5 answers to 20 samples", forward=lambda m, s: m(s["x"]).T),
    ],
)
def test_mistakes_are_told_in_one_sentence(x: Tensor | None, options: dict[str, Any], message: str) -> None:
    linear = nn.Linear(3, 5)
    nn.init.constant_(linear.weight, 3.0)
    model = nn.Sequential(linear)
    layers = options.pop("layers", [""] if "forward" in options else ["0"])
    with pytest.raises(ChiasmError) as error:
        rank(model, {"x": torch.ones(20, 3) if x is None else x}, layers, **options)
    assert str(error.value).startswith(message)


def test_plain_tensors_that_are_no_activations() -> None:
    with pytest.raises(ChiasmError, match=r"shape \(2, 3, 4\); expected \(samples, units\)"):
        effective_rank(torch.ones(2, 3, 4))
    with pytest.raises(ChiasmError, match="contain NaN"):
        participation_ratio(torch.full((3, 3), math.nan))
