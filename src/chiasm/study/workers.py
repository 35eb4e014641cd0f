"""Many processes, one store: each worker trains its share of the tree, one thread each unless told otherwise.

Two processes of one thread beat one process of two threads (measured: 6.0 against 7.7 ms for a step of 32 small rows),
and a neighbour on the machine costs them little. Whoever trains a node writes the same bits, so all that workers need
to agree on is who does what.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any

import torch

from chiasm.errors import ChiasmError
from chiasm.study.effort import seconds_a_step
from chiasm.study.engine import Engine, Watcher
from chiasm.study.plan import Plan
from chiasm.study.progress import Silent
from chiasm.study.store import Store
from chiasm.training import ALONE, Ranks

#: Lets glibc keep the memory of one step for the next (steps of convolutions are 8 to 20 % shorter); elsewhere ignored.
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}
WORTH_A_PROCESS = 5.0  # seconds of work: about twice what a new process takes to begin


def default_workers(device: torch.device) -> int:
    """Return how many processes to use: one a processor that we may use, or one for a GPU."""
    if device.type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(threads: int) -> dict[str, str]:
    """Return the variables that a worker of so many threads starts with; what the user set of malloc's stays."""
    path = os.pathsep.join(p for p in sys.path if p)
    return {**MALLOC, **os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}


def shares(plan: Plan, missing: set[str], count: int) -> list[list[str]]:
    """Split the missing nodes into `count` shares of about equal work; what grows from one branch stays together.

    Returns:
        Keys of nodes by share, fewer shares where there are fewer branches. Roots are cheap and stand in all of them.
    """
    roots = [key for key, node in plan.nodes.items() if node.parent is None and key in missing]
    branch: dict[str, str] = {}
    work: dict[str, float] = {}
    cost: dict[str, float] = {}  # of an epoch, by what a stack has in common
    for key, node in plan.nodes.items():
        if node.parent is None or node.leg is None:
            continue
        branch[key] = branch.get(node.parent, key)
        if key in missing:
            root = node.path.root
            if root.signature not in cost:
                steps = -(-root.about.train // root.settings.training.batch)
                cost[root.signature] = steps * seconds_a_step(root)
            work[branch[key]] = work.get(branch[key], 0) + (node.leg.stop - node.leg.start) * cost[root.signature]
    count = min(count, max(1, len(work)), max(1, int(sum(work.values()) / WORTH_A_PROCESS)))
    loads = [0.0] * count
    owner: dict[str, int] = {}
    for key in sorted(work, key=lambda key: (-work[key], key)):
        least = loads.index(min(loads))
        owner[key] = least
        loads[least] += work[key]
    return [[*roots, *(k for k, b in branch.items() if k in missing and owner[b] == i)] for i in range(count)]


def train(
    plan: Plan,
    store: Store,
    device: torch.device,
    rows: int,
    workers: int | None,
    watcher: Watcher,
    threads: int = 1,
    ranks: Ranks = ALONE,
) -> Engine:
    """Train what the store lacks, in several processes where that pays, and return the engine that knows all nodes.

    Where torchrun has started several processes (`ranks`), they train every row together instead.
    """
    missing = {key for key in plan.nodes if not store.path(key).exists()}
    parts = shares(plan, missing, workers or default_workers(device)) if ranks.size == 1 else []
    engine = Engine(plan, store, device, rows, watcher, ranks=ranks)
    before = torch.get_num_threads()
    try:
        if device.type == "cpu":
            torch.set_num_threads(threads)
        if len(parts) > 1:
            _Crew(plan, store, device, rows, watcher, threads).work(parts)
            engine.watcher = Silent()  # what is left is to read what the crew wrote
        engine.run()
    finally:
        torch.set_num_threads(before)
    return engine


class _Crew:
    """Worker processes and what they say."""

    def __init__(
        self, plan: Plan, store: Store, device: torch.device, rows: int, watcher: Watcher, threads: int
    ) -> None:
        self.plan, self.watcher = plan, watcher
        self.order: dict[str, Any] = {
            "study": plan.study.to_toml(),
            "store": str(store.folder),
            "device": device.type,
            "rows": rows,
            "threads": threads,
        }
        self.said: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()

    def work(self, parts: Sequence[Sequence[str]]) -> None:
        """Start one process a part and listen until all have ended; end them all when one fails or we are stopped."""
        wanted = {key for part in parts for key in part}
        have = sum(n.leg.stop - n.leg.start for key, n in self.plan.nodes.items() if n.leg and key not in wanted)
        self.watcher.begin(self.plan, have)
        crew = [self._start(i, part) for i, part in enumerate(parts)]
        ends = [run.path.key(run.cell.timeline.epochs) for run in self.plan.runs]
        runs = [sum(key not in wanted for key in ends), *[0] * len(crew)]
        try:
            open_ends = len(crew)
            while open_ends:
                i, told = self.said.get()
                if told is None:
                    open_ends -= 1
                    if crew[i].wait() != 0:
                        told_status = crew[i].returncode
                        raise ChiasmError(f"worker {i} ended with status {told_status}; run the same command again")
                elif "error" in told:
                    raise ChiasmError(told["error"])
                elif "say" in told:
                    self.watcher.say(told["say"])
                else:
                    runs[1 + i] = told["runs"]
                    self.watcher.advance(told["epochs"], sum(runs))
        finally:
            for process in crew:
                process.terminate()
            for process in crew:
                process.wait()
                assert process.stdout is not None
                process.stdout.close()

    def _start(self, i: int, part: Sequence[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "chiasm.study.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(self.order["threads"]),
            text=True,
            process_group=0,  # Ctrl-C is for us alone: we send the crew home
        )
        assert process.stdin is not None
        with process.stdin as order:
            json.dump({**self.order, "part": list(part), "parent": os.getpid()}, order)
        threading.Thread(target=self._listen, args=(i, process.stdout), daemon=True).start()
        return process

    def _listen(self, i: int, lines: IO[str]) -> None:
        try:
            for line in lines:
                told = json.loads(line)
                if isinstance(told, dict):
                    self.said.put((i, told))
        except ValueError:
            pass  # the pipe was closed under us: the crew is being sent home
        self.said.put((i, None))
