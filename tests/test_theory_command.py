"""`chiasm theory`: a page for a study, and one sentence for a mistake."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import polars as pl
import pytest

from chiasm.cli import main
from chiasm.study.theories import load_theory, shipped_theories


def chiasm(*words: str) -> tuple[int, str]:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            main(list(words))
        return 0, said.getvalue()
    except SystemExit as end:
        return int(end.code or 0), said.getvalue()


def test_every_shipped_study_of_theory_can_be_read() -> None:
    assert {"linear-modes", "linear-pathways"} <= set(shipped_theories())
    for name in shipped_theories():
        kind, question, _ = load_theory(name)
        assert kind == name
        assert question.endswith("?")


def test_a_page_its_figures_and_its_tables(tmp_path: Path) -> None:
    words = ("--set", "depths=[1, 2]", "--set", "points=200", "--set", "windows=5")
    code, said = chiasm("theory", "linear-modes", "--out", str(tmp_path / "out"), *words)
    assert code == 0, said
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<figure") >= 3
    assert "Which weights of other sources change" in page
    assert pl.read_parquet(tmp_path / "out" / "results.parquet").height > 10
    assert len(list((tmp_path / "out" / "figures").glob("*.png"))) == page.count("<figure id")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("linear-mods",), "unknown study of theory 'linear-mods'"),
        (("linear-modes", "--set", "dept=2"), "unknown key 'dept'"),
        (("linear-modes", "--set", "scale"), "give key=value"),
        (("none.toml",), "'none.toml' cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = chiasm("theory", *words)
    assert code == 2
    assert "Traceback" not in said
    assert told in said
    assert not list(tmp_path.iterdir())
