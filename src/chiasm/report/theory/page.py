"""The page of a study of theory: what was computed, what it shows, its pictures and its numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html import escape
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from chiasm.errors import ChiasmError
from chiasm.pictures.style import Panel, png, svg, theme
from chiasm.report.frame import asset, bullets, frame, gallery, item
from chiasm.study.files import write_whole

#: The room that draws and reads each kind.
ROOMS = {
    "linear-modes": "mode",
    "linear-pathways": "pathway",
    "linear-fusion": "fusion",
    "matrix-completion": "completion",
}


def write_theory(kind: str, question: str, settings: Mapping[str, Any], result: Any, folder: Path) -> list[str]:
    """Write report.html, figures/ as SVG and PNG, and results.parquet; each whole or not at all, the page last.

    Args:
        kind: of the study.
        question: what it asks; the page's heading.
        settings: plain values by name.
        result: what the study's `run` returned.
        folder: where the files go; made if it is not there.

    Returns:
        What was found, a sentence each.

    Raises:
        ChiasmError: a folder that cannot be written, or that holds a study that was trained.
    """
    check_folder(folder)
    module = import_module(f"chiasm.report.theory.{ROOMS[kind]}.page")
    findings: list[str] = module.findings(result)
    frames = result.frame()
    tables: dict[str, pl.DataFrame] = frames if isinstance(frames, dict) else {"results": frames}
    # All of it is made before any of it is written: what cannot be drawn leaves the folder as it was.
    files: dict[str, bytes] = {}
    for name, table in tables.items():
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        files[f"{name}.parquet"] = buffer.getvalue()
    drawn: list[tuple[Panel, str]] = []
    with theme():
        for panel in module.panels(result):
            drawn.append((panel, svg(panel.figure)))
            files[f"figures/{panel.name}.svg"] = drawn[-1][1].encode()
            files[f"figures/{panel.name}.png"] = png(panel.figure)
    files["report.html"] = _page(kind, question, settings, findings, drawn, list(tables)).encode()
    for name, content in files.items():
        write_whole(folder / name, content)
    return findings


def check_folder(folder: Path) -> None:
    """Raise a ChiasmError where a folder holds a study that was trained: its files have the same names."""
    if (folder / "study.toml").exists() or (folder / "store").exists():
        raise ChiasmError(f"'{folder}' holds a study that chiasm run has trained; choose another --out")


def _page(
    kind: str,
    question: str,
    settings: Mapping[str, Any],
    findings: Sequence[str],
    drawn: Sequence[tuple[Panel, str]],
    tables: Sequence[str],
) -> str:
    told = bullets(findings)
    rows = "\n".join(item(key, _plain(value)) for key, value in settings.items())
    files = ", ".join(f"{name}.parquet" for name in tables)
    sections = [
        ("reading", "What the theory says", told),
        ("figures", "Pictures", gallery(drawn)),
        ("settings", "Settings", f'<ul class="reading">\n{rows}\n</ul>\n<p>Every number is in {escape(files)}.</p>'),
    ]
    footer = f"Made by chiasm {escape(version('chiasm'))}: chiasm theory {escape(kind)}"
    style = asset("page.css") + asset("measured.css")
    return frame(kind, "chiasm theory", question or kind, sections, footer, style=style)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
