"""Several processes that train the same rows together, as torchrun starts them."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import polars as pl
import pytest
import torch

from chiasm.api import run
from chiasm.study.spec import Study
from chiasm.training.ranks import ALONE, Ranks
from tests.processes import finish, start

STUDY = """
name = "together"
seeds = 1
[task]
kind = "stereogram"
dims = {dims}
size = 6
disparities = [-1, 1]
train = 100
test = 64
[network]
{network}
[training]
batch = 32
[probe]
layers = ["fusion"]
every = 2
anchors = 16
[[arm]]
name = "duration"
role = "duration"
timeline = "silence(right) {{d}} | clean 2"
d = [0, 2]
"""
KEYS = ["run", "epoch", "layer", "source", "quantity"]


def together(study: Path, out: Path, count: int) -> str:
    """Run a study in so many processes that train together; returns standard output."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={count}", f"--master-port={port}"]
    command = [*torchrun, "-m", "chiasm.cli", "run", str(study), "--out", str(out), "--device", "cpu"]
    output, _ = finish(start(command, PYTHONWARNINGS=""))
    return output


@pytest.mark.usefixtures("processes")
def test_two_processes_reach_what_one_does_and_one_of_them_writes(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(STUDY.format(dims=1, network='kind = "split_mlp"\ndepth = 2\nwidth = 8'))
    assert together(file, tmp_path / "two", 2).count("results: ") == 1
    alone = run(Study.load(file), tmp_path / "one", report=False, progress=False).frame()
    two = pl.read_parquet(tmp_path / "two" / "results.parquet")
    both = alone.join(two, on=KEYS, how="full", nulls_equal=True, suffix="_two")
    assert both.height == alone.height == two.height
    # Gradients of halves of 32 or 4 samples, added in float32; a silent pathway and a last batch of 4 among them.
    assert (both["value"] - both["value_two"]).abs().max() < 1e-4  # type: ignore[operator]


@pytest.mark.usefixtures("processes")
def test_statistics_of_batches_are_each_processs_own(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(STUDY.format(dims=2, network='kind = "split_cnn"\nchannels = [4]\ntrunk = [4]\nnorm = "batch"'))
    together(file, tmp_path / "two", 2)
    found = pl.read_parquet(tmp_path / "two" / "results.parquet").filter(quantity="accuracy", source="all", final=True)
    assert found.height == 2
    # Started again, it has nothing left to train, whoever starts it.
    again = run(Study.load(file), tmp_path / "two", report=False, progress=False).frame()
    assert again.filter(quantity="accuracy", source="all", final=True)["value"].to_list() == found["value"].to_list()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_parts_of_a_batch_are_the_batch(size: int) -> None:
    chosen = torch.arange(20).reshape(2, 10)
    parts = torch.cat([Ranks(rank, size).part(chosen) for rank in range(size)], 1)
    assert torch.equal(parts.sort(1).values, chosen)


def test_alone_nothing_is_exchanged() -> None:
    grads = [torch.ones(2), None]
    assert ALONE.mean(grads, 1.0)[0] is grads[0]
    assert (ALONE.purpose("augment"), Ranks(1, 2).purpose("augment")) == ("augment", "augment of rank 1")
