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
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from chiasm.deficits import Deficit
from chiasm.pictures.ridgeline import BANDWIDTH, GRID, density
from chiasm.pictures.style import GREEN, Panel, inline, png, svg, theme
from chiasm.report import picture
from chiasm.report.curves import outcome_range
from chiasm.report.figures import figures
from chiasm.report.forest import ForestRow, forest
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
