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
class RunCommand:
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
    executor: str = "local"
    """Who trains the shares of the work: "local" worker processes, "debug" this process, or one of a plug-in."""
    store: Path | None = None
    """Folder of the nodes, where several studies are to share them; OUT/store by default."""
    dry_run: bool = False
    """Print the plan and what it will cost; train nothing, write nothing."""
    report: bool = True
    """Write report.html and figures."""


@dataclass
class ReportCommand:
    """Write the report of a finished study anew."""

    folder: tyro.conf.Positional[Path]
    """The study's folder."""


@dataclass
class MeasureCommand:
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
class TheoryCommand:
    """Compute exact dynamics of linear networks of several sources, and write a page with pictures."""

    study: tyro.conf.Positional[str]
    """Name of a study of theory ("chiasm studies" lists them), or path of a file (.toml)."""
    out: Path | None = None
    """Folder for report.html, figures/ and the tables; runs/<name> by default."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """key=value, overrides a setting; may be given several times."""


@dataclass
class StudiesCommand:
    """List the studies that ship with the package, and the kinds that a study may name."""

    plugins: tuple[str, ...] = ()
    """Modules or files whose kinds are listed too, as a study's key `plugins` names them."""


@dataclass
class DoctorCommand:
    """Say which versions, device and threads are in use, what is installed, what is not and how to get it."""


Command = (
    Annotated[RunCommand, tyro.conf.subcommand("run")]
    | Annotated[ReportCommand, tyro.conf.subcommand("report")]
    | Annotated[MeasureCommand, tyro.conf.subcommand("measure")]
    | Annotated[TheoryCommand, tyro.conf.subcommand("theory")]
    | Annotated[StudiesCommand, tyro.conf.subcommand("studies")]
    | Annotated[DoctorCommand, tyro.conf.subcommand("doctor")]
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
    from chiasm import registry
    from chiasm.errors import ChiasmError

    registry.announce = lambda sentence: print(f"chiasm: {sentence}", file=sys.stderr)
    try:
        act(command)
    except ChiasmError as error:
        print(f"chiasm: {error}", file=sys.stderr)
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate" not in str(error) and "memory" not in str(error).lower():
            raise
        print(
            "chiasm: this does not fit into memory; expected smaller sizes, a smaller --rows, or fewer --anchors",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        what = "goes on where it was" if isinstance(command, RunCommand) else "begins anew; nothing is half-written"
        print(f"\nchiasm: interrupted; the same command {what}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: no complaint at exit


def act(command: Command) -> None:
    """Do what a parsed command says."""
    match command:
        case RunCommand():
            _run(command)
        case ReportCommand():
            from chiasm.api import load

            print(f"report: {load(command.folder).report()}")
        case MeasureCommand():
            _measure(command)
        case TheoryCommand():
            _theory(command)
        case StudiesCommand():
            _studies(command.plugins)
        case DoctorCommand():
            _doctor()


def _run(command: RunCommand) -> None:
    from chiasm.api import run
    from chiasm.study.spec import Study
    from chiasm.training import first_rank

    study = Study.load(command.study, command.set, command.seeds)
    out = command.out or Path("runs") / study.name
    if command.dry_run:
        from chiasm.report.settings import check_report

        check_report(study)
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
        executor=command.executor,
        report=command.report,
    )
    if not first_rank():
        return
    from chiasm.report import findings

    headline, *others = findings(results)
    lines = [f"{headline.verdict}: {headline.text}"]
    lines += [f"present: {finding.text}" for finding in others if finding.verdict == "present"]
    for verdict in ("absent", "unsettled", "not tested"):
        topics = dict.fromkeys(finding.topic for finding in others if finding.verdict == verdict)
        lines += [f"{verdict}: {', '.join(topics)}"] if topics else []
    for line in lines:
        print(fill(f"- {line}", 100, subsequent_indent="  "))
    print(f"results: {out / 'results.parquet'}")
    if command.report:
        print(f"report: {out / 'report.html'}")


def _measure(command: MeasureCommand) -> None:
    from chiasm.api import measure_files
    from chiasm.study.run import pick_device

    lines = measure_files(
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
    for line in lines:
        print(fill(line, 100, subsequent_indent="  "))
    print(f"measurement: {command.out / 'measurement.npz'}")
    print(f"report: {command.out / 'report.html'}")


def _theory(command: TheoryCommand) -> None:
    from contextlib import closing

    from chiasm.api import theory_files
    from chiasm.progress_bar import ProgressBar

    out = command.out or Path("runs") / Path(command.study).stem
    with closing(ProgressBar("integrating", 1)) as bar:
        findings = theory_files(command.study, out, command.set, bar.reach)
    for line in findings:
        print(fill(f"- {line}", 100, subsequent_indent="  "))
    print(f"report: {out / 'report.html'}")


def _dry_run(study: Study, command: RunCommand, out: Path) -> None:
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


def _studies(plugins: tuple[str, ...]) -> None:
    from chiasm.registry import families, load_plugin, summary
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
    from chiasm.report.questions import QUESTIONS  # noqa: F401  (imported, its family is known too)
    from chiasm.study.executors import EXECUTORS  # noqa: F401

    for plugin in plugins:
        load_plugin(plugin)
    for family, registry in sorted(families().items()):
        print(f"\nkinds of {family}")
        for tag, kind in registry.kinds().items():
            whose = "" if kind.__module__.split(".")[0] == "chiasm" else f" (of the plug-in {kind.__module__})"
            print(f"  {tag:18} {summary(kind)}{whose}")


def _doctor() -> None:
    import importlib.util

    import torch

    from chiasm.study.collect import environment

    about = environment("cuda" if torch.cuda.is_available() else "cpu")
    for name, number in about["versions"].items():
        print(f"{name:14} {number}")
    print(f"{'device':14} {about['device']}")
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
