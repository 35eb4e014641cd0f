"""Every line of the README runs, in the order in which it stands."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from chiasm.cli import main

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def test_every_block_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kinds = []
    for kind, text in BLOCK.findall(README.read_text()):
        kinds.append(kind)
        if kind == "toml":
            (tmp_path / "mine.toml").write_text(text)
        elif kind == "python":
            exec(compile(text, "README.md", "exec"), {"__name__": "readme"})
        elif kind == "sh":
            for line in text.strip().splitlines():
                words = shlex.split(line, comments=True)
                assert words[0] == "chiasm"
                main(words[1:])  # leaves by SystemExit where it fails
    assert kinds == ["python", "toml", "sh", "python", "sh", "python"]
    for name in ("results.parquet", "units.npz", "study.toml", "environment.json", "report.html", "figures", "store"):
        assert (tmp_path / "runs" / "mine" / name).exists(), name


def test_every_block_of_the_page_on_measuring_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, text in BLOCK.findall((README.parent / "docs" / "measuring.md").read_text()):
        if kind == "sh":
            for line in text.strip().splitlines():
                words = shlex.split(line, comments=True)
                main(words[1:])
        elif named := re.match(r"# (\w+\.py)\n", text):
            (tmp_path / named[1]).write_text(text)
            subprocess.run([sys.executable, named[1]], check=True)
        else:
            exec(compile(text, "measuring.md", "exec"), {"__name__": "measuring"})
    for made in ("measured/report.html", "within/measurement.npz", "triangle.png", "three.npz"):
        assert (tmp_path / made).exists(), made


def test_what_the_readme_points_to_is_there() -> None:
    text = README.read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (README.parent / target).exists(), target
    from chiasm.deficits import DEFICITS

    for name in DEFICITS:
        assert f"`{name}" in text, name


NEEDS = {"lightning_monitor": "pytorch_lightning", "transformers_monitor": "transformers"}


@pytest.mark.filterwarnings("default")  # as a person would run them
@pytest.mark.parametrize("example", sorted((README.parent / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_the_examples_run_as_they_stand(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need = NEEDS.get(example.stem)
    if need and importlib.util.find_spec(need) is None:
        pytest.skip(f"needs {need}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(example.parent)
    runpy.run_path(str(example), run_name="__main__")
    assert "report" in capsys.readouterr().out
    assert len(example.read_text().splitlines()) < 200
