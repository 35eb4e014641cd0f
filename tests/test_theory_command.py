"""`chiasm theory`: a page for a study, and one sentence for a mistake."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
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


def test_importing_the_theories_draws_nothing() -> None:
    code = "import sys, chiasm.study.theories as t; list(t.THEORIES); print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_theory_is_found_by_its_tag_and_draws_its_own_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chiasm.registry._PLUGINS", {})
    (tmp_path / "powers.py").write_text(
        "import sys\n"
        "import polars as pl\n"
        "from chiasm.theory.study import TheoryStudy\n"
        "class Result(pl.DataFrame):\n"
        "    def frame(self):\n"
        "        return pl.DataFrame(self)\n"
        "class Powers(TheoryStudy, frozen=True, kw_only=True, tag='powers'):\n"
        "    most: int = 3\n"
        "    def run(self, progress=None):\n"
        "        return Result({'power': [2**k for k in range(self.most)]})\n"
        "    def page(self):\n"
        "        return sys.modules[__name__]\n"
        "def findings(result):\n"
        "    return [f'The largest is {result[\"power\"].max()}.']\n"
        "def panels(result):\n"
        "    return []\n"
    )
    (tmp_path / "mine.toml").write_text(
        'kind = "powers"\nplugins = ["./powers.py"]\nquestion = "How large?"\nmost = 5\n'
    )
    code, said = chiasm("theory", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "out"))
    assert code == 0, said
    page = (tmp_path / "out" / "report.html").read_text()
    assert "The largest is 16." in page
    assert "How large?" in page
    assert pl.read_parquet(tmp_path / "out" / "results.parquet")["power"].to_list() == [1, 2, 4, 8, 16]


def test_a_page_its_figures_and_its_tables(tmp_path: Path) -> None:
    words = ("--set", "depths=[1, 2]", "--set", "points=200", "--set", "windows=5")
    code, said = chiasm("theory", "linear-modes", "--out", str(tmp_path / "out"), *words)
    assert code == 0, said
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<figure") >= 3
    assert "Which weights of other sources change" in page
    assert pl.read_parquet(tmp_path / "out" / "results.parquet").height > 10
    assert len(list((tmp_path / "out" / "figures").glob("*.png"))) == page.count("<figure id")


QUICK = ("--set", "depths=[1]", "--set", "points=60", "--set", "windows=3", "--set", "large_steps=[]")


def test_a_source_may_be_named_by_its_number(tmp_path: Path) -> None:
    code, said = chiasm("theory", "linear-modes", "--out", str(tmp_path / "out"), "--set", "removed=4", *QUICK)
    assert code == 0, said
    assert "source 4" in (tmp_path / "out" / "report.html").read_text()


def test_a_folder_of_a_trained_study_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("name = 'mine'")
    (tmp_path / "results.parquet").write_bytes(b"precious")
    code, said = chiasm("theory", "linear-modes", "--out", str(tmp_path), *QUICK)
    assert code == 2
    assert "holds a study that chiasm run has trained" in said
    assert (tmp_path / "results.parquet").read_bytes() == b"precious"


def test_what_cannot_be_drawn_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(result: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("chiasm.theory.mode.page.panels", broken)
    code, _ = chiasm("theory", "linear-modes", "--out", str(tmp_path / "out"), *QUICK)
    assert code != 0
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("linear-mods",), "unknown study of theory 'linear-mods'"),
        (("linear-modes", "--set", "dept=2"), "unknown key 'dept'"),
        (("linear-modes", "--set", "scale"), "expected key=value"),
        (("none.toml",), "'none.toml' cannot be read"),
        (("linear-modes", "--set", "matrix=[[nan, 1], [1, 1]]", "--set", "watched=2"), "holds nan at row 0"),
        (("linear-modes", "--set", "release=11"), "last time, 10"),
        (("linear-modes", "--set", "points=99999999999999999999"), "whole numbers up to 1000000000"),
        (("linear-pathways", "--set", "step=-1"), "step = -1; expected a finite number, above 0"),
        (("linear-pathways", "--set", "step=0.3"), "diverges at depth"),
        (("linear-fusion", "--set", "depths=[0]"), "depths = 0; expected a finite number, 1 or more"),
        (("linear-fusion", "--set", "step=5"), "diverge at 1 layers"),
        (("matrix-completion", "--set", "durations=[]"), "durations is empty"),
        (("matrix-completion", "--set", "step=1e6", "--set", "after=50", "--set", "durations=[0]"), "diverge"),
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
