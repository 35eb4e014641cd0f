"""`measure` on models whose answer is known, against SALib, under changes that must change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from SALib.analyze import sobol as analyze
from SALib.sample import sobol as sample
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring import measure
from chiasm.networks import Fusion, FusionNetwork

Array = NDArray[np.float64]
# The sampling error of log(T_a / T_b) of a Gaussian linear unit: each log of a variance from n anchors has variance
# 2 / (n - 1), so RSV = tanh(half of it) has standard deviation (1 - RSV²) sqrt(1 / (n - 1)). Bounds are four of those.
ANCHORS = 128
SPREAD = 4 * np.sqrt(1 / (ANCHORS - 1))


class Units(nn.Module):
    """Units of known dependence on two numbers."""

    def __init__(self, fusion: nn.Module | None = None) -> None:
        super().__init__()
        self.fusion = nn.Identity() if fusion is None else fusion

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        a, b = left, right
        out: Tensor = self.fusion(
            torch.cat([a + b, 2 * a + b, a - 3 * b, a * b, a + 0 * b, b - 7, a.relu() + b.relu(), 0 * a + 1], 1)
        )
        return out


RSV = np.array([0, 0.6, -0.8, 0, 1, -1, 0])
SYNERGY = np.array([0, 0, 0, 1, 0, 0, 0])


def samples(n: int = 2000, seed: int = 0, shape: tuple[int, ...] = (1,)) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {"left": torch.randn(n, *shape, generator=g), "right": torch.randn(n, *shape, generator=g)}


def test_closed_forms() -> None:
    m = measure(Units(), samples(), ["fusion"])["fusion"]
    assert m.dead.tolist() == [False] * 7 + [True]
    # For ReLU the variance of the square is larger than a Gaussian's (kurtosis 5.4 in place of 3): a factor 1.5.
    tolerance = SPREAD * np.array([1, 1 - 0.36, 1 - 0.64, 1, 1e-9, 1e-9, 1.5]) + 1e-12
    assert (abs(m.rsv()[:7] - RSV) < tolerance).all(), m.rsv()
    assert m.rsv()[4:6].tolist() == [1, -1]
    # The first-order parts of a product are the squared means of the anchors, about 1/n of its variance each.
    assert (abs(m.synergy()[:7] - SYNERGY) < 1e-6 + SYNERGY * 4 * 2 / ANCHORS).all(), m.synergy()
    np.testing.assert_allclose(m.total()[0, 1], 0.8, atol=SPREAD * 0.8 * 0.2 * 2)
    assert m.variance()[3] == pytest.approx(1, abs=4 * np.sqrt(2 * 2 / (ANCHORS - 1)))


def test_linear_units_are_exact_for_the_samples_that_were_shown() -> None:
    x = samples(100)
    a, b = (float(v.double().var()) for v in x.values())
    m = measure(Units(), x, ["fusion"], anchors=128)
    assert m.anchors == (100, 100)
    assert m.wanted == (128, 128)
    exact = [(4 * a - b) / (4 * a + b), (a - 9 * b) / (a + 9 * b)]
    np.testing.assert_allclose(m["fusion"].rsv()[1:3], exact, rtol=1e-5)
    np.testing.assert_allclose(m["fusion"].variance()[1], 4 * a + b, rtol=1e-5)


def test_salib_agrees() -> None:
    def unit(x: Array) -> Array:
        return np.stack([np.maximum(x[..., 0] + x[..., 1], 0), np.sin(x[..., 0]) * (1 + x[..., 1] ** 2)], -1)

    problem = {"num_vars": 2, "names": ["left", "right"], "bounds": [[-1.0, 2.0], [-1.0, 2.0]]}
    design = sample.sample(problem, 2048, calc_second_order=False, seed=1)
    uniform = np.random.default_rng(0).uniform(-1, 2, (2, 1000, 1))
    m = measure(
        nn.Identity(),
        {"left": uniform[0], "right": uniform[1]},
        [""],
        forward=lambda net, s: net(torch.from_numpy(unit(torch.cat([s["left"], s["right"]], 1).numpy()))),
    )[""]
    for u in range(2):
        theirs = analyze.analyze(problem, unit(design)[:, u], calc_second_order=False, seed=2)
        for quantity, index, error in (("first", "S1", "S1_conf"), ("total", "ST", "ST_conf")):
            ours, se = m.value(quantity)[:, u], m.standard_error(quantity)[:, u]
            both = np.sqrt(se**2 + (theirs[error] / 1.96) ** 2)
            assert (abs(ours - theirs[index]) < 4 * both).all(), (quantity, ours, theirs[index])
            assert (se < 0.06).all()


def test_swapping_sources_flips_the_sign_and_nothing_else() -> None:
    x = samples()
    one = measure(Units(), x, ["fusion"], anchors=(40, 30))["fusion"]
    two = measure(Units(), dict(reversed(x.items())), ["fusion"], anchors=(30, 40))["fusion"]
    np.testing.assert_allclose(two.rsv(), -one.rsv(), atol=1e-6)
    np.testing.assert_allclose(two.synergy(), one.synergy(), atol=1e-6)
    np.testing.assert_allclose(two.standard_error("rsv"), one.standard_error("rsv"), atol=1e-6)
    np.testing.assert_allclose(two.total(), one.total()[::-1], atol=1e-6)


def test_scaling_shifting_and_permuting_units() -> None:
    x = samples()
    order = [3, 0, 6, 1, 2, 5, 4]
    plain = measure(Units(), x, ["fusion"])["fusion"]

    mix = nn.Linear(8, 7)
    with torch.no_grad():
        mix.weight.copy_(-3 * torch.eye(8)[order])
        mix.bias.fill_(20)
    other = measure(Units(mix), x, ["fusion"])["fusion"]
    for quantity in ("rsv", "synergy"):
        np.testing.assert_allclose(other.value(quantity), plain.value(quantity)[order], atol=1e-5)
    np.testing.assert_allclose(other.standard_error("rsv"), plain.standard_error("rsv")[order], atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 7, 40, 100, 5000])
def test_the_chunk_changes_nothing(chunk: int) -> None:
    torch.manual_seed(0)
    model, x = network(), samples(30, shape=(6,))
    layers = ["pathways.left.0", "fusion", "trunk"]
    one = measure(model, x, layers, anchors=(20, 13))
    two = measure(model, x, layers, anchors=(20, 13), chunk=chunk)
    three = measure(model, x, layers, anchors=(20, 13), chunk=chunk, forward=lambda net, s: net(s))
    for name in layers:
        for other in (two, three):
            np.testing.assert_allclose(other[name].total(), one[name].total(), atol=1e-5)
            np.testing.assert_allclose(other[name].standard_error("rsv"), one[name].standard_error("rsv"), atol=1e-5)


def network(activation: nn.Module | None = None) -> FusionNetwork:
    def pathway() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(inplace=True), nn.Linear(9, 5))

    trunk = nn.Sequential(nn.Linear(5, 4), nn.ReLU(inplace=True))
    heads = {"both": nn.Linear(4, 3), "left": nn.Linear(4, 3)}
    return FusionNetwork({"right": pathway(), "left": pathway()}, Fusion("sum", activation), trunk, heads)


def test_separate_pathways_give_the_numbers_of_whole_passes() -> None:
    torch.manual_seed(1)
    model, x = network(), samples(200, shape=(6,))
    layers = ["pathways.left.0", "pathways.right", "fusion", "trunk.0", "trunk", "heads.both", "heads.left", ""]
    calls = {"pathway": 0, "fusion": 0}
    model.pathways["left"].register_forward_pre_hook(lambda _m, i: calls.update(pathway=calls["pathway"] + len(i[0])))
    model.fusion.register_forward_pre_hook(lambda _m, i: calls.update(fusion=calls["fusion"] + len(i[0][0])))
    fast = measure(model, x, layers, anchors=(50, 40))
    assert calls == {"pathway": 50 + 2, "fusion": 50 * 40 + 2}
    slow = measure(model, x, layers, anchors=(50, 40), forward=lambda net, s: net(s))
    for name in layers:
        assert fast[name].dead.tolist() == slow[name].dead.tolist()
        live = ~fast[name].dead
        assert live.any()
        for quantity in ("rsv", "synergy", "variance"):
            np.testing.assert_allclose(
                fast[name].value(quantity)[live], slow[name].value(quantity)[live], rtol=1e-4, atol=1e-5
            )
    for m in (fast, slow):
        np.testing.assert_allclose(m["pathways.left.0"].rsv(), 1, rtol=1e-9)
        np.testing.assert_allclose(m["pathways.right"].rsv("left", "right"), -1, rtol=1e-9)
        np.testing.assert_allclose(m[""].rsv(), m["heads.both"].rsv())


def test_a_network_is_asked_by_its_sources_names() -> None:
    x = samples(20, shape=(6,))
    with pytest.raises(ChiasmError, match="unknown source 'lft'; known sources: left, right"):
        measure(network(), {"lft": x["left"], "right": x["right"]}, ["fusion"])


class Maps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.tokens = nn.Conv2d(2, 3, 3), nn.Identity()

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        maps = self.conv(torch.cat([left, right], 1))
        tokens: Tensor = self.tokens(maps.flatten(2).transpose(1, 2))
        return tokens.mean((1, 2))


def test_maps_and_tokens_per_channel_and_per_position() -> None:
    torch.manual_seed(0)
    model, x = Maps(), samples(30, shape=(1, 5, 4))
    pooled = measure(model, x, ["conv", "tokens", ""], anchors=12)
    places = measure(model, x, ["conv", "tokens"], anchors=12, per="position")
    assert len(pooled["conv"]) == len(pooled["tokens"]) == 3
    np.testing.assert_allclose(pooled["tokens"].rsv(), pooled["conv"].rsv(), atol=1e-5)
    assert len(pooled[""]) == 1
    assert places["conv"].shape == (3, 3, 2)
    assert places["tokens"].shape == (6, 3)
    by_channel = places["conv"].rsv().reshape(3, 6)
    np.testing.assert_allclose(by_channel, places["tokens"].rsv().reshape(6, 3).T, atol=1e-6)


def test_per_anchor_pooling_keeps_the_paper_s_ratios() -> None:
    x = samples(200)
    m = measure(Units(), x, ["fusion"], anchors=(60, 50), pooling="per_anchor")
    layer = m["fusion"]
    ratios = layer.per_anchor_rsv()
    assert m.pooling == "per_anchor"
    assert ratios.shape == (50, 8)
    assert (ratios[:, 4] == 1).all()
    assert (ratios[:, 5] == -1).all()
    assert np.isnan(ratios[:, 7]).all()
    np.testing.assert_allclose(ratios[:, 1], layer.rsv()[1], atol=1e-5)  # additive: the same at every anchor
    assert np.nanstd(ratios[:, 3]) > 0.3  # a product: as the anchors' own sizes are
    assert "50 of 400 per-anchor ratios undefined" in m.summary()


class Call(nn.Module):
    """Adds or subtracts; how it is called is what differs."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Identity()


class InOrder(Call):
    def forward(self, x: Tensor, y: Tensor, scale: float = 2.0) -> Tensor:
        out: Tensor = self.out(scale * x + y)
        return out


class Named(Call):
    def forward(self, right: Tensor, *, left: Tensor) -> Tensor:
        out: Tensor = self.out(2 * left + right)
        return out


class OneMapping(Call):
    def forward(self, sources: Mapping[str, Tensor]) -> Tensor:
        out: Tensor = self.out(2 * sources["left"] + sources["right"])
        return out


class Star(Call):
    def forward(self, *x: Tensor) -> Tensor:
        out: Tensor = self.out(2 * x[0] + x[1])
        return out


class Three(Call):
    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        return x + y + z


@pytest.mark.parametrize("model", [InOrder(), Named(), OneMapping(), Star()])
def test_the_call_is_inferred(model: nn.Module) -> None:
    x = samples(100)
    exact = measure(Units(), x, ["fusion"])["fusion"].rsv()[1]
    assert measure(model, x, ["out"])["out"].rsv()[0] == pytest.approx(exact, abs=1e-6)


def test_sources_come_as_the_model_wants_them() -> None:
    model = nn.Bilinear(2, 2, 3).half()
    rng = np.random.default_rng(0)
    x = {"left": rng.normal(size=(50, 2)), "right": rng.normal(size=(50, 2))}
    assert measure(model, x, [""])[""].rsv().shape == (3,)
    tokens = nn.Embedding(5, 3)
    ids = {"left": rng.integers(0, 5, 40), "right": rng.integers(0, 5, 40)}
    m = measure(tokens, ids, [""], forward=lambda net, s: net(s["left"] * 0 + s["right"]))
    np.testing.assert_allclose(m[""].rsv(), -1)


def bad(**changes: Any) -> None:
    settings: dict[str, Any] = {"model": Units(), "sources": samples(20), "layers": ["fusion"]} | changes
    measure(settings.pop("model"), settings.pop("sources"), settings.pop("layers"), **settings)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sources": {"left": torch.ones(3, 1)}}, "two sources are measured at present; 1 were given: left"),
        ({"sources": {n: torch.ones(3, 1) for n in "abc"}}, "two sources are measured at present; 3 were given"),
        (
            {"sources": {"left": torch.ones(3, 1), "right": torch.ones(4, 1)}},
            "same number of samples; given: left 3, right 4",
        ),
        ({"sources": {"left": torch.ones(1, 1), "right": torch.ones(1, 1)}}, "1 sample cannot vary"),
        ({"sources": {"left": [1, 2], "right": [1, 2]}}, "source 'left' is a list; give a torch tensor"),
        ({"sources": {"left": torch.ones(3, 1), "right": torch.full((3, 1), torch.nan)}}, "source 'right' holds NaN"),
        ({"anchors": 1}, "anchors = 1; give a whole number of 2 or more"),
        ({"anchors": (4, 4, 4)}, r"anchors = \(4, 4, 4\)"),
        ({"chunk": 0}, "chunk = 0"),
        ({"per": "pixel"}, "per = 'pixel'; 'channel' or 'position'"),
        ({"pooling": "mean"}, "pooling = 'mean'; 'ratio' or 'per_anchor'"),
        ({"layers": "fusion"}, "give a list of names"),
        ({"layers": ["fusio"]}, "unknown layer 'fusio'; known layers: fusion .did you mean"),
        (
            {"model": Three(), "layers": ["out"]},
            r"forward takes \(x, y, z\), which does not fit the sources left, right",
        ),
        ({"forward": lambda net, s: net(s["left"].log(), s["right"])}, "layer 'fusion': . of 8 units gave NaN"),
        ({"forward": lambda net, s: net(s["left"][:1], s["right"][:1])}, "gave 1 answers to 400 samples"),
    ],
)
def test_mistakes_are_one_sentence(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ChiasmError, match=told):
        bad(**changes)
