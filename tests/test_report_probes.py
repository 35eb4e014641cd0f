"""The report on three sources, and on probes beside accuracy and units."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import polars as pl
import pytest
from matplotlib.text import Text

from chiasm.measuring.probe import MEASURES, Measure, ProbeInput, ProbeResult
from chiasm.pictures.table import PageTable
from chiasm.pictures.words import percent
from chiasm.quantity import Quantity
from chiasm.report.figures import figures
from chiasm.report.probes import probes
from chiasm.report.read_results import read_results
from chiasm.report.reading import reading
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.table import numbers_table
from chiasm.study.results import SCHEMA, Results
from tests.report_fakes import early_window, make, regressing, turning


def three(outcomes: StudyOutcomes) -> StudyOutcomes:
    """The outcomes as if a third source had been there, that has half as much of the total effects as each other."""
    cells = []
    for cell in outcomes:
        runs = []
        for run in cell.runs:
            held = {name: dict(fields) for name, fields in run.layers.items()}
            for fields in held.values():
                for source in ("left", "right"):
                    fields[f"share_mean {source}"] *= 0.8
                fields["share_mean third"] = 0.2
            runs.append(replace(run, layers=held))
        cells.append(replace(cell, runs=tuple(runs)))
    return replace(outcomes, cells=tuple(cells), sources=("left", "right", "third"))


def test_three_sources_are_said_to_be_three() -> None:
    results = make(early_window, turning, arms=["duration", "onset", "mirror"])
    outcomes = three(read_results(results))
    found = {f.about: f.text for f in reading(outcomes)}
    assert "the units of layer fusion turn from right to left: mean RSV of left and right " in found["units"]
    cell = outcomes.longest(outcomes.clock)
    control = outcomes.control(cell) if cell else None
    assert cell is not None
    assert control is not None
    for source in outcomes.sources:
        before, after = (c.mean_layer("fusion", f"share_mean {source}", (0, 1)) for c in (control, cell))
        assert before is not None
        assert after is not None
        assert f"{source} from {percent(before.mean)} to {percent(after.mean)}" in found["units"]
    assert "the mean RSV of left and right of layer fusion moves by" in found["mirror, units"]
    drawn = figures(results, outcomes)
    ridge, mean = drawn["units"][0], drawn["means"][0]
    assert "RSV of left and right; units that neither moves are left out." in ridge.caption
    assert "RSV of left and right" in drawn["planes"][0].caption
    assert mean.figure.axes[0].get_title("left") == "Mean RSV of left and right, layer fusion"
    assert "RSV of left and right." in mean.caption
    labels = " ".join(text.get_text() for text in ridge.figure.findobj(Text) if isinstance(text, Text))
    assert "right only" in labels
    assert "not left" not in labels
    assert ["share of third, fusion", "% of total effects"] in numbers_table(outcomes).heads


def test_a_mirror_on_a_third_source_need_not_turn_the_rsv_of_the_first_two() -> None:
    changes = {"mirror.timeline": "silence(left) {d} | clean 60"}
    outcomes = three(
        read_results(make(rsv=lambda told: 0.5 * (told.duration > 0), arms=["duration", "mirror"], changes=changes))
    )
    verdicts = {f.about: f.verdict for f in reading(outcomes)}
    assert verdicts["mirror, units"] == "present"  # left and right are compared
    moved = replace(outcomes, sources=("right", "third", "left"))
    assert "mirror, units" not in {f.about for f in reading(moved)}


def extended(results: Results, *rows: tuple[str, str | None, str | None, float]) -> Results:
    """Add numbers to the last epoch of every run."""
    ends = results.table.filter(pl.col("final"), quantity="accuracy", source="all")
    more = [
        ends.with_columns(
            pl.lit(quantity).alias("quantity"),
            pl.lit(layer, dtype=pl.String).alias("layer"),
            pl.lit(source, dtype=pl.String).alias("source"),
            (pl.lit(value) + 0.001 * pl.col("seed")).alias("value"),
        ).select(list(SCHEMA))
        for quantity, layer, source, value in rows
    ]
    return replace(results, table=pl.concat([results.table, *more]))


def test_the_numbers_of_further_probes_have_tables_of_their_own() -> None:
    plain = make(arms=["duration", "alone"])
    assert not list(probes(read_results(plain)))
    told = extended(
        plain,
        ("usable_bits", None, "all", 1.25),
        ("usable_bits", None, "without left", -0.5),
        ("shapley_accuracy", None, "left", 0.25),
        ("fisher_trace", "pathways.left", None, 1234.0),
        ("fisher_trace", "heads", None, 0.00123),
        ("effective_rank", "trunk", None, 7.5),
        ("participation_ratio", "trunk", None, float("nan")),
    )
    outcomes = read_results(told)
    assert outcomes.layers == ("fusion",)  # neither a part nor a layer whose rank alone is known has units to show
    assert numbers_table(outcomes) == numbers_table(read_results(plain))
    tables = list(probes(outcomes))
    wanted = [MEASURES[tag] for tag in ("usable", "fisher", "rank")]
    assert {title for title, _, _ in tables} == {measure.title for measure in wanted}
    usable, fisher, ranked = (next(one for one in tables if one[:2] == (m.title, m.about)) for m in wanted)
    cells = len(outcomes.cells)
    for _, _, numbers in (usable, fisher, ranked):
        assert sum(len(group.rows) for group in numbers.groups) == cells
    assert counted(usable[2], "1.251") == counted(usable[2], "−0.499") == cells
    assert counted(usable[2], "+25.1") == cells  # points
    assert counted(fisher[2], "1234.001") == cells
    assert counted(fisher[2], "0.00223") == cells  # 0.00123 and seeds' 0, .001 and .002
    assert counted(ranked[2], "7.501") == counted(ranked[2], "–") / 2 == cells


def counted(table: PageTable, text: str) -> int:
    """How often a text stands in a table."""
    return sum(entry.text == text for group in table.groups for row in group.rows for entry in row)


def test_the_numbers_of_a_measure_from_outside_get_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    class Temper(Measure):
        tag: ClassVar[str] = "temper"
        title: ClassVar[str] = "Temper"
        about: ClassVar[str] = "How <hot> it is."
        quantities: ClassVar[tuple[Quantity, ...]] = (
            Quantity("heat", "heat", "%", "run", 0, 1, digits=1, scale=100),
            Quantity("draught", "draught", "m/s", "layer", digits=1),
        )

        def measure(self, given: ProbeInput) -> list[ProbeResult]:
            raise NotImplementedError

    kinds = MEASURES.kinds() | {"temper": Temper}
    monkeypatch.setattr(MEASURES, "kinds", lambda: kinds)
    results = extended(make(arms=["duration"]), ("heat", None, None, 0.5), ("draught", "door", None, -1.25))
    ((title, about, made),) = probes(read_results(results))
    assert (title, about) == ("Temper", "How <hot> it is.")
    assert list(made.heads[2:]) == [["heat,", "%"], ["draught,", "door, m/s"]]
    cells = len(read_results(results).cells)
    assert counted(made, "50.1") == cells  # percent
    assert counted(made, "−1.2") == cells


def test_the_drop_is_a_rise_where_lower_is_better() -> None:
    heads = numbers_table(read_results(regressing(make(arms=["duration"])))).heads
    assert list(heads[3:5]) == [["mean squared error"], ["rise"]]
    assert list(numbers_table(read_results(make())).heads[3:5]) == [["accuracy, %"], ["drop, points"]]


@pytest.mark.parametrize("units", [0, 4])
def test_sources_are_known_without_the_task(units: int, monkeypatch: pytest.MonkeyPatch) -> None:
    results = extended(make(arms=["duration"], units=units), ("usable_bits", None, "without left", 0.5))

    def gone(_: object) -> None:
        raise OSError("moved")

    monkeypatch.setattr("chiasm.tasks.Stereogram.describe", gone)
    assert read_results(results).sources == ("left", "right")
