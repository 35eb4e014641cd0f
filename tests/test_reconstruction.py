"""Rebuilding sources: what is hidden, what counts, what a network may not see, and phases that touch no label."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from chiasm.api import run
from chiasm.errors import ChiasmError
from chiasm.measuring.probe import Probe, evaluate
from chiasm.measuring.probe.factors import levels_right
from chiasm.networks import NETWORKS, MultiView, SplitCNN, SplitMLP, Stacked
from chiasm.networks.patches import Patches
from chiasm.objectives import Judged, Reconstruct, Sum
from chiasm.objectives.reconstruct import visible_counts
from chiasm.sources import Batch, Source
from chiasm.study.engine import Engine
from chiasm.study.plan import make_plan
from chiasm.study.spec import Study, shipped

Make = Callable[..., Study]
SOURCES = [Source("a", (8,)), Source("b", (8,))]
BOTH: dict[str, Any] = {
    "kind": "sum",
    "terms": {"answer": {"kind": "classify"}, "rebuild": {"kind": "reconstruct", "mask": "sources"}},
}


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("concentration", [1.0, 0.2, 5.0])
@pytest.mark.parametrize("tokens", [(9, 9), (4, 25, 1), (196, 196)])
def test_as_many_tokens_stay_visible_in_every_sample(tokens: tuple[int, ...], concentration: float) -> None:
    left = visible_counts(2000, torch.tensor(tokens), 0.75, concentration, draws())
    assert set(left.sum(1).tolist()) == {max(1, round(0.25 * sum(tokens)))}
    assert int(left.min()) >= 0
    assert bool((left <= torch.tensor(tokens)).all())


def test_shares_of_two_sources_are_uniform() -> None:
    """Of a symmetric Dirichlet distribution with concentration 1, the share of one of two sources is uniform."""
    left = visible_counts(40_000, torch.tensor([400, 400]), 0.75, 1.0, draws())[:, 0]
    cells = np.bincount(left.numpy() // 20, minlength=11)[:10]
    # Each count is binomial, sd 60 of 4,000: five of them, as there are ten; 200 itself falls out of the last cell.
    assert abs(cells - 4000).max() < 300


def test_tokens_of_a_source_are_hidden_alike() -> None:
    x = {"a": torch.zeros(20_000, 8), "b": torch.zeros(20_000, 8)}
    hidden = Reconstruct(mask="tokens").hide(x, {"a": 8, "b": 8}, draws())
    for marks in hidden.values():
        # sd of a mean over 20,000 coins is .0035; tokens of one sample hang together, which widens it
        assert (marks.float().mean(0) - 0.75).abs().max() < 0.02


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
def test_one_source_at_most_is_hidden_as_a_whole(names: tuple[str, ...]) -> None:
    x = {name: torch.zeros(9000, 8) for name in names}
    hidden = torch.stack([m[:, 0] for m in Reconstruct(mask="sources", ratio=0.6).hide(x, {}, draws()).values()])
    assert int(hidden.sum(0).max()) == 1
    assert (hidden.float().mean(1) - 0.6 / len(names)).abs().max() < 0.025  # five times the sd of a share of 9,000


def test_within_shows_one_source_alone() -> None:
    x = {name: torch.zeros(3000, 8) for name in "ab"}
    hidden = Reconstruct(mask="within", ratio=0.5).hide(x, {"a": 4, "b": 4}, draws())
    counts = torch.stack([(~marks).sum(1) for marks in hidden.values()])
    assert set(map(tuple, counts.T.tolist())) == {(0, 2), (2, 0)}


def test_what_counts_is_what_is_asked_to_count() -> None:
    """Against sums written out by hand, for each way to count."""
    torch.manual_seed(0)
    x, y = ({name: torch.randn(2, 5, 8) for name in "ab"} for _ in range(2))
    marks = {"a": torch.zeros(2, 5, 1, dtype=torch.bool), "b": torch.zeros(2, 5, 1, dtype=torch.bool)}
    marks["a"][:, 0], marks["b"][:, 3:] = True, True
    stacked = Stacked(SplitMLP(width=6).build(SOURCES, 2))
    step = Judged(torch.zeros(2, 5, 2), torch.zeros(2, 5), x, y, marks, stacked.spread)
    error = {name: (x[name] - y[name]).square() for name in "ab"}

    def loss(**options: Any) -> torch.Tensor:
        return Reconstruct(**options).judge(step)[0]

    torch.testing.assert_close(loss(), error["a"].mean((1, 2)) + error["b"].mean((1, 2)))
    torch.testing.assert_close(
        loss(rebuild="hidden", weight=3.0), 3 * (error["a"][:, 0].mean(1) + error["b"][:, 3:].mean((1, 2)))
    )
    shown = error["a"][:, 1:].mean((1, 2)) + error["b"][:, :3].mean((1, 2))
    torch.testing.assert_close(loss(mask="within"), shown)
    moved = sum((x[name].roll(1, 1) - y[name]).square().mean((1, 2)) for name in "ab")
    torch.testing.assert_close(loss(shuffled=True), moved)


@pytest.mark.parametrize(
    "source",
    [
        Source("a", (12,)),
        Source("a", (8, 5), "sequence"),
        Source("a", (3, 8, 12), "image"),
        Source("a", (8, 4), "image"),
        Source("a", (6, 8, 8), "video"),
        Source("a", (6, 3, 8, 8), "video"),
    ],
    ids=str,
)
def test_patches_are_pieces_and_come_together_again(source: Source) -> None:
    cut = Patches(source, 4)
    x = torch.randn(2, 3, *source.shape)
    patches = cut.split(x)
    assert tuple(patches.shape) == (2, 3, cut.count, cut.numbers)
    assert torch.equal(cut.join(patches), x)
    marks = torch.rand(2, 3, cut.count) < 0.5
    mixed = torch.where(cut.spread(marks), x, 0.0)
    assert torch.equal(cut.split(mixed), torch.where(marks.unsqueeze(-1), patches, 0.0))
    if source.kind in ("image", "video"):  # a patch is a square of one frame
        flat = torch.arange(x[0, 0].numel()).view(*source.shape)
        corner = cut.split(flat)[0]
        frame = flat[0] if source.kind == "video" else flat
        assert sorted(corner.tolist()) == sorted(frame[..., :4, :4].flatten().tolist())


def test_a_source_that_cannot_be_cut_is_one_sentence() -> None:
    with pytest.raises(ChiasmError, match=r"source 'a' of shape \(1, 10, 8\) cannot be cut into patches of 4"):
        Patches(Source("a", (1, 10, 8), "image"), 4)


@pytest.mark.parametrize("at_once", [True, False], ids=["left out", "not attended to"])
def test_nothing_of_a_hidden_token_reaches_the_encoder(at_once: bool) -> None:
    """By its gradient, which is exactly zero, and the rebuilt source has one."""
    torch.manual_seed(0)
    sources = [Source("a", (1, 8, 8), "image"), Source("b", (12,))]
    kind = MultiView(patches={"b": 4})
    network = kind.build(sources, 3)
    network.decoders = torch.nn.ModuleDict(kind.decoders(network, sources))
    x = {s.name: torch.randn(6, *s.shape, requires_grad=True) for s in sources}
    hidden = Reconstruct(mask="tokens").hide(x, network.tokens, draws(1))
    left = sum(int((~marks[0]).sum()) for marks in hidden.values())
    answers, rebuilt = network.see(x, hidden, left if at_once else None, decode=True)
    total = answers["both"].sum() + sum(y.square().sum() for y in rebuilt.values())
    for (name, marks), grad in zip(hidden.items(), torch.autograd.grad(total, list(x.values())), strict=True):
        inside = network.cuts[name].split(grad).abs().sum(-1)
        assert (inside[marks] == 0).all()
        assert (inside[~marks] > 0).all()


def test_leaving_tokens_out_is_not_attending_to_them() -> None:
    torch.manual_seed(0)
    sources = [Source("a", (1, 8, 8), "image"), Source("b", (1, 8, 8), "image")]
    kind = MultiView()
    network = kind.build(sources, 3)
    network.decoders = torch.nn.ModuleDict(kind.decoders(network, sources))
    x = {s.name: torch.randn(6, *s.shape) for s in sources}
    hidden = Reconstruct(mask="tokens").hide(x, network.tokens, draws(1))
    out, masked = (network.see(x, hidden, visible, decode=True) for visible in (2, None))
    for one, other in zip(out, masked, strict=True):
        for name in one:  # float32 sums in another order
            torch.testing.assert_close(one[name], other[name], atol=1e-5, rtol=1e-5)


def test_attention_is_torchs() -> None:
    from chiasm.networks.multiview import Attention

    torch.manual_seed(0)
    mine, theirs = Attention(24, 4), torch.nn.MultiheadAttention(24, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([mine.query.weight, mine.key_value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([mine.query.bias, mine.key_value.bias]))
        theirs.out_proj.weight.copy_(mine.out.weight)
        theirs.out_proj.bias.copy_(mine.out.bias)
    x, seen = torch.randn(5, 7, 24), torch.rand(5, 7) < 0.6
    seen[:, 0] = True
    torch.testing.assert_close(mine(x), theirs(x, x, x)[0], atol=1e-6, rtol=1e-5)  # float32, sums of 24
    torch.testing.assert_close(mine(x, None, seen), theirs(x, x, x, key_padding_mask=~seen)[0], atol=1e-6, rtol=1e-5)


def test_places_are_told_apart_and_axes_too() -> None:
    from chiasm.networks.multiview import positions

    codes = positions((5, 6), 32)
    assert tuple(codes.shape) == (30, 32)
    assert torch.pdist(codes).min() > 0.1
    angle = torch.arange(6) * 10000 ** (-3 / 8)  # the third of eight rates of the second axis, by Vaswani et al. (2017)
    torch.testing.assert_close(codes.view(5, 6, 32)[2, :, 16 + 3], angle.sin())
    torch.testing.assert_close(codes.view(5, 6, 32)[2, :, 24 + 3], angle.cos())


@pytest.mark.parametrize("kind", [SplitMLP(width=6), SplitMLP(width=6, fusion="concat")], ids=["sum", "concat"])
def test_decoders_of_a_perceptron_rebuild_what_it_was_shown(kind: SplitMLP) -> None:
    network = kind.build(SOURCES, 3)
    network.decoders = torch.nn.ModuleDict(kind.decoders(network, SOURCES))
    weights = {name: p.detach().expand(2, *p.shape) for name, p in network.named_parameters()}
    x = {s.name: torch.randn(2, 4, 8) for s in SOURCES}
    shown = Stacked(network)(weights, x, ("fusion",), decode=True)
    for name, y in shown.rebuilt.items():
        layer = network.decoders[name]
        torch.testing.assert_close(y, layer(shown.layers["fusion"]))
    assert not Stacked(network)(weights, x).rebuilt


@pytest.mark.parametrize("stride", [1, 2])
def test_decoders_of_a_convolution_rebuild_pictures(stride: int) -> None:
    sources = [Source("a", (1, 8, 8), "image"), Source("b", (2, 8, 8), "image")]
    kind = SplitCNN(stride=stride)
    network = kind.build(sources, 3)
    network.decoders = torch.nn.ModuleDict(kind.decoders(network, sources))
    weights = {name: p.detach().unsqueeze(0) for name, p in network.named_parameters()}
    x = {s.name: torch.randn(1, 4, *s.shape) for s in sources}
    rebuilt = Stacked(network)(weights, x, decode=True).rebuilt
    assert {name: tuple(y.shape) for name, y in rebuilt.items()} == {"a": (1, 4, 1, 8, 8), "b": (1, 4, 2, 8, 8)}


def test_weights_of_no_account_leave_training_as_it_is(tiny: Make, tmp_path: Path) -> None:
    """A sum whose second term weighs nothing trains as the first alone, to the bit."""
    terms = {"answer": {"kind": "classify"}, "rebuild": {"kind": "reconstruct", "mask": "nothing", "weight": 0.0}}
    arm = [{"name": "a", "timeline": "silence(right) 2 | clean 2"}]
    objectives: dict[str, Any] = {"plain": {"kind": "classify"}, "sum": {"kind": "sum", "terms": terms}}
    plain, summed = (
        run(tiny(arm=arm, objective=objective), tmp_path / name, report=False, progress=False)
        for name, objective in objectives.items()
    )
    assert plain.frame(quantity="accuracy").equals(summed.frame(quantity="accuracy"))


def test_an_objective_that_rebuilds_is_part_of_the_keys_and_others_are_as_before(tiny: Make) -> None:
    def keys(**changes: Any) -> set[str]:
        arm = [{"name": "a", "timeline": "clean 2"}]
        return set(make_plan(tiny(arm=arm, **changes)).nodes)

    plain = keys()
    assert plain == keys(objective={"kind": "classify", "fresh": [], "restart": False})
    named = {"kind": "classify", "pretrain": {"kind": "reconstruct"}}
    assert not plain & keys(objective=named)  # its network has decoders, though no phase asks for them
    assert not keys(objective=BOTH) & keys(objective={**BOTH, "together": True})


PRETRAINED: dict[str, Any] = {
    "objective": {
        "kind": "classify",
        "pretrain": {"kind": "reconstruct", "mask": "sources"},
        "finetune": {"kind": "classify", "fresh": ["heads"], "restart": True, "lr": 0.1},
    },
    "arm": [{"name": "a", "timeline": "clean 3 @pretrain | clean 2 @finetune"}],
}


def test_a_phase_without_labels_touches_none(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other labels leave the weights that it ends with the same, to the bit; classification's they do not."""
    from chiasm.study.store import Store
    from chiasm.tasks import Data, Stereogram

    load = Stereogram.load

    def weights(name: str, study: Study) -> dict[str, torch.Tensor]:
        run(study, tmp_path / name, report=False, progress=False)
        plan = make_plan(study)
        with Store(tmp_path / name / "store") as store:
            node = store.get(plan.runs[0].path.key(3), state=True)
        assert node is not None
        assert node.state is not None
        return node.state.weights

    def relabelled(self: Stereogram, seed: int) -> Data:
        from dataclasses import replace

        data = load(self, seed)
        return Data(replace(data.train, target=(data.train.target + 1) % len(self.disparities)), data.test)

    blind = tiny(seeds=1, **PRETRAINED)
    seeing = tiny(seeds=1, arm=[{"name": "a", "timeline": "clean 3"}])
    before = [weights(f"{name} before", study) for name, study in (("blind", blind), ("seeing", seeing))]
    monkeypatch.setattr(Stereogram, "load", relabelled)
    after = [weights(f"{name} after", study) for name, study in (("blind", blind), ("seeing", seeing))]
    assert all(torch.equal(before[0][name], after[0][name]) for name in before[0])
    assert not all(torch.equal(before[1][name], after[1][name]) for name in before[1])


def test_a_phase_may_begin_with_fresh_heads_and_no_memory(tiny: Make) -> None:
    study = tiny(seeds=1, **PRETRAINED)
    first, second = make_plan(study).runs[0].path.legs
    assert (first.fresh, first.drop, second.fresh, second.drop, second.tick) == ((), False, ("heads",), True, 0)
    assert second.rate(study.cells()[0].settings.training, 3) == 0.1


def test_the_same_objective_goes_on_without_a_break(tiny: Make) -> None:
    arm = [{"name": "a", "timeline": "clean 1 | clean 2 @finetune | silence(right) 2 @finetune"}]
    legs = make_plan(tiny(seeds=1, arm=arm, objective=PRETRAINED["objective"])).runs[0].path.legs
    assert [leg.fresh for leg in legs] == [(), ("heads",), ()]
    assert [leg.tick for leg in legs] == [0, 0, 2]


@pytest.mark.parametrize("network", [{"kind": "split_mlp", "depth": 1, "width": 8}, {"kind": "multiview", "patch": 2}])
def test_rows_of_different_objectives_train_as_they_do_alone(
    tiny: Make, tmp_path: Path, network: dict[str, Any]
) -> None:
    """Some rows hide, some rebuild, some only answer, in one stack: within rounding of each by itself."""
    arms = [
        {"name": "both", "timeline": "clean 2 @pretrain | clean 2 @finetune"},
        {"name": "late", "timeline": "clean 3 | clean 1 @pretrain"},
        {"name": "sum", "timeline": "silence(right) 2 @sum | clean 2 @sum"},
    ]
    objective = {**PRETRAINED["objective"], "finetune": {"kind": "classify", "fresh": ["heads"]}, "sum": BOTH}

    def losses(arms: list[dict[str, Any]], name: str, rows: int) -> pl.DataFrame:
        raw = tomllib.loads(Path(shipped()["smoke"]).read_text())
        raw |= {"seeds": 1, "arm": arms, "objective": objective, "network": network, "probe": {"layers": []}}
        raw["training"]["lr"] = 0.01
        results = run(Study.from_dict(raw), tmp_path / name, rows=rows, report=False, progress=False)
        return results.frame(quantity="loss", source="all", final=True)

    together = losses(arms, "together", 32)
    for arm in arms:
        alone = losses([arm], str(arm["name"]), 2)
        mine = together.filter(arm=arm["name"])
        # Rows that are shown whole and rows that are not share a pass in which nobody attends to hidden tokens.
        assert abs(mine["value"][0] - alone["value"][0]) < 1e-4


@pytest.mark.parametrize(
    ("objective", "sentence"),
    [
        ({"kind": "reconstruct"}, "scores no answers"),
        ({"kind": "classify", "p": {"kind": "reconstruct", "ratio": 1.0}}, r"objective\.p\.ratio = 1\.0"),
        ({"kind": "classify", "p": {"kind": "reconstruct", "mask": "tokens"}}, "has no tokens"),
        (
            {"kind": "classify", "p": {"kind": "reconstruct", "mask": "nothing", "rebuild": "hidden"}},
            "hides nothing that rebuild = 'hidden' could count",
        ),
        ({"kind": "sum", "terms": {}}, "a sum needs objectives"),
        ({"kind": "sum", "terms": {"a": {"kind": "nonsense"}}}, r"\[objective\.terms\.a\].*nonsense"),
        ({"kind": "sum", "terms": {"a": {"kind": "classify"}, "b": {"kind": "classify"}}}, "all score the answers"),
        ({"kind": "classify", "fresh": ["nowhere"], "p": {"kind": "classify", "fresh": ["nowhere"]}}, "nowhere"),
    ],
)
def test_an_objective_that_cannot_be_is_one_sentence(
    tiny: Make, tmp_path: Path, objective: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ChiasmError, match=sentence):
        run(
            tiny(objective=objective, arm=[{"name": "a", "timeline": "clean 1"}]),
            tmp_path / "out",
            report=False,
            progress=False,
        )
    assert not (tmp_path / "out").exists()


def test_a_network_without_decoders_is_one_sentence() -> None:
    with pytest.raises(ChiasmError, match=r"'deep_linear' cannot rebuild its sources.*expected one of .*split_mlp"):
        NETWORKS["deep_linear"]().decoders(torch.nn.Module(), SOURCES)


def test_a_sum_is_written_and_read_back(tiny: Make) -> None:
    arm = [{"name": "a", "timeline": "clean 1", "objective": {"terms": {"rebuild": {"weight": [0.0, 2.0]}}}}]
    study = tiny(arm=arm, objective=BOTH)
    again = Study.from_toml(study.to_toml())
    for one, other in zip(study.cells(), again.cells(), strict=True):
        assert one.settings == other.settings
    weights = [cell.settings.objective.parts[1].weight for cell in again.cells()]  # type: ignore[attr-defined]
    assert weights == [0.0, 2.0]


def test_a_sum_judges_each_of_its_terms() -> None:
    torch.manual_seed(0)
    step = Judged(
        torch.randn(2, 5, 3),
        torch.randint(3, (2, 5)),
        {"a": torch.randn(2, 5, 8)},
        {"a": torch.randn(2, 5, 8)},
    )
    both = Sum(terms=BOTH["terms"])
    losses = [term.judge(step)[0] for term in both.parts]
    torch.testing.assert_close(both.judge(step)[0], losses[0] + losses[1])
    assert both.outcome().quantity.name == "accuracy"
    assert (both.decodes, both.apart, both.targets) == (True, True, "classes")


def test_what_others_tell_is_told_from_what_an_unrelated_one_does() -> None:
    """Two equal sources, the second one copied: its absence costs a variance, the presence of another one two."""
    kind = SplitMLP(depth=1, width=8, activation="identity")
    network = kind.build(SOURCES, 2)
    network.decoders = torch.nn.ModuleDict(kind.decoders(network, SOURCES))
    weights = {name: torch.zeros(2, *p.shape) for name, p in network.named_parameters()}
    for name in ("pathways.b.1.weight", "decoders.a.weight"):
        weights[name] += torch.eye(8)
    x = torch.randn(4000, 8, generator=draws())
    test = Batch({"a": x, "b": x}, torch.arange(4000) % 2, {"a": torch.zeros(8), "b": torch.zeros(8)})
    probe = Probe(measures=("rebuilt",), layers=())
    numbers = evaluate(Stacked(network), weights, [test, test], [0, 1], probe)[0].numbers
    errors = {quantity: value for quantity, _, source, value in numbers if source == "a"}
    assert errors["rebuild_error_with_others"] < 1e-12
    # 512 samples of 8 numbers: sd of a mean square is .022, of the difference of two .044
    assert abs(errors["rebuild_error_alone"] - 1) < 0.1
    assert abs(errors["rebuild_error_with_unrelated"] - 2) < 0.2


def test_rebuilt_tokens_are_those_that_are_hidden(tiny: Make, tmp_path: Path) -> None:
    """Of a network of tokens: numbers for every source, and none where nothing rebuilds."""
    raw = tomllib.loads(Path(shipped()["smoke"]).read_text())
    raw |= {"seeds": 1, "arm": PRETRAINED["arm"], "objective": PRETRAINED["objective"]}
    raw["training"]["lr"] = 0.001
    raw |= {"network": {"kind": "multiview", "patch": 2}, "probe": {"layers": [], "measures": ["outcome", "rebuilt"]}}
    frame = run(Study.from_dict(raw), tmp_path / "out", report=False, progress=False).frame(final=True)
    found = frame.filter(pl.col("quantity").str.starts_with("rebuild_error_"))
    assert sorted(found["source"].unique()) == ["left", "right"]
    assert found["value"].is_finite().all()
    with pytest.raises(ChiasmError, match="'rebuilt' is of networks that rebuild their sources"):
        run(tiny(probe={"measures": ["rebuilt"], "layers": []}), tmp_path / "no", report=False, progress=False)


def test_factors_are_those_whose_classes_have_most_probability() -> None:
    answer = torch.tensor(
        [[[0.4, 0.0, 0.3, 0.3], [0.1, 0.2, 0.0, 0.7]]]
    ).log()  # classes (a, x), (a, y), (b, x), (b, y)
    right = levels_right(answer, torch.tensor([[0, 3]]), {"shape": ("a", "b"), "way": ("x", "y")})
    # b has .6 of the first sample although its largest class is (a, x)
    assert {name: marks.tolist() for name, marks in right.items()} == {"shape": [[False, True]], "way": [[True, True]]}


def test_factors_of_a_task_that_has_none_are_refused(tiny: Make, tmp_path: Path) -> None:
    with pytest.raises(ChiasmError, match="combinations of factors"):
        run(tiny(probe={"measures": ["factors"]}), tmp_path / "out", report=False, progress=False)


def test_shape_and_direction_are_reported_apart(tmp_path: Path) -> None:
    raw: dict[str, Any] = {
        "name": "m",
        "seeds": 1,
        "task": {"kind": "motion", "size": 8, "shapes": 2, "train": 64, "test": 64},
        "network": {"kind": "split_mlp", "depth": 1, "width": 8},
        "probe": {"measures": ["outcome", "factors"], "layers": []},
        "arm": [{"name": "a", "timeline": "clean 2"}],
    }
    frame = run(Study.from_dict(raw), tmp_path, report=False, progress=False).frame(quantity="accuracy_of", final=True)
    assert sorted(frame["layer"].unique()) == ["direction", "shape"]
    assert sorted(frame["source"].unique()) == ["all", "first", "second"]


def test_what_is_left_of_a_number_fills_a_timeline(tiny: Make) -> None:
    arm = [{"name": "a", "timeline": "clean {t} | silence(right) 2 | clean {6 - t}", "t": [0, 4, 6]}]
    assert [str(cell.timeline) for cell in tiny(arm=arm).cells()] == [
        "clean 0 | silence(right) 2 | clean 6",
        "clean 4 | silence(right) 2 | clean 2",
        "clean 6 | silence(right) 2 | clean 0",
    ]
    for value in (7, 1.5):
        with pytest.raises(ChiasmError, match=r"\{6 - t\} with t = .*; expected whole numbers up to 6"):
            tiny(arm=[{"name": "a", "timeline": "clean {6 - t}", "t": [value]}])


def test_a_cosine_ends_at_a_hundredth_and_a_gradient_is_cut_to_its_norm() -> None:
    from chiasm.optimiser import clipped
    from chiasm.training import Training

    training = Training(lr=2.0, schedule="cosine", horizon=10)
    rates = [training.rate(tick, tick) for tick in (0, 5, 10, 20)]
    assert rates == pytest.approx([2.0, 1.01, 0.02, 0.02])
    with pytest.raises(ChiasmError, match=r"needs training\.horizon"):
        Training(schedule="cosine")
    grads = [torch.randn(2, 3, 4), None, torch.randn(2, 5)]
    kept = clipped({"b": torch.zeros(2, 3, 4), "c": torch.zeros(2, 7), "a": torch.zeros(2, 5)}, grads, [0.5, 100.0])
    for row, limit in enumerate((0.5, 100.0)):
        own = [g[row].clone() for g in grads if g is not None]
        parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in own]
        for p, g in zip(parameters, own, strict=True):
            p.grad = g
        torch.nn.utils.clip_grad_norm_(parameters, limit)
        for p, g in zip(parameters, (k for k in kept if k is not None), strict=True):
            torch.testing.assert_close(p.grad, g[row], rtol=1e-5, atol=1e-7)  # torch adds 1e-6 to the norm


def tokens_study(**changes: Any) -> Study:
    """Two frames, a transformer: a label-free phase under a deficit, then labels with a new head."""
    raw: dict[str, Any] = {
        "name": "frames",
        "seeds": 2,
        "task": {"kind": "motion", "size": 8, "train": 64, "test": 64},
        "network": {"kind": "multiview", "width": 16, "depth": 1, "decoder_width": 8, "attention_heads": 2},
        "training": {"optimiser": "adamw", "lr": 0.01, "batch": 16, "clip": 1.0, "schedule": "cosine", "horizon": 4},
        "objective": {
            "kind": "classify",
            "masked": {"kind": "reconstruct", "mask": "tokens", "ratio": 0.5, "rebuild": "hidden"},
            "tune": {"kind": "classify", "fresh": ["heads"], "restart": True, "lr": 0.005},
        },
        "probe": {"measures": ["outcome", "units", "rebuilt"], "layers": ["norm"], "every": 2, "anchors": 16},
        "arm": [
            {
                "name": "onset",
                "role": "onset",
                "timeline": "clean {t} @masked | dissociate(first) 2 @masked | clean {2 - t} @masked | clean 2 @tune",
                "t": [0, 1, 2],
            }
        ],
    }
    return Study.from_dict({**raw, **changes})


def test_a_study_of_tokens_that_is_cut_anywhere_ends_with_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tokens_study(), tmp_path / "whole", report=False, progress=False).frame()
    with monkeypatch.context() as patched:  # every epoch is stored as a node
        patched.setattr("chiasm.study.executors.dispatch.Engine", partial(Engine, checkpoint=-1.0, patience=0.0))
        cut = run(tokens_study(), tmp_path / "cut", report=False, progress=False).frame()
    assert cut.equals(whole)
    counts = [len(list((tmp_path / name / "store").rglob("*.safetensors"))) for name in ("whole", "cut")]
    assert counts[1] > counts[0]
    for path in sorted((tmp_path / "cut" / "store").rglob("*.safetensors"))[::3]:  # and what is lost is trained again
        path.unlink()
    assert run(tokens_study(), tmp_path / "cut", report=False, progress=False).frame().equals(whole)


def test_runs_of_tokens_trained_together_are_those_trained_by_twos(tmp_path: Path) -> None:
    many, few = (
        run(tokens_study(), tmp_path / str(rows), rows=rows, report=False, progress=False).frame() for rows in (32, 2)
    )
    assert many.equals(few)


def test_a_network_that_was_shown_one_frame_knows_nothing_of_the_motion(tmp_path: Path) -> None:
    raw = {
        "name": "alone",
        "seeds": 1,
        "task": {"kind": "motion", "size": 8, "train": 256, "test": 4000},
        "network": {"kind": "split_mlp", "depth": 2, "width": 32},
        "training": {"batch": 32},
        "probe": {"layers": []},
        "arm": [{"name": "a", "role": "alone", "timeline": "silence(second) 40"}],
    }
    frame = run(Study.from_dict(raw), tmp_path, report=False, progress=False).frame(final=True)
    scores = dict(frame.filter(quantity="accuracy").select("source", "value").iter_rows())
    assert frame.filter(quantity="train_accuracy")["value"][0] > 0.9  # it has memorised
    assert all(abs(score - 0.25) < 0.02 for score in scores.values())  # three times the sd of a share of 4,000
