"""Images from file to results: the bench's laws hold for fed, convolutional, half-precision runs as for all others."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from chiasm.api import run
from chiasm.errors import ChiasmError
from chiasm.networks import AllConv, SplitMLP, SplitResNet
from chiasm.study.engine import Engine
from chiasm.study.executors import shares
from chiasm.study.plan import make_plan
from chiasm.study.spec import Study, shipped
from chiasm.training import resolved
from tests.cifar_files import drawn, write_binary, write_pickles
from tests.processes import finish, until
from tests.test_laws import begin, nodes, same_files

TEXT = """
name = "pictures"
seeds = 2
[task]
kind = "halves"
path = "{path}"
train = 96
test = 40
size = 8
mask = 0.1
[network]
kind = "split_resnet"
width = 4
blocks = [1, 1]
fuse_after = 1
heads = "per_source"
[training]
lr = 0.05
batch = 32
decay = 0.9
weight_decay = 5e-4
momentum_at_switch = "drop"
precision = "{precision}"
bn_reestimate = {reestimate}
[probe]
layers = ["trunk.stage2", "heads.both"]
positions = ["trunk.stage2"]
measures = ["accuracy", "units", "usable"]
every = 3
tail = 2
anchors = 32
[[arm]]
name = "duration"
role = "duration"
timeline = "blur(right, 2) {{d}} | clean 3"
d = [0, 2, 4]
training.clock = ["absolute", "constant"]
[[arm]]
name = "apart"
timeline = "dissociate(either) 3 | clean 2"
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_binary(tmp_path / "cifar", drawn(200, 60))


def study(path: Path, precision: str = "bfloat16", reestimate: str = "false") -> Study:
    return Study.from_toml(TEXT.format(path=path, precision=precision, reestimate=reestimate))


def trained(made: Study, out: Path, **options: Any) -> pl.DataFrame:
    return run(made, out, report=False, progress=False, **options).frame()


@pytest.mark.usefixtures("processes")
def test_killed_and_resumed_ends_with_the_same_bytes(pictures: Path, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(study(pictures).to_toml())
    calm, out = tmp_path / "calm", tmp_path / "killed"
    finish(begin(file, calm))
    killed = 0
    for share in (0.3, 0.6):
        process = begin(file, out)
        until(lambda share=share: nodes(out) >= share * nodes(calm), process)  # type: ignore[misc]
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
    assert killed, "the study ended before anyone could kill it: make it longer"
    finish(begin(file, out))
    same_files(calm, out)


def test_a_cut_and_a_shared_run_are_the_run_alone(pictures: Path, tmp_path: Path, monkeypatch: Any) -> None:
    whole = trained(study(pictures), tmp_path / "whole")
    with monkeypatch.context() as patched:  # every epoch is stored as a node
        patched.setattr("chiasm.study.executors.dispatch.Engine", partial(Engine, checkpoint=-1.0, patience=0.0))
        cut = trained(study(pictures), tmp_path / "cut")
    assert cut.equals(whole)
    nodes = [len(list((tmp_path / name / "store").rglob("*.safetensors"))) for name in ("whole", "cut")]
    assert nodes[1] > nodes[0] + 20
    raw = Study.from_toml(study(pictures).to_toml())
    lone = Study.from_toml(
        raw.to_toml().replace("d = [\n    0,\n    2,\n    4,\n]", "d = [\n    4,\n]")  # as tomli_w lays lists out
    )
    assert len(make_plan(lone).runs) < len(make_plan(raw).runs)
    alone = trained(lone, tmp_path / "alone").filter(arm="duration")
    keys = ["run", "epoch", "layer", "source", "quantity", "value"]
    assert alone.select(keys).equals(whole.filter(pl.col("run").is_in(alone["run"].unique())).select(keys))


def test_where_the_files_lie_and_how_they_are_laid_out_is_no_part_of_a_run(pictures: Path, tmp_path: Path) -> None:
    elsewhere = write_pickles(tmp_path / "elsewhere", drawn(200, 60))
    assert list(make_plan(study(pictures)).nodes) == list(make_plan(study(elsewhere)).nodes)
    assert list(make_plan(study(pictures, "float32")).nodes) != list(make_plan(study(pictures)).nodes)


def test_half_precision_trains_as_float32_does(pictures: Path, tmp_path: Path) -> None:
    frames = [trained(study(pictures, p), tmp_path / p) for p in ("float32", "bfloat16")]
    first = [f.filter(pl.col("epoch") == 1, quantity="train_loss")["value"].to_numpy() for f in frames]
    # The first epoch's losses are near ln 10, and bfloat16 keeps 3 digits of each product.
    assert abs(first[0] - first[1]).max() < 0.03
    assert abs(first[0] - first[1]).max() > 0


def test_statistics_are_reestimated_on_fed_pictures(pictures: Path, tmp_path: Path) -> None:
    plain = trained(study(pictures), tmp_path / "plain").filter(quantity="train_loss")
    made = trained(study(pictures, reestimate="true"), tmp_path / "anew")
    # Training is the same, what is measured is not.
    assert made.filter(quantity="train_loss")["value"].equals(plain["value"])
    assert made.filter(quantity="loss", source="all")["value"].is_finite().all()


FULL = [name for name in shipped() if name.startswith("cifar") and not name.endswith("-small")]


@pytest.mark.parametrize("name", [*FULL, *(f"{name}-small" for name in FULL)])
def test_the_papers_studies_carry_the_papers_protocol_and_its_controls(name: str) -> None:
    asked = Study.load(name)
    cells = asked.cells()
    roles = {cell.arm: asked.arm(cell.arm).role for cell in cells}
    assert {"duration", "onset", "mirror", "longer", "total"} - set(roles.values()) <= (
        {"mirror"} if "dissociation" in name else set()  # which has no side
    )
    assert set(asked.report["published"]) & set(roles)
    settings = [cell.settings.training for cell in cells]
    assert {"absolute", "since_release", "constant"} <= {t.clock for t in settings}
    assert {"drop", "keep"} == {t.momentum_at_switch for t in settings}
    assert all(cell.settings.probe.tail == 5 for cell in cells)
    assert (asked.sections["task"].get("size") == 16) == name.endswith("-small")


def test_automatic_precision_is_float32_for_small_networks() -> None:
    assert resolved("auto", SplitMLP(), "cpu") == "float32"
    assert resolved("float32", SplitResNet(), "cpu") == "float32"
    assert resolved("bfloat16", SplitMLP(), "cpu") == "bfloat16"
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    for network in (SplitResNet(), AllConv()):
        assert resolved("auto", network, "cpu") == ("bfloat16" if fast else "float32")


def test_few_steps_of_a_large_network_are_worth_a_process(pictures: Path) -> None:
    made = Study.from_toml(study(pictures).to_toml().replace("width = 4", "width = 64"))
    assert sum(run.cell.timeline.epochs for run in make_plan(made).runs) * 3 < 300  # steps: of small rows, a blink
    assert len(shares(make_plan(made), set(make_plan(made).nodes), 2)) == 2


def test_threads_that_cannot_be_are_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ChiasmError, match="threads = 0"):
        trained(study(pictures), tmp_path / "out", threads=0)
    assert not (tmp_path / "out").exists()
