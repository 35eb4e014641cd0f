"""Questions are kinds: one from outside stands in the reading and in the table of confounds without an edit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chiasm import registry
from chiasm.errors import ChiasmError
from chiasm.registry import load_plugin
from chiasm.report import write_report
from chiasm.report.finding import UNTESTED
from chiasm.report.questions import questions
from chiasm.report.read_results import read_results
from chiasm.report.reading import reading, rules
from chiasm.report.settings import check_report, roles
from chiasm.study.spec import Study
from tests.report_fakes import flat, make, regressing, still, turning

OUTSIDE = '''
"""A question of somebody's own."""

from typing import ClassVar

from chiasm.report.questions import Question


class Tired(Question):
    """Does the network tire?"""

    tag: ClassVar[str] = "tired"
    question: ClassVar[str] = "Is it only that the network tires?"
    topic: ClassVar[str] = "Tiredness"
    role: ClassVar[str] = "tired"
    order: ClassVar[int] = 35

    def answer(self, outcomes):
        cells = outcomes.of("tired")
        return self.finding("wide awake", f"it ran {len(cells)} cells") if cells else None

    def rules(self, outcome):
        return [f"A network is tired where {outcome.quantity.label} yawns."]
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
    assert "Tiredness It ran 2 cells." in html
    assert "Is it only that the network tires? arm wide wide awake It ran 2 cells." in html
    assert "A network is tired where accuracy yawns." in html


@pytest.mark.usefixtures("outside")
def test_a_question_from_outside_without_an_answer_is_untested(tmp_path: Path) -> None:
    results = make(arms=["duration"], seeds=2)
    assert {f.about: f.verdict for f in reading(read_results(results))}["tired"] == UNTESTED
    html = words(write_report(results, tmp_path).read_text(encoding="utf-8"))
    assert "no arm of role tired not tested here Not tested here: an arm of role tired." in html


def test_a_role_that_nobody_asks_for_is_refused_with_the_known_ones() -> None:
    study = make(arms=["duration", "wide"], seeds=1, changes={"wide.role": "tired"}).study
    with pytest.raises(ChiasmError, match=r"arm 'wide': unknown role 'tired'; known roles: .*mirror"):
        check_report(study)
    for role in roles():
        check_report(make(arms=["wide"], seeds=1, changes={"wide.role": role}).study)


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        ({"publishd": {}}, r"\[report\]: unknown key 'publishd'; known keys: published"),
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


def test_every_question_says_what_it_is() -> None:
    for question in questions():
        assert question.question.endswith("?")
        assert question.section == "confounds" or not question.role
        if question.section == "confounds":
            assert question.role or question.tested_by
    places = [
        (question.section, question.order) for question in questions() if type(question).__module__[:6] == "chiasm"
    ]
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
    sentences = [f.text for f in findings] + [f.verdict for f in findings] + rules(outcomes.outcome)
    for text in sentences:
        assert "accurac" not in text.lower(), text
        assert "points" not in text, text
        assert not re.search(r"%(?! interval| of the loss| of the live| lie| in the control)", text), text
    html = words(write_report(results, tmp_path).read_text(encoding="utf-8"))
    assert "ccurac" not in html.split("study.toml, as run")[0]
    assert "Mean squared error in the end" in html


def test_a_higher_error_is_a_cost_and_a_lower_one_a_gain() -> None:
    findings = {f.about: f for f in reading(read_results(regressing(make(), 0.2)))}
    assert findings["window"].verdict == "critical period"
    assert "costs 0.122 [" in findings["cost"].text
    assert findings["cost"].verdict == "lasting cost"
    assert re.search(r"of mean squared error \(0\.01\d to 0\.13\d\), after 60 clean epochs", findings["cost"].text)
    better = regressing(make(lambda told, seed: flat(told, seed) - (0 if told.duration else 0.3), still), 0.2)
    cost = {f.about: f for f in reading(read_results(better))}["cost"]
    assert cost.verdict == "no cost"
    assert "lowers mean squared error by 0.06" in cost.text
