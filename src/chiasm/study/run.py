"""Run a study: claim the folder, plan, train what the store lacks, collect and save the results."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from chiasm.errors import ChiasmError
from chiasm.files import write_whole
from chiasm.study.collect import collect
from chiasm.study.engine import check_networks
from chiasm.study.executors import EXECUTORS, Job, train
from chiasm.study.plan import make_plan
from chiasm.study.progress import Silent, watcher_for
from chiasm.study.results import Results
from chiasm.study.spec import Study
from chiasm.study.store import Store
from chiasm.training import joined

ROWS = 32  # runs trained at once: more gave nothing on two cores (0.24 ms a row and step at 32, 0.25 at 64)


def run_study(
    study: Study,
    folder: Path,
    *,
    rows: int = ROWS,
    workers: int | None = None,
    threads: int = 1,
    device: str = "auto",
    store: Path | None = None,
    executor: str = "local",
    progress: bool = False,
) -> Results:
    """Train what the store lacks, collect the results and save them; `chiasm.run` says what the arguments mean.

    Raises:
        ChiasmError: an impossible study, or a folder that cannot be used; nothing there is lost.
    """
    check_counts(rows, workers, threads)
    EXECUTORS[executor]  # an unknown one is refused before anything is written
    where = pick_device(device)
    plan = make_plan(study, where.type)
    check_networks(plan)
    if store is not None and store.exists() and not store.is_dir():
        raise ChiasmError(f"'{store}' is a file; --store needs a folder")
    with joined(where) as (ranks, own):
        if ranks.first:
            claim(folder, study)
        shown = watcher_for(study.name) if progress and ranks.first else Silent()
        with Store(store or folder / "store", say=shown.say) as kept, shown:
            job = Job(plan, kept, own, rows, threads, shown)
            nodes = train(job, workers, executor, ranks).done
        if ranks.first:
            results = collect(plan, nodes, folder, str(where), threads)
            results.save(folder)
        ranks.wait()
        return results if ranks.first else Results.load(folder)


def check_counts(rows: int, workers: int | None, threads: int) -> None:
    """Refuse numbers of rows, workers or threads that cannot be."""
    if threads < 1:
        raise ChiasmError(f"threads = {threads}: one thread or more computes")
    if rows < 2:
        raise ChiasmError(f"rows = {rows}: two rows or more train together")
    if workers is not None and workers < 1:
        raise ChiasmError(f"workers = {workers}: one process or more does the work")


def pick_device(device: str) -> torch.device:
    """Turn "auto", "cpu" or "cuda" into a device that is there; raises ChiasmError for one that is not."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device not in ("cpu", "cuda"):
        raise ChiasmError(f"unknown device '{device}'; known devices: auto, cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ChiasmError("device 'cuda' was asked for, but torch sees no GPU here; expected 'cpu' or 'auto'")
    return torch.device(device)


def claim(folder: Path, study: Study) -> None:
    """Make the folder this study's, once `check_folder` has found nothing against it."""
    other = check_folder(folder, study)
    if other is None or (other.seeds, other.report) != (study.seeds, study.report):
        write_whole(folder / "study.toml", study.to_toml().encode())
    elif not os.access(folder, os.W_OK):
        raise ChiasmError(f"'{folder}' cannot be written: Permission denied; choose another --out")


def check_folder(folder: Path, study: Study) -> Study | None:
    """Refuse a folder that holds another study or something else; return the study that it holds, if any.

    More seeds of the same study are welcome in its folder.
    """
    file = folder / "study.toml"
    try:
        occupied = file.is_file()
        other = Study.load(file, check=False) if occupied else None
    except ChiasmError as error:
        raise ChiasmError(f"'{file}' cannot be understood ({error}); choose another --out, or remove it") from error
    except OSError as error:
        raise ChiasmError(f"'{folder}' cannot be used: {error.strerror}; choose another --out") from error
    if other is not None and (difference := _difference(other, study)):
        raise ChiasmError(
            f"'{folder}' holds another study ({difference}); choose another --out; --store shares the work"
        )
    if folder.exists() and not folder.is_dir():
        raise ChiasmError(f"'{folder}' is a file; --out needs a folder")
    if not occupied and folder.is_dir() and _strange(folder):
        raise ChiasmError(f"'{folder}' is not empty and holds no study; choose another --out, or an empty folder")
    return other


def _strange(folder: Path) -> bool:
    """Whether a folder without a study holds what is not ours; another process may be claiming it just now."""
    names = {path.name for path in folder.iterdir() if path.suffix != ".part"}
    return bool(names) and not names & {"store", "study.toml"}


def _difference(old: Study, new: Study) -> str:
    """Name the first thing in which two studies differ, apart from their seeds; "" where there is none."""
    import tomllib

    ours, theirs = tomllib.loads(new.to_toml()), tomllib.loads(old.to_toml())
    for side in (ours, theirs):
        side.pop("seeds")
        side.pop("report", None)  # no number hangs on it
    return _first_difference(theirs, ours, "")


def _first_difference(old: Any, new: Any, at: str) -> str:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(k for k in new if k not in old)]:
            if difference := _first_difference(old.get(key), new.get(key), f"{at}.{key}" if at else str(key)):
                return difference
        return ""
    if at == "arm" and isinstance(old, list) and isinstance(new, list):
        for before, now in zip(old, new, strict=False):
            if before != now:
                return f"arm '{before.get('name')}' differs"
        return "" if len(old) == len(new) else f"it has {len(old)} arms, not {len(new)}"
    return "" if old == new else f"{at} = {old!r} there, {new!r} here"
