"""Writes the page of a theory study: its findings, its figures, its settings and its tables."""

from __future__ import annotations

import io
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from chiasm.errors import ChiasmError
from chiasm.files import write_whole
from chiasm.pictures.frame import asset, bullets, frame, gallery, item
from chiasm.pictures.style import Panel, png, svg, theme
from chiasm.theory.study import TheoryStudy


def write_theory(settings: TheoryStudy, question: str, result: Any, folder: Path) -> list[str]:
    """Write report.html, figures/ as SVG and PNG, and the tables as Parquet files, the page last.

    Args:
        settings: of the study.
        question: heading of the page.
        result: what the study's `run` returned.
        folder: where the files go; created if it does not exist.

    Returns:
        The findings, one sentence each.

    Raises:
        ChiasmError: the folder cannot be written, or holds a trained study.
    """
    check_folder(folder)
    page = settings.page()
    findings: list[str] = page.findings(result)
    frames = result.frame()
    tables: dict[str, pl.DataFrame] = frames if isinstance(frames, dict) else {"results": frames}
    # Everything is drawn before anything is written: a figure that fails leaves the folder as it was.
    files: dict[str, bytes] = {}
    for name, table in tables.items():
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        files[f"{name}.parquet"] = buffer.getvalue()
    drawn: list[tuple[Panel, str]] = []
    with theme():
        for panel in page.panels(result):
            drawn.append((panel, svg(panel.figure)))
            files[f"figures/{panel.name}.svg"] = drawn[-1][1].encode()
            files[f"figures/{panel.name}.png"] = png(panel.figure)
    files["report.html"] = _page(settings, question, findings, drawn, list(tables)).encode()
    for name, content in files.items():
        write_whole(folder / name, content)
    return findings


def check_folder(folder: Path) -> None:
    """Raise a ChiasmError if a folder holds a trained study, whose files have the same names."""
    if (folder / "study.toml").exists() or (folder / "store").exists():
        raise ChiasmError(f"'{folder}' holds a study that chiasm run has trained; choose another --out")


def _page(
    settings: TheoryStudy, question: str, findings: list[str], drawn: list[tuple[Panel, str]], tables: list[str]
) -> str:
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    kind = str(plain["kind"])
    rows = "\n".join(
        item(key, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
        for key, value in plain.items()
    )
    files = ", ".join(f"{name}.parquet" for name in tables)
    sections = [
        ("reading", "What the theory says", bullets(findings)),
        ("figures", "Pictures", gallery(drawn)),
        ("settings", "Settings", f'<ul class="reading">\n{rows}\n</ul>\n<p>Every number is in {escape(files)}.</p>'),
    ]
    footer = f"Made by chiasm {escape(version('chiasm'))}: chiasm theory {escape(kind)}"
    style = asset("page.css") + asset("measured.css")
    return frame(kind, "chiasm theory", question or kind, sections, footer, style=style)
