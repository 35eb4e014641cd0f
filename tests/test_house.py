"""The house itself: floors, file sizes, docs."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import chiasm

ROOT = Path(chiasm.__file__).parent
FLOORS = {
    "errors": 1, "files": 1, "intervals": 1, "progress_bar": 1, "quantity": 1, "registry": 1, "sources": 1,
    "randomness": 1, "networks": 1, "pictures": 1, "theory": 1,
    "deficits": 2, "tasks": 2, "objectives": 2, "optimiser": 2, "measuring": 2,
    "timeline": 3, "adapters": 3, "loading": 3,
    "training": 4,
    "study": 5, "studies": 5,
    "report": 6, "claims": 6,
    "cli": 7, "api": 7,
}  # fmt: skip


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module] if isinstance(node, ast.ImportFrom) else []
        names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[1] for name in names if name and name.startswith("chiasm.")}
    return found


SOURCES = [path for path in sorted(ROOT.rglob("*.py")) if path.name != "__init__.py" or path.parent != ROOT]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_its_own_floor_or_below(path: Path) -> None:
    here = room(path)
    name = str(path.relative_to(ROOT))
    for other in imported(path) - {here}:
        assert FLOORS[other] <= FLOORS[here], f"{name} imports {other}, which lives above it"


def test_rooms_of_one_floor_form_no_circle() -> None:
    arrows = {(room(path), other) for path in SOURCES for other in imported(path) if room(path) != other}
    order: list[str] = []
    rooms = set(FLOORS)
    while rooms:
        free = {r for r in rooms if not any((r, other) in arrows for other in rooms)}
        assert free, f"a circle among {sorted(rooms)}"
        order += sorted(free)
        rooms -= free


def test_files_stay_readable() -> None:
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 420}
    assert not long, f"files over 420 lines: {long}; about 300 is the aim"
    assert not [p for p in SOURCES if p.stem in ("utils", "helpers", "common")]


MODULES = [m.name for m in pkgutil.walk_packages([str(ROOT)], "chiasm.") if m.name not in ("chiasm.study.worker",)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed
