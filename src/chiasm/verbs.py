"""The verbs that need more than one floor: run a study and report on it, load what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from chiasm.errors import ChiasmError
from chiasm.report import write_report
from chiasm.study.results import Results
from chiasm.study.run import ROWS, run_study
from chiasm.study.spec import Study


def run(
    study: str | Path | Study,
    out: str | Path,
    *,
    changes: Sequence[str] = (),
    seeds: int | None = None,
    rows: int = ROWS,
    workers: int | None = None,
    device: str = "auto",
    store: str | Path | None = None,
    report: bool = True,
    progress: bool = True,
) -> Results:
    """Run a study and write its results into a folder.

    What the folder's store already holds is not computed again; an interrupted run goes on where it was, and ends with
    the same bytes as one that was never interrupted.

    Args:
        study: the name of a shipped study, the path of a study file, or a `Study`.
        out: folder for results.parquet, units.npz, study.toml, environment.json, report.html, figures/ and store/.
        changes: "key=value" settings that override the file, for a name or a path.
        seeds: number of replicates, instead of the study's.
        rows: how many runs train at once in a process (2 or more); changes the time, never the numbers.
        workers: how many processes; by default one a processor where the work is worth it. Never changes the numbers.
        device: "cpu", "cuda", or "auto" for a GPU where there is one.
        store: another folder for the nodes, to be shared by studies; `out`/store by default.
        report: whether to write the report.
        progress: whether to show progress on standard error.

    Returns:
        The results, also on disk.

    Raises:
        ChiasmError: an impossible study, or a folder that cannot be used; nothing there is lost.

    Example:
        >>> import chiasm, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     results = chiasm.run("smoke", folder, report=False, progress=False)
        >>> results.frame().filter(final=True, quantity="accuracy", source="all").height
        12
    """
    if isinstance(changes, str):
        changes = [changes]
    if isinstance(study, Study):
        if changes:
            raise ChiasmError("changes apply to a study's name or file; this is a Study already: make another one")
        study = study if seeds is None else Study.from_toml(msgspec.structs.replace(study, seeds=seeds).to_toml())
    elif isinstance(study, str | Path):
        study = Study.load(study, changes, seeds)
    else:
        raise ChiasmError(f"a study is a name, a path or a Study, not a {type(study).__name__}; see Study.from_dict")
    where = Path(store) if store else None
    found = run_study(study, Path(out), rows=rows, workers=workers, device=device, store=where, progress=progress)
    results = replace(found, writer=write_report)
    if report:
        results.report()
    return results


def load(folder: str | Path) -> Results:
    """Return the results that a finished study left in its folder; ChiasmError where there are none or damaged ones."""
    return replace(Results.load(folder), writer=write_report)
