"""The figures: nothing clipped, axes in words with units, the same bytes each time; as matplotlib lays them out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from chiasm.deficits import Deficit
from chiasm.pictures import style
from chiasm.pictures.ridgeline import BANDWIDTH, GRID, density
from chiasm.pictures.style import GREEN, PURPLE, SOURCES, Panel, axes_on, canvas, inline, png, powers, svg, theme
from chiasm.report import picture
from chiasm.report.curves import outcome_range
from chiasm.report.figures import figures, first_screen
from chiasm.report.forest import ForestRow, forest
from chiasm.report.phrases import CLOCK_WORDS
from chiasm.report.read_results import read_results
from chiasm.sources import Batch
from chiasm.statistics import Estimate
from chiasm.study.results import Results
from chiasm.timeline import Phase, Timeline
from tests.report_fakes import flat, make, regressing, still

SCENES: dict[str, Callable[[], Results]] = {
    "full": make,
    "two seeds": lambda: make(flat, still, seeds=2),
    "one seed": lambda: make(seeds=1, arms=["duration", "onset"]),
    "diverged": lambda: make(diverged=[("duration[d=80, training.clock=absolute]", 0)]),
    "many units": lambda: make(units=700, arms=["duration"], seeds=3),
    "long": lambda: make(arms=["duration", "onset", "longer"], changes={"duration.d": [0, 1, 2, 500, 1000]}),
    "no units": lambda: make(units=0),
    "numbers": lambda: regressing(make()),
}


@cache
def full() -> dict[str, Panel]:
    return panels(make())


def panels(results: Results) -> dict[str, Panel]:
    drawn = figures(results, read_results(results))
    return {panel.name: panel for section in drawn.values() for panel in section}


def texts(figure: Figure) -> Iterator[Text]:
    figure.draw_without_rendering()
    unseen = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            labels = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            unseen |= {label for place, label in labels if not low <= place <= high}
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_visible() and text.get_text().strip() and text not in unseen:
            yield text


def clipped(figure: Figure) -> list[str]:
    """The words that reach over the edge of the figure."""
    outside = []
    for text in texts(figure):
        box = text.get_window_extent()
        if box.x0 < 0 or box.y0 < 0 or box.x1 > figure.bbox.width or box.y1 > figure.bbox.height:
            outside.append(text.get_text())
    return outside


def test_clipped_words_are_noticed() -> None:
    figure = picture(Timeline.parse("clean 5"))
    figure.text(0.9, 0.5, "over the edge")
    assert clipped(figure) == ["over the edge"]


@pytest.mark.parametrize("scene", SCENES)
def test_no_word_is_clipped_or_small(scene: str) -> None:
    drawn = full() if scene == "full" else panels(SCENES[scene]())
    with theme():
        for name, panel in drawn.items():
            assert not clipped(panel.figure), name
            assert min(float(text.get_fontsize()) for text in texts(panel.figure)) >= 9, name


def test_every_figure_that_the_study_has_data_for_is_drawn() -> None:
    names = set(full())
    assert names >= {"timeline-control", "timeline-longest-deficit", "timeline-latest-onset", "through-training"}
    assert names >= {"accuracy-duration", "accuracy-onset", "alone-duration", "alone-onset", "confounds"}
    assert names >= {f"clock-{c}-{k}" for c in ("absolute", "since_release", "constant") for k in ("duration", "onset")}
    assert names >= {"rsv-ridges-duration", "rsv-duration", "plane-control", "plane-deficit"}
    without = set(panels(make(units=0, arms=["duration"])))
    assert not [name for name in without if name.startswith(("rsv", "plane", "confounds")) or name.endswith("onset")]


def test_axes_carry_units_and_rsv_is_said_in_words() -> None:
    for name, panel in full().items():
        words = " ".join(text.get_text() for text in texts(panel.figure))
        if name.startswith(("rsv", "plane")):
            assert "+1: left only" in words, name
        if name.startswith(("rsv-ridges", "plane")):
            assert "−1: right only" in words, name
        if name.startswith(("accuracy", "clock", "alone", "through")):
            assert "test accuracy (%)" in words, name
        assert panel.figure.axes[0].get_xlabel(), name


def test_every_seed_is_a_dot_and_the_mean_another() -> None:
    figure = panels(make(seeds=4))["accuracy-duration"].figure
    lines = figure.axes[0].get_lines()
    seeds = [line for line in lines if line.get_markerfacecolor() == "none"]
    assert [len(np.asarray(line.get_ydata())) for line in seeds] == [4 * 6]
    outcomes = read_results(make(seeds=4))
    drawn = sorted(float(y) for line in seeds for y in np.asarray(line.get_ydata()))
    truth = sorted(100 * v for cell in outcomes.durations("absolute") for v in cell.scores().values())
    assert drawn == pytest.approx(truth)


def test_a_diverged_run_is_marked_in_the_figure_and_its_caption() -> None:
    panel = panels(SCENES["diverged"]())["accuracy-duration"]
    assert any(line.get_marker() == "x" for line in panel.figure.axes[0].get_lines())
    assert "1 diverged run" in panel.caption
    assert not any(line.get_marker() == "x" for line in full()["accuracy-duration"].figure.axes[0].get_lines())


def test_one_seed_is_said_to_have_no_interval() -> None:
    assert "One seed: no interval." in panels(SCENES["one seed"]())["accuracy-duration"].caption
    lost = [(f"duration[d={d}, training.clock=absolute]", 0) for d in (0, 5, 10, 20, 40, 80)]
    assert "No run came to its end." in panels(make(seeds=1, diverged=lost))["accuracy-duration"].caption


def test_figures_are_the_same_bytes_each_time_whatever_the_users_settings() -> None:
    def files() -> list[bytes]:
        drawn = panels(make(seeds=2, arms=["duration"]))
        with theme():
            return [part for panel in drawn.values() for part in (svg(panel.figure).encode(), png(panel.figure))]

    before = files()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": None}):
        after = files()
        assert mpl.rcParams["font.size"] == 30  # and they are put back
    assert before == after


def test_an_inline_svg_keeps_to_itself() -> None:
    panel = full()["plane-deficit"]
    with theme():
        document = svg(panel.figure)
    ElementTree.fromstring(document)
    element = inline(document, "p1", "a label")
    assert element.startswith('<svg viewBox="')
    assert element.endswith("</svg>")
    assert 'aria-label="a label"' in element
    ids = re.findall(r'\bid="([^"]+)"', element)
    assert all(name.startswith("p1-") for name in ids)
    used = re.findall(r'(?:href="|url\()#([^")]+)', element)
    assert used
    assert set(used) <= set(ids)
    assert "metadata" not in element
    assert "var(--first)" in element


def test_a_study_of_another_outcome_is_drawn_in_its_unit() -> None:
    results = regressing(make(seeds=4))
    drawn, outcomes = panels(results), read_results(results)
    assert {"error-duration", "error-onset", "alone-duration", "through-training", "confounds"} <= set(drawn)
    for name, panel in drawn.items():
        words = " ".join(text.get_text() for text in texts(panel.figure))
        assert "ccuracy" not in words, name
        assert "ccuracy" not in panel.caption, name
        if name.startswith(("error", "clock", "alone", "through", "confounds")):
            assert "test mean squared error" in words, name
            assert "%" not in words.replace("95 %", ""), name
    axes = drawn["error-duration"].figure.axes[0]
    dots = [line for line in axes.get_lines() if line.get_markerfacecolor() == "none"]
    seen = sorted(float(y) for line in dots for y in np.asarray(line.get_ydata()))
    truth = sorted(value for cell in outcomes.durations("absolute") for value in cell.scores().values())
    assert seen == pytest.approx(truth)  # as in the table: no factor of 100
    assert axes.get_ylim()[1] < 0.05  # the data reach .014
    wide = panels(regressing(make(lambda told, seed: 0.999 - 0.03 * seed, seeds=2)))["error-duration"].figure.axes[0]
    bars = [bar for bar in wide.collections if isinstance(bar, LineCollection)]
    assert bars
    assert min(y for bar in bars for line in bar.get_segments() for _, y in np.asarray(line)) == 0  # cut at the least


def test_the_range_of_an_outcome_follows_the_data_where_it_has_no_end() -> None:
    low, high = outcome_range([3.0, 5.0], None, (0, np.inf))
    assert 2 < low < 3
    assert 5 < high < 6
    assert outcome_range([0.1, 0.9], None, (0, np.inf))[0] <= 0  # near the least that is possible: from there
    assert outcome_range([3.0, 5.0], 5.5, (0, np.inf))[1] > 5.5  # chance in sight
    assert outcome_range([3.0, 5.0], 50, (0, np.inf))[1] < 6  # but not from afar
    low, high = outcome_range([-2.0, -2.0], None, (-np.inf, np.inf))
    assert low < -2 < high
    assert outcome_range([], None, (0, np.inf))[1] > outcome_range([], None, (0, np.inf))[0]


def test_a_timeline_is_drawn_as_rows() -> None:
    figure = picture(Timeline.parse("clean 20 | silence(right) + noise(left, 0.5) 80 | clean 60"), ["left", "right"])
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["left", "right"]
    words = [text.get_text() for text in axes.texts]
    assert "silence(right)" in words
    assert "noise(left, 0.5)" in words
    assert "clean" in words
    hatches = {patch.get_hatch() for patch in axes.patches} - {None}
    assert len(hatches) == 2
    assert axes.get_xlim() == (0, 160)
    assert not clipped(figure)


@pytest.mark.parametrize(
    "text",
    [
        "clean 0",
        "clean 5",
        "silence(right) 0 | clean 60",
        "dissociate 80 | clean 60",
        "shuffle_labels(0.5) 3 | clean 997",
        "swap(left, right) 5 | lag(left, 2) 5 | freeze(right) 5 | occlude(left, 0.5) 5 | blur(left, 4) 5 | clean 200",
        "silence(a_source_with_a_long_name_indeed) 40 | clean 60",
        " | ".join(["noise(left, 0.25, mode=replace) + silence(right) 7 | clean 3"] * 6),
        "clean 1",
        "noise(left, 0.5) + silence(left) + dissociate 40 | clean 60",
        "silence(a_source_with_a_long_name_indeed) 40 @an_objective_with_a_long_name | clean 60 @x",
        " | ".join(f"silence({name}) 5" for name in "abcdefghijkl"),
    ],
)
def test_any_timeline_can_be_drawn(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not clipped(picture(Timeline.parse(text), title="A title"))
        assert not clipped(picture(Timeline.parse(text)))


def test_a_block_too_short_for_its_words_says_them_below() -> None:
    figure = picture(Timeline.parse("silence(right) 5 | clean 200"), ["left", "right"])
    assert "epochs 0 to 5: silence(right)" in [text.get_text() for text in figure.texts]


def test_a_deficit_that_names_no_source_has_a_row_of_its_own() -> None:
    figure = picture(Timeline.parse("dissociate 80 | clean 60"), ["left", "right"])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["left", "right", "pairing"]


def test_objectives_have_a_row_with_their_names() -> None:
    figure = picture(
        "silence(right) 40 @pretrain | clean 40 @pretrain | clean 80 @finetune | clean 90", ["left", "right"]
    )
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["left", "right", "objective"]
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert places["pretrain"] == (40, 2)  # one block through both of its phases
    assert places["finetune"] == (120, 2)
    assert places["study's own"] == (205, 2)
    assert "objective" not in [t.get_text() for t in picture("clean 40 | clean 20").axes[0].get_yticklabels()]


def test_a_deficit_from_outside_is_drawn_as_it_says_itself() -> None:
    @dataclass(frozen=True)
    class Fog(Deficit):
        tag: ClassVar[str] = "fog"
        colour: ClassVar[str] = "GREEN"
        hatch: ClassVar[str] = "**"
        row: ClassVar[str] = "weather"

        def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
            return batch

    axes = picture(Timeline((Phase((Fog(),), 40), Phase((), 20))), ["left"]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["left", "weather"]
    block = next(patch for patch in axes.patches if patch.get_hatch())
    assert (block.get_hatch(), to_hex(block.get_edgecolor())) == ("**", GREEN)


def test_forest_labels_are_cut_not_clipped() -> None:
    rows = [
        ForestRow("an arm with a very long name that goes on and on d=80", Estimate(50, (45, 55), 1.0, 1.0), None, 1)
    ]
    with theme():
        assert not clipped(forest([*rows, ForestRow("short", None, None)], "Arms", "test accuracy (%)", (0, 100), 25))


@pytest.mark.parametrize("centre", [-1.0, 0.0, 0.4, 1.0])
def test_a_density_keeps_its_mass_on_the_axis(centre: float) -> None:
    values = np.clip(centre + 0.1 * np.random.default_rng(0).standard_normal(500), -1, 1)
    assert np.trapezoid(density(values), GRID) == pytest.approx(1, abs=0.01)
    assert not density(np.array([])).any()


def test_a_density_is_that_of_its_kernels() -> None:
    ours = density(np.array([0.0]))
    gauss = np.exp(-0.5 * (GRID / BANDWIDTH) ** 2) / (BANDWIDTH * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(ours, gauss, atol=0.05 * gauss.max())


def test_accuracy_panels_share_a_range_that_holds_all_of_them() -> None:
    low, high = outcome_range([32, 95], 25, (0, 100))
    assert low <= 25
    assert high >= 95
    assert outcome_range([97, 99], 10, (0, 100))[0] >= 80  # chance far below does not flatten the curve
    drawn = full()
    limits = {panel.figure.axes[0].get_ylim() for name, panel in drawn.items() if name.startswith("clock")}
    assert len(limits) == 1


def table(panel: Panel) -> pl.DataFrame:
    assert panel.data is not None, panel.name
    return panel.data


@pytest.mark.parametrize("kind", ["duration", "onset"])
def test_the_numbers_beside_curves_are_those_of_the_outcomes(kind: str) -> None:
    outcomes = read_results(make())
    cells = outcomes.durations("absolute") if kind == "duration" else outcomes.onsets("absolute")
    truth = {
        ((c.duration if kind == "duration" else c.onset), s): 100 * v for c in cells for s, v in c.scores().items()
    }
    data = table(full()[f"accuracy-{kind}"])
    assert data.columns[1].startswith("length" if kind == "duration" else "onset")
    assert {(x, seed): value for _, x, seed, value in data.iter_rows()} == pytest.approx(truth)
    alone = table(full()[f"alone-{kind}"])
    assert set(alone["series"]) == {"all sources", "left alone", "right alone"}
    assert alone.height == 3 * len(truth)


def test_the_numbers_beside_units_are_all_live_units_by_their_seeds() -> None:
    lost = [("duration[d=80, training.clock=absolute]", 0)]
    results = make(diverged=lost, arms=["duration"])
    drawn = panels(results)
    data = table(drawn["rsv-ridges-duration"])
    seeds = data.group_by("length of the deficit").agg(pl.col("seed").unique().sort()).sort("length of the deficit")
    assert seeds.rows() == [*((d, [0, 1, 2]) for d in (0, 5, 10, 20, 40)), (80, [1, 2])]
    means = data.filter(pl.col("length of the deficit") == 80).group_by("seed").agg(pl.col("rsv").mean())
    longest = read_results(results).longest("absolute")
    assert longest is not None
    assert dict(means.iter_rows()) == pytest.approx(longest.layer("fusion", "rsv_mean"), abs=1e-6)
    assert set(table(drawn["plane-deficit"])["seed"]) == {1, 2}
    assert table(drawn["plane-deficit"]).height == 2 * 12  # only the first seed's first unit is dead


def test_the_numbers_beside_the_other_figures() -> None:
    drawn = full()
    outcomes = read_results(make())
    training = table(drawn["through-training"])
    longest = outcomes.longest("absolute")
    assert longest is not None
    last = training.filter(pl.col("run").str.starts_with("longest") & (pl.col("epoch") == longest.timeline.epochs))
    scores = {seed: 100 * value for seed, value in longest.scores().items()}
    assert {seed: value for _, seed, _, value in last.iter_rows()} == pytest.approx(scores)
    arms = table(drawn["confounds"])
    mirror = next(cell for cell in outcomes.of("mirror") if cell.duration == 80)
    rows = arms.filter(pl.col("cell") == "mirror 80 epochs").select("seed", pl.last())
    assert dict(rows.iter_rows()) == pytest.approx({seed: 100 * value for seed, value in mirror.scores().items()})
    assert sorted(arms.filter(pl.col("cell") == "left alone")["seed"]) == [0, 1, 2]
    timeline = table(drawn["timeline-longest-deficit"])
    assert timeline.rows() == [
        ("left", 0, 140, "clean"),
        ("right", 0, 80, "silence(right)"),
        ("right", 80, 140, "clean"),
    ]


def test_a_colour_of_a_source_means_that_source() -> None:
    full_panels = panels(SCENES["diverged"]())
    with theme():
        for name, panel in full_panels.items():
            document = svg(panel.figure)
            used = {colour for colour in (*SOURCES, PURPLE) if colour in document}
            if name.startswith("alone"):
                assert used == set(SOURCES[:2]), name
            elif name.startswith("plane"):
                assert used <= {*SOURCES[:2], PURPLE}, name
            elif name.startswith("rsv-ridges"):
                assert used == set(SOURCES[:2]), name
            else:
                assert not used, name


def test_deficits_have_no_colour_of_a_source() -> None:
    kinds = [kind for kind in Deficit.__subclasses__() if kind.__module__.startswith("chiasm.")]
    assert len(kinds) >= 9
    for kind in kinds:
        assert getattr(style, kind.colour) not in (*SOURCES, PURPLE), kind.tag


@pytest.mark.parametrize("scene", ["full", "diverged", "numbers", "one seed"])
def test_figures_speak_in_words(scene: str) -> None:
    drawn = full() if scene == "full" else panels(SCENES[scene]())
    for name, panel in drawn.items():
        words = [panel.caption, *(text.get_text() for text in texts(panel.figure))]
        for legend in panel.figure.legends:
            words += [text.get_text() for text in legend.get_texts()]
        for word in words:
            assert not re.search(r"\w=\w", word), (name, word)
            assert not [clock for clock in CLOCK_WORDS if "_" in clock and clock in word], (name, word)
            assert "…" not in word, (name, word)


def test_words_beside_levels_stand_outside_the_data() -> None:
    for name, panel in full().items():
        if name.startswith(("accuracy", "clock", "alone", "rsv-duration", "rsv-onset")):
            axes = panel.figure.axes[0]
            panel.figure.draw_without_rendering()
            labels = [text for text in axes.texts if text.get_text()]
            assert labels, name
            for text in labels:
                assert text.get_window_extent().x0 >= axes.get_window_extent().x1, (name, text.get_text())


def test_a_control_is_seen_under_a_curve_that_lies_on_it() -> None:
    axes = panels(make(lambda told, seed: 0.93, seeds=2))["accuracy-onset"].figure.axes[0]
    level = [line for line in axes.get_lines() if len(set(np.asarray(line.get_ydata()))) == 1]
    assert max(line.get_linewidth() for line in level) >= 5
    training = full()["through-training"].figure.axes[0].get_lines()
    hollow = [line for line in training if line.get_marker() == "o"]
    assert hollow
    others = [line for line in training if line.get_marker() not in ("o", "None")]
    assert min(line.get_zorder() for line in hollow) > max(line.get_zorder() for line in others)


def test_the_ends_of_an_axis_have_their_ticks() -> None:
    for name in ("accuracy-duration", "rsv-duration", "alone-onset"):
        ticks = list(full()[name].figure.axes[0].get_xticks())
        assert (ticks[0], ticks[-1]) == (0, 80), name


def test_a_diverged_run_is_crossed_once_however_many_curves_there_are() -> None:
    axes = panels(SCENES["diverged"]())["alone-duration"].figure.axes[0]
    crosses = [line for line in axes.get_lines() if line.get_marker() == "x"]
    assert [list(np.asarray(line.get_xdata())) for line in crosses] == [[80]]


def test_a_logarithmic_axis_is_written_without_formulas() -> None:
    with theme():
        figure = canvas()
        axes = axes_on(figure)
        axes.plot([0, 1], [1e-7, 10])
        axes.set_yscale("log")
        powers(axes.yaxis)
        axes.minorticks_off()
        words = [text.get_text() for text in texts(figure)]
    assert {"10⁻⁷", "10⁻¹", "10¹"} <= set(words)
    assert not [word for word in words if "$" in word]


def test_a_notation_stands_whole_or_not_at_all() -> None:
    for text in ("clean 20 | silence(right) 40 | " * 3 + "clean 60", "silence(right) 5 | clean 5 | " * 20 + "clean 60"):
        assert not [word.get_text() for word in picture(text).texts if word.get_text().endswith("…")]


@pytest.mark.parametrize("scene", ["full", "one seed", "no units", "diverged"])
def test_the_first_screen_has_three_figures_and_no_timeline(scene: str) -> None:
    results = SCENES[scene]()
    names = first_screen(figures(results, read_results(results)))
    assert len(names) == 3
    assert not [name for name in names if name.startswith("timeline")]
    assert names[:2] == ["accuracy-duration", "accuracy-onset"]
    assert names[2] == ("through-training" if scene == "no units" else "rsv-ridges-duration")
