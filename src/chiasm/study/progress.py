"""How the work goes, for people: runs, epochs, epochs saved, time left."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from chiasm.study.plan import Plan

PLAIN_EVERY = 15.0  # seconds between lines where there is no terminal: a log stays readable


class Silent:
    """Tells nobody, apart from warnings, which go to standard error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def begin(self, plan: Plan, cached: int) -> None:
        """Take note of nothing."""

    def advance(self, epochs: int, runs_done: int) -> None:
        """Take note of nothing."""

    def say(self, sentence: str) -> None:
        """Warn on standard error."""
        print(f"chiasm: {sentence}", file=sys.stderr)


class Bar(Silent):
    """A bar on a terminal."""

    def __init__(self, name: str) -> None:
        self.console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
        self.progress = Progress(*columns, TextColumn("time left"), TimeRemainingColumn(), console=self.console)
        self.name = name
        self.task: TaskID | None = None
        self.plan: Plan | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def begin(self, plan: Plan, cached: int) -> None:
        self.plan = plan
        self.task = self.progress.add_task(self.name, total=max(plan.epochs, 1), completed=cached, told="")
        self.progress.start()
        if cached:
            self.say(f"{cached} of {plan.epochs} run-epochs are in the store already")

    def advance(self, epochs: int, runs_done: int) -> None:
        assert self.task is not None
        assert self.plan is not None
        self.progress.advance(self.task, epochs)
        done = int(self.progress.tasks[0].completed)
        self.progress.update(self.task, told=told(self.plan, done, runs_done))

    def say(self, sentence: str) -> None:
        self.console.print(f"chiasm: {sentence}", markup=False, highlight=False)


class Lines(Silent):
    """A line now and then, where standard error is a file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.last = self.start = time.monotonic()
        self.done = self.new = 0
        self.plan: Plan | None = None

    def begin(self, plan: Plan, cached: int) -> None:
        self.plan, self.done = plan, cached
        self.start = time.monotonic()

    def advance(self, epochs: int, runs_done: int) -> None:
        assert self.plan is not None
        self.done += epochs
        self.new += epochs
        now = time.monotonic()
        over = self.done >= self.plan.epochs
        if (now - self.last > PLAIN_EVERY or over) and epochs:
            self.last = now
            left = (now - self.start) / max(self.new, 1) * (self.plan.epochs - self.done)
            self.say(f"{self.name}: {told(self.plan, self.done, runs_done)}, about {left:.0f} s left")


def told(plan: Plan, epochs: int, runs_done: int) -> str:
    """Say how far a plan is: runs, epochs, and the epochs that sharing saves."""
    saved = plan.naive_epochs - plan.epochs
    return f"runs {runs_done}/{len(plan.runs)}, epochs {epochs}/{plan.epochs}, {saved} saved by sharing"


def watcher_for(name: str) -> Bar | Lines:
    """Return a bar where standard error is a terminal, lines otherwise."""
    return Bar(name) if sys.stderr.isatty() else Lines(name)
