"""`local`: worker processes on this machine, each trains its share of the tree, one thread each unless told otherwise.

Two processes of one thread beat one process of two threads (measured: 6.0 against 7.7 ms for a step of 32 small rows),
and a neighbour on the machine costs them little.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any, ClassVar, final

from chiasm.errors import ChiasmError
from chiasm.study.executors.executor import Executor, Job

#: Lets glibc keep the memory of one step for the next; elsewhere ignored. `benchmarks/malloc.py` measures the gain.
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}


def environment(threads: int) -> dict[str, str]:
    """Return the variables that a worker of so many threads starts with; what the user set of malloc's stays."""
    path = os.pathsep.join(p for p in sys.path if p)
    return {**MALLOC, **os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}


@final
class Local(Executor):
    """Worker processes on this machine, one a share."""

    tag: ClassVar[str] = "local"

    def execute(self, job: Job, shares: Sequence[Sequence[str]]) -> None:
        _Crew(job).work(shares)


class _Crew:
    """Worker processes and their messages."""

    def __init__(self, job: Job) -> None:
        self.plan, self.watcher, self.threads = job.plan, job.watcher, job.threads
        self.order = {
            "study": job.plan.study.to_toml(),
            "store": str(job.store.folder),
            "device": job.device.type,
            "rows": job.rows,
            "threads": job.threads,
        }
        self.messages: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()

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
                i, message = self.messages.get()
                if message is None:
                    open_ends -= 1
                    if crew[i].wait() != 0:
                        raise ChiasmError(
                            f"worker {i} ended with status {crew[i].returncode}; run the same command again"
                        )
                elif "error" in message:
                    raise ChiasmError(message["error"])
                elif "say" in message:
                    self.watcher.say(message["say"])
                else:
                    runs[1 + i] = message["runs"]
                    self.watcher.advance(message["epochs"], sum(runs))
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
            env=environment(self.threads),
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
                message = json.loads(line)
                if isinstance(message, dict):
                    self.messages.put((i, message))
        except ValueError:
            pass  # the pipe was closed under us: the crew is being sent home
        self.messages.put((i, None))
