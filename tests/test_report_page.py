"""The page: self-contained, the same bytes each time, complete whatever the study lacks."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from chiasm.errors import ChiasmError
from chiasm.report import write_report
from chiasm.report.read_results import read_results
from chiasm.report.reading import reading, rule
from chiasm.report.writing import command
from chiasm.study.results import Results
from chiasm.study.spec import Study
from tests.report_fakes import ARMS, flat, make, still

pytestmark = pytest.mark.usefixtures("without_png")

SECTIONS = [
    "verdict",
    "answers",
    "done",
    "outcome",
    "clocks",
    "units",
    "training",
    "alone",
    "numbers",
    "limits",
    "again",
]
#: Those that a study need not have.
SOME = {"clocks", "training", "alone"}


def write(results: Results, folder: Path) -> str:
    return write_report(results, folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(make(), tmp_path_factory.mktemp("report"))


def words(html: str) -> str:
    """The text of a page as people read it."""
    bare = re.sub(r"<(style|script).*?</\1>", " ", html, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", bare)))


class Checker(HTMLParser):
    """Collects ids and looks whether every element that is opened is closed."""

    VOID = frozenset({"meta", "link", "input", "br", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [found["href"] or ""] if "href" in found else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_its_links_lead_somewhere(html: str) -> None:
    checker = Checker()
    checker.feed(html)
    assert not checker.open
    assert len(set(checker.ids)) == len(checker.ids)
    inside = {link for link in checker.links if not link.startswith(("data:", "figures/"))}
    assert inside <= {f"#{name}" for name in checker.ids}


def test_the_sections_stand_in_order_the_reading_first(html: str) -> None:
    assert re.findall(r'<section id="(\w+)"', html) == SECTIONS
    assert html.index("Does silence of the right eye leave &lt;traces&gt; &amp; when?") < html.index('id="verdict"')


def test_nothing_leaves_the_page(html: str) -> None:
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in html
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"|const SVG = "[^"]*"', "", html)
    assert not re.findall(r"https?:|//\w+\.|@import|<link rel=\"stylesheet|src=", without_names)


def test_the_same_results_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # with every PNG
    results = make(arms=["duration", "onset", "mirror"], seeds=2)
    results.save(tmp_path / "a")
    for folder in ("a", "b"):
        write_report(results, tmp_path / folder)
    write_report(Results.load(tmp_path / "a"), tmp_path / "c")  # as from memory, so from disk

    def files(folder: str) -> dict[str, bytes]:
        found = [tmp_path / folder / "report.html", *(tmp_path / folder / "figures").iterdir()]
        return {path.name: path.read_bytes() for path in found}

    assert files("a") == files("b") == files("c")


def test_every_figure_of_the_page_is_a_file_too(tmp_path: Path) -> None:
    html = write(make(arms=["duration", "mirror"]), tmp_path)
    shown = re.findall(r'<figure id="figure-([\w-]+)">', html)
    assert len(set(shown)) == len(shown)
    on_disk = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {name for name in on_disk if not name.endswith(".csv")} == {
        f"{n}.{end}" for n in shown for end in ("svg", "png")
    }
    linked = re.findall(r'href="figures/([\w.-]+)"', html)
    assert set(linked) == {name for name in on_disk if not name.endswith(".png")}
    assert not list(tmp_path.rglob("*.part"))


def test_every_figure_has_its_numbers(tmp_path: Path) -> None:
    write(make(), tmp_path)
    for path in (tmp_path / "figures").glob("*.svg"):
        table = pl.read_csv(path.with_suffix(".csv"), infer_schema_length=None)
        assert table.height, path.name


def test_the_table_holds_every_cell_and_the_numbers_of_the_cells(html: str) -> None:
    outcomes = read_results(make())
    table = html[html.index('aria-label="Table of the numbers"') :]
    assert table.count('<th scope="row"') == len(outcomes.cells)
    cell = outcomes.longest("absolute")
    made, lost = (outcomes.mean_score(cell), outcomes.cost(cell)) if cell else (None, None)
    assert made is not None
    assert lost is not None
    assert f'<td class="number">{made.mean:.1f} <span' in table
    assert f'<td class="number">{lost.mean:.1f} <span' in table
    assert "+1: left only" in table


def test_the_first_screen_has_the_verdict_three_pictures_and_a_chip_an_answer(html: str) -> None:
    first = html[html.index('<section id="verdict"') : html.index('<section id="answers"')]
    findings = reading(read_results(make()))
    assert first.count("<figure ") == 3
    assert words(findings[0].text) in words(first)
    chips = re.findall(r'<a class="([\w-]+)" href="#(answer-[\w-]+)">', first)
    assert [verdict for verdict, _ in chips] == [f.verdict for f in findings[1:] if f.verdict != "not tested"]
    assert all(f'id="{place}"' in html for _, place in chips)


def test_styling_keys_on_the_verdict(tmp_path: Path) -> None:
    for name, results in {"effect": make(), "one seed": make(seeds=1), "none": make(flat, still, seeds=2)}.items():
        html = write(results, tmp_path / name)
        headline, *others = reading(read_results(results))
        assert f'<section id="verdict" class="{headline.verdict}">' in html
        for finding in others:
            if finding.verdict != "not tested":
                assert f'<span class="chip {finding.verdict}">{finding.verdict}</span> ' in html


def test_conditions_stand_with_a_critical_period_only(tmp_path: Path) -> None:
    assert "Under these conditions: restarting the learning rate" in words(write(make(), tmp_path / "a"))
    assert "Under these conditions" not in words(write(make(flat, still), tmp_path / "b"))


def test_the_rule_stands_on_the_page_in_two_sentences(html: str) -> None:
    stated = rule(read_results(make()))
    assert words(stated) in words(html)
    assert stated.count(". ") == 1


def test_every_question_has_an_answer_or_is_named_as_not_tested(tmp_path: Path) -> None:
    for i, results in enumerate((make(), make(arms=["duration"], seeds=2))):
        text = words(write(results, tmp_path / str(i)))
        for finding in reading(read_results(results)):
            assert words(finding.text) in text


@pytest.mark.parametrize("arms", [["duration"], ["onset"], ["alone"], ["wide"], ["fresh", "longer"]])
def test_a_study_of_any_arms_has_a_whole_page(arms: list[str], tmp_path: Path) -> None:
    html = write(make(arms=arms, seeds=2), tmp_path)
    sections = re.findall(r'<section id="(\w+)"', html)
    assert sections == [name for name in SECTIONS if name in sections]
    assert set(SECTIONS) - set(sections) <= SOME
    assert "Not tested here:" in words(html)
    assert "nan" not in words(html).lower().replace("tenant", "")


def test_a_study_without_units_says_so(tmp_path: Path) -> None:
    html = write(make(units=0, arms=["duration"]), tmp_path)
    assert "RSV of units was not measured here." in words(html)
    assert 'id="slider-data"' not in html


def test_one_seed_and_diverged_runs_are_said(tmp_path: Path) -> None:
    bad = [("duration[d=80, training.clock=absolute]", 0)]
    text = words(write(make(seeds=1, diverged=bad), tmp_path))
    assert "One seed: no number here has an interval" in text
    assert "1 diverged" in text


def test_what_the_user_wrote_is_escaped(tmp_path: Path) -> None:
    nasty = "</script><script>alert(1)</script><b onload='x'>"
    html = write(make(question=nasty, arms=["duration"], seeds=2, changes={"duration.title": nasty}), tmp_path)
    assert "<script>alert" not in html
    assert "&lt;/script&gt;" in html


def test_the_sliders_data_are_the_units(html: str) -> None:
    results = make()
    data = json.loads(html.split('id="slider-data">')[1].split("</script>", maxsplit=1)[0])
    assert [cell["name"] for cell in data["layers"][0]["cells"]] == ["control", "longest deficit"]
    seed = data["layers"][0]["cells"][1]["seeds"][0]
    units = results.units("fusion")
    row = units.at("duration[d=80, training.clock=absolute]#0", seed["epochs"][-1])
    shown = [None if value is None else value / 100 for value in seed["rsv"][-1]]
    truth = [None if dead else round(float(v), 2) for v, dead in zip(units.rsv[row], units.dead[row], strict=True)]
    assert shown == truth
    assert shown[0] is None  # the dead unit
    assert seed["dead"][-1] == 1


def test_a_wide_layer_is_thinned_and_the_page_stays_small(tmp_path: Path) -> None:
    results = make(units=2000, seeds=8, arms=["duration"])
    html = write(results, tmp_path)
    assert len(html) < 3_000_000
    assert "evenly picked" in words(html)


def test_the_command_is_exact() -> None:
    smoke = Study.load("smoke")
    assert command(smoke) == "chiasm run smoke --out DIR"
    assert command(Study.load("smoke", seeds=7)) == "chiasm run smoke --seeds 7 --out DIR"
    assert command(Study.load("smoke", ["training.lr=0.1"])).startswith("chiasm run study.toml --out DIR")
    assert command(make(arms=["alone"]).study).startswith("chiasm run study.toml --out DIR")


def test_a_folder_that_cannot_be_written_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ChiasmError, match="cannot be written"):
        write_report(make(arms=["alone"], seeds=1), tmp_path / "taken")


def test_empty_results_are_refused_in_one_sentence(tmp_path: Path) -> None:
    results = make(arms=["alone"], seeds=1)
    with pytest.raises(ChiasmError, match="no results to report"):
        write_report(replace(results, table=results.table.clear()), tmp_path)


def test_all_arms_at_once_leave_no_role_out(html: str) -> None:
    told = words(html)
    for arm in ARMS:
        assert arm in told
