"""The command line: words in, words out. Every mistake is one sentence on standard error and exit status 2."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from rich.console import Console

    from chiasm.study.plan import Plan
    from chiasm.study.spec import Study

INTERRUPTED = 130  # what shells expect after Ctrl-C


@dataclass
class Run:
    """Run a study; what its folder already holds is not computed again, an interrupted one goes on."""

    study: tyro.conf.Positional[str]
    """Name of a shipped study ("chiasm studies" lists them), or path of a study file (.toml)."""
    out: Path | None = None
    """Folder for results, report and store; runs/<name of the study> by default."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """key=value, overrides a setting of the study, for instance training.lr=0.02; may be given several times."""
    seeds: int | None = None
    """Number of replicates, instead of the study's."""
    rows: int = 32
    """How many runs train at once in a process; changes the time, never the numbers."""
    workers: int | None = None
    """How many processes; one a processor by default, where the work is worth it."""
    threads: int = 1
    """How many threads a process computes with; more pay for a single large run."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    store: Path | None = None
    """Folder of the nodes, where several studies are to share them; OUT/store by default."""
    dry_run: bool = False
    """Print the plan and what it will cost; train nothing, write nothing."""
    report: bool = True
    """Write report.html and figures."""


@dataclass
class Report:
    """Write the report of a finished study anew."""

    folder: tyro.conf.Positional[Path]
    """The study's folder."""


@dataclass
class Measure:
    """Ask a model which unit listens to which source, and which need several; writes a small report."""

    model: tyro.conf.Positional[str]
    """package.module:name of a function or class that makes the model without arguments; the current folder counts."""
    data: Path
    """npz file (or folder of .npy files) of arrays (samples, ...), one a source; "text.ids", "text.mask" are parts."""
    layers: tuple[str, ...]
    """Layers, as model.named_modules() names them; "" is the output, "encoder:0" a part of one."""
    out: Path
    """Folder for report.html, figures/, units.parquet and measurement.npz."""
    weights: Path | None = None
    """Weights of the model: a safetensors file, or what torch.save(model.state_dict(), file) wrote."""
    sources: tuple[str, ...] = ()
    """Which arrays are sources; all but the target by default."""
    target: str | None = None
    """Array of class labels, for --pairing within_class; with it, usable bits of each source are told as well."""
    pairing: Literal["product", "within_class", "local"] = "product"
    """What the sources are paired with: any sample, one of the same class, variants of the same sample."""
    anchors: int | None = None
    """Samples of each source to use; 4096 by default, or all."""
    precision: float | None = None
    """The standard error of RSV that is wanted, 0.05 for instance; tells how many anchors to use."""
    per: Literal["channel", "position"] = "channel"
    """Units of maps and tokens: channels averaged over places, or each place."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    seed: int = 0
    """Of the draw of anchors."""


@dataclass
class Theory:
    """Compute exact dynamics of linear networks of several sources, and write a page with pictures."""

    study: tyro.conf.Positional[str]
    """Name of a study of theory ("chiasm studies" lists them), or path of a file (.toml)."""
    out: Path | None = None
    """Folder for report.html, figures/ and the tables; runs/<name> by default."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """key=value, overrides a setting; may be given several times."""


@dataclass
class Studies:
    """List the studies that ship with the package."""


@dataclass
class Doctor:
    """Say which versions, device and threads are in use, what is installed, what is not and how to get it."""


Command = (
    Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Measure, tyro.conf.subcommand("measure")]
    | Annotated[Theory, tyro.conf.subcommand("theory")]
    | Annotated[Studies, tyro.conf.subcommand("studies")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit status."""
    command = tyro.cli(
        Command,
        prog="chiasm",
        description="A laboratory bench for critical learning periods in networks that fuse several sources.",
        args=arguments,
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    from chiasm.errors import ChiasmError

    try:
        act(command)
    except ChiasmError as error:
        print(f"chiasm: {error}", file=sys.stderr)
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate" not in str(error) and "memory" not in str(error).lower():
            raise
        print(
            "chiasm: this does not fit into memory; smaller sizes, a smaller --rows, or fewer --anchors would do",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        what = "goes on where it was" if isinstance(command, Run) else "begins anew; nothing is half-written"
        print(f"\nchiasm: interrupted; the same command {what}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: no complaint at exit


def act(command: Run | Report | Measure | Theory | Studies | Doctor) -> None:
    """Do what a parsed command says."""
    match command:
        case Run():
            _run(command)
        case Report():
            from chiasm.api import load

            print(f"report: {load(command.folder).report()}")
        case Measure():
            _measure(command)
        case Theory():
            _theory(command)
        case Studies():
            _studies()
        case Doctor():
            _doctor()


def _run(command: Run) -> None:
    from chiasm.api import run
    from chiasm.study.spec import Study
    from chiasm.training import first_rank

    study = Study.load(command.study, command.set, command.seeds)
    out = command.out or Path("runs") / study.name
    if command.dry_run:
        _dry_run(study, command, out)
        return
    results = run(
        study,
        out,
        rows=command.rows,
        workers=command.workers,
        threads=command.threads,
        device=command.device,
        store=command.store,
        report=command.report,
    )
    if not first_rank():
        return
    from chiasm.report import findings

    for finding in findings(results):
        print(fill(f"- {finding.text}", 100, subsequent_indent="  "))
    print(f"results: {out / 'results.parquet'}")
    if command.report:
        print(f"report: {out / 'report.html'}")


def _measure(command: Measure) -> None:
    from chiasm.api import measure_files
    from chiasm.study.run import pick_device

    told = measure_files(
        command.model,
        command.data,
        command.layers,
        command.out,
        weights=command.weights,
        sources=command.sources,
        target=command.target,
        pairing=command.pairing,
        anchors=command.anchors,
        precision=command.precision,
        per=command.per,
        device=pick_device(command.device).type,
        seed=command.seed,
        progress=True,
    )
    for line in told:
        print(fill(line, 100, subsequent_indent="  "))
    print(f"measurement: {command.out / 'measurement.npz'}")
    print(f"report: {command.out / 'report.html'}")


def _theory(command: Theory) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from chiasm.api import theory_files

    out = command.out or Path("runs") / Path(command.study).stem
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("integrating", total=1.0)
        told = theory_files(command.study, out, command.set, lambda done: bar.update(task, completed=done))
    for line in told:
        print(fill(f"- {line}", 100, subsequent_indent="  "))
    print(f"report: {out / 'report.html'}")


def _dry_run(study: Study, command: Run, out: Path) -> None:
    from chiasm.study.estimate import estimate
    from chiasm.study.plan import make_plan
    from chiasm.study.run import check_counts, check_folder, pick_device
    from chiasm.study.store import Store

    device = pick_device(command.device)
    check_counts(command.rows, command.workers, command.threads)
    check_folder(out, study)
    plan = make_plan(study, device.type)
    store = Store(command.store or out / "store")
    missing = {key for key in plan.nodes if not store.path(key).exists()}
    left = sum(node.leg.stop - node.leg.start for key, node in plan.nodes.items() if node.leg and key in missing)
    cost = estimate(plan, missing, command.rows, command.workers, command.threads, device)
    console = _console()
    console.print(f"study {study.name}: {study.question}", markup=False)
    console.print(_plan_table(plan))
    saved = 1 - plan.epochs / max(plan.naive_epochs, 1)
    console.print(f"runs                        {len(plan.runs)} ({study.seeds} seed{'s' * (study.seeds > 1)})")
    console.print(f"run-epochs without sharing  {plan.naive_epochs}")
    console.print(f"run-epochs with sharing     {plan.epochs} ({saved:.0%} saved)")
    console.print(f"of these still to train     {left}")
    console.print(
        f"estimated time              {_span(cost.seconds)} on {device}, {cost.processes} x {command.rows} rows at once"
    )
    console.print(f"estimated disk              {cost.size / 2**20:.0f} MiB in {store.folder}", markup=False)


def _plan_table(plan: Plan) -> object:
    from rich.markup import escape
    from rich.table import Table

    table = Table("arm")
    for head in ("timeline", "varied"):
        table.add_column(head, overflow="fold")
    table.add_column("cells", justify="right")
    table.add_column("run-epochs a seed", justify="right")
    for arm in plan.study.arms:
        cells = [cell for cell in plan.study.cells() if cell.arm == arm.name]
        varied = "; ".join(f"{name} {', '.join(map(str, v))}" for name, v in {**arm.values, **arm.settings}.items())
        epochs = sum(cell.timeline.epochs for cell in cells)
        table.add_row(*map(escape, (arm.name, arm.timeline, varied, str(len(cells)), str(epochs))))
    return table


def _studies() -> None:
    from chiasm.study.spec import Study, shipped
    from chiasm.study.theories import load_theory, shipped_theories

    wide = max(map(len, (*shipped(), *shipped_theories())))
    for name, path in shipped().items():
        study = Study.load(path)
        print(f"{name:{wide}}  {study.question}")
        print(f"{'':{wide}}  {len(study.cells())} cells, {study.seeds} seeds: chiasm run {name} --out runs/{name}")
    for name in shipped_theories():
        print(f"{name:{wide}}  {load_theory(name)[1]}")
        print(f"{'':{wide}}  theory: chiasm theory {name} --out runs/{name}")


def _doctor() -> None:
    import importlib.util

    import torch

    from chiasm.study.collect import environment

    told = environment("cuda" if torch.cuda.is_available() else "cpu")
    for name, number in told["versions"].items():
        print(f"{name:14} {number}")
    print(f"{'device':14} {told['device']}")
    print(f"{'processors':14} {os.cpu_count()}, a process of one thread for each where a study is worth it")
    gpu = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else "none that torch sees; everything runs on the CPU"
    )
    print(f"{'GPU':14} {gpu}")
    for module, package, use in (
        ("sklearn", "scikit-learn", "the task 'digits'"),
        ("matplotlib", "matplotlib", "the report"),
        ("pytorch_lightning", "pytorch-lightning", "chiasm.adapters.lightning"),
        ("transformers", "transformers accelerate", "chiasm.adapters.transformers"),
        ("PIL", "pillow", "the task 'halves' with a folder of pictures"),
        ("datasets", "datasets", "the task 'halves' with format = 'hf'"),
    ):
        there = importlib.util.find_spec(module) is not None
        print(f"{package:14} {'installed' if there else f'missing: pip install {package}'} ({use})")


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    main()
