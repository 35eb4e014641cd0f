"""Writes the page of a theory study: its findings, its figures, its settings and its tables."""

from __future__ import annotations

import io
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from chiasm.errors import ChiasmError
from chiasm.files import write_whole
from chiasm.pictures.page import asset, by_name, numbers, render, shown
from chiasm.pictures.style import png, svg, theme
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
    with theme():
        figures = []
        for panel in page.panels(result):
            document = svg(panel.figure)
            figures.append(shown(panel, document))
            files[f"figures/{panel.name}.svg"] = document.encode()
            files[f"figures/{panel.name}.png"] = png(panel.figure)
            files[f"figures/{panel.name}.csv"] = numbers(panel)
    first = by_name(figures, getattr(page, "FIRST", ())) or figures[:1]
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    files["report.html"] = render(
        "theory.html",
        "chiasm.theory.pages",
        title=plain["kind"],
        kicker="chiasm theory",
        heading=question or plain["kind"],
        style=asset("page.css"),
        script="",
        headline=findings[0],
        findings=findings[1:],
        first=first,
        figures=[figure for figure in figures if figure not in first],
        settings=[(key, _plain(value)) for key, value in plain.items()],
        files=", ".join(f"{name}.parquet" for name in tables),
        kind=plain["kind"],
        version=version("chiasm"),
    ).encode()
    for name, content in files.items():
        write_whole(folder / name, content)
    return findings


def check_folder(folder: Path) -> None:
    """Raise a ChiasmError if a folder holds a trained study, whose files have the same names."""
    if (folder / "study.toml").exists() or (folder / "store").exists():
        raise ChiasmError(f"'{folder}' holds a study that chiasm run has trained; choose another --out")


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
