"""The deep linear network of the bench: its gradient by hand, its training beside the theory, its mistakes."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
import torch
from scipy.integrate import solve_ivp

from chiasm.api import run
from chiasm.deficits import Freeze, Silence
from chiasm.errors import ChiasmError
from chiasm.networks import DeepLinear, FusionNetwork, Stacked
from chiasm.networks.deep_linear import modes, strengths, target_matrix
from chiasm.objectives import Squares
from chiasm.pictures.style import Panel
from chiasm.randomness import seeded_globals
from chiasm.report.comparison.comparison import compare, findings, prediction_table, summary
from chiasm.report.comparison.expected import expect
from chiasm.report.comparison.panels import panels
from chiasm.report.comparison.section import comparison_of, differences
from chiasm.report.writing import write_report
from chiasm.study.plan import make_plan
from chiasm.study.results import Results
from chiasm.study.spec import Study, shipped
from chiasm.tasks import Linear
from chiasm.theory.pathway.deficit import PathwayDeficit
from chiasm.theory.pathway.descent import pathway_descent
from chiasm.theory.pathway.pathways import pathways
from chiasm.training import Leg, Row, Stack, State, Training, initial_state

Array = np.ndarray[Any, np.dtype[np.float64]]
TASK = Linear()
PLAIN = Training(lr=0.16, momentum=0.0, batch=16, clock="constant")
RAW: dict[str, Any] = tomllib.loads(Path(shipped()["deep_linear"]).read_text())
TIMELINES = {
    "freeze": "clean 10 | freeze(b) 30 | clean 40",
    "silence": "clean 40 | silence(b) 30 | silence(a) + freeze(b) 5 | clean 40",
    "control": "clean 60",
}


def build(spec: DeepLinear, seed: int = 0, task: Linear = TASK) -> FusionNetwork:
    about = task.describe()
    with seeded_globals(seed, "init"):
        return spec.build(about.sources, len(about.classes))


def stack_of(spec: DeepLinear, seeds: list[int], training: Training = PLAIN, deficits: Any = ()) -> Stack:
    stack = Stack(Stacked(build(spec)))
    rows = [
        Row(Leg(s, 0, 99, deficits, None, objective=Squares()), training, TASK, TASK.load(s).train, 0) for s in seeds
    ]
    states = [initial_state(Stacked(build(spec, s)), training) for s in seeds]
    stack.refill([], list(zip(rows, states, strict=True)))
    return stack


def weights_of(network: FusionNetwork) -> dict[str, list[Array]]:
    """The matrices of each source, from the input on, and those that are shared, in float64."""
    found: dict[str, list[Array]] = {}
    for name, w in network.named_parameters():
        part = name.split(".")[1] if name.startswith("pathways") else "shared"
        found.setdefault(part, []).append(w.detach().double().numpy())
    return found


def product(matrices: list[Array], size: int) -> Array:
    made = np.eye(size)
    for w in matrices:
        made = w @ made
    return made


def descend(held: dict[str, list[Array]], target: Array, rate: float, learns: str, heard: str) -> float:
    """One step of gradient descent on |M - S sum(W)|^2 / 2n by the chain rule, in place; returns the loss before."""
    n = target.shape[1]
    shared = held.get("shared", [])
    sources = [name for name in held if name != "shared"]
    maps = {name: product(held[name], n) for name in sources}
    fused = np.sum([maps[name] for name in sources if name in heard], axis=0)
    width = len(fused)
    missing = target - product(shared, width) @ fused
    steps: list[tuple[Array, Array]] = []
    for i, w in enumerate(shared):
        after = product(shared[i + 1 :], len(w))
        steps.append((w, after.T @ missing @ (product(shared[:i], width) @ fused).T))
    back = product(shared, width).T @ missing
    for name in sources:
        for i, w in enumerate(held[name]):
            after = product(held[name][i + 1 :], len(w))
            gradient = after.T @ back @ product(held[name][:i], n).T
            steps.append((w, gradient * (name in learns and name in heard)))
    for weight, gradient in steps:
        np.add(weight, rate / n * gradient, out=weight)
    return float((missing**2).sum() / (2 * n))


@pytest.mark.parametrize("shared", [0, 2])
@pytest.mark.parametrize(
    ("deficits", "learns", "heard"),
    [((), "ab", "ab"), ((Freeze("b"),), "a", "ab"), ((Silence("b"),), "ab", "a")],
    ids=["clean", "freeze", "silence"],
)
def test_a_step_of_training_is_the_gradient_by_hand(deficits: Any, learns: str, heard: str, shared: int) -> None:
    spec = DeepLinear(depth=3, width=5, shared=shared, init="gaussian", scale=0.5, target="tasks_by_sensors")
    stack = stack_of(spec, [0, 1], deficits=deficits)
    said = stack.epoch()
    for row, seed in enumerate((0, 1)):
        network = build(spec, seed)
        held = weights_of(network)
        loss = descend(held, target_matrix(spec.target).numpy(), PLAIN.lr, learns, heard)
        assert said[row].loss == pytest.approx(loss, rel=1e-6)  # float32, a sum of 40 squares
        trained = build(spec, seed)
        trained.load_state_dict(dict(stack.state(row).weights) | dict(network.named_buffers()))
        for part, matrices in weights_of(trained).items():
            for one, other in zip(matrices, held[part], strict=True):
                np.testing.assert_allclose(one, other, atol=1e-6)  # weights of order 1 in float32


@pytest.mark.parametrize("shared", [0, 1])
def test_a_balanced_start_holds_every_mode_alike_and_nothing_else(shared: int) -> None:
    spec = DeepLinear(depth=2, shared=shared, scale=0.2)
    network = build(spec)
    u, s, v = (x.numpy() for x in modes("hierarchy"))
    held = weights_of(network)
    for source in ("a", "b"):
        np.testing.assert_allclose(strengths(network, "hierarchy")[source], 0.2, atol=1e-6)  # float32
        chain = [*held[source], *held.get("shared", [])]
        np.testing.assert_allclose(product(chain, 8), 0.2 * u @ v.T, atol=1e-6)
        for before, after in pairwise(chain):  # every layer holds every mode alike
            np.testing.assert_allclose(before @ before.T, after.T @ after, atol=1e-6)
    np.testing.assert_allclose(u * s @ v.T, target_matrix("hierarchy"), atol=1e-12)


def test_the_task_is_white_silent_at_zero_and_its_negatives_want_negatives() -> None:
    data = Linear(items=3, sources=("x", "y", "z"), repeats=2).load(5)
    for x in data.train.sources.values():
        assert torch.equal(x.sum(0), torch.zeros(3))
        assert torch.equal(x.T @ x / len(x), torch.eye(3) / 3)
    assert all(not baseline.any() for baseline in data.test.baseline.values())
    assert len(data.test) == 2 * len(data.train)
    network = build(DeepLinear(depth=1, scale=1.0, target=((1.0, 0.0), (2.0, 3.0))), task=Linear(items=2))
    answers = network.get_buffer("heads.both.answers")
    assert answers.tolist() == [[1, 2], [0, 3], [-1, -2], [0, -3]]


def test_logits_are_distances_so_that_loss_and_accuracy_mean_what_they_say() -> None:
    network = build(DeepLinear(depth=2, init="gaussian", scale=3.0, target="tasks_by_sensors"))
    data = TASK.load(0).train
    logits = network(data.sources)["both"]
    output = network.fusion(list(network.encode(data.sources).values()))
    wanted = torch.cat([target_matrix("tasks_by_sensors").T, -target_matrix("tasks_by_sensors").T]).float()
    error = torch.nn.functional.mse_loss(output, wanted, reduction="sum") / (2 * len(data))
    torch.testing.assert_close(Squares().loss(logits[None], data.target[None])[0], error)
    nearest = torch.cdist(output, wanted).argmin(1)
    assert torch.equal(logits.argmax(1), nearest)


def test_a_silent_or_frozen_pathway_keeps_its_weights_to_the_bit() -> None:
    for deficit in (Freeze("b"), Silence("b")):
        stack = stack_of(DeepLinear(), [0, 1], deficits=(deficit,))
        before = stack.state(1).weights
        for _ in range(3):
            stack.epoch()
        for name, w in stack.state(1).weights.items():
            assert torch.equal(w, before[name]) == name.startswith("pathways.b")


def test_a_row_has_the_same_bits_in_any_company() -> None:
    spec = DeepLinear(spread=0.3, width=9)

    def trained(seeds: list[int]) -> list[State]:
        stack = stack_of(spec, seeds)
        for _ in range(20):
            stack.epoch()
        return [stack.state(i) for i in range(len(seeds))]

    assert stack_of(spec, [0]).network.stackable
    alone = trained([3])[0].weights
    for seeds in ([3, 0], [0, 1, 3], [4, 1, 2, 0, 3]):
        company = trained(seeds)[seeds.index(3)].weights
        assert all(torch.equal(w, alone[name]) for name, w in company.items())


def study(**changes: Any) -> Study:
    raw = copy.deepcopy(RAW) | {"seeds": 2}
    raw["arm"] = [{"name": name, "timeline": text} for name, text in TIMELINES.items()]
    raw["probe"] = {"layers": ["fusion"], "every": 20, "measures": ["accuracy", "units", "usable", "rank"]}
    for key, value in changes.items():
        raw[key] = {**raw[key], **value} if isinstance(value, dict) else value
    return Study.from_dict(raw)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("deep_linear")
    arms = [{"name": name, "timeline": text, "network": {"depth": [1, 3]}} for name, text in TIMELINES.items()]
    arms.append({"name": "decay", "timeline": "clean 30", "training": {"decay": 0.9, "clock": "absolute"}})
    return run(study(arm=arms), folder, progress=False, report=False, workers=1)


def test_the_bench_records_what_gradient_descent_must_give(results: Results) -> None:
    table = prediction_table(results)
    assert set(table["run"]) == {one.name for one in make_plan(results.study).runs}
    # Rounding of float32 is 1.2e-7 of numbers of order 1; over a hundred steps a few of it add up.
    assert table.filter(pl.col("quantity") == "train_loss")["difference"].abs().max() < 1e-6  # type: ignore[operator]
    others = table.filter((pl.col("quantity") != "train_loss") & pl.col("difference").is_not_nan())
    assert others["difference"].abs().max() < 5e-6  # type: ignore[operator]
    recorded = results.frame().filter(~pl.col("quantity").is_in(["train_accuracy", "learning_rate"]))
    assert table.height == recorded.height  # nothing else that was recorded is left out
    assert table.filter(pl.col("quantity") == "rsv_mean")["measured"].is_between(-0.99, 0.99).any()


def test_gradient_flow_is_within_a_hundredth_at_a_small_step(tmp_path: Path) -> None:
    arm = {"name": "silence", "timeline": "clean 500 | silence(b) 200 | clean 200", "training": {"lr": 0.0128}}
    found = run(study(arm=[arm], seeds=1, probe={"every": 300}), tmp_path, progress=False, report=False, workers=1)
    flow, steps = prediction_table(found, "flow"), prediction_table(found)
    apart = flow.filter(pl.col("quantity") == "train_loss")["difference"].abs().max()
    # Of the order of the step: 0.0128 / 8 times the rate of the fastest mode, s p^(D-2) D = 5 or so, of a loss of 2.
    assert 1e-4 < apart < 1e-2  # type: ignore[operator]
    assert steps.filter(pl.col("quantity") == "train_loss")["difference"].abs().max() < 1e-6  # type: ignore[operator]


def test_a_prediction_from_other_settings_is_far_off(results: Results) -> None:
    for section_, key, value in (("network", "scale", 0.02), ("training", "lr", 0.17)):
        sections = {**results.study.sections, section_: {**results.study.sections[section_], key: value}}
        other = msgspec.structs.replace(results.study, sections=sections)
        wrong = prediction_table(Results(other, results.table))
        assert wrong.filter(pl.col("quantity") == "train_loss")["difference"].abs().max() > 0.03  # type: ignore[operator]


@pytest.fixture(scope="module")
def bare(results: Results) -> Results:
    """The same study without measurements: what is expected needs none."""
    return Results(study(seeds=1, network={"depth": 3}, training={"decay": 0.99, "clock": "absolute"}), results.table)


def test_what_is_expected_is_gradient_descent_on_matrices(bare: Results) -> None:
    table = expect(bare).table.filter(pl.col("quantity") == "train_loss")
    for one in make_plan(bare.study).runs:
        network = one.cell.settings.network
        assert isinstance(network, DeepLinear)
        held = weights_of(build(network, one.seed))
        losses = []
        for leg in one.path.legs:
            learns = "".join(s for s in "ab" if Freeze(s) not in leg.deficits)
            heard = "".join(s for s in "ab" if Silence(s) not in leg.deficits)
            for epoch in range(leg.start, leg.stop):
                rate = leg.rate(one.cell.settings.training, epoch)
                losses.append(descend(held, target_matrix("hierarchy").numpy(), rate, learns, heard))
        said = table.filter(pl.col("run") == one.name).sort("epoch")["predicted"].to_list()
        # The start is float32, so modes mix by 1e-7, which gradient descent leaves as small as it is.
        np.testing.assert_allclose(said, losses, atol=1e-6)


def test_what_is_expected_is_what_the_theory_of_pathways_gives() -> None:
    """The bench's steps, whatever its clock, are those of `descend` where the clock stands still."""
    study_ = Study.load("deep_linear", seeds=1)
    one = next(r for r in make_plan(study_).runs if r.name == "silence[t=75]#0")
    spec = one.cell.settings.network
    assert isinstance(spec, DeepLinear)
    begin, s = strengths(build(spec, one.seed), "hierarchy"), modes("hierarchy")[1].numpy()
    system = pathways(s, spec.depth, output=(begin["a"].numpy(), begin["b"].numpy()))
    made = pathway_descent(system, [PathwayDeficit(1, 75, 150, "silence")], 0.16 / 8, 450, at=range(450))
    heard = np.where((np.arange(450) >= 75) & (np.arange(450) < 150), 0.0, 1.0)
    outputs = made.outputs[..., 0] + made.outputs[..., 1] * heard  # (modes, steps)
    table = expect(Results(study_, pl.DataFrame()), ends=True).table
    said = table.filter((pl.col("quantity") == "train_loss") & (pl.col("run") == one.name)).sort("epoch")["predicted"]
    np.testing.assert_allclose(said, ((s[:, None] - outputs) ** 2).sum(0) / 16, rtol=1e-9)


def test_what_is_expected_of_gradient_flow_is_its_integral(bare: Results) -> None:
    plan = make_plan(bare.study)
    one = next(r for r in plan.runs if r.cell.arm == "freeze")
    spec = one.cell.settings.network
    assert isinstance(spec, DeepLinear)
    s = modes("hierarchy")[1].numpy()
    begin = strengths(build(spec, one.seed), "hierarchy")
    p = np.stack([begin[name].numpy() for name in "ab"]) ** (1 / spec.depth)
    losses = []
    for leg in one.path.legs:
        open_ = np.array([[1.0], [0.0 if leg.deficits else 1.0]])

        def speed(_: float, flat: Array, open_: Array = open_) -> Array:
            x = flat.reshape(2, -1)
            made: Array = (open_ * x**2 * (s - (x**3).sum(0))).ravel()
            return made

        for epoch in range(leg.start, leg.stop):
            losses.append(((s - (p**3).sum(0)) ** 2).sum() / 16)
            time = leg.rate(one.cell.settings.training, epoch) / 8
            p = solve_ivp(speed, (0, time), p.ravel(), rtol=1e-10, atol=1e-12).y[:, -1].reshape(2, -1)
    said = expect(bare, "flow", ends=True).table.filter(
        (pl.col("quantity") == "train_loss") & (pl.col("run") == one.name)
    )
    np.testing.assert_allclose(said.sort("epoch")["predicted"], losses, rtol=1e-6)


def test_the_shipped_study_freezes_early_and_late_and_silence_never_heals() -> None:
    """The theory of the shipped study, without training it: shares of a in the end, by onset."""
    study_ = Study.load("deep_linear", seeds=1)
    said = expect(Results(study_, pl.DataFrame()), ends=True)
    share = said.table.filter((pl.col("quantity") == "share_mean") & (pl.col("source") == "a"))
    by = {row["run"]: row["predicted"] for row in share.iter_rows(named=True)}
    loss, flow = (
        e.table.filter(pl.col("quantity") == "train_loss").sort("run", "epoch")["predicted"]
        for e in (said, expect(Results(study_, pl.DataFrame()), "flow", ends=True))
    )
    # A step is 0.02 and the fastest mode grows by 0.02 s p^(D-2) D = 0.1 or so in it, of a loss of 2; measured 0.108.
    assert (loss - flow).abs().max() < 0.15  # type: ignore[operator]
    control = by["control#0"]
    assert by["freeze[t=0]#0"] > 0.99
    assert by["silence[t=0]#0"] > 0.99
    assert abs(by["freeze[t=300]#0"] - control) < 0.01
    # Of a mode that both hold alike, a makes up for the silent b; what is too much after the release, both give way to.
    assert by["silence[t=300]#0"] - control > 0.15


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"training": {"momentum": 0.5}}, "the theory needs training.momentum = 0"),
        ({"training": {"batch": 8}}, "training.batch = 16, all samples in one step,"),
        ({"training": {"optimiser": "adamw"}}, "training.optimiser = 'sgd'"),
        ({"training": {"weight_decay": 0.1}}, "training.weight_decay = 0"),
        ({"network": {"init": "gaussian"}}, "network.init = 'balanced'"),
        ({"network": {"shared": 1}}, "network.shared = 0"),
        ({"objective": {"kind": "classify"}}, "objective.kind = 'squares'"),
        ({"arm": [{"name": "n", "timeline": "noise(b, 1) 5 | clean 5"}]}, "freeze and silence, not of noise(b, 1"),
    ],
)
def test_the_theory_says_where_it_ends(changes: dict[str, Any], part: str, results: Results) -> None:
    found = Results(study(**changes), results.table)
    with pytest.raises(ChiasmError) as caught:
        prediction_table(found)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert part.split(",", maxsplit=1)[0] in str(comparison_of(found))


def test_runs_beyond_the_theory_are_left_out_and_counted(results: Results) -> None:
    arms = [{"name": "control", "timeline": "clean 60"}, {"name": "noisy", "timeline": "noise(b, 1) 5 | clean 5"}]
    said = expect(Results(study(arm=arms), results.table), ends=True)
    assert set(said.left) == {"noisy#0", "noisy#1"}
    assert set(said.table["run"]) == {"control#0", "control#1"}


def test_another_network_has_no_section(tiny: Callable[..., Study], results: Results) -> None:
    assert comparison_of(Results(tiny(), results.table)) == ""


def test_panels_and_words_say_what_the_tables_say(results: Results) -> None:
    made = compare(results)
    drawn = panels(made)
    assert [panel.name for panel in drawn] == ["theory-loss", "theory-alone", "theory-rsv", "theory-difference"]
    assert all(isinstance(panel, Panel) and panel.caption for panel in drawn)
    lines = drawn[0].figure.axes[0].lines
    table = made.table().filter(pl.col("quantity") == "train_loss")
    run_ = table.filter((pl.col("arm") == "freeze") & (pl.col("seed") == 0))["run"][0]
    np.testing.assert_array_equal(lines[0].get_ydata(), table.filter(pl.col("run") == run_)["predicted"])
    said = findings(made)
    assert f"{table.height} numbers of {table['run'].n_unique()} runs" in said[0]
    worst = table["difference"].abs().max()
    row = summary(made).filter(pl.col("quantity") == "train_loss")
    assert row["difference"][0] == worst
    (group,) = differences(made).groups
    assert len(group.rows) == summary(made).height


def test_the_theory_stands_before_the_numbers_of_a_report(results: Results, tmp_path: Path) -> None:
    html = write_report(results, tmp_path).read_text(encoding="utf-8")
    assert re.findall(r'<section id="(\w+)"', html)[-4:] == ["theory", "numbers", "limits", "again"]
    assert (tmp_path / "prediction.parquet").is_file()
    assert 'aria-label="Table of the differences"' in html


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"network": {"target": "hierachy"}}, "unknown target 'hierachy'; known targets: hierarchy, tasks_by_sensors"),
        ({"network": {"target": [[1.0, 2.0], [3.0]]}}, "rows of equal length"),
        ({"network": {"target": [[0.0, 0.0]]}}, "not all zero"),
        ({"network": {"target": [[float("nan"), 1.0]]}}, "finite numbers"),
        ({"network": {"target": []}}, "rows of no numbers"),
        ({"network": {"width": 7}}, "width = 7 is too narrow for the 8 modes"),
        ({"network": {"depth": 0}}, "network.depth = 0"),
        ({"network": {"scale": 0.0}}, "network.scale = 0.0"),
        ({"network": {"scale": float("inf")}}, "expected finite numbers"),
        ({"task": {"items": 0}}, "task.items = 0"),
        ({"task": {"sources": ["a", "a"]}}, "'a' is named twice"),
        ({"network": {"kind": "split_mlp", "target": "hierarchy"}}, "unknown key 'target'"),
    ],
)
def test_an_impossible_setting_is_one_sentence(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(ChiasmError) as caught:
        study(**changes)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_squares_need_distances_and_items_their_columns() -> None:
    raw = copy.deepcopy(RAW) | {"network": {"kind": "split_mlp"}}
    with pytest.raises(ChiasmError, match="'squares' needs a network whose answers are distances"):
        Study.from_dict(raw)
    with pytest.raises(ChiasmError, match="a target of 8 columns, so sources must show 8 numbers and classes be 16"):
        build(DeepLinear(), task=Linear(items=4))
    with pytest.raises(ChiasmError, match="new ones cannot be drawn"):
        TASK.draw(0, 0)
    with pytest.raises(ChiasmError, match="unknown theory 'magic'"):
        prediction_table(Results(study(), pl.DataFrame()), "magic")  # type: ignore[arg-type]


def test_a_target_of_ones_own_is_written_and_read_again() -> None:
    own = study(network={"target": [[2.0, 0.0], [0.0, 1.0]], "width": 2}, task={"items": 2})
    again = Study.from_toml(own.to_toml())
    assert again.to_toml() == own.to_toml()
    assert again.cells()[0].settings.network.target == ((2.0, 0.0), (0.0, 1.0))  # type: ignore[attr-defined]
