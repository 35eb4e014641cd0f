"""The laws of the bench: the same bits whoever interrupts, shares, stacks or cuts the work."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest
import torch

import chiasm
from chiasm.api import run
from chiasm.study.collect import collect
from chiasm.study.engine import Engine
from chiasm.study.executors.local import MALLOC, environment
from chiasm.study.plan import make_plan
from chiasm.study.progress import Silent
from chiasm.study.results import Results
from chiasm.study.spec import Study
from chiasm.study.store import Store
from tests.processes import PROC, alive, finish, start, until

Make = Callable[..., Study]
FILES = ("results.parquet", "units.npz", "study.toml", "environment.json")


def same_files(one: Path, other: Path) -> None:
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def quiet(study: Study, folder: Path, rows: int = 32) -> Results:
    return run(study, folder, rows=rows, report=False, progress=False)


def begin(study: Path, out: Path, *more: str, main: Sequence[str] = ("-m", "chiasm.cli")) -> subprocess.Popen[str]:
    return start([sys.executable, *main, "run", study, "--out", out, "--no-report", *more])


#: The command line, to which less work is worth a process.
EAGER = """
from chiasm.cli import main
from chiasm.study.executors import sharing
sharing.WORTH_A_PROCESS = 1.0
main()
"""


def nodes(out: Path) -> int:
    return len(list((out / "store").rglob("*.safetensors")))


def test_the_same_study_gives_the_same_bytes(tiny: Make, tmp_path: Path) -> None:
    quiet(tiny(), tmp_path / "a")
    quiet(tiny(), tmp_path / "b")
    same_files(tmp_path / "a", tmp_path / "b")


#: Every measure, each on a layer and on few samples.
EVERYTHING = {
    "measures": ["accuracy", "units", "usable", "fisher", "rank"],
    "layers": ["fusion", "trunk"],
    "every": 3,
    "tail": 2,
    "fisher_samples": 8,
}


@pytest.mark.parametrize("probe", [{}, EVERYTHING], ids=["as shipped", "every measure"])
def test_how_many_rows_train_at_once_changes_no_byte(tiny: Make, tmp_path: Path, probe: dict[str, object]) -> None:
    quiet(tiny(probe=probe), tmp_path / "many", rows=32)
    quiet(tiny(probe=probe), tmp_path / "few", rows=2)
    same_files(tmp_path / "many", tmp_path / "few")


def test_shared_equals_unshared(tiny: Make, tmp_path: Path) -> None:
    together = quiet(tiny(), tmp_path / "all").frame()
    for arm in tiny().arms:
        for cell in [c for c in tiny().cells() if c.arm == arm.name]:
            alone = {"name": arm.name, "role": arm.role, "timeline": str(cell.timeline)}
            lone = quiet(tiny(arm=[alone]), tmp_path / f"{arm.name}{cell.label}").frame()
            mine = together.filter(pl.col("arm") == arm.name, pl.col("cell") == cell.label)
            keys = ["seed", "epoch", "layer", "source", "quantity", "value"]
            assert mine.select(keys).equals(lone.select(keys)), (arm.name, cell.label)


@pytest.mark.parametrize("probe", [{}, EVERYTHING], ids=["as shipped", "every measure"])
def test_cutting_an_edge_for_a_checkpoint_changes_no_byte(tiny: Make, tmp_path: Path, probe: dict[str, object]) -> None:
    study = tiny(probe=probe)
    whole = quiet(study, tmp_path / "whole")
    plan = make_plan(study)
    with Store(tmp_path / "cut" / "store") as store:
        nodes = Engine(plan, store, torch.device("cpu"), 32, Silent(), checkpoint=0.0, patience=0.0).run()
    assert len(nodes) > len(plan.nodes)  # it was cut indeed
    collect(plan, nodes, tmp_path / "cut", "cpu").save(tmp_path / "cut")
    same_files(tmp_path / "whole", tmp_path / "cut")
    # and what was cut can be gone on from: the ends are lost, the checkpoints are not
    for run_ in plan.runs:
        store.path(run_.path.key(run_.cell.timeline.epochs)).unlink(missing_ok=True)
    again = quiet(study, tmp_path / "cut")
    assert again.frame().equals(whole.frame())


def test_a_thousand_checkpoints_are_no_obstacle(tiny: Make, tmp_path: Path) -> None:
    arm = [{"name": "a", "timeline": "clean 1100"}]
    small = {"train": 8, "test": 8, "size": 6, "disparities": [0, 1]}
    study = tiny(seeds=1, arm=arm, task=small, training={"batch": 8}, probe={"layers": [], "every": 1000})
    plan = make_plan(study)
    with Store(tmp_path / "store") as store:
        Engine(plan, store, torch.device("cpu"), 2, Silent(), checkpoint=0.0, patience=0.0).run()
    assert quiet(study, tmp_path).frame().filter(final=True, quantity="accuracy", source="all").height == 1


def test_results_open_without_the_data_they_were_made_from(tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", a=rng.normal(size=(40, 3)), b=rng.normal(size=(40, 3)), label=np.arange(40) % 2)
    raw = {
        "name": "own",
        "seeds": 1,
        "task": {"kind": "arrays", "path": str(tmp_path / "d.npz")},
        "network": {"kind": "split_mlp", "depth": 1, "width": 4},
        "arm": [{"name": "a", "timeline": "clean 1"}],
    }
    run(Study.from_dict(raw), tmp_path / "out", report=False, progress=False)
    (tmp_path / "d.npz").unlink()
    assert chiasm.load(tmp_path / "out").report().is_file()


def test_half_extended_results_are_not_taken_for_whole(tiny: Make, tmp_path: Path) -> None:
    quiet(tiny(seeds=1), tmp_path)
    (tmp_path / "study.toml").write_text(tiny(seeds=2).to_toml())  # as a kill leaves it while seeds are added
    with pytest.raises(chiasm.ChiasmError, match="seeds are not all there"):
        chiasm.load(tmp_path)


def test_nothing_on_disk_is_computed_again(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(tiny(), tmp_path)
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "store").rglob("*.safetensors")}

    def never(*_: object, **__: object) -> None:
        raise AssertionError("an epoch was trained although the store holds it")

    monkeypatch.setattr("chiasm.training.Stack.epoch", never)
    quiet(tiny(), tmp_path)
    assert stamps == {p: p.stat().st_mtime_ns for p in (tmp_path / "store").rglob("*.safetensors")}


def test_more_seeds_extend_a_study_without_redoing_it(tiny: Make, tmp_path: Path) -> None:
    first = quiet(tiny(seeds=1), tmp_path / "grown")
    grown = quiet(tiny(seeds=2), tmp_path / "grown")
    quiet(tiny(seeds=2), tmp_path / "fresh")
    same_files(tmp_path / "grown", tmp_path / "fresh")
    assert grown.frame().filter(seed=0).equals(first.frame())


def test_a_damaged_node_is_said_and_computed_again(
    tiny: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet(tiny(), tmp_path / "a")
    quiet(tiny(), tmp_path / "b")
    for path in sorted((tmp_path / "a" / "store").rglob("*.safetensors"))[::5]:
        path.write_bytes(path.read_bytes()[:-3])
    quiet(tiny(), tmp_path / "a")
    assert "is damaged" in capsys.readouterr().err
    same_files(tmp_path / "a", tmp_path / "b")


@pytest.fixture
def long_study(tiny: Make, tmp_path: Path) -> Path:
    """A study of some seconds, with edges enough to be killed between."""
    arm = {"name": "d", "role": "duration", "timeline": "silence(right) {d} | clean 30", "d": [0, 10, 20, 30, 40, 50]}
    study = tiny(seeds=3, arm=[arm], task={"train": 512})
    path = tmp_path / "long.toml"
    path.write_text(study.to_toml())
    return path


@pytest.mark.usefixtures("processes")
def test_killed_at_random_moments_and_resumed_ends_with_the_same_bytes(
    long_study: Path, tmp_path: Path, chance: random.Random
) -> None:
    calm, out = tmp_path / "calm", tmp_path / "killed"
    finish(begin(long_study, calm))
    killed = 0
    for _ in range(4):
        before = nodes(out)
        process = begin(long_study, out)
        until(lambda before=before: nodes(out) > before, process)  # type: ignore[misc]
        time.sleep(chance.random() * 0.5)  # at any moment: while it trains, measures or writes
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
    assert killed, "the study ended before anyone could kill it: make it longer"
    finish(begin(long_study, out))
    same_files(calm, out)


@pytest.mark.usefixtures("processes")
def test_ctrl_c_says_how_to_go_on(long_study: Path, tmp_path: Path) -> None:
    process = begin(long_study, tmp_path / "out")
    until(lambda: nodes(tmp_path / "out") > 0, process)
    process.send_signal(signal.SIGINT)
    _, errors = finish(process, status=130)
    assert "the same command goes on" in errors
    assert "Traceback" not in errors


@pytest.fixture
def crew_study(tiny: Make, tmp_path: Path) -> Path:
    """A study of some seconds, on edges of half a second or so."""
    arm = {"name": "d", "role": "duration", "timeline": "silence(right) {d} | clean 12", "d": [0, 6, 12, 18]}
    study = tiny(seeds=4, arm=[arm], task={"train": 512}, training={"batch": 8}, probe={"layers": []})
    path = tmp_path / "crew.toml"
    path.write_text(study.to_toml())
    return path


def children(process: subprocess.Popen[str]) -> list[int]:
    listed = PROC / f"{process.pid}/task/{process.pid}/children"
    return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []


@pytest.mark.skipif(not (PROC / "self/task").exists(), reason="needs /proc to see the workers")
@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_crew_goes_home_when_its_captain_is_gone(crew_study: Path, tmp_path: Path, how: signal.Signals) -> None:
    process = begin(crew_study, tmp_path / "out", "--workers", "2", main=("-c", EAGER))
    until(lambda: nodes(tmp_path / "out") >= 6, process)
    crew = children(process)
    assert len(crew) == 2, "the study ended before anyone could look, or was not worth two processes"
    for pid in crew:
        variables = (PROC / f"{pid}/environ").read_text().split("\0")
        assert {f"{name}={environment(1)[name]}" for name in MALLOC} <= set(variables)
    process.send_signal(how)
    _, errors = finish(process, status=130 if how == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in errors
    until(lambda: not any(alive(pid) for pid in crew))  # nobody wants their work
    if how == signal.SIGKILL:  # and what it left is gone on from
        for folder, workers in (("out", "2"), ("calm", "1")):
            finish(begin(crew_study, tmp_path / folder, "--workers", workers, main=("-c", EAGER)))
        same_files(tmp_path / "out", tmp_path / "calm")


@pytest.mark.usefixtures("processes")
def test_two_processes_on_one_folder_do_not_spoil_each_other(long_study: Path, tmp_path: Path) -> None:
    pair = [begin(long_study, tmp_path / "both") for _ in range(2)]
    for process in pair:
        finish(process)
    finish(begin(long_study, tmp_path / "alone"))
    same_files(tmp_path / "both", tmp_path / "alone")
    assert not list((tmp_path / "both").rglob("*.part"))


def test_probes_change_nothing(tiny: Make, tmp_path: Path) -> None:
    arm = [{"name": "a", "timeline": "silence(right) 3 | clean 5"}]
    layers = ["fusion", "trunk", "pathways.left", ""]
    often = quiet(tiny(arm=arm, probe={**EVERYTHING, "every": 1, "layers": layers}), tmp_path / "often")
    never = quiet(tiny(arm=arm, probe={"every": 99, "layers": []}), tmp_path / "never")
    ends = [r.frame().filter(pl.col("quantity").is_in(["train_loss", "train_accuracy"])) for r in (often, never)]
    assert ends[0].equals(ends[1])


def test_the_test_set_steers_nothing(tiny: Make, tmp_path: Path) -> None:
    arm = [{"name": "a", "timeline": "silence(right) 3 | clean 5"}]
    trained = []
    for samples in (64, 40):
        frame = quiet(tiny(arm=arm, task={"test": samples}), tmp_path / str(samples)).frame()
        trained.append(frame.filter(pl.col("quantity").is_in(["train_loss", "train_accuracy", "learning_rate"])))
    assert trained[0].equals(trained[1])


def test_nothing_on_disk_can_run_code(tiny: Make, tmp_path: Path) -> None:
    quiet(tiny(), tmp_path)
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds == {".parquet", ".npz", ".toml", ".json", ".safetensors"}
    import numpy as np

    with np.load(tmp_path / "units.npz", allow_pickle=False) as packed:
        assert all(packed[name].dtype != object for name in packed)


def test_results_load_as_they_were_saved(tiny: Make, tmp_path: Path) -> None:
    made = quiet(tiny(), tmp_path)
    loaded = Results.load(tmp_path)
    assert loaded.frame().equals(made.frame())
    assert loaded.study.to_toml() == made.study.to_toml()
    ours, theirs = made.units("fusion"), loaded.units("fusion")
    assert (ours.rsv == theirs.rsv).sum() + (ours.rsv != ours.rsv).sum() == ours.rsv.size
    assert theirs.at("duration[d=4]#1") == ours.at("duration[d=4]#1")


def test_a_diverged_run_is_marked_and_the_others_end(tiny: Make, tmp_path: Path) -> None:
    arm = [{"name": "lr", "timeline": "clean 2 | silence(right) 2 | clean 2", "training": {"lr": [0.05, 1e12]}}]
    frame = quiet(tiny(arm=arm, probe={"layers": ["fusion"]}), tmp_path).frame()
    final = frame.filter(final=True, quantity="accuracy", source="all")
    assert final["cell"].to_list() == ["training.lr=0.05"] * 2
    marked = frame.filter(quantity="diverged")
    assert marked["cell"].to_list() == ["training.lr=1000000000000.0"] * 2
    assert (marked["epoch"] <= 2).all()


def test_a_run_that_blows_up_in_its_last_step_is_marked(tiny: Make, tmp_path: Path) -> None:
    # one step in all: its loss is taken before the update that ruins everything
    arm = [{"name": "a", "timeline": "clean 1"}]
    study = tiny(arm=arm, seeds=1, training={"lr": 1e30, "batch": 128}, probe={"layers": []})
    frame = quiet(study, tmp_path).frame()
    assert frame.filter(quantity="train_loss")["value"].is_finite().all()
    assert frame.filter(quantity="diverged")["epoch"].to_list() == [1]


def test_import_is_lazy_and_nothing_needs_a_network(tmp_path: Path) -> None:
    code = (
        "import sys, socket\n"
        "def refuse(*a, **k): raise AssertionError('network at import')\n"
        "socket.socket.connect = refuse\n"
        "import chiasm, chiasm.cli\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules\n"
        "import chiasm.study\n"
        "assert 'matplotlib' not in sys.modules and 'sklearn' not in sys.modules\n"
        "chiasm.run('smoke', 'out', progress=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_public_face_is_whole() -> None:
    for name in chiasm.__all__:
        assert getattr(chiasm, name) is not None


def test_final_accuracy_is_the_mean_of_the_last_epochs_however_the_tree_is_cut(tiny: Make, tmp_path: Path) -> None:
    every = quiet(tiny(probe={"layers": [], "every": 1}), tmp_path / "every").frame()
    last = quiet(tiny(probe={"layers": [], "every": 100, "tail": 3}), tmp_path / "tail").frame()
    compared = 0
    for (run_, quantity, source), rows in last.filter(final=True).group_by("run", "quantity", "source"):
        if quantity not in ("accuracy", "loss"):
            continue
        (value,) = rows["value"]
        (end,) = rows["epoch"]
        own = every.filter(pl.col("run") == run_, quantity=quantity, source=source)
        three = own.filter(pl.col("epoch") > end - 3)["value"]
        assert len(three) == min(3, end + 1)
        assert value == pytest.approx(three.mean(), rel=1e-12)
        compared += 1
    assert compared == 6 * last["run"].n_unique()
