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
        ChiasmError: a folder that cannot be written.
    """
    module = import_module(f"chiasm.report.theory.{ROOMS[kind]}.page")
    findings: list[str] = module.findings(result)
    frames = result.frame()
    tables: dict[str, pl.DataFrame] = frames if isinstance(frames, dict) else {"results": frames}
    for name, table in tables.items():
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        write_whole(folder / f"{name}.parquet", buffer.getvalue())
    drawn: list[tuple[Panel, str]] = []
    with theme():
        for panel in module.panels(result):
            drawn.append((panel, svg(panel.figure)))
            write_whole(folder / "figures" / f"{panel.name}.svg", drawn[-1][1].encode())
            write_whole(folder / "figures" / f"{panel.name}.png", png(panel.figure))
    page = _page(kind, question, settings, findings, drawn, list(tables))
    write_whole(folder / "report.html", page.encode())
    return findings


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
