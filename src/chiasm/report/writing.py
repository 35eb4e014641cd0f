"""Writing a report: the page and its figures, each file whole or not at all."""

from __future__ import annotations

from pathlib import Path

from chiasm.errors import ChiasmError
from chiasm.files import write_whole
from chiasm.pictures.page import written
from chiasm.pictures.style import theme
from chiasm.report.comparison.comparison import Comparison
from chiasm.report.comparison.panels import panels as theory_panels
from chiasm.report.comparison.section import comparison_of, write_predictions
from chiasm.report.figures import figures, first_screen, main_cells
from chiasm.report.finding import Finding
from chiasm.report.page import page
from chiasm.report.published.pairing import pairings
from chiasm.report.published.panels import panels as published_panels
from chiasm.report.published.section import published_section
from chiasm.report.read_results import read_results
from chiasm.report.reading import reading
from chiasm.report.slider import slider
from chiasm.study.results import Results
from chiasm.study.spec import Study, shipped


def write_report(results: Results, folder: str | Path) -> Path:
    """Write the report of a study: one self-contained HTML file, and its figures as SVG and PNG.

    Equal results give equal bytes: no date, no timing, no random ids.

    Args:
        results: the study's results; arms of any role may be missing, seeds may be one, runs may have diverged.
        folder: where report.html and figures/ go; made if it is not there.

    Returns:
        The path of report.html.

    Raises:
        ChiasmError: for results without a single run, or a folder that cannot be written.

    Example:
        >>> import chiasm, tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     results = chiasm.run("smoke", folder, report=False, progress=False)
        ...     write_report(results, Path(folder)).name
        'report.html'
    """
    folder = Path(folder)
    outcomes = read_results(results)
    if not outcomes.cells:
        raise ChiasmError(f"study '{results.study.name}' has no results to report: its table is empty")
    theory = comparison_of(results)
    beside = pairings(results, outcomes)
    panels = figures(results, outcomes) | {
        "theory": theory_panels(theory) if isinstance(theory, Comparison) else [],
        "published": published_panels(results, outcomes, beside),
    }
    with theme():
        drawn = {key: [written(panel, folder) for panel in some] for key, some in panels.items()}
    shown = [(name, cell) for name, cell in main_cells(outcomes) if name != "latest onset"]
    moving = slider(results, outcomes, shown)
    published = published_section(results, outcomes, beside, drawn["published"])
    first = first_screen(panels)
    again = command(results.study)
    html = page(results, outcomes, reading(outcomes), drawn, first, moving, again, theory, published)
    if isinstance(theory, Comparison):
        write_predictions(theory, folder)
    path = folder / "report.html"
    write_whole(path, html.encode())
    return path


def findings(results: Results) -> list[Finding]:
    """Read a study's results in plain words: one finding a topic, the verdict on a critical period first."""
    return reading(read_results(results))


def command(study: Study) -> str:
    """Return the command that makes the study's results again: by name where the package ships it unchanged."""
    if study.name in shipped():
        own = Study.load(study.name)
        if own.to_toml() == study.to_toml():
            return f"chiasm run {study.name} --out DIR"
        if Study.load(study.name, seeds=study.seeds).to_toml() == study.to_toml():
            return f"chiasm run {study.name} --seeds {study.seeds} --out DIR"
    return "chiasm run study.toml --out DIR    # study.toml lies beside this page, and below"
