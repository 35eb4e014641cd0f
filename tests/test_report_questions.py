"""Questions are kinds: one from outside stands in the reading and in the table of confounds without an edit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chiasm import registry
from chiasm.errors import ChiasmError
from chiasm.registry import load_plugin
from chiasm.report import write_report
from chiasm.report.caveats import caveats
from chiasm.report.questions import questions
from chiasm.report.read_results import read_results
from chiasm.report.reading import reading, rule
from chiasm.report.settings import check_report, roles
from chiasm.study.spec import Study
from tests.report_fakes import flat, make, regressing, still, turning

pytestmark = pytest.mark.usefixtures("without_png")

OUTSIDE = '''
"""A question of somebody's own."""

from typing import ClassVar

from chiasm.report.evidence import Condition, Evidence
from chiasm.report.yardstick import Yardstick
from chiasm.report.questions import Question


class Tired(Question):
    """Does the network tire?"""

    tag: ClassVar[str] = "tired"
    question: ClassVar[str] = "Is it only that the network tires?"
    topic: ClassVar[str] = "Tiredness"
    role: ClassVar[str] = "tired"
    order: ClassVar[int] = 35

    needs: ClassVar[str] = "an arm of role tired"
    says: ClassVar[dict[str, str]] = {
        "present": "It tires by {amount}, over {cells} cells.",
        "absent": "It stays awake: {amount}, within {counts}.",
        "unsettled": "Whether it tires is unsettled: {amount}, over {cells} cells. {open}",
    }

    def collect(self, outcomes):
        cells = outcomes.of("tired")
        if not cells:
            return None
        lost = Condition("how much it tires", outcomes.worse({cells[0]: -1, cells[1]: 1}))
        return Evidence((lost,), Yardstick(2.0, outcomes.outcome), facts={"cells": str(len(cells))})
'''


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_PLUGINS", dict(registry._PLUGINS))
    (tmp_path / "tired.py").write_text(OUTSIDE)
    load_plugin(str(tmp_path / "tired.py"))


def words(html: str) -> str:
    bare = re.sub(r"<(style|script|svg).*?</\1>", " ", html, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", bare).replace("\u00a0", " "))


@pytest.mark.usefixtures("outside")
def test_a_question_from_outside_is_asked_in_its_place(tmp_path: Path) -> None:
    results = make(arms=["duration", "mirror", "wide"], seeds=2, changes={"wide.role": "tired"})
    check_report(results.study)
    findings = [finding.about for finding in reading(read_results(results))]
    assert findings.index("mirror") < findings.index("tired") < findings.index("fresh")
    html = words(write_report(results, tmp_path / "report").read_text(encoding="utf-8"))
    tired = next(finding for finding in reading(read_results(results)) if finding.about == "tired")
    assert "2 cells" in tired.text
    assert f"Tiredness {tired.verdict} {tired.text}" in html


@pytest.mark.usefixtures("outside")
def test_a_question_from_outside_without_evidence_is_not_tested(tmp_path: Path) -> None:
    results = make(arms=["duration"], seeds=2)
    assert {f.about: f.verdict for f in reading(read_results(results))}["tired"] == "not tested"
    html = words(write_report(results, tmp_path).read_text(encoding="utf-8"))
    assert "Is it only that the network tires? Not tested: that takes an arm of role tired." in html


def test_a_role_that_nobody_asks_for_is_refused_with_the_known_ones() -> None:
    study = make(arms=["duration", "wide"], seeds=1, changes={"wide.role": "tired"}).study
    with pytest.raises(ChiasmError, match=r"arm 'wide': unknown role 'tired'; known roles: .*mirror"):
        check_report(study)
    for role in roles():
        check_report(make(arms=["wide"], seeds=1, changes={"wide.role": role}).study)


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        ({"publishd": {}}, r"\[report\]: unknown key 'publishd'; known keys: margin, published, rsv_margin"),
        ({"published": {"nobody": "blur"}}, "unknown arm 'nobody'; known arms: duration, wide"),
        ({"published": {"duration": "blurr"}}, r"unknown published set 'blurr'; .*did you mean 'blur'"),
        ({"published": {"wide": "blur"}}, "expected role = 'duration'"),
    ],
)
def test_a_mistake_in_the_table_report_is_one_sentence(report: dict[str, object], sentence: str) -> None:
    study = make(arms=["duration", "wide"], seeds=1).study
    mistaken = Study(name="other", question="", seeds=1, sections=study.sections, arms=study.arms, report=report)
    with pytest.raises(ChiasmError, match=sentence):
        check_report(mistaken)


def test_places_of_questions_are_their_own() -> None:
    places = [(q.section, q.order) for q in questions() if type(q).__module__.startswith("chiasm")]
    assert len({*places}) == len(places)


@pytest.mark.parametrize(
    "results",
    [
        make(seeds=3),
        make(seeds=1),
        make(flat, still),
        make(flat, turning),
        make(lambda told, seed: flat(told, seed) - (0.3 if told.onset >= 20 else 0.0)),
        make(lambda told, seed: 0.4 + 0.001 * (told.onset + told.duration) + 0.002 * seed, still),
        make(arms=["mirror", "fresh", "longer"]),
    ],
)
def test_an_error_is_told_as_an_error(results: object, tmp_path: Path) -> None:
    results = regressing(results)  # type: ignore[arg-type]
    outcomes = read_results(results)
    findings = reading(outcomes)
    sentences = [f.text for f in findings] + [f.number for f in findings] + [rule(outcomes), *caveats(outcomes)]
    for text in sentences:
        assert "accurac" not in text.lower(), text
        assert "points" not in text, text
        # Percent are of shares, of units and of intervals, never of the outcome.
        assert not re.search(
            r"%(?! \[| for a| for all| interval| of it|[,\]]| of the live| lie| in the control)", text
        ), text
    html = words(write_report(results, tmp_path).read_text(encoding="utf-8"))
    assert "ccurac" not in html.split("study.toml, as run")[0]
    assert "Mean squared error in the end" in html


def test_a_higher_error_is_a_cost_and_a_lower_one_a_gain() -> None:
    findings = {f.about: f for f in reading(read_results(regressing(make(), 0.2)))}
    assert findings["window"].verdict == findings["cost"].verdict == "present"
    assert re.search(r"costs 0\.12\d* \[.*of mean squared error \(0\.01\d to 0\.13\d, after", findings["cost"].text)
    better = regressing(make(lambda told, seed: flat(told, seed) - (0 if told.duration else 0.3), still), 0.2)
    cost = {f.about: f for f in reading(read_results(better))}["cost"]
    assert cost.verdict == "present"
    assert re.search(r"leaves mean squared error better by 0\.0[56]", cost.text)
