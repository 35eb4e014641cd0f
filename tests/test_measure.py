"""`measure` on models whose answer is known, against SALib, under changes that must change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from SALib.analyze import sobol as analyze
from SALib.sample import sobol as sample
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring import DependentSources, Measurement, combine, measure
from chiasm.networks import Fusion, FusionNetwork

Array = NDArray[np.float64]
# The sampling error of log(T_a / T_b) of a Gaussian linear unit: each log of a variance with n degrees of freedom has
# variance 2 / n, so RSV = tanh(half of it) has standard deviation (1 - RSV²) sqrt(1 / n). 2000 samples make 250 blocks
# of 8, of 7 degrees of freedom each. Bounds are four standard deviations.
FREEDOM = 250 * 7
SPREAD = 4 * np.sqrt(1 / FREEDOM)


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
    # Of a product of a block of 8, the first-order parts come out within 2/8 of its variance; 250 blocks average that.
    assert (abs(m.synergy()[:7] - SYNERGY) < 1e-6 + SYNERGY * 4 * 2 / 8 / np.sqrt(250)).all(), m.synergy()
    np.testing.assert_allclose(m.total()[0, 1], 0.8, atol=SPREAD * 0.8 * 0.2 * 2)
    assert m.variance()[3] == pytest.approx(1, abs=4 * np.sqrt(2 * 2 / FREEDOM))


def test_linear_units_are_exact_for_the_samples_that_were_shown() -> None:
    x = samples(100)
    a, b = (float(v.double().var()) for v in x.values())
    m = measure(Units(), x, ["fusion"], block=100)  # one block of all samples
    assert m.anchors == 100
    assert m.wanted == 4096
    exact = [(4 * a - b) / (4 * a + b), (a - 9 * b) / (a + 9 * b)]
    np.testing.assert_allclose(m["fusion"].rsv()[1:3], exact, rtol=1e-5)
    np.testing.assert_allclose(m["fusion"].variance()[1], 4 * a + b, rtol=1e-5)
    with pytest.raises(ChiasmError, match="one block of anchors alone gives no standard error"):
        m["fusion"].interval("rsv")


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
    one = measure(Units(), x, ["fusion"], anchors=200)["fusion"]
    two = measure(Units(), dict(reversed(x.items())), ["fusion"], anchors=200)["fusion"]
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
    one = measure(model, x, layers, block=5)
    two = measure(model, x, layers, block=5, chunk=chunk)
    three = measure(model, x, layers, block=5, chunk=chunk, forward=lambda net, s: net(s))
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
    fast = measure(model, x, layers, block=10)
    assert calls == {
        "pathway": 200 + 8,
        "fusion": 200 * 10 + 8,
    }  # and two samples, four times, that tell what it is like
    slow = measure(model, x, layers, block=10, forward=lambda net, s: net(s))
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
        np.testing.assert_allclose(m[""].rsv(), m["heads.both"].rsv(), atol=1e-6)


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
    pooled = measure(model, x, ["conv", "tokens", ""])
    places = measure(model, x, ["conv", "tokens"], per="position")
    assert len(pooled["conv"]) == len(pooled["tokens"]) == 3
    np.testing.assert_allclose(pooled["tokens"].rsv(), pooled["conv"].rsv(), atol=1e-5)
    assert len(pooled[""]) == 1
    assert places["conv"].shape == (3, 3, 2)
    assert places["tokens"].shape == (3, 6)
    by_channel = places["conv"].rsv().reshape(3, 6)
    np.testing.assert_allclose(by_channel, places["tokens"].rsv().reshape(3, 6), atol=1e-6)
    last = measure(model, x, ["tokens"], per="position", channel_axis=1)["tokens"]
    assert last.shape == (6, 3)


def test_per_anchor_pooling_keeps_the_paper_s_ratios() -> None:
    x = samples(200)
    m = measure(Units(), x, ["fusion"], block=50, pooling="per_anchor")
    layer = m["fusion"]
    ratios = layer.per_anchor_rsv()
    assert m.pooling == "per_anchor"
    assert ratios.shape == (200, 8)
    assert (ratios[:, 4] == 1).all()
    assert (ratios[:, 5] == -1).all()
    assert np.isnan(ratios[:, 7]).all()
    assert ratios[:50, 1].std() < 1e-5  # additive: the same at every anchor of a block
    assert np.nanstd(ratios[:, 3]) > 0.3  # a product: as the anchors' own sizes are
    assert "200 of 1600 per-anchor ratios undefined" in m.summary()
    with pytest.raises(ChiasmError, match="measure with pooling='per_anchor'"):
        measure(Units(), x, ["fusion"])["fusion"].per_anchor_rsv()


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


ONE = {"left": torch.ones(3, 1)}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sources": ONE}, r"1 source given \(left\); two or more can be compared"),
        ({"sources": [torch.ones(3, 1)]}, "sources is a list; expected a mapping from names to tensors"),
        (
            {"sources": {"left": torch.ones(3, 1), "right": torch.ones(4, 1)}},
            "same number of samples; given: left 3, right 4",
        ),
        ({"sources": {**ONE, "right": (torch.ones(3), torch.ones(2))}}, "the parts of source 'right' have different"),
        ({"sources": {"left": torch.ones(1, 1), "right": torch.ones(1, 1)}}, "1 sample cannot vary"),
        ({"sources": {"left": [1, 2], "right": [1, 2]}}, "source 'left' is a list; give a torch tensor"),
        ({"sources": {"left": torch.ones(3, 1), "right": torch.full((3, 1), torch.nan)}}, "source 'right' holds NaN"),
        ({"anchors": 1}, "anchors = 1; expected a whole number of 2 or more"),
        ({"anchors": (4, 4)}, r"anchors = \(4, 4\); expected a whole number"),
        ({"precision": 0.1, "anchors": 100}, "precision and anchors are given both"),
        ({"variant": lambda x, g: x}, "variant is for pairing='local'"),
        ({"pairing": "local", "variant": lambda x: x}, r"the variant function of source 'left' raised TypeError"),
        ({"pairing": "local", "variant": lambda x, g: x.numpy()}, "made a ndarray of"),
        ({"sources": {**ONE, "right": torch.ones(3, 1).to_sparse()}}, "source 'right' is a tensor that is sparse_coo"),
        ({"sources": {**ONE, "right": torch.ones(3, 1, device="meta")}}, "a tensor that is without data"),
        ({"layers": None}, "layers is a NoneType; expected a list of names"),
        ({"forward": "x"}, "forward is a str"),
        ({"channel_axis": "last"}, "channel_axis = 'last'; give a whole number"),
        ({"precision": 0}, "precision = 0; give the standard error wanted of RSV"),
        ({"block": 1}, "block = 1 with estimator = 'grid'; a grid takes 2 to 128"),
        ({"block": 4, "estimator": "pick_freeze"}, "pick_freeze always two"),
        ({"estimator": "sobol"}, "estimator = 'sobol'; expected 'auto', 'grid' or 'pick_freeze'"),
        ({"pairing": "joint"}, "pairing = 'joint'; expected 'product', 'within_class' or 'local'"),
        ({"pairing": "within_class"}, r"needs the classes: give target=\(samples,\) labels"),
        ({"pairing": "within_class", "target": [0, 1]}, r"target has the shape \(2,\); one label for each of 20"),
        ({"pairing": "within_class", "target": range(20)}, "every class here has one"),
        ({"pairing": "local", "variant": {"left": lambda x, g: x}}, "missing: right"),
        ({"pairing": "local", "variant": lambda x, g: x[:1]}, "must return one variant a sample"),
        ({"chunk": 0}, "chunk = 0"),
        ({"per": "pixel"}, "per = 'pixel'; expected 'channel' or 'position'"),
        ({"pooling": "mean"}, "pooling = 'mean'; expected 'ratio' or 'per_anchor'"),
        ({"layers": "fusion"}, "give a list of names"),
        ({"layers": ["fusio"]}, "unknown layer 'fusio'; known layers: fusion .did you mean"),
        ({"layers": [nn.Identity()]}, "layers are names"),
        ({"model": torch.relu}, "model is a builtin_function_or_method; expected a torch nn.Module"),
        ({"model": Three(), "layers": [""]}, r"forward takes \(x, y, z\)"),
        ({"model": nn.Linear(5, 2), "layers": [""]}, "."),
        (
            {"forward": lambda net, s: net.fusion(s["left"] @ s["right"])},
            r"the model raised RuntimeError \(.*\) when shown left float32 \(2, 1\), right float32 \(2, 1\)",
        ),
        ({"forward": lambda net, s: net(s["left"].log(), s["right"])}, "layer 'fusion': . of 8 units gave NaN"),
        ({"forward": lambda net, s: net(s["left"][:1], s["right"][:1])}, "gave 1 answers to "),
        ({"forward": lambda net, s: None}, "layer 'fusion' was not called"),
        ({"forward": lambda net, s: None, "layers": [""]}, "returns nothing"),
        ({"sources": {**{n: torch.ones(9, 1) for n in "abcdef"}}, "estimator": "grid"}, "a grid of 6 sources"),
    ],
)
def test_mistakes_are_one_sentence(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ChiasmError, match=told) as caught:
        bad(**changes)
    assert "\n" not in str(caught.value)


def three(n: int = 4000, seed: int = 0) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {name: torch.randn(n, 1, generator=g) for name in "abc"}


class Polynomial(nn.Module):
    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return torch.cat([a + b + c, a * b + c, a * b * c, 2 * a + b * c, a + 0 * b, 0 * c + 1], 1)


def test_three_sources() -> None:
    m = measure(Polynomial(), three(), [""])
    layer = m[""]
    assert m.estimator == "pick_freeze"
    assert layer.dead.tolist() == [False] * 5 + [True]
    v = np.array([3, 2, 1, 5, 1])
    total = np.array([[1, 1, 1, 4, 1], [1, 1, 1, 1, 0], [1, 1, 1, 1, 0]]) / v
    first = np.array([[1, 0, 0, 4, 1], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0]]) / v
    shapley = np.array([[1, 1 / 2, 1 / 3, 4, 1], [1, 1 / 2, 1 / 3, 1 / 2, 0], [1, 1, 1 / 3, 1 / 2, 0]]) / v
    for name, truth in (("total", total), ("first", first), ("shapley", shapley), ("share", total / total.sum(0))):
        low, high = layer.interval(name, level=0.9999)
        assert ((low[:, :5] <= truth + 1e-9) & (truth - 1e-9 <= high[:, :5])).all(), name
        assert (layer.standard_error(name)[:, :5] < 0.1).all()  # a b c has a kurtosis of 27
    np.testing.assert_allclose(layer.share()[:, :5].sum(0), 1)
    np.testing.assert_allclose(layer.shapley()[:, :5].sum(0), 1, atol=1e-9)
    np.testing.assert_allclose(layer.synergy()[:5], [0, 0.5, 1, 0.2, 0], atol=0.1)
    np.testing.assert_allclose(layer.interaction("b", "c")[:5], [0, 0, 1, 0.2, 0], atol=0.1)
    np.testing.assert_allclose(layer.rsv("a", "c")[[0, 3, 4]], [0, 0.6, 1], atol=0.1)
    np.testing.assert_array_equal(layer.rsv("c", "a"), -layer.rsv("a", "c"))
    assert "shares of total effects a 0.5" in m.summary()
    turned = measure(Polynomial(), dict(reversed(three().items())), [""])[""]
    np.testing.assert_allclose(turned.total()[::-1], layer.total(), atol=1e-6)
    assert m.frame().filter(quantity="interaction", source="b & c").height == 6


def test_eight_sources_and_what_cannot_be_told_of_them() -> None:
    g = torch.Generator().manual_seed(0)
    x = {f"s{j}": torch.randn(3000, 1, generator=g) for j in range(8)}

    def f(_model: nn.Module, s: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([s["s0"] * s["s1"] + s["s2"], torch.stack(list(s.values())).sum(0)], 1)

    m = measure(nn.Identity(), x, [""], forward=f)
    total = m[""].total()
    truth = np.zeros((8, 2))
    truth[:3, 0], truth[:, 1] = 0.5, 1 / 8
    assert (abs(total - truth) <= 5 * m[""].standard_error("total") + 1e-12).all()
    assert (total[3:, 0] == 0).all()
    assert m[""].interaction("s0", "s1")[0] == pytest.approx(0.5, abs=0.15)
    assert m[""].interaction("s0", "s2")[0] == pytest.approx(0, abs=1e-6)
    with pytest.raises(
        ChiasmError, match=r"measured for 2 to 5 of them; with 8 they lie between first\(\) and total\(\)"
    ):
        m[""].shapley()
    assert m.frame().filter(quantity="shapley").height == 0


def test_two_sources_by_pick_freeze_agree_with_the_grid() -> None:
    x = samples(8000)
    grid = measure(Units(), x, ["fusion"])["fusion"]
    pick = measure(Units(), x, ["fusion"], estimator="pick_freeze")["fusion"]
    for quantity in ("rsv", "synergy", "total"):
        difference = abs(grid.value(quantity) - pick.value(quantity))[..., :7]
        error = np.hypot(grid.standard_error(quantity), pick.standard_error(quantity))[..., :7]
        assert (difference <= 4.5 * error + 1e-6).all(), quantity


def test_pairings() -> None:
    # Both sources hold their class, 3 c, and noise of their own; f = a + b + a b.
    g = torch.Generator().manual_seed(0)
    c = torch.randint(0, 3, (6000,), generator=g)
    x = {s: 3.0 * c[:, None] + torch.randn(6000, 1, generator=g) for s in ("left", "right")}

    def f(_model: nn.Module, s: Mapping[str, Tensor]) -> Tensor:
        a, b = s["left"], s["right"]
        return torch.cat([a + b, 2 * a - b, a * b], 1)

    with pytest.warns(DependentSources, match=r"^sources left and right depend on each other .*product"):
        product = measure(nn.Identity(), x, [""], forward=f)
    spread = 9 * 2 / 3 + 1
    np.testing.assert_allclose(product[""].variance()[:2], [2 * spread, 5 * spread], rtol=0.1)
    assert product.dependence[0].far
    assert "depend on each other" in product.summary()
    within = measure(nn.Identity(), x, [""], forward=f, pairing="within_class", target=c)
    # Within a class: variances 1; of a b with means m = 3 c: V_A = V_B = m², V_AB = 1, so mean V = 2 * 15 + 1.
    np.testing.assert_allclose(within[""].variance(), [2, 5, 31], rtol=0.15)
    np.testing.assert_allclose(within[""].rsv()[:2], [0, 0.6], atol=0.06)
    assert within[""].synergy()[2] == pytest.approx(1 / 31, abs=0.01)
    assert "within_class pairing" in within.summary()
    assert within.dependence == ()

    def jitter(v: Tensor, generator: torch.Generator) -> Tensor:
        return v + 0.1 * torch.randn(v.shape, generator=generator)

    near = measure(nn.Identity(), x, [""], forward=f, pairing="local", variant=jitter, anchors=8000)
    assert near.blocks == 6000 or near.blocks == -(-8000 // 2)
    second = float(((x["left"] ** 2).mean() + (x["right"] ** 2).mean()) * 0.01)
    np.testing.assert_allclose(near[""].variance(), [0.02, 0.05, second], rtol=0.1)
    np.testing.assert_allclose(near[""].rsv()[:2], [0, 0.6], atol=0.06)
    again = measure(nn.Identity(), x, [""], forward=f, pairing="local", variant=jitter, anchors=8000, chunk=64)
    np.testing.assert_allclose(again[""].variance(), near[""].variance(), rtol=1e-5)
    some = measure(nn.Identity(), x, [""], forward=f, pairing="within_class", target=[0, 1, 1, 2, *[3] * 5996])
    assert "2 classes of one sample left out" in some.summary()


def test_the_precision_asked_for_is_reached() -> None:
    x = samples(9000)
    m = measure(Units(), x, ["fusion"], precision=0.02)
    # Looked at again until it is reached, while there are samples.
    assert m["fusion"].error_of_most() <= 0.02 or m.anchors > 8990
    loose = measure(Units(), x, ["fusion"], precision=0.5)
    assert loose.anchors >= 496  # never fewer than what the first look has shown already
    assert "standard error 0.02 wanted" in m.summary()
    few = measure(Units(), samples(100), ["fusion"], precision=0.02)
    assert few.anchors <= 100
    assert few["fusion"].error_of_most() > 0.02


def test_anchors_for_a_precision_bring_it_about() -> None:
    m = measure(Units(), samples(9000), ["fusion"], anchors=1024)
    error = m["fusion"].error_of_most()
    assert m.anchors_for(error) == m.anchors
    assert m.anchors_for(error / 2) == pytest.approx(4 * m.anchors, abs=1)  # errors fall as 1 / sqrt(anchors)
    finer = measure(Units(), samples(9000), ["fusion"], anchors=m.anchors_for(error / 2))
    assert finer["fusion"].error_of_most() == pytest.approx(
        error / 2, rel=0.5
    )  # of 15 degrees of freedom: each within 40 %
    with pytest.raises(ChiasmError, match="precision = 0; give the standard error"):
        m.anchors_for(0)
    with pytest.raises(ChiasmError, match="4 anchors give no standard error"):
        measure(Units(), samples(4), ["fusion"], anchors=4, block=4).anchors_for(0.1)


def test_position_explains_what_it_does() -> None:
    # Left columns hear the left source, right columns the right one; channels differ not at all, then by a little.
    def f(_model: nn.Module, s: Mapping[str, Tensor]) -> Tensor:
        a, b = s["left"], s["right"]
        w = torch.linspace(1, 0, 4)
        row = a * w + b * (1 - w)
        tilt = torch.stack([row, 1.5 * a * w + b * (1 - w)], 1)
        return tilt[:, :, None, :].expand(-1, -1, 3, -1)

    layer = measure(nn.Identity(), samples(4000), [""], forward=f, per="position")[""]
    assert layer.shape == (2, 3, 4)
    # Ends of the row are poles in both channels; in between a tilt of 1.5² of variance moves RSV by a fifth or so.
    assert layer.explained_by("column") > 0.9
    assert layer.explained_by("position") > 0.9
    assert layer.explained_by("row") == pytest.approx(0, abs=0.15)
    assert layer.explained_by("channel") < 0.1
    with pytest.raises(ChiasmError, match="unknown factor 'colum'; known factors: channel, column, position, row"):
        layer.explained_by("colum")
    with pytest.raises(ChiasmError, match="measure with per='position'"):
        measure(nn.Identity(), samples(200), [""], forward=lambda _, s: f(_, s).mean((2, 3)))[""].explained_by("column")


def test_dicts_and_tuples_of_tensors_are_sources() -> None:
    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(7, 3)

        def forward(self, image: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
            words: Tensor = (self.table(ids) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            return words + 0 * image

    g = torch.Generator().manual_seed(0)
    ids, mask = torch.randint(0, 7, (300, 5), generator=g), torch.ones(300, 5)
    mask[:, 3:] = 0
    sources = {"image": torch.randn(300, 3, generator=g), "text": {"ids": ids, "mask": mask}}
    model = Text()
    m = measure(model, sources, [""])
    np.testing.assert_allclose(m[""].rsv("text", "image"), 1)
    pair = {"image": sources["image"], "text": (ids, mask)}
    by_hand = measure(model, pair, [""], forward=lambda net, s: net(s["image"], *s["text"]))
    np.testing.assert_array_equal(by_hand[""].variance(), m[""].variance())


def test_saving_and_loading(tmp_path: Path) -> None:
    m = measure(Units(), samples(400), ["fusion", ""], pooling="per_anchor", block=20)
    path = m.save(tmp_path / "m")
    assert path.name == "m.npz"
    back = Measurement.load(path)
    assert back.summary() == m.summary()
    assert back.frame().equals(m.frame())
    np.testing.assert_array_equal(back["fusion"].per_anchor_rsv(), m["fusion"].per_anchor_rsv())
    np.testing.assert_array_equal(back["fusion"].interval("synergy"), m["fusion"].interval("synergy"))
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]
    with np.load(path, allow_pickle=False) as held:  # nothing in it needs a pickle
        assert all(held[key].dtype.kind in "fU" for key in held.files)
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:-200])
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    for name, told in (("none.npz", "no measurement at"), ("cut.npz", "or damaged"), ("other.npz", "or damaged")):
        with pytest.raises(ChiasmError, match=told):
            Measurement.load(tmp_path / name)
    with pytest.raises(ChiasmError, match="cannot be written"):
        m.save(tmp_path / "missing" / "m.npz")


def test_networks_are_combined_with_the_seed_as_the_unit() -> None:
    class Mix(nn.Module):
        def __init__(self, w: float) -> None:
            super().__init__()
            self.w = w

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return left + self.w * right

    rng = np.random.default_rng(0)
    hits, truth = 0, 0.0
    x = samples(600)
    # RSV of a network is tanh(u) with u ~ N(0, 0.5), whose mean is 0.
    for repeat in range(150):
        some = [
            measure(Mix(float(np.exp(-u))), x, [""], anchors=64, seed=repeat * 10 + n, check_dependence=False)
            for n, u in enumerate(rng.normal(0, 0.5, 4))
        ]
        low, high = combine(some).interval("", "mean_rsv")
        hits += int(low <= truth <= high)
    # 150 repeats: a coverage of 95 % is seen with a standard error of 1.8 %; four of those.
    assert 0.88 < hits / 150 < 1.0
    both = combine(some)
    between, within = both.spread("", "mean_rsv")
    assert between > within > 0
    assert both.frame().filter(quantity="mean_rsv")["source"].to_list() == ["left - right"]
    assert both.summary().startswith("4 networks, intervals of 95 % over networks")
    with pytest.raises(ChiasmError, match="two or more networks"):
        combine(some[:1])
    with pytest.raises(ChiasmError, match="unknown quantity 'rsv'"):
        both.each("", "rsv")
    other = measure(Mix(1), dict(reversed(x.items())), [""], anchors=64)
    with pytest.raises(ChiasmError, match="differ in sources"):
        combine([some[0], other])


def test_what_networks_share_of_their_anchors_is_in_the_interval() -> None:
    class Alike(nn.Module):
        def __init__(self, seed: int) -> None:
            super().__init__()
            self.w = 1 + 0.01 * torch.rand(50, generator=torch.Generator().manual_seed(seed))

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return (left + right) * self.w

    # Networks that are nearly one: nothing but the anchors that all of them share moves their RSV away from 0.
    for seeds in ((0, 0, 0, 0), (0, 1, 2, 3)):
        hits = 0
        for repeat in range(60):
            x = samples(300, seed=repeat)
            some = [
                measure(Alike(n), x, [""], seed=seed, anchors=256, check_dependence=False)
                for n, seed in enumerate(seeds)
            ]
            low, high = combine(some).interval("", "mean_rsv")
            hits += int(low <= 0 <= high)
        assert hits / 60 > 0.84, (seeds, hits)  # four standard errors below 95 %


def test_classes_count_by_their_share_of_the_samples() -> None:
    labels = np.repeat(np.arange(200), [4] * 100 + [7] * 100)
    scale = torch.from_numpy(np.where(labels < 100, 1.0, 3.0)).float()[:, None]
    g = torch.Generator().manual_seed(0)
    found = []
    for _ in range(20):
        x = {s: scale * torch.randn(len(labels), 1, generator=g) for s in ("left", "right")}
        m = measure(nn.Identity(), x, [""], forward=lambda _, s: s["left"] + s["right"], pairing="within_class",
                    target=[f"class {c}" for c in labels])  # fmt: skip
        found.append(m[""].variance()[0])
    truth = 2 * (400 * 1 + 700 * 9) / 1100
    assert abs(np.mean(found) - truth) < 4 * np.std(found) / np.sqrt(20)
    rare = measure(Units(), samples(1000), ["fusion"], pairing="within_class", target=np.r_[[0] * 3, [1] * 997])
    assert rare.anchors > 990
    measure(Units(), samples(1000), ["fusion"], pairing="within_class", target=np.r_[[0] * 3, [1] * 997], precision=0.1)


def test_a_model_that_keeps_something_from_pass_to_pass_is_shown_whole_passes() -> None:
    class Skips(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.skips: list[Tensor] = []
            self.mid, self.out = nn.Identity(), nn.Identity()

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            self.skips += [left, right]
            x = self.mid(self.skips.pop(0) * 1.0)
            out: Tensor = self.out(x + self.skips.pop(0))
            return out

    for chunk in (None, 64):
        np.testing.assert_array_equal(measure(Skips(), samples(500), ["mid"], chunk=chunk)["mid"].rsv(), 1)


def test_noise_in_evaluation_mode_is_told() -> None:
    m = measure(nn.Identity(), samples(300), [""], forward=lambda _, s: s["left"] + torch.randn_like(s["right"]))
    assert "the model draws random numbers in evaluation mode, which count as synergy" in m.summary()
    assert "random" not in measure(Units(), samples(300), ["fusion"]).summary()


def test_rounding_is_no_live_unit() -> None:
    def softmax(_model: nn.Module, s: Mapping[str, Tensor]) -> Tensor:
        a, b = s["left"], s["right"]
        return torch.cat([torch.softmax(torch.cat([a, b, a * b], 1), 1).sum(1, keepdim=True), a + b], 1)

    assert measure(nn.Identity(), samples(400), [""], forward=softmax)[""].dead.tolist() == [True, False]
    maps = samples(200, shape=(1, 6, 6))
    norm = nn.InstanceNorm2d(2)
    m = measure(norm, maps, [""], forward=lambda net, s: net(torch.cat([s["left"], s["right"]], 1)))
    assert m[""].dead.all()
    assert measure(Units(), samples(400), ["fusion"], forward=lambda n, s: n(s["left"] + 100, s["right"]))[
        "fusion"
    ].dead.tolist() == [False] * 7 + [True]


def test_additive_networks_of_six_sources_have_no_synergy() -> None:
    g = torch.Generator().manual_seed(0)
    weights = torch.randn(6, 100, generator=g)
    hits = 0
    for repeat in range(20):
        x = {f"s{j}": torch.randn(1000, 1, generator=g) for j in range(6)}
        m = measure(nn.Identity(), x, [""], seed=repeat, check_dependence=False,
                    forward=lambda _, s: torch.cat(list(s.values()), 1) @ weights)  # fmt: skip
        low, high = m[""].interval("mean_synergy")
        hits += int(low <= 1e-9 <= high + 1e-9)
    assert hits >= 15  # of 20; an interval that clips each unit first holds 0 in two of thirty


def test_local_pairing_takes_more_variants_where_samples_are_few() -> None:
    def jitter(x: Tensor, g: torch.Generator) -> Tensor:
        return x + torch.randn(x.shape, generator=g)

    used = [
        measure(Units(), samples(100), ["fusion"], pairing="local", variant=jitter, anchors=n).anchors
        for n in (100, 400, 1600)
    ]
    assert used[0] >= 100
    assert used[1] >= 400
    assert used[2] >= 1600


def test_the_first_axis_is_the_samples() -> None:
    model = nn.Sequential(nn.LSTM(4, 3))  # time first
    x = {s: torch.randn(60, 16, 4) for s in ("left", "right")}

    def f(net: nn.Module, s: Mapping[str, Tensor]) -> Tensor:
        out: Tensor = net((s["left"] + s["right"]).transpose(0, 1))[0]
        return out

    with pytest.raises(ChiasmError, match="gave 16 answers to 2 samples; the first axis"):
        measure(model, x, ["0:0"], forward=f, chunk=16)


def test_a_model_that_fails_late_is_told_in_one_sentence() -> None:
    def f(net: nn.Module, s: Mapping[str, Tensor]) -> Tensor:
        if len(s["left"]) > 2:
            raise ValueError("too many")
        out: Tensor = net(s["left"], s["right"])
        return out

    with pytest.raises(ChiasmError, match=r"raised ValueError \(too many\) when shown left float32 \("):
        measure(Units(), samples(200), ["fusion"], forward=f)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    m = measure(Units(), samples(100), ["fusion"], seed=np.int64(3))  # type: ignore[arg-type]
    (tmp_path / "m.npz").mkdir()
    with pytest.raises(ChiasmError, match="cannot be written"):
        m.save(tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]
    path = m.save(tmp_path / "n")
    assert Measurement.load(path).seed == 3
    whole = path.read_bytes()
    for at in range(40, len(whole), 97):
        (tmp_path / "bad.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        with suppress(ChiasmError):  # a bit that no checksum covers may pass; nothing else is raised
            Measurement.load(tmp_path / "bad.npz")
    np.save(tmp_path / "x.npy", np.ones(3))
    with pytest.raises(ChiasmError, match="or damaged"):
        Measurement.load(tmp_path / "x.npy")
