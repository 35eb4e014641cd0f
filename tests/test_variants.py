"""Variants: shifts against numpy's padding, noise by its own standard deviation, each sample by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.measuring.sampling.variants import ShiftsAndNoise, Variant, shifts_and_noise
from chiasm.sources import Kind


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def padded(x: Tensor, down: int, right: int) -> Tensor:
    """Shift one sample (..., height, width) as numpy pads and crops it."""
    height, width = x.shape[-2:]
    edges = [(0, 0)] * (x.ndim - 2) + [(abs(down),) * 2, (abs(right),) * 2]
    big = np.pad(x.numpy(), edges, mode="edge")
    top, left = abs(down) - down, abs(right) - right
    return torch.from_numpy(big[..., top : top + height, left : left + width].copy())


@pytest.mark.parametrize("shape", [(8, 12), (3, 8, 12), (2, 3, 8, 12)])
def test_each_sample_is_one_shift_with_edges_repeated_and_all_shifts_come(shape: tuple[int, ...]) -> None:
    picture = torch.randn(*shape, generator=stream())
    x = picture.expand(400, *shape).clone()
    before = x.clone()
    shifted = shifts_and_noise(shift=0.25, noise=0.0)(x, stream(1))
    allowed = {(down, right): padded(picture, down, right) for down in range(-2, 3) for right in range(-3, 4)}
    met = dict.fromkeys(allowed, 0)
    for sample in shifted:
        (place,) = (place for place, other in allowed.items() if torch.equal(sample, other))
        met[place] += 1
    # 35 places, each with a chance of (34/35)^400 = 1e-5 to be missed.
    assert min(met.values()) > 0
    # 400/35 = 11.4 each: chi-square on 34 degrees of freedom is below 65 in 999 of 1000 streams.
    assert sum((count - 400 / 35) ** 2 for count in met.values()) / (400 / 35) < 65
    assert torch.equal(x, before)


def test_inside_the_edges_a_shift_is_a_roll() -> None:
    x = torch.zeros(50, 1, 9, 9)
    x[:, :, 4, 4] = 1
    for sample in shifts_and_noise(shift=0.4, noise=0.0)(x, stream()):
        _, row, column = sample.nonzero()[0].tolist()
        assert abs(row - 4) <= 3
        assert abs(column - 4) <= 3
        assert torch.equal(sample, torch.roll(x[0], (row - 4, column - 4), dims=(1, 2)))


@pytest.mark.parametrize(("shift", "length", "furthest"), [(0.29, 100, 29), (0.125, 8, 1), (0.125, 7, 0), (0.5, 5, 2)])
def test_the_furthest_shift_is_the_share_rounded_down(shift: float, length: int, furthest: int) -> None:
    x = torch.arange(length, dtype=torch.float32).expand(2000, 40, length)
    shifted = shifts_and_noise(shift=shift, noise=1e-9)(x, stream())
    # The middle column's value tells the shift. The chance that 2000 draws of 59 miss an end is 1e-15.
    middle = (shifted[:, 0, length // 2] - length // 2).round()
    assert (int(middle.min()), int(middle.max())) == (-furthest, furthest)


@pytest.mark.parametrize("shape", [(2000,), (1, 40, 50), (5, 20, 20)])
def test_noise_has_its_share_of_each_sample_s_own_spread(shape: tuple[int, ...]) -> None:
    x = torch.randn(30, *shape, generator=stream()) * torch.logspace(-3, 3, 30).view(-1, *[1] * len(shape)) + 5
    noise = shifts_and_noise(shift=0.0, noise=0.2)(x, stream(1)) - x
    ratio = noise.flatten(1).std(1) / x.flatten(1).std(1)
    # The standard deviation of one of 2000 draws is off by 1/sqrt(4000) = 1.6 %; five of these, 30 times.
    assert ratio.numpy() == pytest.approx(0.2, rel=0.08)
    standard = (noise / noise.flatten(1).std(1).view(-1, *[1] * len(shape))).flatten(1)
    correlations = (standard @ standard.T / standard.shape[1] - torch.eye(30)).fill_diagonal_(0)
    assert correlations.abs().max() < 5 / 2000**0.5


def test_noise_of_a_given_scale_is_the_same_for_all_samples() -> None:
    x = torch.zeros(3, 4000)
    x[1] = torch.linspace(-50, 50, 4000)
    noise = shifts_and_noise(noise=0.5, scale=4)(x, stream()) - x
    assert noise.std(1).numpy() == pytest.approx(2, rel=0.06)  # five times 1/sqrt(8000)
    single = shifts_and_noise(noise=0.5, scale=4)(torch.zeros(4000), stream())
    assert single.std().item() == pytest.approx(2, rel=0.06)


def test_a_variant_does_not_depend_on_the_samples_beside_it() -> None:
    vary = shifts_and_noise(shift=0.25, noise=0.3)
    x = torch.randn(6, 2, 8, 8, generator=stream())
    others = x.clone()
    others[1:] = 1e4 * torch.rand(5, 2, 8, 8, generator=stream(1))
    assert torch.equal(vary(x, stream(2))[0], vary(others, stream(2))[0])


def test_the_generator_decides_and_nothing_else() -> None:
    vary = shifts_and_noise()
    x = torch.randn(5, 1, 16, 16, generator=stream())
    state = torch.get_rng_state()
    one, again, other = vary(x, stream(1)), vary(x, stream(1)), vary(x, stream(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(state, torch.get_rng_state())
    used = stream(1)
    assert torch.equal(vary(x, used), one)
    assert not torch.equal(vary(x, used), one)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_type_and_device_are_kept(dtype: torch.dtype) -> None:
    x = (255 * torch.rand(20, 3, 16, 16, generator=stream())).to(dtype)
    varied = shifts_and_noise()(x, stream())
    assert (varied.dtype, varied.shape, varied.device) == (x.dtype, x.shape, x.device)
    assert varied.isfinite().all()
    meta = shifts_and_noise()(x.to("meta"), stream())
    assert (meta.dtype, meta.device.type) == (dtype, "meta")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_samples_on_a_gpu_get_the_variants_of_the_cpu() -> None:
    x = torch.randn(20, 3, 16, 16, generator=stream())
    on_cpu, on_gpu = shifts_and_noise()(x, stream()), shifts_and_noise()(x.cuda(), stream())
    assert on_gpu.is_cuda
    # The spread of a sample is summed in another order.
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "kind", "moves"),
    [
        ((40,), None, False),
        ((40, 40), None, True),
        ((40, 40), "image", True),
        ((40, 40), "sequence", False),
        ((4, 40, 40), "sequence", False),
        ((4, 40, 40), "video", True),
        ((40, 40), "vector", False),
    ],
)
def test_what_moves(shape: tuple[int, ...], kind: Kind | None, moves: bool) -> None:
    x = torch.randn(50, *shape, generator=stream())
    off = (shifts_and_noise(noise=1e-6, kind=kind)(x, stream(1)) - x).flatten(1).abs().amax(1)
    # All 50 by chance where they were: (1/11)^100. The noise is 1e-6; moved entries differ by about 1.
    assert bool((off > 1e-3).any()) is moves


def test_a_constant_sample_stays_and_no_samples_are_no_trouble() -> None:
    vary = shifts_and_noise()
    x = torch.randn(2, 1, 16, 16, generator=stream())
    x[1] = 0.5
    assert torch.equal(vary(x, stream())[1], x[1])
    assert vary(x[:0], stream()).shape == (0, 1, 16, 16)


def test_it_is_a_variant_that_says_what_it_is() -> None:
    vary: Variant = shifts_and_noise(noise=0.2)
    assert vary == ShiftsAndNoise(0.125, 0.2, None, None)
    assert repr(vary) == "ShiftsAndNoise(shift=0.125, noise=0.2, scale=None, kind=None)"


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_whole_numbers_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ChiasmError, match="for tokens give a variant of your own"):
        shifts_and_noise()(torch.zeros(3, 4, dtype=dtype), stream())


@pytest.mark.parametrize(
    ("arguments", "shape", "words"),
    [
        ({"noise": 0.0}, (40,), "leave samples of shape .40,. as they are"),
        ({"noise": 0.0}, (1, 7, 7), "give a noise above 0"),
        ({"shift": 0.0, "noise": 0.0}, (1, 70, 70), "give a noise above 0"),
        ({}, (1,), "a single number have no spread"),
        ({}, (), "give scale"),
    ],
)
def test_what_would_vary_nothing_is_refused(arguments: dict[str, Any], shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ChiasmError, match=words):
        shifts_and_noise(**arguments)(torch.zeros(3, *shape), stream())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shift": 0.6}, "shift = 0.6; give a share"),
        ({"shift": -0.1}, "from 0 to 0.5"),
        ({"shift": "far"}, "shift = 'far'"),
        ({"noise": -1}, "noise = -1; give a number of 0 or more"),
        ({"noise": float("nan")}, "noise = nan"),
        ({"scale": 0}, "scale = 0; give a standard deviation above 0"),
        ({"kind": "picture"}, "unknown kind 'picture'; known kinds: image, sequence, vector, video"),
    ],
)
def test_numbers_out_of_range_are_told(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ChiasmError, match=words):
        shifts_and_noise(**arguments)
