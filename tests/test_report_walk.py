"""The report's one way: results, outcomes, evidence, verdicts, sentences, a page; nothing is read back from words."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

import chiasm
from chiasm.report.read_results import read_results
from chiasm.report.reading import reading
from chiasm.report.settings import roles
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.study.results import Results
from chiasm.study.spec import Study
from tests.report_fakes import ARMS, make

ROOT = Path(chiasm.__file__).parent
REPORT = sorted((ROOT / "report").rglob("*.py"))
QUESTIONS = [path for path in REPORT if path.parent.name == "questions" and path.stem not in ("__init__", "question")]
#: Each rests on those before it, and on none behind it.
WAY = ("statistics", "report.evidence", "report.verdict", "report.reading", "report.page", "report.writing")
#: What takes a text apart, or looks what is in it.
TAKES_APART = {
    "split", "rsplit", "splitlines", "partition", "rpartition", "startswith", "endswith", "removeprefix",
    "removesuffix", "find", "rfind", "index", "rindex", "search", "match", "fullmatch", "findall", "finditer", "sub",
}  # fmt: skip
#: What is written for people. The label of a quantity is not among them: it is "accuracy", whatever the study.
FOR_PEOPLE = {"label", "cell", "timeline", "topic", "about", "text"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT / "report"))


def words_in(node: ast.expr) -> Iterator[str]:
    """The texts for people that an expression is made of."""
    if isinstance(node, ast.Attribute) and node.attr in FOR_PEOPLE:
        owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
        if owner != "quantity":
            yield f"{owner}.{node.attr}"
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "str":
        for argument in node.args:
            yield from words_in(argument)
    elif isinstance(node, ast.JoinedStr | ast.FormattedValue | ast.BinOp | ast.BoolOp | ast.IfExp):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from words_in(child)


def taken_apart(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every text for people that code takes apart or searches."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TAKES_APART:
            searched = [node.func.value, *node.args]
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            searched = [c for c in node.comparators if isinstance(c, ast.Attribute | ast.Call)]
        else:
            continue
        for expression in searched:
            for words in words_in(expression):
                yield node.lineno, words


@pytest.mark.parametrize("path", REPORT, ids=name_of)
def test_no_setting_is_learned_from_a_label(path: Path) -> None:
    found = list(taken_apart(ast.parse(path.read_text())))
    assert not found, f"{name_of(path)} takes texts for people apart: {found}"


@pytest.mark.parametrize(
    "code",
    [
        "cell.label.split('=')",
        "re.search('d=(.*)', cell.cell)",
        "pattern.fullmatch(f'{cell.arm}: {cell.label}')",
        "str(cell.timeline).partition(' | ')",
        "'clock=constant' in cell.label",
        "finding.topic.split(':')[0]",
    ],
)
def test_what_would_learn_from_a_label_is_seen(code: str) -> None:
    assert list(taken_apart(ast.parse(code)))
    assert not list(
        taken_apart(ast.parse("cell.timeline.spans(); quantity.label.split(); cell.cell in held; len(a.label)"))
    )


def renamed(results: Results) -> Results:
    """The same results of a study that calls what it varies, and its arms, by other names: those of one another."""
    raw = tomllib.loads(results.study.to_toml())
    turned = {"duration": "onset", "onset": "duration", "mirror": "longer", "longer": "mirror"}
    for arm in raw["arm"]:
        arm["name"] = turned.get(arm["name"], f"{arm['name']}, training.clock=constant, d=80")
        for old, new in (("d", "training_epochs"), ("t", "d"), ("n", "t")):
            if old in arm:
                arm[new] = arm.pop(old)
                arm["timeline"] = arm["timeline"].replace(f"{{{old}}}", f"{{{new}}}")
    study = Study.from_dict(raw)
    named = pl.DataFrame(
        [
            (old.arm, old.label, new.arm, new.label, f"{new.arm}[{new.label}]" if new.label else new.arm)
            for old, new in zip(results.study.cells(), study.cells(), strict=True)
        ],
        schema=["arm", "cell", "new_arm", "new_cell", "new_run"],
        orient="row",
    )
    table = results.table.join(named, on=["arm", "cell"], how="left", maintain_order="left", nulls_equal=True)
    assert not table["new_arm"].null_count()
    table = table.with_columns(
        arm="new_arm",
        cell="new_cell",
        run=pl.format("{}#{}", "new_run", "seed"),
    ).select(results.table.columns)
    return replace(results, study=study, table=table)


def verdicts(outcomes: StudyOutcomes) -> list[tuple[str, str, str]]:
    return [(f.about.split(",")[0], f.verdict, f.number) for f in reading(outcomes)]


@pytest.mark.parametrize("arms", [tuple(ARMS), ("duration", "onset", "mirror")])
def test_other_labels_change_no_verdict(arms: tuple[str, ...]) -> None:
    results = make(arms=arms, changes={"wide.role": "duration"})
    other = renamed(results)
    before, after = read_results(results), read_results(other)
    assert all(old.label != new.label for old, new in zip(before, after, strict=True))
    assert verdicts(before) == verdicts(after)


def test_evidence_is_on_the_same_cells_whatever_their_labels() -> None:
    before, after = (read_results(results) for results in (make(), renamed(make())))
    place = {cell: i for i, cell in enumerate(after)}
    for own, other in zip(before, after, strict=True):
        for held in ("control", "as_long", "partner"):
            one, two = getattr(before, held)(own), getattr(after, held)(other)
            assert (one is None) == (two is None)
            assert two is None or before.cells[place[two]] is one, (held, own.label)


@cache
def imports() -> dict[str, set[str]]:
    """Which modules of the package each module imports, at its top or within."""
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(part for part in parts if part != "__init__")
        found[module] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chiasm."):
                base = (node.module or "").removeprefix("chiasm.")
                found[module] |= {base, *(f"{base}.{a.name}" for a in node.names)}
            elif isinstance(node, ast.Import):
                found[module] |= {a.name.removeprefix("chiasm.") for a in node.names if a.name.startswith("chiasm.")}
    return {module: {other for other in others if other in found} for module, others in found.items()}


def rests_on(module: str) -> set[str]:
    """All modules that a module imports, and those that they import."""
    seen: set[str] = set()
    left = [module]
    while left:
        for other in imports()[left.pop()] - seen:
            seen.add(other)
            left.append(other)
    return seen


@pytest.mark.parametrize("module", WAY)
def test_nothing_imports_back_up_the_way(module: str) -> None:
    assert not rests_on(module) & {*WAY[WAY.index(module) :]}


def test_the_way_is_walked() -> None:
    for lower, upper in pairwise(("report.evidence", "report.verdict", "report.reading")):
        assert lower in rests_on(upper)
    assert "report.reading" in rests_on("report.page")


@pytest.mark.parametrize("path", QUESTIONS, ids=lambda path: path.stem)
def test_a_question_collects_evidence_and_knows_no_page_and_no_other_question(path: Path) -> None:
    own = f"report.questions.{path.stem}"
    inside = {module for module in imports()[own] if module.startswith("report")}
    other = {module for module in inside if module.startswith("report.questions.")} - {"report.questions.question"}
    assert not other, f"{own} imports other questions: {other}"
    above = {"verdict", "finding", "reading", "caveats", "page", "writing", "table", "figures", "published", "pictures"}
    assert not {module.split(".")[1] for module in rests_on(own) if module.startswith("report.")} & above
    drawn = {m for m in rests_on(own) if m in ("pictures.style", "pictures.page", "pictures.table")}
    assert not {m for m in imports()[own] if m in drawn}, "a question draws nothing"


def test_outcomes_know_two_roles_by_name_those_of_the_curves() -> None:
    tree = ast.parse((ROOT / "report" / "study_outcomes.py").read_text())
    named: set[str] = set()
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in (
            "of", "clock_of", "longest_of", "curves", "_drawn",
        ):  # fmt: skip
            parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        named |= {
            c.value for part in parts for c in ast.walk(part) if isinstance(c, ast.Constant) and c.value in roles()
        }
    assert named == {"duration", "onset"}


def test_curves_and_controls_do_not_hang_on_what_other_arms_are_for() -> None:
    outcomes = read_results(make())
    cells = [c if c.role in ("duration", "onset") else replace(c, role="for something else") for c in outcomes]
    other = replace(outcomes, cells=tuple(cells))
    for clock in outcomes.clocks:
        for role in ("duration", "onset"):
            assert other.curves(role, clock) == outcomes.curves(role, clock)
        assert other.onsets(clock) == outcomes.onsets(clock)
        assert other.longest(clock) == outcomes.longest(clock)
    for own, others in zip(outcomes, other, strict=True):
        for held in ("control", "as_long", "partner"):
            assert getattr(outcomes, held)(own) == getattr(other, held)(others)
