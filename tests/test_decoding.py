"""Usable information against closed forms, scikit-learn, a plain loop over subsets, and broken input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import entropy, norm
from sklearn.metrics import accuracy_score, log_loss
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring.information.decoding import decode
from chiasm.measuring.information.usable import Usable
from chiasm.networks import FusionNetwork, SplitMLP
from chiasm.sources import Source

LN2 = float(np.log(2))


class Says(nn.Module):
    """Answers what a function of its sources says."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, sources: dict[str, Any]) -> Any:
        return self.answer(**sources)


def two(right: Tensor) -> Tensor:
    """Turn the log odds of class 1 into logits."""
    return torch.cat([-right, right], dim=1) / 2


def coins(sources: str, repeats: int = 1) -> dict[str, Tensor]:
    """Every combination of -1 and 1, equally often, so that means are exactly 0."""
    grid = (
        torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * len(sources)).reshape(-1, len(sources)).repeat(repeats, 1)
    )
    return {name: grid[:, [j]] for j, name in enumerate(sources)}


def network(sources: int, seed: int = 0, **settings: Any) -> FusionNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        given = [Source(f"s{j}", (3,)) for j in range(sources)]
        return SplitMLP(depth=2, width=8, trunk=(8,), **settings).build(given, 4)


def data(sources: int, n: int = 60, seed: int = 0) -> tuple[dict[str, Tensor], Tensor]:
    g = torch.Generator().manual_seed(seed)
    x = {f"s{j}": torch.randn(n, 3, generator=g) + j for j in range(sources)}
    return x, torch.randint(4, (n,), generator=g)


def test_exclusive_or_needs_both() -> None:
    x = coins("ab", 3)
    u = decode(Says(lambda a, b: two(-60 * a * b)), x, ((x["a"] != x["b"]).long())[:, 0])
    assert u.entropy == u.bits() == 1  # 60 nats: what is left of doubt is below a float's last bit
    assert u.alone("bits") == u.missing("bits") == {"a": 0, "b": 0}
    assert u.accuracy() == 1
    assert u.alone() == {"a": 0.5, "b": 0.5}
    assert u.shapley() == {"a": 0.25, "b": 0.25}
    assert u.shapley("bits") == {"a": 0.5, "b": 0.5}
    assert u.value("interaction_bits", "a", "b") == 1
    assert u.nothing("bits") == 0


def test_a_copy_leaves_nothing_to_the_other() -> None:
    x = coins("ab", 3)
    u = decode(Says(lambda a, b: two(60 * a + 0 * b)), x, (x["a"][:, 0] > 0).long())
    assert u.alone("bits") == {"a": 1, "b": 0}
    assert u.missing("bits") == {"a": 0, "b": 1}
    assert u.shapley("bits") == {"a": 1, "b": 0}
    assert u.value("interaction_bits", "a", "b") == 0
    assert u.standard_error("shapley_bits", "b") == 0


def test_redundant_sources_have_a_negative_interaction() -> None:
    x = coins("a", 3)
    u = decode(Says(lambda a, b: two(60 * (a + b))), {"a": x["a"], "b": x["a"].clone()}, (x["a"][:, 0] > 0).long())
    assert u.alone("bits") == {"a": 1, "b": 1}
    assert u.value("interaction_bits", "a", "b") == -1


def test_a_noisy_channel_has_its_capacity() -> None:
    a = torch.tensor([-1.0, 1.0]).repeat_interleave(10).unsqueeze(1)
    y = (a[:, 0] > 0).long()
    y[[0, 10]] = 1 - y[[0, 10]]  # one in ten is flipped
    u = decode(Says(lambda a: two(a * np.log(9))), {"a": a}, y)
    assert u.bits() == pytest.approx(1 - entropy([0.1, 0.9], base=2), abs=1e-6)  # float32 logits
    assert u.accuracy("a") == 0.9
    # Each sample's bits are 1 + log2(.9) or 1 + log2(.1), and H(Y) is 1 whatever is drawn.
    spread = np.log2(9) * np.sqrt(0.1 * 0.9 * 20 / 19)
    assert u.standard_error("bits") == pytest.approx(spread / np.sqrt(20), rel=1e-5)


def test_a_wrong_model_is_worth_less_than_nothing_and_is_not_clipped() -> None:
    x = coins("ab", 8)
    u = decode(Says(lambda a, b: two(-8 * a + 0 * b)), x, (x["a"][:, 0] > 0).long())
    assert u.bits() == pytest.approx(1 - np.log2(1 + np.exp(8)), abs=1e-5)
    assert "a worse guess" in u.summary().splitlines()[1]
    assert "a worse guess" not in u.summary().splitlines()[-3]  # with no source: no guess at all


def test_knowing_only_how_frequent_labels_are_is_worth_nothing_for_sure() -> None:
    y = torch.tensor([0] * 30 + [1] * 10)
    u = decode(Says(lambda a: torch.tensor([[0.75, 0.25]]).log().expand(len(a), 2)), {"a": y[:, None].float()}, y)
    assert u.entropy == pytest.approx(entropy([30, 10], base=2))
    # Nothing for every sample, so that H(Y), which varies with the labels, leaves no error either.
    assert (abs(u.information) < 1e-6).all()
    assert u.standard_error("bits") < 1e-6


def plain(
    model: nn.Module, x: Mapping[str, Tensor], away: Mapping[str, Tensor], y: Tensor
) -> dict[tuple[str, ...], Any]:
    """Show every subset by the plain way; scikit-learn says what it is worth."""
    told = {}
    for size in range(len(x) + 1):
        for present in combinations(x, size):
            mixed = {name: x[name] if name in present else away[name].expand_as(x[name]) for name in x}
            with torch.no_grad():
                p = model(mixed)["both"].double().softmax(1).numpy()
            loss = log_loss(y, p, labels=range(4)) / LN2
            told[present] = accuracy_score(y, p.argmax(1)), entropy(np.bincount(y), base=2) - loss
    return told


@pytest.mark.parametrize("sources", [2, 3])
@pytest.mark.parametrize("how", ["mean", "zero", "shuffle", "function", "value"])
@pytest.mark.parametrize("fusion", ["sum", "concat"])
def test_every_subset_is_what_the_plain_way_says(sources: int, how: str, fusion: str) -> None:
    model, (x, y) = network(sources, fusion=fusion), data(sources)
    away: dict[str, Tensor] = {}

    def catch(x: Tensor, g: torch.Generator) -> Tensor:
        away[f"s{len(away)}"] = made = x.flip(0) + torch.randn(x.shape, generator=g)
        return made

    values = {f"s{j}": torch.tensor([0.1, -0.2, j]) for j in range(sources)}
    given: Any = {"function": catch, "value": values}.get(how, how)
    u = decode(model, x, y, replace=given, chunk=17)
    if how in ("mean", "zero"):
        away = {name: z.mean(0) if how == "mean" else torch.zeros(3) for name, z in x.items()}
    elif how == "value":
        away = values
    elif how == "shuffle":
        # What the model saw is looked up in a model that answers with its input.
        away = {name: seen_alone(x, name) for name in x}
    told = plain(model, x, away, y)
    assert set(u.subsets) == set(told)
    for present, (accuracy, bits) in told.items():
        row = u.subsets.index(present)
        assert u.correct[row].mean() == accuracy
        # A float32 softmax of numbers of order 1 to 10.
        assert u.information[row].mean(dtype=float) == pytest.approx(bits, abs=2e-6)
    again = decode(model, x, y, replace=given if how != "function" else catch_again(away), forward=lambda m, s: m(s))
    np.testing.assert_allclose(again.information, u.information, atol=2e-5)


def catch_again(away: Mapping[str, Tensor]) -> dict[str, Callable[..., Tensor]]:
    return {name: lambda x, g, z=z: z for name, z in away.items()}


def seen_alone(x: Mapping[str, Tensor], name: str) -> Tensor:
    """Return what "shuffle" shows in the place of a source."""
    seen: list[Tensor] = []

    def look(model: nn.Module, sources: Mapping[str, Any]) -> Tensor:
        seen.append(sources[name].clone())
        return torch.zeros(len(sources[name]), 2)

    decode(
        nn.Identity(), x, torch.zeros(len(x[name]), dtype=torch.long), replace="shuffle", forward=look, subsets="few"
    )
    return seen[-1]  # the last subset is the empty one


def test_shuffle_gives_everyone_another_sample_and_nobodys_twice() -> None:
    x = {"a": torch.arange(50.0).unsqueeze(1), "b": torch.arange(50.0).unsqueeze(1)}
    a, b = (seen_alone(x, name)[:, 0] for name in "ab")
    assert sorted(a.tolist()) == list(range(50))
    assert not (a == torch.arange(50)).any()
    assert not torch.equal(a, b), "sources are drawn independently"
    assert torch.equal(seen_alone(dict(reversed(x.items())), "a")[:, 0], a), "their order changes nothing"


def sampled(n: int, seed: int) -> tuple[dict[str, Tensor], Tensor]:
    g = np.random.default_rng(seed)
    a, b = g.normal(size=(2, n, 1))
    y = g.random((n, 1)) < norm.cdf(a + b)
    return {"a": torch.from_numpy(a).float(), "b": torch.from_numpy(b).float()}, torch.from_numpy(y[:, 0]).long()


@pytest.mark.parametrize("replace", ["zero", "shuffle"])
def test_intervals_cover_what_a_large_sample_says(replace: str) -> None:
    model = Says(lambda a, b: two(3 * a + b))
    asked = [("accuracy", "a"), ("bits", "b"), ("bits",), ("drop_bits", "a"), ("shapley_bits", "b")]
    asked += [("shapley_accuracy", "a"), ("interaction_bits", "a", "b")]
    truth = decode(model, *sampled(400_000, 1000), replace=replace)
    hits = np.zeros(len(asked))
    runs = 120
    for seed in range(runs):
        u = decode(model, *sampled(150, seed), replace=replace, seed=seed)
        for j, (quantity, *of) in enumerate(asked):
            low, high = u.interval(quantity, *of)
            hits[j] += low <= truth.value(quantity, *of) <= high
    # Four standard errors of a share of 120 around .95, and .02 for skewed losses of 150 samples.
    assert (hits / runs > 0.95 - 4 * np.sqrt(0.95 * 0.05 / runs) - 0.02).all(), hits / runs


def test_an_accuracy_of_one_is_not_certain() -> None:
    x = coins("a", 10)
    u = decode(Says(lambda a: two(60 * a)), x, (x["a"][:, 0] > 0).long())
    low, high = u.interval("accuracy")
    assert high == pytest.approx(1)
    assert low == pytest.approx(1 / (1 + norm.ppf(0.975) ** 2 / 20))  # Wilson's lower end at 1


def test_each_pathway_runs_once_a_sample_and_once_a_stand_in() -> None:
    model, (x, y) = network(3), data(3)
    seen: list[int] = []
    model.pathways["s1"].register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    decode(model, x, y, chunk=20)
    assert sorted(seen) == [1, 1, 2, 20, 20, 20]  # two samples and a mean for the first look; then all, and a mean
    seen.clear()
    decode(model, x, y, chunk=20, replace="shuffle")
    assert sorted(seen) == [2, 2, 20, 20, 20, 20, 20, 20]


class Guarded(nn.Module):
    """Draws, counts and normalises in its forward pass, and works in place on what it is shown."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(3), nn.Dropout()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        self.calls += 1
        s0.mul_(2).add_(torch.randn_like(s0))
        logits: Tensor = self.drop(self.norm(s0)) + s1.relu_()
        return logits


def test_model_data_and_random_streams_are_left_as_found() -> None:
    model, (x, y) = Guarded().train(), data(2)
    before = {name: z.clone() for name, z in x.items()}
    state = {name: z.clone() for name, z in model.state_dict().items()}
    stream = torch.get_rng_state()

    def bad_manners(x: Tensor, g: torch.Generator) -> Tensor:
        return x.zero_() + torch.randn(1)

    y = y % 3
    one = decode(model, x, y, replace=bad_manners)
    assert torch.equal(torch.get_rng_state(), stream)
    assert model.training
    assert model.norm.training
    assert all(torch.equal(z, state[name]) for name, z in model.state_dict().items())
    assert all(torch.equal(x[name], z) for name, z in before.items())
    assert np.array_equal(one.information, decode(model, x, y, replace=bad_manners).information)
    assert not np.array_equal(one.information, decode(model, x, y, replace=bad_manners, seed=1).information)


def test_a_model_that_works_in_place_reaches_no_other_subset() -> None:
    x, y = data(2)
    rough = decode(Says(lambda s0, s1: s0.mul_(2) + s1.relu_()), x, y % 3)
    gentle = decode(Says(lambda s0, s1: s0 * 2 + s1.relu()), x, y % 3)
    assert np.array_equal(rough.information, gentle.information)


def tokens(text: Mapping[str, Tensor], left: Tensor) -> Any:
    assert text["ids"].dtype == torch.int64
    held = (text["ids"] * text["mask"]).sum(1, keepdim=True).float() + left
    return SimpleNamespace(logits=torch.cat([held, -held], dim=1))


@pytest.mark.parametrize("pack", [lambda ids, mask: {"ids": ids, "mask": mask}, lambda ids, mask: (ids, mask)])
def test_a_source_of_several_parts_is_replaced_part_by_part(pack: Callable[..., Any]) -> None:
    ids = torch.arange(1, 13).view(6, 2)
    text, left = pack(ids, (ids > 3).long()), torch.randn(6, 1)
    y = torch.tensor([0, 1, 0, 1, 0, 1])
    seen: list[Any] = []

    def look(model: nn.Module, sources: Mapping[str, Any]) -> Any:
        one, mask = sources["text"].values() if isinstance(sources["text"], dict) else sources["text"]
        seen.append((one, mask))
        return tokens({"ids": one, "mask": mask}, sources["left"])

    def away(replace: Any) -> tuple[Tensor, Tensor]:
        decode(nn.Identity(), {"text": text, "left": left}, y, replace=replace, forward=look)
        one, mask = seen[-1]
        return one, mask

    one, mask = away("shuffle")
    assert not torch.equal(one, ids)
    assert torch.equal((one > 3).long(), mask), "the parts of a sample stay together"
    assert not any(z.any() for z in away("zero"))
    one, mask = away({"text": pack(103, torch.tensor([1, 0])), "left": "mean"})
    assert (one == 103).all()
    assert mask.tolist() == [[1, 0]] * 6
    with pytest.raises(ChiasmError, match=r"source 'text' is torch.int64; replace not by 'mean' but 'zero', 'shuffle'"):
        away("mean")
    with pytest.raises(ChiasmError, match="give a value for each"):
        away({"text": 103, "left": "mean"})


@pytest.mark.parametrize(
    "answer",
    [
        lambda z: {"both": z, "left": None},
        lambda z: {"logits": z},
        lambda z: SimpleNamespace(logits=z),
        torch.Tensor.half,
    ],
)
def test_logits_are_found_where_models_keep_them(answer: Callable[[Tensor], Any]) -> None:
    x = coins("a", 4)
    assert decode(Says(lambda a: answer(two(a))), x, (x["a"][:, 0] > 0).long()).accuracy() == 1


def test_the_models_dtype_arrays_and_chunks_change_nothing() -> None:
    model, (x, y) = network(2), data(2)
    one = decode(model, x, y)
    arrays = {name: z.numpy().copy() for name, z in x.items()}
    for z in arrays.values():
        z.flags.writeable = False
    same = decode(model, arrays, y.numpy().astype(np.uint8), chunk=1)
    np.testing.assert_allclose(same.information, one.information, atol=2e-5)  # rounding of other chunks
    double = decode(network(2).double(), x, y.tolist())
    np.testing.assert_allclose(double.information, one.information, atol=2e-5)


def test_a_part_of_the_samples() -> None:
    model, (x, y) = network(2), data(2)
    part = decode(model, x, y, samples=20)
    assert part.samples == 20
    assert part.entropy != decode(model, x, y).entropy
    assert np.array_equal(part.correct, decode(model, x, y, samples=20).correct)
    assert not np.array_equal(part.correct, decode(model, x, y, samples=20, seed=1).correct)
    assert decode(model, x, y, samples=1000).samples == 60


def test_many_sources_are_shown_alone_and_missing_unless_all_are_asked_for() -> None:
    model, (x, y) = network(6), data(6, 12)
    few = decode(model, x, y)
    assert len(few.subsets) == 14
    every = decode(model, x, y, subsets="all")
    assert len(every.subsets) == 64
    assert few.missing() == every.missing()
    assert few.nothing() == every.nothing()
    assert sum(every.shapley().values()) == pytest.approx(every.accuracy() - every.nothing())
    with pytest.raises(ChiasmError, match=r"shapley_accuracy needs every subset.*subsets='all'"):
        few.shapley()
    with pytest.raises(ChiasmError, match="s0 and s1 alone was not measured"):
        few.bits("s0", "s1")
    assert few.frame().height == 2 * (14 + 6)
    assert every.frame().height == 2 * (64 + 6 + 6 + 15)


def test_table_and_summary_say_it_all() -> None:
    model, (x, y) = network(2), data(2)
    u = decode(model, x, y, replace={"s0": "mean", "s1": "shuffle"})
    assert u.replaced_by == "s0: mean, s1: shuffle"
    table = {(q, s): (value, error) for q, s, value, error in u.frame().iter_rows()}
    assert table["bits", "s0 + s1"] == (u.bits(), u.standard_error("bits"))
    assert table["accuracy", "none"][0] == pytest.approx(u.nothing())
    assert table["drop_bits", "s1"][0] == pytest.approx(u.bits() - u.bits("s0"))
    assert table["interaction_accuracy", "s0 + s1"][1] == u.standard_error("interaction_accuracy", "s0", "s1")
    lines = u.summary().splitlines()
    assert lines[0].endswith("a missing source is replaced by s0: mean, s1: shuffle.")
    assert lines[1].startswith(f"With s0 and s1: accuracy {u.accuracy():.3f} ± ")
    assert lines[2].startswith("With s0 alone: ")
    assert (
        lines[-1] == "Shapley values of bits: " + ", ".join(f"{k} {v:+.3f}" for k, v in u.shapley("bits").items()) + "."
    )
    assert "replaced by its mean." in decode(model, x, y).summary()
    turned = decode(model, x, y, replace={"s0": partial(lambda x, g: -x), "s1": -1})
    assert turned.replaced_by == "s0: partial, s1: value"


X, Y = data(2, 10)
NAN = {**X, "s1": X["s1"].clone().index_fill_(0, torch.tensor([9]), torch.nan)}


def answers(out: Any) -> Callable[..., Any]:
    return lambda model, sources: out(len(sources["s0"])) if callable(out) else out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": len}, "model is a builtin_function_or_method; expected a torch nn.Module"),
        ({"sources": {}}, "0 sources given"),
        ({"sources": {"s0": X["s0"], "right": X["s1"]}}, "unknown source 'right'"),
        ({"sources": {"s0": X["s0"], "s1": X["s1"][:9]}}, "same number of samples; given: s0 10, s1 9"),
        ({"sources": NAN}, "source 's1' holds NaN"),
        ({"sources": NAN, "replace": "zero", "chunk": 3}, "source 's1' holds NaN"),
        ({"target": Y[:9]}, r"target is int64 \(9,\); expected an integer for each of 10 samples"),
        ({"target": Y.float()}, r"target is float32 \(10,\); expected an integer"),
        ({"target": nn.functional.one_hot(Y, 4)}, r"target is int64 \(10, 4\)"),
        ({"target": None}, r"target is object \(\)"),
        ({"target": Y + 2}, "target contains 2 to 5; the model's 4 logits are for labels 0 to 3"),
        ({"target": Y - 100}, "target contains -100 to -97"),
        ({"replace": "median"}, "replace: unknown stand-in 'median'; known stand-ins: mean, shuffle, zero"),
        ({"replace": {"s0": "mean"}}, "replace names s0; name each of s0, s1"),
        ({"replace": {"s0": "mean", "s1": torch.zeros(4)}}, r"'s1' needs torch.float32 \(3,\), .* Tensor \(4,\)"),
        ({"replace": {"s0": "mean", "s1": torch.nan}}, r"'s1' needs torch.float32 \(3,\), finite; given: float"),
        ({"replace": {"s0": "zero", "s1": "grey"}}, "unknown stand-in 'grey'"),
        ({"replace": lambda x, g: x[:4]}, r"'s0' needs torch.float32 \(10, 3\), finite; given: Tensor \(4, 3\)"),
        ({"replace": lambda x, g: None}, r"'s0' needs torch.float32 \(10, 3\)"),
        ({"subsets": "some"}, "'auto', 'all' or 'few'"),
        ({"samples": 1}, "samples = 1; expected a whole number of 2 or more, or None"),
        ({"chunk": 0}, "chunk = 0; expected a whole number of 1 or more"),
        ({"forward": answers(torch.zeros(3, 2))}, r"2 samples with a tensor \(3, 2\); expected logits"),
        ({"forward": answers(lambda n: torch.zeros(n, 1))}, r"a tensor \(2, 1\).*two classes or more"),
        ({"forward": answers(lambda n: torch.zeros(n, 4, 4))}, r"a tensor \(2, 4, 4\)"),
        ({"forward": answers(lambda n: torch.zeros(n, 4).long())}, r"a tensor \(2, 4\)"),
        ({"forward": answers({"left": 0})}, "2 samples with a dict"),
        ({"forward": answers(lambda n: torch.full((n, 4), torch.nan))}, "NaN or infinity to 10 samples with s0 and s1"),
        ({"forward": answers(lambda n: torch.full((n, 4), torch.inf))}, "gives NaN or infinity to 10 samples"),
        ({"forward": answers(lambda n: torch.tensor([[0, 0, 0, -torch.inf]]).expand(n, 4)), "target": Y * 0 + 3},
         "gives the true label a logit of -inf to 10 samples"),
        ({"sources": {"s0": X["s0"], "s1": X["s1"][:, :2]}}, r"raised RuntimeError \(mat1 .* s1 float32 \(10, 2\)"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_a_sentence(change: dict[str, Any], told: str) -> None:
    given = {"model": network(2), "sources": X, "target": Y, **change}
    with pytest.raises(ChiasmError, match=told) as caught:
        decode(given.pop("model"), given.pop("sources"), given.pop("target"), **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda u: u.bits("lft"), "unknown source 'lft'"),
        (lambda u: u.value("bit"), r"unknown quantity 'bit'.*did you mean 'bits'"),
        (lambda u: u.alone("loss"), "unknown quantity 'loss'"),
        (lambda u: u.value("shapley_bits"), r"shapley_bits is of 1 different source\(s\); given: none"),
        (lambda u: u.value("interaction_bits", "s0", "s0"), "interaction_bits is of 2 different"),
        (lambda u: u.interval("bits", level=95), "level = 95 is not a probability"),
    ],
)
def test_questions_that_have_no_answer(ask: Callable[[Usable], Any], told: str) -> None:
    with pytest.raises(ChiasmError, match=told):
        ask(decode(network(2), X, Y))
