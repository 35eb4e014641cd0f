"""Results as tables: rows that are wanted, one row a cell, and what they look like when printed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from chiasm.errors import ChiasmError
from chiasm.measuring import measure
from chiasm.study.results import SCHEMA, Results
from chiasm.study.spec import Study

RAW: dict[str, Any] = {
    "name": "made up",
    "question": "Is <b> escaped?",
    "seeds": 3,
    "task": {"kind": "arrays", "path": "/nowhere/at/all.npz"},
    "network": {"kind": "split_mlp"},
    "arm": [
        {"name": "duration", "role": "duration", "timeline": "silence(right) {d} | clean 60", "d": [0, 40],
         "training": {"lr": [1, 0.5]}, "network": {"trunk": [[64, 32], [16]]}},
        {"name": "mixed", "timeline": "silence(right) {duration} | clean 60", "duration": [5],
         "training": {"decay": ["none", 0.5, [1, "two"]], "batch": [16]}},
        {"name": "plain", "timeline": "clean 60", "task": {"fresh": [True]}},
    ],
}  # fmt: skip


def made_up(diverged: bool = False) -> Results:
    """Results of a study whose data are not there: every cell ends at 90 % and some."""
    study = Study.from_dict(RAW, check=False)
    rows: list[dict[str, Any]] = []
    for (arm, cell), values in study.varied().items():
        duration = values.get("d", values.get("duration", 0))
        about = {
            "arm": arm, "role": study.arm(arm).role, "cell": cell, "timeline": f"silence(right) {duration} | clean 60",
            "onset": 0 if duration else None, "duration": duration, "after": 60, "clock": "absolute",
        }  # fmt: skip
        for seed in range(study.seeds):
            run = {**about, "run": f"{arm}[{cell}]#{seed}", "seed": seed}
            for epoch in (0, 60 + duration):
                told = {**run, "epoch": epoch, "final": epoch > 0}
                rows.append({**told, "source": "all", "quantity": "accuracy", "value": 0.9 + 0.01 * seed})
                rows.append({**told, "layer": "fusion", "quantity": "rsv_mean", "value": 0.1})
            if diverged and arm == "mixed":
                rows.append({**run, "epoch": 3, "final": False, "quantity": "diverged", "value": 1.0})
    return Results(study, pl.DataFrame(rows, schema=SCHEMA))


def test_cells_are_one_row_each_with_a_typed_column_for_what_is_varied() -> None:
    cells = made_up().cells()
    assert cells.columns == [
        "arm", "role", "cell", "timeline", "onset", "duration", "after", "clock",
        "d", "training.lr", "network.trunk", "{duration}", "training.decay", "training.batch", "task.fresh",
    ]  # fmt: skip
    assert cells["arm"].to_list() == ["duration"] * 8 + ["mixed"] * 3 + ["plain"]
    assert {name: cells.schema[name] for name in cells.columns[8:]} == {
        "d": pl.Int64,
        "network.trunk": pl.List(pl.Int64),
        "training.lr": pl.Float64,
        "{duration}": pl.Int64,
        "training.batch": pl.Int64,
        "training.decay": pl.String,
        "task.fresh": pl.Boolean,
    }
    assert cells["d"].to_list() == [0] * 4 + [40] * 4 + [None] * 4
    assert set(cells["training.lr"].to_list()) == {1.0, 0.5, None}
    assert cells["network.trunk"].to_list()[:2] != [None, None]
    assert {tuple(x) for x in cells["network.trunk"].drop_nulls().to_list()} == {(64, 32), (16,)}
    assert sorted(cells["training.decay"].drop_nulls().to_list()) == ['"none"', '0.5', '[1, "two"]']  # fmt: skip
    assert cells["task.fresh"].to_list() == [None] * 11 + [True]
    assert cells["{duration}"].drop_nulls().to_list() == cells.filter(arm="mixed")["duration"].to_list() == [5] * 3
    # The name of a cell joins it to the tidy table.
    joined = made_up().frame(final=True, quantity="accuracy").join(cells, on=["arm", "cell"], how="inner")
    assert joined.height == 12 * 3


def test_cells_of_a_loaded_folder_need_no_data(tmp_path: Path) -> None:
    one = made_up()
    one.save(tmp_path)
    back = Results.load(tmp_path)
    assert back.cells().equals(one.cells())
    assert f"folder: {tmp_path}" in str(back)


def test_a_study_without_anything_varied_has_cells_too() -> None:
    raw = {**RAW, "arm": [{"name": "plain", "timeline": "clean 60"}]}
    study, table = Study.from_dict(raw, check=False), made_up().frame(arm="plain")
    cells = Results(study, table.with_columns(cell=pl.lit(""))).cells()
    assert cells.shape == (1, 8)
    assert Results(study, pl.DataFrame(schema=SCHEMA)).cells().shape == (0, 8)


def test_frames_are_filtered_by_values() -> None:
    results = made_up()
    table = results.table
    assert results.frame() is table
    assert results.frame(arm="duration", final=True).equals(table.filter(pl.col("final"), arm="duration"))
    assert results.frame(layer=None, seed=1, epoch=60.0).height == 5 * 1
    assert results.frame(final=False, value=0.9).height == 12
    assert results.frame(arm="plain", duration=40).height == 0  # both occur, though not together
    with pytest.raises(ChiasmError, match=r"unknown column 'arms'; known columns: after, arm, .*did you mean 'arm'"):
        results.frame(arms="duration")
    with pytest.raises(ChiasmError, match="unknown arm 'duratoin'; known arms: duration, mixed, plain"):
        results.frame(arm="duratoin")
    with pytest.raises(ChiasmError, match="unknown quantity '3'; known quantities: accuracy, rsv_mean"):
        results.frame(quantity=3)
    with pytest.raises(ChiasmError, match=r"no row has epoch = 7; known values: 0, 60, 65, 100"):
        results.frame(epoch=7)
    for wrong in (1, "True", None):
        with pytest.raises(ChiasmError, match=r"no row has final = .*; known values: False, True"):
            results.frame(final=wrong)
    with pytest.raises(ChiasmError, match="no row has seed = True; known values: 0, 1, 2"):
        results.frame(seed=True)
    many = replace(results, table=table.with_columns(epoch=pl.int_range(pl.len())))
    with pytest.raises(ChiasmError, match=f"no row has epoch = -1; known values: from 0 to {table.height - 1}"):
        many.frame(epoch=-1)


def test_printed_results_say_what_they_are_in_ten_lines() -> None:
    text = str(made_up())
    assert text == repr(made_up())
    assert len(text.splitlines()) <= 10
    for part in (
        "study 'made up': Is <b> escaped?",
        "3 arms, 12 cells, 3 seeds: duration (8), mixed (3), plain (1)",
        "final accuracy 91.0 [88.5, 93.5] %",
        "and 2 more cells without a deficit",
        "diverged: none",
        "in memory only",
    ):
        assert part in text
    lost = str(made_up(diverged=True))
    assert "diverged: mixed[" in lost
    assert "6 more (9 of 36 runs)" in lost
    assert len(lost.splitlines()) <= 10
    empty = Results(made_up().study, pl.DataFrame(schema=SCHEMA))
    assert "no cell without a deficit has a final outcome" in str(empty)


def test_results_and_measurements_are_small_escaped_tables_in_a_notebook() -> None:
    html = made_up()._repr_html_()
    assert html.startswith("<table><caption>")
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert html.count("<tr>") == 1 + 12
    x = {name: torch.randn(100, 2, generator=torch.Generator().manual_seed(n)) for n, name in enumerate(("<a>", "b"))}
    two = measure(torch.nn.Identity(), x, [""], forward=lambda _, s: s["<a>"] + s["b"], check_dependence=False)
    html = two._repr_html_()
    assert "RSV (+1: &lt;a&gt;)" in html
    assert "<a>" not in html
    assert html.count("<tr>") == 2
    assert f"<td>output</td><td>2</td><td>0</td><td>{two[''].mean_rsv():+.2f}</td>" in html
    three = measure(
        torch.nn.Identity(), {**x, "c": x["b"] + 1}, [""], forward=lambda _, s: s["<a>"] + s["b"] * s["c"],
        check_dependence=False,
    )  # fmt: skip
    assert "share of c" in three._repr_html_()
