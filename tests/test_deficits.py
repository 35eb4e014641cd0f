"""Deficits, each against first principles, and all of them against the laws of purity."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import itertools
import math
import pkgutil
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import interpolate

import chiasm.deficits
from chiasm.deficits import (
    DEFICITS,
    Blur,
    Composed,
    Deficit,
    Dissociate,
    Freeze,
    Lag,
    Noise,
    Occlude,
    ShuffleLabels,
    Silence,
    Swap,
)
from chiasm.errors import ChiasmError
from chiasm.sources import Batch

N = 24
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_CUDA])]

EXAMPLES: list[Deficit] = [
    Blur("left", 4),
    Blur("gyro", 2.5),
    Blur("left", 2, dims=1),
    Noise("left", 0.5),
    Noise("left", 0.5, mode="replace"),
    Silence("right"),
    Occlude("left", 0.3),
    Occlude("gyro", 0.3),
    Dissociate(),
    Dissociate("code"),
    Dissociate("first"),
    Dissociate(within="class"),
    Swap("left", "right"),
    Lag("gyro", 3),
    ShuffleLabels(0.5),
    Freeze("left"),
]
RANDOM = (Noise, Occlude, Dissociate, ShuffleLabels)
every = pytest.mark.parametrize("deficit", EXAMPLES, ids=str)


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def a_batch(dtype: torch.dtype = torch.float32) -> Batch:
    g = gen(99)
    shapes = {"left": (2, 8, 6), "right": (2, 8, 6), "gyro": (12,)}
    sources = {name: torch.randn(N, *shape, generator=g).to(dtype) for name, shape in shapes.items()}
    baseline = {name: torch.randn(*shape, generator=g).to(dtype) for name, shape in shapes.items()}
    return Batch(sources, torch.arange(N) % 4, baseline)


def indices(n: int, *names: str, classes: int | None = None) -> Batch:
    """Every source shows the sample's number, and so does the target: what came from where can be read off."""
    x = torch.arange(n, dtype=torch.float64).reshape(n, 1)
    target = torch.arange(n) if classes is None else torch.arange(n) % classes
    return Batch(dict.fromkeys(names, x), target, dict.fromkeys(names, x[0]))


def one(x: Tensor, baseline: Tensor | None = None) -> Batch:
    return Batch(
        {"x": x},
        torch.zeros(len(x), dtype=torch.int64),
        {"x": torch.zeros_like(x[0]) if baseline is None else baseline},
    )


def parts(batch: Batch) -> list[Tensor]:
    return [
        *batch.sources.values(),
        batch.target,
        *batch.baseline.values(),
        *([] if batch.head is None else [batch.head]),
    ]


def same(a: Batch, b: Batch) -> bool:
    return (
        list(a.sources) == list(b.sources)
        and len(parts(a)) == len(parts(b))
        and all(torch.equal(x, y) for x, y in zip(parts(a), parts(b), strict=True))
    )


# ---------------------------------------------------------------- laws of every deficit


def test_every_deficit_is_among_the_examples() -> None:
    assert {type(d) for d in EXAMPLES} == set(DEFICITS.kinds().values())


@every
def test_the_input_is_left_as_it_was(deficit: Deficit) -> None:
    batch = a_batch()
    before = [x.clone() for x in parts(batch)]
    names, tensors, versions = list(batch.sources), parts(batch), [x._version for x in parts(batch)]
    deficit(batch, gen())
    assert list(batch.sources) == names
    assert all(a is b for a, b in zip(parts(batch), tensors, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(parts(batch), before, strict=True))
    assert [x._version for x in tensors] == versions  # not even written and put back


@every
def test_equal_generators_give_equal_bits_whatever_the_global_state(deficit: Deficit) -> None:
    torch.manual_seed(1)
    first = deficit(a_batch(), gen(7))
    torch.manual_seed(2)
    assert same(first, deficit(a_batch(), gen(7)))


@every
def test_the_global_generators_are_left_alone(deficit: Deficit) -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index]
    deficit(a_batch(), gen())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2])  # type: ignore[index]


@every
def test_only_what_is_random_draws(deficit: Deficit) -> None:
    generator = gen()
    state = generator.get_state()
    out = deficit(a_batch(), generator)
    draws = isinstance(deficit, RANDOM)
    assert torch.equal(state, generator.get_state()) is not draws
    assert same(out, deficit(a_batch(), gen(1))) is not draws


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_shapes_dtypes_and_order_are_kept(deficit: Deficit, dtype: torch.dtype) -> None:
    batch = a_batch(dtype)
    out = deficit(batch, gen())
    assert list(out.sources) == list(batch.sources)
    for name, x in out.sources.items():
        assert (x.shape, x.dtype) == (batch.sources[name].shape, dtype)
        assert x.isfinite().all()
    assert (out.target.shape, out.target.dtype) == (batch.target.shape, torch.int64)


@every
@pytest.mark.parametrize("device", ["meta", *DEVICES])
def test_the_batch_keeps_its_device_whatever_the_generator_s(deficit: Deficit, device: str) -> None:
    # The meta device has no values but checks devices as any accelerator does.
    out = deficit(a_batch().to(device), gen())
    assert {x.device.type for x in parts(out)} == {device}


@every
def test_what_it_does_not_touch_is_shared(deficit: Deficit) -> None:
    batch = a_batch()
    out = deficit(batch, gen())
    assert set(deficit.touches) <= set(batch.sources)
    moved = {"right", "gyro"} if isinstance(deficit, Dissociate) else set(deficit.touches) - set(deficit.frozen)
    changed = {name for name in batch if not torch.equal(out.sources[name], batch.sources[name])}
    assert changed == moved
    assert all(out.sources[name] is batch.sources[name] for name in batch if name not in moved)
    assert all(out.baseline[name] is batch.baseline[name] for name in batch)


@every
def test_it_is_a_frozen_final_value(deficit: Deficit) -> None:
    assert isinstance(deficit, Deficit)
    assert getattr(type(deficit), "__final__", False)
    copy = dataclasses.replace(deficit)  # type: ignore[type-var]
    assert copy == deficit
    assert hash(copy) == hash(deficit)
    field = dataclasses.fields(deficit)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(deficit, field, "other")


@every
def test_an_unknown_source_is_refused_with_the_known_ones(deficit: Deficit) -> None:
    if not deficit.touches:
        return
    batch = Batch({"touch": torch.zeros(2, 3)}, torch.zeros(2, dtype=torch.int64), {"touch": torch.zeros(3)})
    with pytest.raises(ChiasmError, match=f"^{deficit.tag}: unknown source '\\w+'; known sources: touch$"):
        deficit(batch, gen())


def test_only_freeze_freezes() -> None:
    assert {d.tag for d in EXAMPLES if d.frozen} == {"freeze"}
    assert Freeze("left").frozen == ("left",)


def test_the_notation_names_required_arguments_by_place_and_others_by_name() -> None:
    assert str(Blur("right", 4.0)) == "blur(right, 4)"
    assert str(Blur("right", 2.5, dims=1)) == "blur(right, 2.5, dims=1)"
    assert str(Noise("left", 1e-5, mode="replace")) == "noise(left, 1e-05, mode=replace)"
    assert str(Dissociate()) == "dissociate"
    assert str(Dissociate(within="class")) == "dissociate(within=class)"
    assert str(ShuffleLabels(0.1)) == "shuffle_labels(0.1)"


BAD: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (Blur, ("right", 1), "blur: factor is 1; expected a number above 1"),
    (Blur, ("right", math.nan), "blur: factor is nan; expected a number above 1"),
    (Blur, ("right", math.inf), "blur: factor is inf; expected a number above 1"),
    (Blur, ("right", "4"), "blur: factor is '4'; expected a number above 1"),
    (Blur, ("right", 4, 3), "blur: dims is 3; expected 1 or 2"),
    (Blur, ("right", 4, True), "blur: dims is True; expected 1 or 2"),
    (Noise, ("right", 0), "noise: sd is 0; expected a number above 0"),
    (Noise, ("right", True), "noise: sd is True; expected a number above 0"),
    (Noise, ("right", 10**400), f"noise: sd is {10**400}; expected a number above 0"),
    (Noise, ("right", 1, "times"), "noise: mode is 'times'; expected add or replace"),
    (Occlude, ("right", 0), "occlude: share is 0; expected a number above 0, up to 1"),
    (Occlude, ("right", 1.01), "occlude: share is 1.01; expected a number above 0, up to 1"),
    (Dissociate, ("both",), "dissociate: labels is 'both'; expected either, code or first"),
    (Dissociate, ("first", "epoch"), "dissociate: within is 'epoch'; expected batch or class"),
    (Swap, ("left", "left"), "swap: b is 'left'; expected a source other than a"),
    (Lag, ("right", 0), "lag: k is 0; expected a whole number of frames, 1 or more"),
    (Lag, ("right", 2.0), "lag: k is 2.0; expected a whole number of frames, 1 or more"),
    (ShuffleLabels, (-0.5,), "shuffle_labels: share is -0.5; expected a number above 0, up to 1"),
]


@pytest.mark.parametrize(("kind", "arguments", "sentence"), BAD, ids=[f"{b[0].__name__}{i}" for i, b in enumerate(BAD)])
def test_a_dose_out_of_range_is_refused_in_one_sentence(
    kind: Callable[..., Any], arguments: tuple[Any, ...], sentence: str
) -> None:
    with pytest.raises(ChiasmError) as caught:
        kind(*arguments)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("name", ["left eye", "", "2d", "a,b", "a|b", 4, None])
def test_a_source_that_the_notation_cannot_write_is_refused(name: Any) -> None:
    with pytest.raises(ChiasmError, match=r"silence: source is .*; expected a source's name"):
        Silence(name)


# ---------------------------------------------------------------- blur


def triangle_blur(extent: int, coarse: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The blur of one axis as a matrix: a triangle of half-width extent / coarse down, linear interpolation up."""
    scale = extent / coarse
    centres = np.arange(extent) + 0.5
    down = np.maximum(0, 1 - np.abs(centres[None] - (np.arange(coarse)[:, None] + 0.5) * scale) / scale)
    down /= down.sum(1, keepdims=True)
    up = np.array([np.interp(centres / scale, np.arange(coarse) + 0.5, column) for column in np.eye(coarse)]).T
    return up @ down


@pytest.mark.parametrize(
    ("extent", "factor", "coarse"), [(32, 4, 8), (32, 2.5, 12), (30, 7, 4), (9, 9, 1), (9, 1.01, 8)]
)
def test_blur_is_a_triangle_down_and_a_line_up(extent: int, factor: float, coarse: int) -> None:
    wide = extent + 3
    x = torch.randn(2, extent, wide, generator=gen(), dtype=torch.float64)
    rows = triangle_blur(extent, coarse)
    columns = triangle_blur(wide, math.floor(wide / factor))
    blurred = Blur("x", factor)(one(x), gen()).sources["x"].numpy()
    np.testing.assert_allclose(blurred, rows @ x.numpy() @ columns.T, atol=1e-6)  # torch keeps the weights in float32
    line = Blur("x", factor)(one(x[:, :, 0]), gen()).sources["x"].numpy()
    np.testing.assert_allclose(line, x[:, :, 0].numpy() @ rows.T, atol=1e-6)


def test_blur_is_the_resize_of_pillow_as_in_the_paper() -> None:
    image = pytest.importorskip("PIL.Image")
    x = torch.randn(32, 32, generator=gen())
    picture = image.fromarray(x.numpy())
    bilinear = image.Resampling.BILINEAR
    expected = np.asarray(picture.resize((8, 8), bilinear).resize((32, 32), bilinear))
    np.testing.assert_allclose(Blur("x", 4)(one(x[None]), gen()).sources["x"][0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_blur_is_two_interpolations(device: str) -> None:
    x = torch.randn(3, 2, 32, 32, generator=gen()).to(device)
    small = interpolate(x, size=(8, 8), mode="bilinear", antialias=True)
    expected = interpolate(small, size=(32, 32), mode="bilinear")
    assert torch.equal(Blur("x", 4)(one(x), gen()).sources["x"], expected)


@given(extent=st.integers(2, 40), share=st.floats(0, 1, exclude_min=True), constant=st.floats(-10, 10))
@settings(deadline=None, max_examples=50)
def test_blur_keeps_a_constant_and_shrinks_everything_else(extent: int, share: float, constant: float) -> None:
    factor = 1 + share * (extent - 1)
    if factor == 1:
        return
    flat = torch.full((1, extent, extent), constant, dtype=torch.float64)
    assert torch.allclose(Blur("x", factor)(one(flat), gen()).sources["x"], flat, atol=1e-5)
    x = torch.randn(1, extent, extent, generator=gen(), dtype=torch.float64)
    assert Blur("x", factor)(one(x), gen()).sources["x"].std() < x.std()


def test_blur_keeps_leading_axes() -> None:
    x = torch.randn(2, 3, 4, 10, 8, generator=gen())
    video = Blur("x", 2)(one(x), gen()).sources["x"]
    for n, t, c in itertools.product(range(2), range(3), range(4)):
        frame = Blur("x", 2)(one(x[n, t, c][None]), gen()).sources["x"][0]
        torch.testing.assert_close(video[n, t, c], frame)
    rows = Blur("x", 2, dims=1)(one(x), gen()).sources["x"]
    flat = Blur("x", 2)(one(x.reshape(-1, 8)), gen()).sources["x"]
    torch.testing.assert_close(rows, flat.reshape(x.shape))


def test_blur_does_not_mind_strides() -> None:
    x = torch.randn(2, 8, 8, 3, generator=gen()).permute(0, 3, 1, 2)
    strided, packed = (Blur("x", 2)(one(y), gen()).sources["x"] for y in (x, x.contiguous()))
    torch.testing.assert_close(strided, packed)


def test_blur_refuses_what_it_cannot_blur() -> None:
    with pytest.raises(ChiasmError, match=r"factor is 9 but source 'x' is only 6 positions wide; expected .* up to 6"):
        Blur("x", 9)(one(torch.zeros(1, 9, 6)), gen())
    with pytest.raises(ChiasmError, match=r"source 'x' is torch\.int64; expected a floating dtype"):
        Blur("x", 2)(one(torch.zeros(1, 9, dtype=torch.int64)), gen())
    with pytest.raises(ChiasmError, match="expected 1 more axes of positions"):
        Blur("x", 2)(one(torch.zeros(4)), gen())
    with pytest.raises(ChiasmError, match="expected 2 more axes of positions"):
        Blur("x", 2, dims=2)(one(torch.zeros(4, 9)), gen())


# ---------------------------------------------------------------- noise, silence


def test_noise_is_standard_normal_times_sd() -> None:
    x = torch.randn(200, 500, generator=gen(1), dtype=torch.float64)
    noise = (Noise("x", 3)(one(x), gen()).sources["x"] - x) / 3
    # 100 000 draws: the mean has standard error 0.0032, the variance 0.0045, the kurtosis 0.0155; five of each.
    assert abs(noise.mean()) < 0.016
    assert abs(noise.var() - 1) < 0.0225
    assert abs((noise**4).mean() / noise.var() ** 2 - 3) < 0.08
    assert abs(torch.corrcoef(noise.T[:2])[0, 1]) < 5 / 200**0.5


def test_noise_that_replaces_shows_nothing_of_the_sample() -> None:
    baseline = torch.linspace(0, 1, 5)
    a, b = (
        Noise("x", 0.5, mode="replace")(one(torch.full((4, 5), v), baseline), gen()).sources["x"] for v in (1.0, 2.0)
    )
    assert torch.equal(a, b)
    added = Noise("x", 0.5)(one(torch.zeros(4, 5)), gen()).sources["x"]
    torch.testing.assert_close(a, baseline + added)


def test_silence_is_rest_in_memory_of_its_own() -> None:
    batch = a_batch()
    out = Silence("right")(batch, gen()).sources["right"]
    assert torch.equal(out, batch.baseline["right"][None].repeat(N, 1, 1, 1))
    kept = batch.baseline["right"].clone()
    out[0].zero_()
    assert torch.equal(batch.baseline["right"], kept)
    assert torch.equal(out[1], kept)


# ---------------------------------------------------------------- occlude


def hidden(x: Tensor, deficit: Occlude, seed: int = 0) -> Tensor:
    """Where a source of ones became its baseline of zeros."""
    return Occlude("x", deficit.share, deficit.dims)(one(torch.ones_like(x)), gen(seed)).sources["x"] == 0


@given(length=st.integers(1, 40), share=st.floats(0, 1, exclude_min=True), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_occlude_hides_one_segment_of_that_share(length: int, share: float, seed: int) -> None:
    mask = hidden(torch.empty(5, length), Occlude("x", share), seed)
    assert mask.sum(1).tolist() == [max(1, round(share * length))] * 5
    edges = mask[:, 1:].int() - mask[:, :-1].int()
    assert ((edges == 1).sum(1) <= 1).all()
    assert ((edges == -1).sum(1) <= 1).all()
    assert not (((edges == 1).any(1)) & mask[:, 0]).any()  # it starts once: at the edge or inside


@given(
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    share=st.floats(0, 1, exclude_min=True),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=100)
def test_occlude_hides_one_squarish_rectangle_of_that_share(size: tuple[int, int], share: float, seed: int) -> None:
    (high, wide), area = size, max(1, round(share * size[0] * size[1]))
    for mask in hidden(torch.empty(3, high, wide), Occlude("x", share), seed):
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        h, w = len(rows), len(columns)
        assert rows[-1] - rows[0] + 1 == h
        assert columns[-1] - columns[0] + 1 == w
        assert mask.sum() == h * w  # no holes
        assert abs(h * w - area) <= max(h, w) / 2  # one side is rounded
        assert abs(h - w) <= 1 or h == high or w == wide


def test_occlude_puts_the_block_everywhere_equally_often() -> None:
    mask = hidden(torch.empty(6000, 6), Occlude("x", 0.5))
    starts = torch.bincount(mask.int().argmax(1), minlength=6)
    assert starts[4:].sum() == 0
    assert ((starts[:4] - 1500).abs() < 5 * (6000 * 0.25 * 0.75) ** 0.5).all()  # five standard deviations
    square = hidden(torch.empty(2000, 4, 4), Occlude("x", 0.25)).int()
    top, left = square.amax(2).argmax(1), square.amax(1).argmax(1)
    places = Counter(zip(top.tolist(), left.tolist(), strict=True))
    assert set(places) == set(itertools.product(range(3), range(3)))
    assert max(abs(count - 2000 / 9) for count in places.values()) < 5 * (2000 * 8 / 81) ** 0.5


def test_occlude_hides_channels_and_frames_alike_and_shows_rest() -> None:
    x = torch.randn(4, 5, 3, 8, 8, generator=gen())
    baseline = torch.randn(5, 3, 8, 8, generator=gen(1))
    out = Occlude("x", 0.25)(one(x, baseline), gen()).sources["x"]
    mask = out != x
    assert (mask == mask[:, :1, :1]).all()
    assert mask[:, 0, 0].sum((1, 2)).tolist() == [16] * 4
    assert torch.equal(out[mask], baseline.expand_as(x)[mask])
    strips = hidden(x, Occlude("x", 0.25, dims=1))
    assert (strips == strips[:, :1, :1, :1]).all()
    assert strips.sum().item() == x.numel() // 4


def test_occlude_of_everything_is_silence() -> None:
    batch = a_batch()
    assert same(Occlude("left", 1)(batch, gen()), Silence("left")(batch, gen()))


# ---------------------------------------------------------------- dissociate


def origins(batch: Batch) -> list[Tensor]:
    return [x[:, 0].long() for x in batch.sources.values()]


def test_dissociate_keeps_the_first_and_permutes_the_others_each_for_itself() -> None:
    for labels in ("either", "code", "first"):
        a, b, c = origins(Dissociate(labels)(indices(50, "a", "b", "c"), gen()))
        assert torch.equal(a, torch.arange(50))
        assert all(torch.equal(p.sort().values, torch.arange(50)) for p in (b, c))
        assert not torch.equal(b, a)
        assert not torch.equal(c, a)
        assert not torch.equal(b, c)


@given(seed=st.integers(0, 2**31), sources=st.integers(2, 4))
@settings(deadline=None, max_examples=40)
def test_under_either_the_label_is_always_that_of_the_head_s_source(seed: int, sources: int) -> None:
    out = Dissociate()(indices(64, *"abcd"[:sources]), gen(seed))
    assert out.head is not None
    shown = torch.stack(origins(out))  # (sources, samples): the number, hence the label, of what each source shows
    assert torch.equal(out.target, shown[out.head - 1, torch.arange(64)])


def test_under_either_every_source_s_label_counts_equally_often() -> None:
    out = Dissociate()(indices(9000, "a", "b", "c"), gen())
    assert out.head is not None
    counts = torch.bincount(out.head, minlength=4)
    assert counts[0] == 0  # never the head "both"
    assert ((counts[1:] - 3000).abs() < 5 * (9000 * 2 / 9) ** 0.5).all()  # five standard deviations


def test_under_code_one_head_reads_a_batch_and_says_nothing_about_its_labels() -> None:
    n, batches = 64, 400
    heads, from_first = [], []
    for seed in range(batches):
        out = Dissociate("code")(indices(n, "left", "right"), gen(seed))
        assert out.head is not None
        assert len(out.head) == n
        assert (out.head == out.head[0]).all()
        left, right = origins(out)
        assert ((out.target == left) | (out.target == right)).all()
        apart = left != right
        heads.append(int(out.head[0]))
        from_first.append((out.target == left)[apart].double().mean().item())
    head, share = torch.tensor(heads), torch.tensor(from_first)
    # Fair coins: 400 heads have standard error 0.025, the 64 labels of some 200 batches 0.0044; five of each.
    assert set(heads) == {1, 2}
    assert abs((head == 1).double().mean() - 0.5) < 0.125
    assert abs(share[head == 1].mean() - 0.5) < 0.022
    assert abs(share[head == 2].mean() - 0.5) < 0.022
    assert share.min() > 0.5 - 5 * 0.5 / 63**0.5  # the labels' coin is thrown for every sample, not for the batch
    assert share.max() < 0.5 + 5 * 0.5 / 63**0.5


def test_under_first_target_and_head_stay() -> None:
    batch = dataclasses.replace(indices(30, "a", "b"), head=torch.full((30,), 2))
    out = Dissociate("first")(batch, gen())
    assert out.target is batch.target
    assert out.head is batch.head


def test_within_class_every_source_keeps_the_label() -> None:
    batch = indices(60, "a", "b", "c", classes=5)
    out = Dissociate(within="class")(batch, gen())
    a, b, c = origins(out)
    assert torch.equal(a, torch.arange(60))
    for p in (b, c):
        assert torch.equal(p.sort().values, torch.arange(60))
        assert torch.equal(batch.target[p], batch.target)
        assert (p != a).sum() > 30  # 12 a class: one in twelve meets itself
    assert not torch.equal(b, c)
    assert out.target is batch.target
    assert out.head is None


def test_within_class_all_permutations_are_equally_likely() -> None:
    target = torch.tensor([0, 1, 0, 2, 0, 1])
    batch = dataclasses.replace(indices(6, "a", "b"), target=target)
    seen = Counter(tuple(origins(Dissociate(within="class")(batch, gen(s)))[1].tolist()) for s in range(1200))
    assert len(seen) == 12  # 3! of class 0, 2! of class 1, 1! of class 2
    assert max(abs(count - 100) for count in seen.values()) < 5 * (1200 * 11 / 144) ** 0.5


def test_dissociate_refuses_what_cannot_be_taken_apart() -> None:
    with pytest.raises(ChiasmError, match="the batch has one source, a; expected two or more"):
        Dissociate()(indices(4, "a"), gen())
    with pytest.raises(ChiasmError, match="labels is 'code'; expected either or first, as within class every source"):
        Dissociate("code", within="class")


# ---------------------------------------------------------------- swap, lag, labels, freeze


def test_swap_exchanges_and_twice_is_nothing() -> None:
    batch = a_batch()
    swap = Swap("left", "right")
    out = swap(batch, gen())
    assert out.sources["left"] is batch.sources["right"]
    assert out.sources["right"] is batch.sources["left"]
    assert same(swap(out, gen()), batch)
    with pytest.raises(ChiasmError, match=r"'left' is \(2, 8, 6\) and 'gyro' is \(12,\); expected two sources"):
        Swap("left", "gyro")(batch, gen())


@pytest.mark.parametrize("k", [1, 3, 6])
def test_lag_shows_the_past(k: int) -> None:
    x = torch.randn(2, 7, 3, generator=gen())
    out = Lag("x", k)(one(x), gen()).sources["x"]
    for t in range(7):
        assert torch.equal(out[:, t], x[:, max(0, t - k)])


def test_lag_refuses_to_leave_nothing() -> None:
    with pytest.raises(ChiasmError, match="k is 7 but source 'x' is only 7 frames long; expected less than that"):
        Lag("x", 7)(one(torch.zeros(2, 7, 3)), gen())
    with pytest.raises(ChiasmError, match="only 1 frames long"):
        Lag("x", 1)(one(torch.zeros(2)), gen())


@pytest.mark.parametrize(("n", "share", "k"), [(10, 0.25, 2), (10, 1, 10), (40, 0.33, 13), (50, 0.1, 5), (10, 0.01, 0)])
def test_shuffled_labels_are_of_exactly_that_share(n: int, share: float, k: int) -> None:
    batch = indices(n, "a")
    moved = []
    for seed in range(200):
        out = ShuffleLabels(share)(batch, gen(seed))
        assert out.sources["a"] is batch.sources["a"]
        assert torch.equal(out.target.sort().values, batch.target)
        moved.append(int((out.target != batch.target).sum()))
    # A third of all permutations leave none in place, so that 200 of them show the full share.
    assert max(moved) == k
    # A uniform permutation of k >= 2 leaves one in place on average, with variance 1.
    if k >= 2:
        assert abs(k - sum(moved) / 200 - 1) < 5 / 200**0.5


def test_freeze_leaves_the_batch() -> None:
    batch = a_batch()
    assert Freeze("left")(batch, gen()) is batch


# ---------------------------------------------------------------- together


def test_a_sum_is_flat_and_knows_its_parts() -> None:
    a, b, c = Noise("left", 1), Freeze("right"), Swap("left", "gyro")
    assert a + (b + c) == (a + b) + c == Composed((a, b, c))
    assert (a + b + c).touches == ("left", "right", "gyro")
    assert (a + b + c).frozen == ("right",)
    assert str(a + b + c) == "noise(left, 1) + freeze(right) + swap(left, gyro)"
    assert isinstance(a + b, Deficit)


def test_a_sum_goes_from_left_to_right() -> None:
    batch = a_batch()
    noise, silence = Noise("left", 1), Silence("left")
    assert torch.equal((noise + silence)(batch, gen()).sources["left"], silence(batch, gen()).sources["left"])
    assert not torch.equal((silence + noise)(batch, gen()).sources["left"], silence(batch, gen()).sources["left"])
    g = gen()
    assert same((silence + noise + Dissociate())(batch, gen()), Dissociate()(noise(silence(batch, g), g), g))


def test_the_parts_of_a_sum_share_no_draw() -> None:
    batch = a_batch()
    x = batch.sources["left"]
    once = Noise("left", 1)(batch, gen()).sources["left"] - x
    twice = (Noise("left", 1) + Noise("left", 1))(batch, gen()).sources["left"] - x
    first, second = once.flatten(), (twice - once).flatten()
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 5 / len(first) ** 0.5


def test_what_is_added_on_the_right_leaves_the_draws_before_it() -> None:
    batch = a_batch()
    alone = Noise("left", 1)(batch, gen())
    more = (Noise("left", 1) + Noise("right", 1) + ShuffleLabels(1))(batch, gen())
    assert torch.equal(alone.sources["left"], more.sources["left"])


def test_a_sum_of_nothing_is_clean() -> None:
    batch = a_batch()
    assert Composed(())(batch, gen()) is batch
    assert str(Composed(())) == "clean"


# ---------------------------------------------------------------- the examples in the docstrings


@pytest.mark.parametrize("module", [m.name for m in pkgutil.iter_modules(chiasm.deficits.__path__)])
def test_the_examples_in_the_docstrings_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"chiasm.deficits.{module}")).failed == 0
