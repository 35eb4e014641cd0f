"""Names and texts that a user writes are words on the page and in file names, never markup, code or a formula."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import polars as pl
import pytest

from chiasm import registry
from chiasm.registry import load_plugin
from chiasm.report import write_report
from chiasm.study.results import Results
from tests.report_fakes import ARMS, make
from tests.test_report_page import Checker, words

pytestmark = pytest.mark.usefixtures("without_png")

#: Markup, an attribute's end, an entity, a pattern's backslash, a formula that is none, a folder, a placeholder.
NASTY = "<i onload='x'>\"&amp;\\1 $\\frac{$ ../{amount}{{ 7 }}"
OUTSIDE = """
from dataclasses import dataclass
from typing import ClassVar
import chiasm

@dataclass(frozen=True)
class Tear(chiasm.Deficit):
    \"\"\"Nothing.\"\"\"
    source: str
    tag: ClassVar[str] = "tear"
    verb: ClassVar[str] = VERB
    example: ClassVar[str] = "tear(left)"

    @property
    def touches(self):
        return (self.source,)

    def __call__(self, batch, generator):
        return batch
"""


def page_of(results: Results, folder: Path) -> str:
    html = write_report(results, folder).read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(html)
    assert not checker.open
    assert len(set(checker.ids)) == len(checker.ids)
    for link in checker.links:
        if link.startswith("#"):
            assert link[1:] in checker.ids
        elif not link.startswith("data:"):
            assert (folder / link).is_file(), link
    assert {path.relative_to(folder).parts[0] for path in folder.rglob("*")} == {"report.html", "figures"}
    assert all(re.fullmatch(r"[\w.-]+", path.name) for path in (folder / "figures").iterdir())
    assert "<i onload" not in html
    return html


def with_layers(results: Results, name: str) -> Results:
    """The same results with the measured layer under another name."""
    layers = {name: replace(results.layers["fusion"], layer=name)}
    table = results.table.with_columns(pl.col("layer").replace("fusion", name))
    return replace(results, layers=layers, table=table)


def with_sources(results: Results, names: tuple[str, str]) -> Results:
    """The same results with the sources under other names, as of a study whose data are gone."""
    layers = {name: replace(units, sources=names) for name, units in results.layers.items()}
    table = results.table.with_columns(pl.col("source").replace(["left", "right"], names))
    return replace(results, layers=layers, table=table)


def test_the_names_of_arms(tmp_path: Path) -> None:
    named = {arm: f"{arm} {NASTY}" for arm in ARMS}
    told = words(page_of(make(seeds=2, changes={f"{arm}.name": name for arm, name in named.items()}), tmp_path))
    for name in named.values():
        assert name in told


def test_the_name_of_a_second_curve(tmp_path: Path) -> None:
    changes = {"wide.role": "duration", "wide.name": NASTY}
    results = make(arms=["duration", "onset", "wide"], seeds=2, changes=changes)
    assert words(page_of(results, tmp_path)).count(NASTY) > 2  # its answer among them


def test_the_title_of_an_arm_the_question_and_the_name_of_the_study(tmp_path: Path) -> None:
    results = make(arms=["duration", "onset"], seeds=2, changes={"duration.title": f"T{NASTY}"}, question=f"Q{NASTY}?")
    named = replace(results, study=msgspec.structs.replace(results.study, name=f"N{NASTY}"))
    told = words(page_of(named, tmp_path))
    assert f"T{NASTY}" in told
    assert f"Q{NASTY}?" in told
    assert f"N{NASTY}" in told


def test_the_name_of_a_layer(tmp_path: Path) -> None:
    assert NASTY in words(page_of(with_layers(make(arms=["duration", "onset"], seeds=2), NASTY), tmp_path))


def test_the_names_of_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: object) -> None:
        raise OSError("moved")

    results = with_sources(make(arms=["duration", "onset", "alone"], seeds=2), (f"L{NASTY}", f"R{NASTY}"))
    monkeypatch.setattr("chiasm.tasks.Stereogram.describe", gone)
    told = words(page_of(results, tmp_path))
    assert f"L{NASTY}" in told
    assert f"R{NASTY}" in told


def test_what_a_deficit_does_and_the_timeline_it_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_PLUGINS", dict(registry._PLUGINS))
    (tmp_path / "tear.py").write_text(OUTSIDE.replace("VERB", repr(NASTY)))
    load_plugin(str(tmp_path / "tear.py"))
    changes = {"duration.timeline": "tear(right) {d} | clean 60"}
    assert NASTY in words(page_of(make(arms=["duration"], seeds=2, changes=changes), tmp_path / "report"))
