"""The probe of a study against the public verbs, and against plain evaluation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

import chiasm
from chiasm.errors import ChiasmError
from chiasm.measuring.information.decoding import decode
from chiasm.measuring.information.fisher import fisher
from chiasm.measuring.information.rank import rank
from chiasm.measuring.probe import MEASURES, Probe, ProbeResult, check_probe, evaluate
from chiasm.measuring.probe.units import summary
from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.variance.components import Components
from chiasm.measuring.variance.designs import FactorialDesign
from chiasm.networks import Fusion, FusionNetwork, SplitCNN, SplitMLP, Stacked
from chiasm.objectives import Classify
from chiasm.randomness import seeded_globals
from chiasm.sources import Batch, Source
from chiasm.study.spec import Study
from chiasm.tasks import Stereogram

FLAT = Stereogram(size=8, disparities=(-1, 1), train=64, test=96)
IMAGE = Stereogram(dims=2, size=6, disparities=(-1, 1), train=64, test=48)
EVERYTHING = ("accuracy", "units", "usable", "fisher", "rank")


def built(spec: Any, task: Stereogram, seed: int) -> nn.Module:
    about = task.describe()
    with seeded_globals(seed, "init"):
        made: nn.Module = spec.build(about.sources, 2)
    return made.eval()


def stack(modules: Sequence[nn.Module]) -> dict[str, torch.Tensor]:
    held = [dict(m.named_parameters()) | dict(m.named_buffers()) for m in modules]
    return {name: torch.stack([h[name].detach() for h in held]) for name in held[0]}


class Tokens(nn.Module):
    """Two sources (n, T, D) whose tokens meet: units are features, not places."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.fusion = nn.Linear(3, 5), nn.Linear(3, 5), nn.ReLU()
        self.head = nn.Linear(5, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        met: Tensor = self.fusion(self.left(left) + self.right(right))
        out: Tensor = self.head(met.mean(1))
        return out


def data(sources: Sequence[Source], samples: int, seed: int) -> Batch:
    draws = torch.Generator().manual_seed(seed)
    x = {s.name: torch.randn(samples, *s.shape, generator=draws) for s in sources}
    target = torch.randint(3, (samples,), generator=draws)
    return Batch(x, target, {name: t.mean(0) + 0.1 for name, t in x.items()})


def several(n: int) -> list[Source]:
    return [Source(f"s{i}", (4,)) for i in range(n)]


def made(spec: Any, sources: Sequence[Source], seed: int) -> nn.Module:
    with seeded_globals(seed, "init"):
        module: nn.Module = spec.build(sources, 3) if hasattr(spec, "build") else spec()
        for p in module.parameters():  # biases that are not all alike, or a rested source would say nothing
            p.data += 0.1 * torch.randn_like(p)
    return module.eval()


def numbers(one: ProbeResult) -> dict[tuple[str, str | None, str | None], float]:
    found = {(quantity, layer, source): value for quantity, layer, source, value in one.numbers}
    assert len(found) == len(one.numbers)
    return found


@pytest.mark.parametrize(
    ("spec", "task"),
    [
        (SplitMLP(depth=2, width=12), FLAT),
        (SplitMLP(depth=1, width=6, fusion="concat"), FLAT),
        (SplitCNN(channels=(3, 4)), IMAGE),
    ],
    ids=["mlp", "concat", "cnn"],
)
@pytest.mark.parametrize("layers", [("fusion", "trunk", ""), ("pathways.left", "fusion")])
def test_the_probe_sees_what_measure_sees(spec: Any, task: Stereogram, layers: tuple[str, ...]) -> None:
    modules = [built(spec, task, seed) for seed in (3, 4)]
    tests = [task.load(seed).test for seed in (3, 4)]
    stacked = Stacked(modules[0])
    seen = evaluate(stacked, stack(modules), tests, [3, 4], Probe(layers=layers, anchors=32))
    for i, (module, test) in enumerate(zip(modules, tests, strict=True)):
        whole = chiasm.measure(module, dict(test.sources), list(layers), anchors=32, seed=3 + i, check_dependence=False)
        for layer in layers:
            found, wanted = seen[i].units[layer], whole[layer]
            np.testing.assert_array_equal(found["dead"], wanted.dead)
            # the same anchors and pairs; float32 activations summed in another order
            np.testing.assert_allclose(found["rsv"], wanted.rsv("left", "right"), atol=2e-4)
            np.testing.assert_allclose(found["synergy"], wanted.synergy(), atol=2e-4)
            np.testing.assert_allclose(found["first"], wanted.first(), atol=2e-4)
            np.testing.assert_allclose(found["share"], wanted.share(), atol=2e-4)
        if "pathways.left" in layers:
            live = ~seen[i].units["pathways.left"]["dead"]
            assert (seen[i].units["pathways.left"]["rsv"][live] == 1).all()


@pytest.mark.parametrize(("spec", "task"), [(SplitMLP(depth=2, width=12), FLAT), (SplitCNN(channels=(3,)), IMAGE)])
def test_accuracies_are_those_of_plain_evaluation(spec: Any, task: Stereogram) -> None:
    modules = [built(spec, task, seed) for seed in (1, 2, 3)]
    tests = [task.load(seed).test for seed in (1, 2, 3)]
    seen = evaluate(Stacked(modules[0]), stack(modules), tests, [1, 2, 3], Probe(layers=()))
    for module, test, one in zip(modules, tests, seen, strict=True):
        numbers = {(quantity, source): value for quantity, _, source, value in one.numbers}
        for heard in ("all", "left", "right"):
            silent = [name for name in test if heard not in ("all", name)]
            with torch.no_grad():
                logits = module(dict(test.silenced(*silent).sources))["both"]
            assert numbers["accuracy", heard] == pytest.approx((logits.argmax(1) == test.target).float().mean().item())
            loss = nn.functional.cross_entropy(logits, test.target).item()
            assert numbers["loss", heard] == pytest.approx(loss, rel=1e-5)


def test_the_summary_counts_live_units_only() -> None:
    # Mean squares of four cells: two of each main effect of these variances, no interaction.
    first = np.array([[4.0, 1.0, 0.0, 0.0], [0.0, 1.0, 2.0, 0.0]])
    rows = np.concatenate([2 * first, np.zeros((1, 4))])[None]
    layer = LayerMeasurement("z", ("l", "r"), Components(FactorialDesign(2, 2).contrasts, rows, np.ones(1)))
    told = {(q, source): v for q, _, source, v in summary("z", layer)}
    assert told["dead", None] == 1
    assert told["units", None] == 4
    assert told["rsv_mean", None] == pytest.approx((1 + 0 - 1) / 3)
    assert told["rsv_beyond", None] == pytest.approx(1 / 3)
    assert told["polarised", None] == pytest.approx(2 / 3)
    assert told["first_mean", "l"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert told["share_mean", "r"] == pytest.approx((0 + 0.5 + 1) / 3)


def test_a_unit_that_neither_of_the_two_compared_moves_leaves_their_mean_alone() -> None:
    # Mean squares of eight cells (three sources, two levels), by bit mask from 1: a unit of the third source alone.
    rows = np.zeros((7, 2))
    rows[0, 0], rows[3, 1] = 4.0, 4.0
    layer = LayerMeasurement("z", ("a", "b", "c"), Components(FactorialDesign(3, 2).contrasts, rows[None], np.ones(1)))
    told = {(q, source): v for q, _, source, v in summary("z", layer)}
    assert (told["dead", None], told["rsv_mean", None], told["rsv_beyond", None]) == (0, 1, 1)
    assert [told["share_mean", source] for source in "abc"] == [0.5, 0, 0.5]


CASES = {
    "mlp": (SplitMLP(depth=2, width=12), several(2)),
    "concat of three": (SplitMLP(depth=1, width=6, fusion="concat"), several(3)),
    "six": (SplitMLP(depth=1, width=6), several(6)),
    "one": (SplitMLP(depth=1, width=6), several(1)),
    "cnn": (SplitCNN(channels=(3, 4)), [Source(name, (1, 6, 6), "image") for name in ("left", "right")]),
    "one's own": (Tokens, [Source(name, (4, 3), "sequence") for name in ("left", "right")]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_probe_tells_what_the_verbs_tell(case: str) -> None:
    spec, sources = CASES[case]
    layers = ("fusion",) if case == "one's own" else ("fusion", "trunk")
    measures = EVERYTHING if len(sources) > 1 else tuple(m for m in EVERYTHING if m != "units")
    modules, tests = [made(spec, sources, seed) for seed in (3, 4)], [data(sources, 90, seed) for seed in (3, 4)]
    if case == "one's own":
        tests = [Batch(test.sources, test.target % 2, test.baseline) for test in tests]
    probe = Probe(measures=measures, layers=layers, anchors=32, fisher_samples=20)
    seen = evaluate(Stacked(modules[0]), stack(modules), tests, [3, 4], probe)
    for seed, (module, test, one) in enumerate(zip(modules, tests, seen, strict=True), 3):
        told, names = numbers(one), list(test)
        decoded = decode(module, dict(test.sources), test.target, replace=dict(test.baseline))
        wanted: dict[tuple[str, str | None, str | None], float] = {("usable_bits", None, "all"): decoded.bits()}
        wanted |= {("usable_bits", None, f"without {name}"): x for name, x in decoded.missing("bits").items()}
        if len(names) > 1:
            wanted |= {("usable_bits", None, name): x for name, x in decoded.alone("bits").items()}
        if len(names) <= 5:
            for of in ("accuracy", "bits"):
                wanted |= {(f"shapley_{of}", None, name): x for name, x in decoded.shapley(of).items()}
        found = fisher(module, dict(test.sources), samples=20, seed=seed)
        wanted |= {("fisher_trace", part, None): x for part, x in found.trace.items()}
        for layer, ranked in rank(module, dict(test.sources), layers, seed=seed).items():
            wanted["effective_rank", layer, None] = ranked.effective_rank
            wanted["participation_ratio", layer, None] = ranked.participation
            wanted["rank_dead", layer, None] = ranked.dead
        mine = {key: x for key, x in told.items() if key[0].startswith(("usable", "shapley", "fisher"))}
        mine |= {key: x for key, x in told.items() if "rank" in key[0] or key[0] == "participation_ratio"}
        assert mine.keys() == wanted.keys()
        for key, x in wanted.items():
            # float32 activations; those of a rank may stand at its cut of 1e-6, beyond which a direction counts
            near = 1e-4 if "rank" in key[0] else 1e-5 if key[0] == "fisher_trace" else 1e-6
            assert mine[key] == pytest.approx(x, rel=near, abs=1e-6), key
        if len(names) > 1:
            whole = chiasm.measure(
                module, dict(test.sources), list(layers), anchors=32, seed=seed, check_dependence=False
            )
            for layer in layers:
                np.testing.assert_allclose(one.units[layer]["share"], whole[layer].share(), atol=2e-4)
                assert len(one.units[layer]["share"]) == len(names)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_rows_bits_depend_on_no_other_row_and_on_no_place(n: int) -> None:
    # Odd widths and numbers of samples: rows that do not begin at multiples of 16 bytes.
    spec, sources = SplitMLP(depth=2, width=7, trunk=(5,)), several(n)
    modules, tests = [made(spec, sources, seed) for seed in range(4)], [data(sources, 83, seed) for seed in range(4)]
    measures = EVERYTHING if n > 1 else ("accuracy", "usable", "fisher", "rank")
    probe = Probe(measures=measures, layers=("fusion", "trunk"), anchors=30, fisher_samples=9)

    def seen(rows: Sequence[int]) -> list[ProbeResult]:
        weights = stack([modules[r] for r in (rows if len(rows) > 1 else [*rows, *rows])])  # padded, as in training
        return evaluate(Stacked(modules[0]), weights, [tests[r] for r in rows], list(rows), probe)

    together, reversed_ = seen(range(4)), seen(range(3, -1, -1))[::-1]
    for row in range(4):
        for other in (seen([row])[0], reversed_[row]):
            assert repr(other.numbers) == repr(together[row].numbers)  # NaN is NaN
            for layer, fields in other.units.items():
                for name, x in fields.items():
                    np.testing.assert_array_equal(x, together[row].units[layer][name])


class Dice(FusionNetwork):
    """A network that draws whenever it runs."""

    def __init__(self) -> None:
        pathways = {name: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5)) for name in ("s0", "s1")}
        super().__init__(pathways, Fusion("sum"), nn.Dropout(), {"both": nn.Linear(5, 3)})

    def train(self, mode: bool = True) -> Dice:
        super().train(mode)
        self.trunk.train()
        return self


def test_a_look_changes_nothing_and_draws_from_no_ones_stream() -> None:
    module, test = made(Dice, several(2), 0), data(several(2), 60, 0)
    weights = stack([module])
    before = {name: w.clone() for name, w in weights.items()}
    own = {name: x.clone() for name, x in module.state_dict().items()}
    probe = Probe(measures=EVERYTHING, layers=("fusion", "trunk"), anchors=16, fisher_samples=8)
    torch.manual_seed(1)
    stream = torch.get_rng_state()
    first = evaluate(Stacked(module), weights, [test], [0], probe)[0]
    assert torch.equal(torch.get_rng_state(), stream)
    torch.manual_seed(2)
    again = evaluate(Stacked(module), weights, [test], [0], probe)[0]
    assert repr(first.numbers) == repr(again.numbers)
    assert all(torch.equal(w, before[name]) for name, w in weights.items())
    assert all(torch.equal(x, own[name]) for name, x in module.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in module.parameters())
    alone = evaluate(Stacked(module), weights, [test], [0], Probe(measures=("rank",), layers=("fusion", "trunk")))[0]
    assert repr(alone.numbers) == repr([number for number in first.numbers if number in alone.numbers])


def test_a_network_that_has_blown_up_has_no_numbers_and_no_error() -> None:
    sources = several(2)
    modules = [made(SplitMLP(depth=1, width=6), sources, seed) for seed in (0, 1)]
    with torch.no_grad():
        for p in modules[1].parameters():
            p.fill_(float("inf"))
    tests = [data(sources, 40, seed) for seed in (0, 1)]
    probe = Probe(measures=EVERYTHING, layers=("fusion",), anchors=8, fisher_samples=8)
    sound, blown = evaluate(Stacked(modules[0]), stack(modules), tests, [0, 1], probe)
    assert all(np.isfinite(x) for x in numbers(sound).values())
    told = numbers(blown)
    assert told.keys() == numbers(sound).keys()
    for key in (("loss", None, "all"), ("usable_bits", None, "all"), ("fisher_trace", "heads", None)):
        assert not np.isfinite(told[key]), key
    assert np.isnan(told["effective_rank", "fusion", None])


@pytest.mark.parametrize(
    ("keys", "sources", "test", "parts"),
    [
        ({"layers": ["fusion"]}, 1, 9, ["one (s0)", "'units' out of probe.measures", "probe.layers = []"]),
        ({"measures": ["rank"], "layers": []}, 2, 9, ["'rank'", "fusion"]),
        ({"measures": ["units", "fisher"]}, 2, 1, ["'units'", "2 test samples or more, not 1"]),
        ({"measures": ["fisher"], "layers": ["fusoin"]}, 2, 9, ["unknown layer 'fusoin'", "did you mean 'fusion'"]),
        (
            {"measures": ["accuracy", "usabel"]},
            2,
            9,
            ["unknown measure 'usabel'", ", ".join(sorted(MEASURES)), "did you mean 'usable'"],
        ),
        ({"measures": ["rank", "rank"]}, 2, 9, ["named twice"]),
    ],
)
def test_a_probe_that_cannot_be_is_one_sentence(
    keys: dict[str, Any], sources: int, test: int, parts: list[str]
) -> None:
    network = Stacked(made(SplitMLP(depth=1, width=4), several(sources), 0))
    with pytest.raises(ChiasmError) as caught:
        check_probe(network, Probe(**keys), [s.name for s in several(sources)], test, Classify())
    for part in parts:
        assert part in str(caught.value)


def test_one_source_is_measured_without_units() -> None:
    network = Stacked(made(SplitMLP(depth=1, width=4), several(1), 0))
    for probe in (Probe(measures=("accuracy", "rank")), Probe(layers=())):
        check_probe(network, probe, ["s0"], 9, Classify())


ARMS: list[dict[str, Any]] = [
    {"name": "d", "role": "duration", "timeline": "silence(touch) {d} | clean 2", "d": [0, 2]},
    {"name": "m", "role": "mirror", "timeline": "silence(sound) 2 | clean 2"},
]


def own_study(folder: Path, names: Sequence[str], **probe: Any) -> Study:
    rng, label = np.random.default_rng(0), np.arange(96) % 2
    arrays = {name: rng.normal(size=(96, 3)) + label[:, None] for name in names}
    np.savez(folder / "d.npz", label=label, **arrays)  # type: ignore[arg-type]
    raw = {
        "name": "own",
        "seeds": 2,
        "task": {"kind": "arrays", "path": str(folder / "d.npz")},
        "network": {"kind": "split_mlp", "depth": 1, "width": 6, "trunk": [4]},
        "training": {"batch": 16},
        "probe": {"every": 2, "anchors": 8, "fisher_samples": 8, **probe},
        "arm": [arm for arm in ARMS if "sound" in names or arm["name"] == "d"],
    }
    return Study.from_dict(raw)


def words(folder: Path) -> str:
    bare = re.sub(r"<(style|script).*?</\1>", " ", (folder / "report.html").read_text(), flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", bare)))


def test_a_study_of_three_sources_runs_to_its_report(tmp_path: Path) -> None:
    names = ["touch", "sight", "sound"]
    made = chiasm.run(own_study(tmp_path, names, measures=EVERYTHING), tmp_path / "out", progress=False)
    units = made.units("fusion")
    assert units.sources == tuple(names)
    live = ~units.dead
    np.testing.assert_allclose(units.share.sum(1)[live], 1, atol=1e-5)  # float32
    final = made.frame().filter(final=True, quantity="share_mean", layer="fusion", arm="d", cell="d=2", seed=0)
    assert final["source"].to_list() == names
    assert final["value"].sum() == pytest.approx(1)
    quantities = set(made.frame()["quantity"].unique())
    assert {"usable_bits", "shapley_bits", "fisher_trace", "effective_rank", "participation_ratio"} <= quantities
    html = words(tmp_path / "out")
    for said in (
        "compares two sources, here touch and sight, the first two of 3",
        "mean RSV of touch and sight, fusion +1: touch only",
        "share of sound, fusion % of total effects",
        "Mean shares of total effects, control against deficit: touch from",
        "RSV compares the first two of 3 sources",
        "usable bits, without sound",
        "Shapley value, sound, bits",
        "trace, pathways.sound",
        "effective rank, fusion",
    ):
        assert said in html, said
    assert "nan" not in html.lower()
    page = (tmp_path / "out" / "report.html").read_bytes()
    assert b'{"sources":["touch","sight"],"outcome"' in page  # the two ends of the slider's axis
    assert chiasm.load(tmp_path / "out").report().read_bytes() == page
    assert "RSV of touch and sight, pathways" not in html  # parts are no layers whose units were measured


@pytest.mark.parametrize(
    ("names", "probe"),
    [
        (["touch"], {"measures": ["accuracy", "usable", "fisher", "rank"]}),
        (["touch", "sight"], {"measures": ["rank"]}),
        (["touch", "sight"], {"measures": []}),
        ([*"abcde", "touch"], {"measures": EVERYTHING}),
    ],
    ids=["one source", "no accuracy", "nothing", "six sources"],
)
def test_a_study_of_any_measures_and_sources_has_a_whole_report(
    names: list[str], probe: dict[str, Any], tmp_path: Path
) -> None:
    made = chiasm.run(own_study(tmp_path, names, **probe), tmp_path / "out", progress=False)
    html = words(tmp_path / "out")
    assert "nan" not in html.lower()
    assert ("Usable information" in html) == ("usable" in probe["measures"])
    assert ("effective rank, fusion" in html) == ("rank" in probe["measures"])
    assert ("RSV of units was not measured here" in html) == ("units" not in probe["measures"])
    assert ("mean RSV of a and b" in html) == (len(names) > 2)
    shapley = made.frame().filter(pl.col("quantity").str.starts_with("shapley"))
    assert bool(len(shapley)) == ("usable" in probe["measures"] and len(names) <= 5)


def test_units_at_each_place_are_those_that_measure_sees(tmp_path: Path) -> None:
    task = Stereogram(dims=2, size=6, disparities=(-1, 1), train=32, test=64)
    spec = SplitCNN(channels=(4, 3), trunk=(5,))
    network, test = built(spec, task, 1), task.load(1).test
    probe = Probe(layers=("fusion", "trunk.0"), positions=("fusion",), anchors=16)
    (seen,) = evaluate(Stacked(network), stack([network]), [test], [3], probe)
    whole = chiasm.measure(
        network, test.sources, layers=["fusion"], anchors=16, seed=3, per="position", check_dependence=False
    )["fusion"]
    assert seen.units["fusion per position"]["rsv"].shape == (3 * 6 * 6,)
    # Two ways through the same sums: the probe's are kept in float32.
    np.testing.assert_allclose(seen.units["fusion per position"]["rsv"], whole.rsv(), atol=1e-5)
    told = numbers(seen)
    for factor in ("position", "column"):
        found = told[f"explained_by_{factor}", "fusion per position", None]
        assert found == pytest.approx(whole.explained_by(factor), abs=1e-5)
    assert ("explained_by_column", "fusion", None) not in told


def test_places_are_asked_of_layers_that_have_them() -> None:
    task = Stereogram(size=8, disparities=(-1, 1), train=32, test=32)
    network, test = built(SplitMLP(depth=1, width=4, trunk=()), task, 1), task.load(1).test
    with pytest.raises(ChiasmError, match="'fusion' have no positions"):
        evaluate(Stacked(network), stack([network]), [test], [0], Probe(positions=("fusion",)))
    with pytest.raises(ChiasmError, match="'trunk' is not among"):
        check_probe(Stacked(network), Probe(positions=("trunk",)), ["left", "right"], 32, Classify())
