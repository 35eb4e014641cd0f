"""The house itself: floors, file sizes, docs."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
from functools import cache
from pathlib import Path

import pytest

import chiasm

ROOT = Path(chiasm.__file__).parent
FLOORS = {
    "errors": 1, "files": 1, "progress_bar": 1, "quantity": 1, "registry": 1, "sources": 1,
    "statistics": 1, "structs": 1, "randomness": 1, "networks": 1, "pictures": 1, "theory": 1,
    "deficits": 2, "tasks": 2, "objectives": 2, "optimiser": 2, "measuring": 2,
    "timeline": 3, "adapters": 3, "loading": 3,
    "training": 4,
    "study": 5, "studies": 5,
    "report": 6, "claims": 6,
    "cli": 7, "api": 7,
}  # fmt: skip


#: The floors inside of the larger rooms, by file or folder; a module imports only from its own inner floor or below.
INNER = {
    "measuring": {
        "instrument": 1, "mistakes": 1, "per_anchor": 1, "variance": 1,
        "plan": 2, "result": 2, "sampling": 2,
        "archive": 3, "drawing": 3, "passes": 3,
        "gathering": 4, "information": 4, "measurement": 4,
        "combine": 5, "measure": 5, "probe": 5,
    },
    "theory": {
        "arguments": 1, "chain": 1, "study": 1, "histories": 2, "pages": 2,
        "completion": 3, "fusion": 3, "mode": 3, "pathway": 3,
    },
    "study": {
        "store": 1, "toml": 1, "settings": 2, "theories": 2, "arm": 3, "spec": 4,
        "cell_table": 5, "plan": 5, "results": 5, "collect": 6, "effort": 6, "engine": 6, "progress": 6, "executors": 7,
        "worker": 7, "estimate": 8, "run": 8,
    },
    "report": {
        "forest": 1, "phrases": 1, "timeline_figure": 1,
        "measurement_text": 2, "outcomes": 2, "yardstick": 2,
        "evidence": 3, "study_outcomes": 3, "unit_table": 3, "units": 4,
        "caveats": 4, "curves": 4, "onsets": 4, "table": 4, "unit_shifts": 4, "verdict": 4,
        "finding": 5, "measured": 5, "probes": 5, "slider": 5, "training_curves": 5, "questions": 5, "comparison": 5,
        "figures": 6, "reading": 6, "published": 7, "settings": 8, "read_results": 9, "page": 9, "writing": 10,
    },
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


def inner(path: Path) -> str:
    return path.relative_to(ROOT).parts[1].removesuffix(".py")


@cache
def inner_arrows(package: str) -> set[tuple[str, str]]:
    """Which file or folder of a package imports which other one."""
    arrows = set()
    for path in SOURCES:
        if room(path) == package and inner(path) != "__init__":
            for node in ast.walk(ast.parse(path.read_text())):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
                inside = [name.split(".")[2] for name in names if name.startswith(f"chiasm.{package}.")]
                arrows |= {(inner(path), other) for other in inside if other != inner(path)}
    return arrows


@pytest.mark.parametrize("package", INNER)
def test_inner_floors_are_kept_too(package: str) -> None:
    floors = INNER[package]
    for here, other in sorted(inner_arrows(package)):
        assert floors[other] <= floors[here], f"{package}/{here} imports {other}, which lives above it"
    rooms = set(floors)
    while rooms:
        free = {r for r in rooms if not any(one == r and other in rooms for one, other in inner_arrows(package))}
        assert free, f"a circle among {sorted(rooms)} of {package}"
        rooms -= free


def test_one_class_name_is_one_thing() -> None:
    places: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    twice = {name: where for name, where in places.items() if len(where) > 1}
    # Two adapters for two libraries, of which a user imports the one that is there.
    assert set(twice) <= {"SourceMonitor"}, twice


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_names_say_what_they_hold(path: Path) -> None:
    empty = {"told", "said", "made", "found", "held"}
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else []
        names += [node.arg] if isinstance(node, ast.arg) else []
        names += [node.name] if isinstance(node, ast.FunctionDef) else []
        assert not empty.intersection(names), f"{path.name}:{getattr(node, 'lineno', '?')}: {names[0]} says nothing"


def test_quantiles_of_student_have_one_home() -> None:
    importing = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom | ast.Import) and {a.name for a in node.names} & {"stdtr", "stdtrit"}
    }
    assert importing == {"statistics.py"}


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
