"""Published numbers beside a study's own: the data, the study's table, the matching, the tables and the section."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from chiasm.errors import ChiasmError
from chiasm.report.published.histograms import outline
from chiasm.report.published.pairing import Pairing, pairings, read_at, rsv_layer
from chiasm.report.published.quantity import accuracy, bits, rsv
from chiasm.report.published.reading import sentences
from chiasm.report.published.sets import known_published, published, published_sets
from chiasm.report.read_results import read_results
from chiasm.report.writing import write_report
from chiasm.study.plan import make_plan
from chiasm.study.results import Results
from chiasm.study.spec import Study, shipped
from tests.report_fakes import RAW, Told, flat, make, regressing

LENGTHS = [0, 20, 40, 80]


def beside(name: str, accuracy: Any = flat, **changes: Any) -> Results:
    """A study of lengths 0 to 80 whose duration arm names a published set."""
    held = {"published": name, "d": LENGTHS, "training": {"clock": "absolute"}} | changes
    return make(accuracy, arms=["duration"], changes={f"duration.{key}": value for key, value in held.items()})


def first(results: Results) -> Pairing:
    return pairings(results, read_results(results))[0]


def with_bits(results: Results, told: Mapping[str, float]) -> Results:
    """Add usable bits to every final row, the same in each run but for what is told for the longest deficit."""
    rows = results.table.filter((pl.col("quantity") == "accuracy") & pl.col("final"))
    value = pl.when(pl.col("duration") == max(LENGTHS)).then(pl.col("source").replace_strict(told)).otherwise(2.5)
    table = pl.concat([results.table, rows.with_columns(value.alias("value"), quantity=pl.lit("usable_bits"))])
    return Results(results.study, table, results.layers, results.environment)


# The data.


@pytest.mark.parametrize("name", known_published())
def test_every_set_is_whole(name: str) -> None:
    told = published(name)
    assert told.durations[0] == 0
    assert told.longest == told.durations[-1]
    assert list(told.durations) == sorted(told.durations)
    assert all(len(run) == len(told.durations) for run in (told.accuracy, told.drop, *told.drops))
    assert set(told.rsv) | set(told.bits) <= set(told.durations)
    assert told.clean in (159, 179)
    assert told.drop[0] == 0
    for histogram in told.rsv.values():
        middles = (np.array(histogram.edges)[1:] + np.array(histogram.edges)[:-1]) / 2
        weights = np.array(histogram.fractions)
        # Fractions are rounded at the fifth digit, 39 of them.
        assert weights.sum() == pytest.approx(1, abs=2e-4)
        mean = float(weights @ middles / weights.sum())
        assert mean == pytest.approx(histogram.mean, abs=6e-4)
        assert float(weights @ (middles - mean) ** 2) ** 0.5 == pytest.approx(histogram.sd, abs=6e-4)


def test_the_numbers_are_those_of_the_figures() -> None:
    # Read off the figures by eye and from their captions: drops in points at the longest deficit.
    drops = {"blur": 3.11, "dissociation": 2.02, "masking": 1.82, "gap": 5.02, "overlap": 1.78, "fixed-rate": 1.67}
    for name, drop in drops.items():
        assert published(name).drop[-1] == pytest.approx(drop, abs=0.01)
    assert max(published("depth-3").drop) == pytest.approx(1.21, abs=0.01)
    assert len(published("blur").runs) == len(published("dissociation").runs) == 4
    # Accuracy is a mean of single runs wherever these were published; both were rounded at the third digit.
    for name in known_published():
        if (told := published(name)).runs:
            assert np.mean(told.runs, 0) == pytest.approx(np.array(told.accuracy), abs=2e-3)
    assert published("masking").bits[180] == {"both": 2.835, "left": 2.662, "right": 2.183}


def test_rsv_is_positive_where_the_left_half_rules() -> None:
    """The right half was blurred, so units turn to the left one, which is +1 here."""
    for name in ("blur", "gap", "overlap", "masking", "fixed-rate"):
        told = published(name)
        assert told.rsv[told.longest].mean > 0.4 > told.rsv[0].mean
    last = published("blur").rsv[180]
    right = sum(f for f, edge in zip(last.fractions, last.edges, strict=False) if edge < -0.03)
    assert right < 0.03


def test_the_outline_of_a_histogram_has_its_mass() -> None:
    x, y = outline(published("dissociation").rsv[180])
    assert (x[0], x[-1]) == (-1, 1)
    # A line from middle to middle cuts the corners of 39 bins.
    assert float(np.trapezoid(y, x)) == pytest.approx(1, abs=0.02)


# The table of the study.


def arm(**keys: Any) -> dict[str, Any]:
    return {"name": "a", "role": "duration", "timeline": "silence(right) {d} | clean 2", "d": [0, 2], **keys}


def beside_arm(name: Any, **keys: Any) -> Study:
    return Study.from_dict(RAW | {"arm": [arm(**keys)], "report": {"published": {"a": name}}})


def test_the_table_is_read_written_and_no_part_of_a_run() -> None:
    plain, named = Study.from_dict(RAW | {"arm": [arm()]}), beside_arm("blur")
    assert published_sets(named) == {"a": published("blur")}
    assert published_sets(plain) == {}
    assert '[report.published]\na = "blur"' in named.to_toml()
    assert Study.from_toml(named.to_toml()) == Study.from_toml(Study.from_toml(named.to_toml()).to_toml())
    assert "published" not in plain.to_toml()
    assert list(make_plan(named).nodes) == list(make_plan(plain).nodes)
    assert [run.name for run in make_plan(named).runs] == [run.name for run in make_plan(plain).runs]


def test_the_key_of_an_arm_of_earlier_versions_is_still_read() -> None:
    old = Study.from_dict(RAW | {"arm": [arm(published="blur")]})
    assert published_sets(old) == {"a": published("blur")}
    assert old == beside_arm("blur")


@pytest.mark.parametrize("name", [name for name in shipped() if "[report.published]" in shipped()[name].read_text()])
def test_shipped_studies_name_sets_that_there_are(name: str) -> None:
    study = Study.load(name, check=False)
    assert list(published_sets(study)) == list(study.report["published"])  # in the order of the arms


@pytest.mark.parametrize(
    ("table", "keys", "part"),
    [
        ({"a": "blurr"}, {}, "arm 'a': unknown published set 'blurr'; known published sets: blur, depth-1"),
        ({"a": ["blur"]}, {}, "arm 'a': ['blur']; expected the name of a set: blur"),
        ({"a": "blur"}, {"role": "mirror"}, "arm 'a': 'blur' beside role = 'mirror'"),
        ({"b": "blur"}, {}, "unknown arm 'b'"),
        ("blur", {}, "published = 'blur'; expected a table"),
    ],
)
def test_a_wrong_table_is_named(table: Any, keys: dict[str, Any], part: str) -> None:
    study = Study.from_dict(RAW | {"arm": [arm(**keys)]})
    with pytest.raises(ChiasmError) as caught:
        published_sets(msgspec.structs.replace(study, report={"published": table}))
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


# What lies beside what.


def test_lengths_are_matched_as_shares_where_scales_differ() -> None:
    pair = first(beside("blur"))
    assert pair.scaled
    assert [pair.there(cell) for cell in pair.cells] == [0, 45, 90, 180]
    assert [line.stands for line in accuracy(pair, read_results(beside("blur"))).lines] == [True, False, False, True]
    # 45 lies 5 epochs from the histogram at 40, within 3 % of 180; 90 lies 30 from the nearest one.
    near = [pair.histogram(cell) for cell in pair.cells]
    assert [held and held[0] for held in near] == [0, 40, None, 180]


def test_lengths_are_matched_epoch_by_epoch_after_an_equal_clean_phase() -> None:
    results = beside("blur", timeline="silence(right) {d} | clean 180", d=[0, 20, 60, 200])
    pair, outcomes = first(results), read_results(results)
    assert not pair.scaled
    assert [pair.there(cell) for cell in pair.cells] == [0, 20, 60, 200]
    lines = accuracy(pair, outcomes).lines
    assert [line.published_change is not None for line in lines] == [False, True, True, False]  # 200 is beyond 180
    assert "nothing can be compared" in sentences(pair, outcomes)[0]


def test_between_two_points_numbers_lie_on_a_straight_line() -> None:
    told = {0: 1.0, 20: 3.0, 60: 5.0}
    assert [read_at(told, n) for n in (0, 10, 40, 60, 60.1)] == [1, 2, 4, 5, None]
    assert read_at({}, 0) is None


def test_the_papers_own_protocol_comes_first() -> None:
    clocks = ["since_release", "constant", "absolute"]
    twice = {"clock": clocks, "momentum_at_switch": ["keep", "drop"]}
    pairs = pairings(results := beside("blur", training=twice), read_results(results))
    assert len(pairs) == 6
    assert [(p.clock, p.momentum) for p in pairs[:2]] == [("absolute", "drop"), ("absolute", "keep")]
    assert [p.own for p in pairs] == [True] + [False] * 5
    assert len({p.key for p in pairs}) == 6
    # Its fixed-rate experiments had another clock.
    pairs = pairings(results := beside("fixed-rate", training=twice), read_results(results))
    assert pairs[0].clock == "constant"
    # A rate that does not decay is constant, whatever it counts.
    still = {"clock": "absolute", "decay": 1.0, "momentum_at_switch": "drop"}
    assert first(beside("depth-1", training=still)).own


def test_a_deficit_of_the_other_source_turns_the_published_sides() -> None:
    pair = first(beside("masking", timeline="silence(left) {d} | clean 60"))
    told = published("masking")
    assert pair.mirrored
    assert pair.published.rsv[180].mean == -told.rsv[180].mean
    assert pair.published.rsv[180].fractions == told.rsv[180].fractions[::-1]
    assert pair.published.rsv[180].edges == pytest.approx(told.rsv[180].edges)  # bins are symmetric about 0
    assert pair.published.mirrored() == told


def test_the_layer_is_the_last_stage_at_its_positions() -> None:
    results = beside("blur")
    outcomes = read_results(results)

    def of(*layers: str) -> str | None:
        return rsv_layer(type(outcomes)(outcomes.cells, outcomes.sources, layers, outcomes.clocks, outcomes.outcome))

    assert of("trunk.stage3 per position", "trunk.stage4") == "trunk.stage4"
    assert of("trunk.stage4 per position", "trunk.stage4", "trunk.stage3") == "trunk.stage4 per position"
    assert of("fusion", "head") == "fusion"
    assert of() is None


# What the numbers say.


def papers(told: Told, seed: int) -> float:
    """The paper's accuracy, in each seed off by the same in every run, so that paired drops are the paper's exactly."""
    curve = published("blur")
    at = told.duration / max(LENGTHS) * curve.longest
    return float(np.interp(at, curve.durations, curve.accuracy)) / 100 - 0.02 * seed


def test_a_study_that_equals_the_paper_is_apart_by_nothing() -> None:
    results = beside("blur", papers)
    quantity = accuracy(first(results), read_results(results))
    for line in quantity.lines[1:]:
        # Runs and their mean were digitised one by one, and rounded at the third digit.
        assert line.apart == pytest.approx(0, abs=2e-3)
    start = quantity.lines[0]
    assert (start.change, start.published_change, start.apart, start.inside) == (None, None, None, None)
    # The published interval is Student's t over four runs: 3.182 is its quantile at three degrees of freedom.
    last = quantity.lines[-1].published_change
    runs = np.array([run[-1] for run in published("blur").drops])
    assert last is not None
    assert last.high is not None
    assert last.high - last.mean == pytest.approx(3.1824 * runs.std(ddof=1) / 2, rel=1e-4)


def test_inside_is_judged_by_our_interval() -> None:
    # Published drops of 3.1 points; ours without any effect, give or take a point, and with 61 points lost.
    results = beside("blur")
    outcomes = read_results(results)
    quantity = accuracy(first(results), outcomes)
    line = quantity.lines[-1]
    assert line.change is not None
    assert line.change.low is not None
    assert line.change.high is not None
    assert line.published_change is not None
    assert line.inside == (line.change.low <= line.published_change.mean <= line.change.high)
    loud = beside("blur", lambda told, seed: flat(told, seed) - 0.6 * (told.duration > 0))
    lost = accuracy(first(loud), read_results(loud)).lines[-1]
    assert lost.inside is False
    assert lost.apart == pytest.approx(57, abs=3)  # 60 points less 3.1, and the noise of three seeds
    said = " ".join(sentences(first(loud), read_results(loud)))
    assert "the paper loses 3.1 points [1.8, 4.4]" in said
    assert "the effect is here too" in said
    assert "lies outside our interval" in said
    gained = beside("blur", lambda told, seed: 0.5 + (0.3 + 0.002 * seed) * (told.duration > 0))
    assert "here it goes the other way" in " ".join(sentences(first(gained), read_results(gained)))


def test_rsv_and_bits_are_read_at_the_same_share() -> None:
    results = with_bits(beside("masking"), {"all": 2.4, "left": 2.6, "right": 2.0})
    pair, outcomes = first(results), read_results(results)
    told = published("masking")
    mean, spread = rsv(pair, outcomes, "fusion")
    assert [line.published.mean for line in mean.lines if line.published][::3] == [told.rsv[0].mean, told.rsv[180].mean]
    half = (told.rsv[60].mean + told.rsv[120].mean) / 2  # 90 of 180, half of our longest
    assert mean.lines[2].published is not None
    assert mean.lines[2].published.mean == pytest.approx(half)
    assert mean.lines[-1].change == outcomes.shift(pair.cells[-1], "fusion")
    assert spread.lines[-1].published_change is not None
    assert spread.lines[-1].published_change.mean == pytest.approx(told.rsv[180].sd - told.rsv[0].sd)
    changes = [q.lines[-1].change for q in bits(pair, outcomes)]
    assert [c.mean for c in changes if c] == pytest.approx([-0.1, 0.1, -0.5])
    gaps = [q.lines[-1].published_change for q in bits(pair, outcomes)]
    assert [c.mean for c in gaps if c] == pytest.approx([2.835 - 2.92, 2.662 - 2.588, 2.183 - 2.659])


# The section.


def write(results: Results, folder: Path) -> str:
    return write_report(results, folder).read_text(encoding="utf-8")


def test_the_section_shows_every_point_and_every_clock(tmp_path: Path) -> None:
    clocks = {"clock": ["constant", "absolute"]}
    results = with_bits(beside("masking", training=clocks), {"all": 2.4, "left": 2.6, "right": 2.0})
    html = write(results, tmp_path / "a")
    section = html[html.index('<section id="published">') :].split("</section>")[0]
    assert '<a href="#published">Beside the paper</a>' in html
    assert re.findall(r'<section id="(\w+)"', html)[-4:] == ["published", "numbers", "limits", "again"]
    assert re.findall(r"<h3>Arm duration, ([^<]+)", section) == [
        "learning rate by absolute epochs",
        "constant learning rate",
    ]
    assert section.count("<details>") == 1 == section.count("<details open>")  # the first clock's numbers stand open
    for row in ('<td class="number">≈ 45</td>', '<td class="number">≈ 90</td>', '<td class="number">180</td>'):
        assert section.count(row) == 2 * 6  # accuracy, RSV and its spread, and bits three ways, under two clocks
    figures = re.findall(r'<figure id="figure-(published-[\w-]+)">', section)
    assert figures == [f"published-{i}-{name}" for i in (1, 2) for name in ("accuracy", "rsv", "bits")]
    assert {f"{name}.{end}" for name in figures for end in ("svg", "png")} <= {
        path.name for path in (tmp_path / "a" / "figures").iterdir()
    }
    assert html == write(results, tmp_path / "b")
    assert "here it is kept" in section  # the fakes keep momentum, the paper drops it
    assert "task stereogram (size = 8" in section


def test_beside_another_outcome_one_sentence_says_why_nothing_is_compared(tmp_path: Path) -> None:
    results = regressing(beside("blur"))
    assert pairings(results, read_results(results)) == []
    section = write(results, tmp_path).split('<section id="published">')[1].split("</section>")[0]
    assert "The published curves are of accuracy; this study measures mean squared error" in section
    assert section.count("<p") == 1
    assert "<figure" not in section


@pytest.mark.parametrize("name", ["depth-2", "dissociation"])
def test_a_set_without_some_numbers_leaves_them_out(name: str, tmp_path: Path) -> None:
    html = write(beside(name), tmp_path)
    assert "usable bits, both" not in html
    assert ("published-1-rsv" in html) == (name == "dissociation")


@pytest.mark.parametrize(
    "change",
    [{"seeds": 1}, {"units": 0}, {"diverged": [(f"duration[d={d}, training.clock=absolute]", 0) for d in (0, 80)]}],
)
def test_the_section_survives_what_a_study_may_lack(change: dict[str, Any], tmp_path: Path) -> None:
    held = {"duration.published": "blur", "duration.d": LENGTHS, "duration.training": {"clock": "absolute"}}
    html = write(make(arms=["duration"], changes=held, **change), tmp_path)
    assert 'id="published"' in html
    section = html[html.index('<section id="published">') :].split("</section>")[0]
    assert not re.search(r"\bnan\b|\bNone\b", re.sub(r"<svg.*?</svg>", "", section, flags=re.S))
    if "seeds" in change:
        assert "one seed gives no interval" in section


def test_a_study_that_names_no_published_numbers_has_no_section(tmp_path: Path) -> None:
    one = {"duration.d": [0, 80], "duration.training": {"clock": "absolute"}}
    html = write(make(arms=["duration"], changes=one), tmp_path)
    assert "published" not in html
    assert not [path for path in (tmp_path / "figures").iterdir() if path.name.startswith("published")]


def test_an_arm_without_a_deficit_says_that_nothing_is_here(tmp_path: Path) -> None:
    assert "is here." in write(beside("blur", d=[0]), tmp_path).split('<section id="published">')[1]
