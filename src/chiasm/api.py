"""The verbs that need more than one floor: run a study and report on it, load what was found.

What draws is imported where it draws, as it takes a second to import.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from chiasm.errors import ChiasmError
from chiasm.loading import load_model, load_sources
from chiasm.measuring import DependentSources, measure
from chiasm.measuring.information.decoding import decode
from chiasm.measuring.measure import Per
from chiasm.measuring.sampling.blocks import Pairing
from chiasm.report.settings import check_report
from chiasm.study.results import Results
from chiasm.study.run import ROWS, run_study
from chiasm.study.spec import Study
from chiasm.study.theories import load_theory
from chiasm.training import first_rank


def run(
    study: str | Path | Study,
    out: str | Path,
    *,
    changes: Sequence[str] = (),
    seeds: int | None = None,
    rows: int = ROWS,
    workers: int | None = None,
    threads: int = 1,
    device: str = "auto",
    store: str | Path | None = None,
    executor: str = "local",
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
        threads: how many threads a process computes with; more pay for a single large run. Numbers are the same at
            equal threads; other threads add up in another order.
        device: "cpu", "cuda", or "auto" for a GPU where there is one.
        store: another folder for the nodes, to be shared by studies; `out`/store by default.
        executor: who trains the shares of the work, where there are several: "local", worker processes on this machine;
            "debug", this process; or the tag of a plug-in's.
        report: whether to write the report.
        progress: whether to show progress on standard error.

    Started several times by torchrun, the processes train every run together, each on its part of every batch, one
    GPU each; all return the results, the first one writes them.

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
    check_report(study)
    where = Path(store) if store else None
    results = run_study(
        study,
        Path(out),
        rows=rows,
        workers=workers,
        threads=threads,
        device=device,
        store=where,
        executor=executor,
        progress=progress,
    )
    results = replace(results, writer=_write_report)
    if report and first_rank():
        results.report()
    return results


def measure_files(
    model: str,
    data: Path,
    layers: Sequence[str],
    out: Path,
    *,
    weights: Path | None = None,
    sources: Sequence[str] = (),
    target: str | None = None,
    pairing: Pairing = "product",
    anchors: int | None = None,
    precision: float | None = None,
    per: Per = "channel",
    device: str = "cpu",
    seed: int = 0,
    progress: bool = False,
) -> list[str]:
    """Measure a model made by a factory on samples from a file, and write a report, figures and the numbers.

    Args as those of `measure`, and of `load_model` and `load_sources`.

    Returns:
        What was found, in words, a line a layer; with a target also the usable bits.

    Raises:
        ChiasmError: in one sentence, what was given and what is expected; nothing is half-written.
    """
    check_writable(out)
    module = load_model(model, weights, device)
    samples, labels = load_sources(data, sources, target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependentSources)  # the summary says it
        measurement = measure(
            module,
            samples,
            layers,
            target=labels if pairing == "within_class" else None,
            pairing=pairing,
            anchors=anchors,
            precision=precision,
            per=per,
            seed=seed,
            progress=progress,
        )
    lines = measurement.summary().splitlines()
    notes = [f"model {model}" + (f", weights {weights}" if weights else ""), f"samples {data}"]
    if labels is not None:
        try:
            bits = decode(module, samples, labels, replace="shuffle", seed=seed).summary().splitlines()
        except ChiasmError as error:  # a model whose output is no class scores, say: what was measured stays
            bits = [f"Usable bits were not measured: {error}"]
        notes += bits
        lines += bits
    out.mkdir(parents=True, exist_ok=True)
    measurement.save(out / "measurement.npz")
    from chiasm.report.measured import write_measured

    write_measured(measurement, out, f"{model.partition(':')[2]}: which unit listens to which source", notes)
    return lines


def theory_files(
    study: str | Path, out: Path, changes: Sequence[str] = (), progress: Callable[[float], None] | None = None
) -> list[str]:
    """Compute a study of theory and write its page, figures and numbers.

    Args:
        study: the name of a shipped one ("linear-modes"), or the path of a file.
        out: folder for report.html, figures/ and the tables.
        changes: "key=value" settings that override the file.
        progress: told the share that is done, from 0 to 1.

    Returns:
        What was found, a sentence each.

    Raises:
        ChiasmError: in one sentence, what was given and what is expected; nothing is half-written.
    """
    from chiasm.theory.pages.writing import check_folder, write_theory

    _, question, settings = load_theory(study, changes)
    check_writable(out)
    check_folder(out)
    result = settings.run(progress)
    return write_theory(settings, question, result, out)


def check_writable(folder: Path) -> None:
    """Raise a ChiasmError where a folder cannot be made or written, before work is put into what goes there."""
    there = folder
    while not there.exists():
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ChiasmError(f"'{folder}' cannot be written; name a folder that can")


def load(folder: str | Path) -> Results:
    """Return the results that a finished study left in its folder; ChiasmError where there are none or damaged ones."""
    return replace(Results.load(folder), writer=_write_report)


def _write_report(results: Results, folder: Path) -> Path:
    from chiasm.report import write_report

    return write_report(results, folder)
