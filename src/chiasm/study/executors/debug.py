"""`debug`: everything in the calling process, where a debugger can follow it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from chiasm.study.engine import Engine
from chiasm.study.executors.executor import Executor, Job


@final
class Debug(Executor):
    """All shares at once in the calling process: slow, and open to a debugger."""

    tag: ClassVar[str] = "debug"

    def execute(self, job: Job, shares: Sequence[Sequence[str]]) -> None:
        wanted = frozenset(key for share in shares for key in share)
        Engine(job.plan, job.store, job.device, job.rows, job.watcher, only=wanted).run()
