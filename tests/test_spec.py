"""The study file: what is read is what is meant, and what is written is read back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chiasm.api import run
from chiasm.errors import ChiasmError
from chiasm.study.effort import seconds_a_step
from chiasm.study.executors import shares
from chiasm.study.plan import make_plan
from chiasm.study.run import claim
from chiasm.study.spec import Study, shipped
from tests.conftest import TINY

Make = Callable[..., Study]


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_study_written_and_read_again_has_the_same_keys(name: str) -> None:
    study = Study.load(name, seeds=2)
    again = Study.from_toml(study.to_toml())
    assert again.to_toml() == study.to_toml()
    if not study.cells()[0].settings.task.whereabouts:  # data that are not ours to bring along
        assert list(make_plan(again).nodes) == list(make_plan(study).nodes)
    assert [cell.label for cell in again.cells()] == [cell.label for cell in study.cells()]


def test_an_arm_is_every_combination_of_what_it_varies(tiny: Make) -> None:
    arm = {
        "name": "a",
        "timeline": "silence({eye}) {d} | clean 1",
        "eye": ["left", "right"],
        "d": [1, 2],
        "training": {"lr": [0.1, 0.2]},
        "network": {"trunk": [[4], [4, 4]], "width": 6},
    }
    cells = tiny(arm=[arm]).cells()
    assert len(cells) == 2 * 2 * 2 * 2
    assert {str(cell.timeline) for cell in cells} == {
        f"silence({eye}) {d} | clean 1" for eye in ("left", "right") for d in (1, 2)
    }
    assert {(c.settings.training.lr, c.settings.network.trunk, c.settings.network.width) for c in cells} == {  # type: ignore[attr-defined]
        (lr, trunk, 6) for lr in (0.1, 0.2) for trunk in ((4,), (4, 4))
    }
    assert cells[0].label.startswith("eye=left, d=1, training.lr=0.1")


def test_settings_from_the_command_line_override_the_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(Path(shipped()["smoke"]).read_text())
    changes = ["training.lr=0.02", "training.clock=constant", "network.trunk=[3, 3]", "question=Really?"]
    study = Study.load(path, changes, seeds=7)
    settings = study.cells()[0].settings
    assert (settings.training.lr, settings.training.clock, study.seeds) == (0.02, "constant", 7)
    assert settings.network.trunk == (3, 3)  # type: ignore[attr-defined]
    assert study.question == "Really?"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"arm": [{"name": "a", "timeline": "clean 1"}] * 2}, "two arms are named 'a'"),
        ({"arm": [{"timeline": "clean 1"}]}, "arm 1: the key 'name' is missing"),
        ({"arm": [{"name": "a", "timeline": "clean {d}", "e": [1], "d": [1]}]}, "unknown key 'e'"),
        ({"arm": [{"name": "a", "timeline": "clean {d", "d": [1]}]}, "braces do not match"),
        ({"arm": [{"name": "a", "timeline": "clean 1", "training": {"lrr": [1]}}]}, "unknown key 'lrr'"),
        ({"arm": []}, "no [[arm]] is given"),
        ({"arm": [{"name": "a", "timeline": "clean {d}", "d": [1, 1]}]}, "1 is listed twice"),
        ({"arm": [{"name": "a", "timeline": "clean {d!x}", "d": [1]}]}, "a name in braces"),
        ({"network": {"kind": {"a": 1}}}, "unknown kind"),
        ({"training": "fast"}, "[training] is 'fast'"),
        ({"name": ""}, "name = ''"),
        ({"objective": {"kind": "guess"}}, "unknown kind 'guess'"),
        ({"network": {}}, "the key 'kind' is missing"),
    ],
)
def test_a_study_that_makes_no_sense_is_one_sentence(change: dict[str, Any], part: str) -> None:
    raw = {**copy.deepcopy(TINY), **change}
    with pytest.raises(ChiasmError) as caught:
        Study.from_dict(raw)
    assert part in str(caught.value)


def test_the_keys_of_a_study_that_is_missing_something_are_named() -> None:
    for key in ("name", "task", "network", "arm"):
        raw = copy.deepcopy(TINY)
        del raw[key]
        with pytest.raises(ChiasmError, match=f"the key '{key}' is missing"):
            Study.from_dict(raw)


def test_a_folder_is_claimed_by_one_study(tiny: Make, tmp_path: Path) -> None:
    claim(tmp_path, tiny())
    claim(tmp_path, tiny(seeds=5))  # more seeds of the same study are welcome
    with pytest.raises(ChiasmError, match="arm 'duration' differs"):
        claim(tmp_path, tiny(arm=[{"name": "duration", "timeline": "clean 1"}, *TINY["arm"][1:]]))
    with pytest.raises(ChiasmError, match="it has 3 arms, not 2"):
        claim(tmp_path, tiny(arm=TINY["arm"][:2]))
    (tmp_path / "study.toml").write_text("not a study")
    with pytest.raises(ChiasmError, match="cannot be understood"):
        claim(tmp_path, tiny())


def test_shares_cover_what_is_missing_once(tiny: Make) -> None:
    study = tiny(seeds=6, task={"train": 4096}, training={"batch": 1})
    plan = make_plan(study)
    missing = set(plan.nodes)
    parts = shares(plan, missing, 3)
    roots = {key for key, node in plan.nodes.items() if node.parent is None}
    assert len(parts) == 3
    inner = [key for part in parts for key in part if key not in roots]
    assert sorted(inner) == sorted(missing - roots)
    for part in parts:  # nobody waits for anybody else's node
        assert all(plan.nodes[key].parent in {*part, None} for key in part)
    work = [sum(leg.stop - leg.start for key in part if (leg := plan.nodes[key].leg)) for part in parts]
    assert max(work) <= 1.2 * min(work)
    assert len(shares(make_plan(tiny()), set(make_plan(tiny()).nodes), 3)) == 1  # not worth a process


def test_a_share_is_a_share_of_the_work_not_of_the_steps(tiny: Make) -> None:
    """A network eight times as wide has 64 times the products: no share of equal work holds more than one run of it."""
    arms = [
        {"name": "wide", "timeline": "clean 8", "network": {"width": 2048}},
        {"name": "narrow", "timeline": "clean 8", "network": {"width": 256}},
    ]
    study = tiny(seeds=2, task={"train": 4096}, arm=arms, network={"depth": 2})
    plan = make_plan(study)
    wide = {key for key, node in plan.nodes.items() if node.path.root.settings.network.width == 2048 and node.leg}  # type: ignore[attr-defined]
    parts = shares(plan, set(plan.nodes), 3)
    assert [len(wide & set(part)) for part in parts] == [1, 1, 0]
    assert seconds_a_step(plan.nodes[min(wide)].path.root) > 30 * seconds_a_step(plan.runs[-1].path.root)


def test_workers_write_the_bytes_that_one_process_writes(tiny: Make, tmp_path: Path) -> None:
    study = tiny(seeds=3, task={"train": 2048, "size": 12}, training={"batch": 4}, arm=TINY["arm"][:1])
    run(study, tmp_path / "one", workers=1, report=False, progress=False)
    run(study, tmp_path / "two", workers=2, report=False, progress=False)
    for name in ("results.parquet", "units.npz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_workers_mistake_is_the_users_sentence(tiny: Make, tmp_path: Path) -> None:
    study = tiny(
        seeds=3,
        task={"train": 2048, "size": 12},
        training={"batch": 4},
        probe={"layers": ["fusoin"]},
        arm=TINY["arm"][:1],
    )
    with pytest.raises(ChiasmError, match="unknown layer 'fusoin'"):
        run(study, tmp_path, workers=2, report=False, progress=False)


@pytest.mark.parametrize("name", ["all", "both", "type", "left eye", "1", "a.b"])
def test_a_source_that_cannot_be_named_so_is_refused(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(20, 3)), "other": rng.normal(size=(20, 3)), "label": np.arange(20) % 2}
    np.savez(tmp_path / "d.npz", **arrays)  # type: ignore[arg-type]
    raw = {
        **TINY,
        "task": {"kind": "arrays", "path": str(tmp_path / "d.npz")},
        "arm": [{"name": "a", "timeline": "clean 1"}],
    }
    with pytest.raises(ChiasmError, match=f"a source may not be named '{name}'"):
        Study.from_dict(raw)


def test_arrays_of_ones_own_run_from_a_file_and_the_file_is_part_of_the_key(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 60)
    eyes = {name: rng.normal(size=(60, 3)) + label[:, None] for name in ("audio", "video")}
    np.savez(tmp_path / "d.npz", label=label, audio=eyes["audio"], video=eyes["video"])
    raw = {
        "name": "own",
        "seeds": 1,
        "task": {"kind": "arrays", "path": str(tmp_path / "d.npz")},
        "network": {"kind": "split_mlp", "depth": 1, "width": 4},
        "training": {"batch": 16},
        "arm": [{"name": "a", "timeline": "silence(audio) 1 | clean 3"}],
    }
    first = make_plan(Study.from_dict(raw)).runs[0].path.key(4)
    frame = run(Study.from_dict(raw), tmp_path / "out", report=False, progress=False).frame()
    assert set(frame["source"].drop_nulls().unique()) == {"all", "audio", "video"}
    (tmp_path / "moved.npz").write_bytes((tmp_path / "d.npz").read_bytes())
    moved = {**raw, "task": {"kind": "arrays", "path": str(tmp_path / "moved.npz")}}
    assert make_plan(Study.from_dict(moved)).runs[0].path.key(4) == first  # what it holds counts, not where it lies
    np.savez(tmp_path / "d.npz", label=1 - label, audio=eyes["audio"], video=eyes["video"])
    assert make_plan(Study.from_dict(raw)).runs[0].path.key(4) != first
