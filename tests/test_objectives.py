"""Objectives against closed forms, and phases that train for different ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from chiasm import registry
from chiasm.api import run
from chiasm.errors import ChiasmError
from chiasm.objectives import Classify, Regress
from chiasm.study.plan import legs_of, make_plan
from chiasm.study.spec import Study
from chiasm.tasks import write_arrays
from chiasm.timeline import Timeline
from chiasm.training import Training

Make = Callable[..., Study]
SOFT = {"soft": {"kind": "classify", "label_smoothing": 0.2}, "same": {"kind": "classify"}}


def final(frame: pl.DataFrame, quantity: str) -> dict[str, float]:
    rows = frame.filter(pl.col("final"), quantity=quantity, seed=0)
    return dict(zip(rows["source"], rows["value"], strict=True))


def test_squared_error_and_its_chance_are_what_numpy_says() -> None:
    draws = np.random.default_rng(0)
    answer, target = draws.normal(size=(2, 5, 6)), draws.normal(size=(2, 5, 2, 3))
    scores = Regress().score(torch.tensor(answer), torch.tensor(target)).numpy()
    np.testing.assert_allclose(scores, ((answer - target.reshape(2, 5, 6)) ** 2).mean(-1), rtol=1e-12)
    np.testing.assert_allclose(Regress().loss(torch.tensor(answer), torch.tensor(target)), scores.mean(1), rtol=1e-12)
    assert Regress().outputs(0, (2, 3)) == 6
    assert Regress().outputs(0, ()) == 1


def test_a_segment_is_cut_where_the_objective_changes_and_spans_are_not() -> None:
    line = Timeline.parse("clean 2 @soft | clean 3 | silence(a) 1", ["a"], ["soft"])
    assert line.segments() == ((0, 2, (), "soft"), (2, 5, (), ""), (5, 6, line.at(5), ""))
    assert [span[:2] for span in line.spans()] == [(0, 5), (5, 6)]
    assert line.boundaries == (2, 5, 6)
    assert Timeline.parse(str(line)) == line
    with pytest.raises(ChiasmError, match=r"unknown objective 'sfot' \(did you mean 'soft'\?\); objectives: soft"):
        Timeline.parse("clean 2 @sfot", ["a"], ["soft"])
    with pytest.raises(ChiasmError, match="expected the name of an objective after '@', found the end"):
        Timeline.parse("clean 2 @")
    named = {"": Classify(), "soft": Classify(label_smoothing=0.2)}
    assert [(leg.objective, leg.named) for leg in legs_of(line, Training(), 0, named)] == [
        (named["soft"], True), (named[""], False), (named[""], False)]  # fmt: skip


def keys(study: Study) -> dict[str, list[str]]:
    return {run.cell.arm: [run.path.key(epoch) for epoch in range(5)] for run in make_plan(study).runs}


def test_runs_share_what_comes_before_they_train_for_something_else(tiny: Make) -> None:
    lines = {"plain": "clean 4", "same": "clean 2 | clean 2 @same", "soft": "clean 2 | clean 2 @soft"}
    arms = [{"name": name, "timeline": line} for name, line in lines.items()]
    named = keys(tiny(seeds=1, arm=arms, objective={"kind": "classify", **SOFT}))
    plain = keys(tiny(seeds=1, arm=arms[:1]))
    assert named["plain"] == plain["plain"]  # what a study does not use is no part of its keys
    assert named["same"][:3] == plain["plain"][:3]
    assert named["same"][4] != named["soft"][4]
    assert [a == b for a, b in zip(named["soft"], plain["plain"], strict=True)] == [True, True, True, False, False]
    other = keys(tiny(seeds=1, arm=arms, objective={**SOFT, "soft": {"kind": "classify", "label_smoothing": 0.1}}))
    assert other["soft"][2] == named["soft"][2]
    assert other["soft"][3] != named["soft"][3]


def test_rows_of_one_stack_train_for_different_objectives_as_they_do_alone(tiny: Make, tmp_path: Path) -> None:
    arms = [
        {"name": "own", "timeline": "clean 4"},
        {"name": "soft", "timeline": "clean 4 @soft"},
        {"name": "both", "timeline": "clean 2 @soft | silence(right) 2"},
    ]
    together = run(tiny(arm=arms, objective=SOFT), tmp_path / "all", report=False, progress=False).frame()
    for arm in arms:
        alone = run(tiny(arm=[arm], objective=SOFT), tmp_path / arm["name"], report=False, progress=False).frame()
        columns = ["seed", "epoch", "layer", "source", "quantity", "value"]
        assert together.filter(arm=arm["name"]).select(columns).equals(alone.select(columns)), arm["name"]
    # a smoothed target is an objective of its own: the same first step, another loss
    first = together.filter(quantity="train_loss", epoch=1, seed=0)
    assert first.filter(arm="own")["value"][0] != first.filter(arm="soft")["value"][0]
    assert first.filter(arm="soft")["value"][0] == first.filter(arm="both")["value"][0]


def test_what_a_study_with_objectives_writes_is_read_back(tiny: Make) -> None:
    study = tiny(arm=[{"name": "a", "timeline": "clean 1 @soft | clean 1"}], objective={"kind": "classify", **SOFT})
    again = Study.from_toml(study.to_toml())
    assert again.to_toml() == study.to_toml()
    assert list(make_plan(again).nodes) == list(make_plan(study).nodes)
    assert str(again.cells()[0].timeline) == "clean 1 @soft | clean 1"


@pytest.mark.parametrize(
    ("objective", "sentence"),
    [
        ({"soft": {"kind": "clasify"}}, r"\[objective\.soft\]: unknown kind 'clasify'"),
        ({"soft": {"kind": "classify", "label_smoothing": 2}}, r"objective\.soft\.label_smoothing = 2"),
        ({"so ft": {"kind": "classify"}}, r"\[objective\.so ft\]: expected a name"),
        ({"kind": "regress"}, "objective.kind = 'regress' is for targets that are numbers; this task's are classes"),
        ({"soft": {"kind": "regress"}}, "objective.kind = 'regress' is for targets that are numbers"),
    ],
)
def test_an_objective_that_cannot_be_is_one_sentence(
    tiny: Make, tmp_path: Path, objective: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ChiasmError, match=sentence):
        run(tiny(objective=objective), tmp_path / "out", report=False, progress=False)
    assert not (tmp_path / "out").exists()


WIDER = """
import chiasm
from chiasm.objectives import Classify

class Wider(Classify, frozen=True, tag="wider"):
    def outputs(self, classes, target):
        return classes + 1
"""


def test_an_objective_that_only_one_arm_changes_is_checked_too(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_PLUGINS", {})
    (tmp_path / "wider.py").write_text(WIDER)
    arms = [
        {"name": "other", "timeline": "clean 2 @soft", "objective": {"soft": {"kind": "wider"}}},
        {"name": "soft", "timeline": "clean 2 @soft"},
    ]
    study = tiny(arm=arms, objective=SOFT, plugins=[str(tmp_path / "wider.py")])
    with pytest.raises(ChiasmError, match=r"objective\.soft wants a network of \d+ outputs, the study's own .* size"):
        run(study, tmp_path / "out", report=False, progress=False)
    assert not (tmp_path / "out").exists()


def numbers(folder: Path, shape: tuple[int, ...] = ()) -> dict[str, Any]:
    """A study whose target is a linear map of two sources, each of which tells half of it."""
    draws = np.random.default_rng(0)
    a, b = draws.normal(size=(2, 400, 3)).astype(np.float32)
    maps = draws.normal(size=(2, 3, int(np.prod(shape)) if shape else 1))
    label = (a @ maps[0] + b @ maps[1]).reshape(400, *shape) if shape else (a @ maps[0] + b @ maps[1])[:, 0]
    task = write_arrays({"a": a, "b": b, "label": label.astype(np.float32)}, folder / "numbers.npz")
    return {
        "name": "numbers",
        "seeds": 1,
        "task": {"kind": "arrays", "path": task.path, "standardise": "none"},
        "network": {"kind": "split_mlp", "depth": 1, "width": 16, "activation": "identity", "trunk": []},
        "training": {"lr": 0.02, "batch": 32, "clock": "constant"},
        "objective": {"kind": "regress"},
        "probe": {"layers": ["fusion"]},
        "arm": [{"name": "a", "role": "duration", "timeline": "dissociate(first) {d} | clean 40", "d": [0, 2]}],
    }


@pytest.mark.parametrize("shape", [(), (2,), (2, 2)])
def test_a_linear_map_of_numbers_is_learned_to_nothing_and_one_source_tells_half(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    raw = numbers(tmp_path, shape)
    frame = run(Study.from_dict(raw), tmp_path / "out", progress=False).frame()
    errors = final(frame.filter(cell="d=0"), "error")
    with np.load(tmp_path / "numbers.npz") as arrays:
        label = arrays["label"].astype(np.float64)
        fits = {  # what a source alone can tell of the label, by least squares over all samples
            name: np.square(
                label.reshape(400, -1)
                - arrays[name] @ np.linalg.lstsq(arrays[name], label.reshape(400, -1), rcond=None)[0]
            ).mean()
            for name in ("a", "b")
        }
    assert errors["all"] < 1e-3 * label.var()  # a linear network that is trained long enough errs by rounding only
    for name, least in fits.items():  # the other source is at its mean: within the spread of 80 test samples
        assert errors[name] == pytest.approx(least, rel=0.5)
    assert "accuracy" not in set(frame["quantity"])
    assert {"train_error", "train_loss"} <= set(frame["quantity"])


def test_measures_of_classes_refuse_numbers_before_anything_is_written(tmp_path: Path) -> None:
    for measure in ("usable", "fisher"):
        raw = {**numbers(tmp_path), "probe": {"measures": ["outcome", measure], "layers": []}}
        with pytest.raises(ChiasmError, match=f"'{measure}' is of class labels, and the targets here are numbers"):
            run(Study.from_dict(raw), tmp_path / measure, report=False, progress=False)
        assert not (tmp_path / measure).exists()
