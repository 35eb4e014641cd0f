"""The report of a measurement: what it says follows from the numbers, and the page is whole whatever was measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.measuring import Measurement
from chiasm.pictures.words import number
from chiasm.report.measured import LAYERS, write_measured
from chiasm.report.measurement_text import MeasurementText, headline, measurement_text
from chiasm.report.unit_table import unit_table
from tests.devtools import Page, chromium
from tests.measured_units import measured, mixed, weights
from tests.test_report_page import Checker, words

LONG = "encoder_of_a_model_with_names_that_never_end_and_go_on"
BROWSER = chromium()


def write(measurement: Measurement, folder: Path, title: str = "A title", **more: Any) -> str:
    return write_measured(measurement, folder, title, **more).read_text(encoding="utf-8")


def said(units: Callable[..., Tensor], sources: int = 2, anchors: int = 512) -> MeasurementText:
    return measurement_text(measured({"fusion": units}, sources, anchors)["fusion"])


@pytest.fixture(scope="module")
def several() -> Measurement:
    return measured({"pathway": lambda a, b: torch.cat([a, 2 * a], 1), "fusion": mixed, LONG: weights(40)})


@pytest.fixture(scope="module")
def html(several: Measurement, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(several, tmp_path_factory.mktemp("measured"), notes=["made by <chiasm>"])


@pytest.fixture(scope="module")
def small() -> Measurement:
    return measured({"fusion": mixed}, anchors=32)


@pytest.mark.parametrize(
    ("units", "verdict"),
    [
        (lambda a, b: torch.cat([a, a**3], 1), "hears left only"),
        (lambda a, b: b, "hears right only"),
        (lambda a, b: torch.cat([3 * a + b, 2 * a + b], 1), "listens mostly to left"),  # RSV .8 and .6
        (lambda a, b: torch.cat([a + b, a + 2 * b], 1), "leans to right"),  # RSV 0 and -.6
        (lambda a, b: torch.cat([a + b, a - b], 1), "leans to neither left nor right"),
        (lambda a, b: torch.cat([a, b], 1), "splits between left and right"),
        (lambda a, b: 0 * a, "does not vary"),
    ],
)
def test_the_verdict_on_a_layer_of_two_sources(units: Callable[..., Tensor], verdict: str) -> None:
    assert said(units).verdict == verdict


@pytest.mark.parametrize(
    ("units", "verdict"),
    [
        (lambda a, b, c: c, "hears touch only"),
        (lambda a, b, c: a + 3 * b + c, "is led by right"),
        (lambda a, b, c: a + b + c, "is led by no one source"),
    ],
)
def test_the_verdict_on_a_layer_of_three_sources(units: Callable[..., Tensor], verdict: str) -> None:
    assert said(units, 3).verdict == verdict


def test_a_product_is_pointed_out_and_a_sum_is_not() -> None:
    hint = "RSV alone would not tell"
    assert f"1 unit has RSV within ±0.25 and synergy above 25 %. {hint} it from a sum." in said(mixed).text
    assert hint not in said(lambda a, b: a + b).text
    product = said(lambda a, b, c: torch.cat([a * b, b * a, c], 1), 3)
    assert "Shares alone would not tell them from a sum." in product.text
    assert "The largest pair is left with right" in product.text


def test_the_sentences_hold_the_numbers() -> None:
    m = measured({"fusion": mixed})
    layer, text = m["fusion"], measurement_text(m["fusion"]).text
    low, high = layer.interval("mean_rsv")
    signed = [number(x, 2, sign=True) for x in (layer.mean_rsv(), low, high)]
    assert f"Mean RSV {signed[0]} [{signed[1]}, {signed[2]}], where +1 means left only and −1 right only." in text
    assert "Of 4 live units, 25 % are moved mostly by left (RSV above +0.5), 25 % mostly by right (below −0.5)." in text
    assert f"Synergy {100 * layer.mean_synergy():.0f} %" in text
    assert "1 of 5 units is dead: it does not vary and is left out." in text
    three = said(lambda a, b, c: torch.cat([a, b, c, c], 1), 3).text
    assert "an even share would be 33 %. Of 4 live units, 50 % have more than half from touch," in three


def test_the_headline_names_layers_or_counts_them() -> None:
    def alike(names: str) -> list[MeasurementText]:
        return [MeasurementText(name, "leans to left", "") for name in names]

    assert headline(alike("a")) == "Layer a leans to left."
    assert headline([*alike("ab"), MeasurementText("the output", "does not vary", "")]) == (
        "Layers a and b lean to left; the output does not vary."
    )
    assert headline([*alike("abcde"), MeasurementText("x", "is led by b", "")]) == (
        "5 layers lean to left; 1 layer is led by b."
    )


def test_position_that_explains_what_units_hear_is_told() -> None:
    def columns(a: Tensor, b: Tensor) -> Tensor:
        w = torch.linspace(0, 1, 4)
        return (w * a + (1 - w) * b)[:, None].repeat(1, 3, 1)[:, :, None]

    layer = measured({"fusion": columns}, per="position")["fusion"]
    assert "Position alone explains 100 % of the spread of RSV" in measurement_text(layer).text
    assert "Position" not in said(mixed).text


def test_too_few_anchors_for_an_interval_are_told() -> None:
    text = said(lambda a, b: torch.cat([a, a + b], 1), anchors=2).text
    assert "too few anchors for an interval" in text
    assert "[" not in text


def test_the_page_is_well_formed_and_holds_all_sections_in_order(html: str) -> None:
    checker = Checker()
    checker.feed(html)
    assert not checker.open
    assert len(set(checker.ids)) == len(checker.ids)
    inside = {link for link in checker.links if not link.startswith(("data:", "figures/"))}
    assert inside <= {f"#{name}" for name in checker.ids}
    found = re.findall(r'<section id="(\w+)">', html)
    assert found == ["verdict", "layers", "units", "outstanding", "measured", "limits"]


def test_nothing_leaves_the_page_and_no_script_is_allowed(html: str) -> None:
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"" in html
    assert "<script" not in html
    assert not re.findall(r"https?:|@import|src=", re.sub(r'xmlns(:\w+)?="[^"]*"', "", html))


def test_how_it_was_measured_is_told(html: str, several: Measurement) -> None:
    told = words(html)
    assert "left and right" in told
    assert f"{several.anchors} of 1,000 samples of each source" in told
    assert "product: each source drawn independently" in told
    assert f"{several.evaluations:,}" in told
    assert "made by <chiasm>" in told  # escaped in the page, plain to the reader
    assert "every channel at every position" not in told


def test_the_table_holds_every_layer_and_its_numbers(html: str, several: Measurement) -> None:
    table = html[html.index('aria-label="Table of the layers"') :].split("</table>", maxsplit=1)[0]
    assert table.count('<th scope="row"') == 3
    low, high = several["fusion"].interval("mean_rsv")
    text = [number(x, 2, sign=True) for x in (several["fusion"].mean_rsv(), low, high)]
    assert f'{text[0]} <span class="interval">[{text[1]}, {text[2]}]</span></td>' in table
    assert '<td class="number">5</td><td class="number">1</td>' in table  # units, dead
    assert f'title="{LONG}"' in table


def test_the_units_that_stand_out_are_the_right_ones(several: Measurement) -> None:
    made = unit_table(list(several.values()))
    assert made is not None
    rows = [row for group in made.groups for row in group.rows]
    of_fusion = [[entry.text for entry in row[1:3]] for row in rows if row[0].text == "fusion"]
    assert of_fusion == [["left", "0"], ["right", "1"], ["synergy", "3"]]
    assert not any(row[0].text == "pathway" for row in rows)  # one source alone has all of it
    assert unit_table([several["pathway"]]) is None
    three = unit_table(list(measured({"f": lambda a, b, c: torch.cat([c, a * b, b], 1)}, 3).values()))
    assert three is not None
    rows = [row for group in three.groups for row in group.rows]
    assert [[entry.text for entry in row[1:3]] for row in rows] == [["right", "2"], ["touch", "0"], ["synergy", "1"]]


SCENES: dict[str, Callable[[], Measurement]] = {
    "dead": lambda: measured({"fusion": lambda a, b: 0 * a}),
    "one unit": lambda: measured({"fusion": lambda a, b: a + b}),
    "three": lambda: measured({"fusion": weights(9, 3), "dead": lambda *x: 0 * x[0]}, 3),
    "six": lambda: measured({"fusion": weights(9, 6)}, 6),
    "two anchors": lambda: measured({"fusion": mixed}, anchors=2),
    "positions": lambda: measured({"fusion": lambda a, b: mixed(a, b)[:, :, None]}, per="position"),
    "many layers": lambda: measured({f"layer_{i}": weights(3) for i in range(LAYERS + 1)}, anchors=16),
    "5000 units": lambda: measured({"fusion": weights(5000)}, anchors=64),
}


@pytest.mark.parametrize("scene", SCENES)
def test_any_measurement_has_a_whole_page_with_its_figures_beside_it(scene: str, tmp_path: Path) -> None:
    html = write(SCENES[scene](), tmp_path)
    checker = Checker()
    checker.feed(html)
    assert not checker.open
    assert len(set(checker.ids)) == len(checker.ids)
    assert not re.findall(r"\bnan\b", words(html), re.I)
    shown = re.findall(r'<figure id="figure-([\w-]+)">', html)
    assert shown
    on_disk = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert on_disk == sorted(f"{name}.{ending}" for name in shown for ending in ("csv", "png", "svg"))
    linked = re.findall(r'href="figures/([\w.-]+)"', html)
    assert sorted(linked) == [name for name in on_disk if not name.endswith(".png")]
    assert not list(tmp_path.rglob("*.part"))
    assert ("evenly picked" in html) == (scene in ("many layers", "5000 units"))
    assert len(html) < 1_000_000


def test_every_unit_is_in_the_table_on_disk(small: Measurement, tmp_path: Path) -> None:
    write(small, tmp_path)
    assert pl.read_parquet(tmp_path / "units.parquet").equals(small.frame())


def test_equal_measurements_give_equal_bytes(small: Measurement, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write(small, tmp_path / folder)
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / f).rglob("*") if p.is_file()} for f in ("a", "b"))
    assert first == second


class Far:
    def __init__(self, far: bool) -> None:
        self.far = far

    def sentence(self) -> str:
        return "sources left and right go together"


def test_dependent_sources_are_warned_of(small: Measurement, tmp_path: Path) -> None:
    for far in (True, False):
        html = write(replace(small, dependence=(Far(far),)), tmp_path)  # type: ignore[arg-type]
        assert ('class="warning"' in html) == far
        assert "ources left and right go together" in html


def test_pairings_have_limits_of_their_own(small: Measurement, tmp_path: Path) -> None:
    told = {p: words(write(replace(small, pairing=p), tmp_path)) for p in ("product", "within_class", "local")}
    for pairing, text in told.items():
        assert f"{pairing} pairing, {small.anchors} anchors" in text
    limits = {text[text.index("Known limits Int") :].split("Made by")[0] for text in told.values()}
    assert len(limits) == 3
    assert all(part.count(". ") == 2 for part in limits)  # two sentences


def test_what_the_user_wrote_is_escaped(tmp_path: Path) -> None:
    nasty = "</style><script>alert(1)</script>"
    m = measured({"fusion": mixed}, [nasty, "<b>right"])
    html = write(m, tmp_path, nasty, notes=[nasty])
    assert "<script" not in html
    assert "<b>right" not in html
    assert np.isfinite(m["fusion"].mean_rsv())


def test_a_folder_that_cannot_be_written_is_refused_in_one_sentence(small: Measurement, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ChiasmError, match="cannot be written") as error:
        write(small, tmp_path / "taken")
    assert "\n" not in str(error.value)
    assert (tmp_path / "taken").read_text() == "a file"


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here (Debian: apt-get install chromium)")
def test_the_page_fits_the_window_and_asks_for_nothing(several: Measurement, tmp_path: Path) -> None:
    assert BROWSER is not None
    path = write_measured(several, tmp_path, "A title")
    with Page(BROWSER) as page:
        for width in (1280, 768, 400):
            page.resize(width)
            page.open(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert [event["request"]["url"] for event in page.of("Network.requestWillBeSent")] == [path.as_uri()]
        assert page.of("Log.entryAdded") == []
