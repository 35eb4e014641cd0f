"""The progress of a study, for people: runs, epochs, epochs saved, time left."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from chiasm.progress_bar import ProgressBar
from chiasm.study.plan import Plan

PLAIN_EVERY = 15.0  # seconds between lines where there is no terminal: a log stays readable


class Silent:
    """Shows nothing, apart from warnings, which go to standard error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def begin(self, plan: Plan, cached: int) -> None:
        """Show nothing."""

    def advance(self, epochs: int, runs_done: int) -> None:
        """Show nothing."""

    def say(self, sentence: str) -> None:
        """Warn on standard error."""
        print(f"chiasm: {sentence}", file=sys.stderr)


class Bar(Silent):
    """Shows a bar on a terminal."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bar = ProgressBar(name, 0, enabled=False)
        self.plan: Plan | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.close()

    def begin(self, plan: Plan, cached: int) -> None:
        self.plan, self.bar = plan, ProgressBar(self.name, plan.epochs, done=cached, stays=True)
        self.bar.reach(cached, progress_text(plan, cached, 0))
        if cached:
            self.say(f"{cached} of {plan.epochs} run-epochs are in the store already")

    def advance(self, epochs: int, runs_done: int) -> None:
        assert self.plan is not None
        self.bar.advance(epochs, progress_text(self.plan, int(self.bar.done) + epochs, runs_done))

    def say(self, sentence: str) -> None:
        self.bar.say(f"chiasm: {sentence}")


class Lines(Silent):
    """Prints a line now and then, where standard error is a file."""

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
            self.say(f"{self.name}: {progress_text(self.plan, self.done, runs_done)}, about {left:.0f} s left")


def progress_text(plan: Plan, epochs: int, runs_done: int) -> str:
    """Say how far a plan is: runs, epochs, and the epochs that sharing saves."""
    saved = plan.naive_epochs - plan.epochs
    return f"runs {runs_done}/{len(plan.runs)}, epochs {epochs}/{plan.epochs}, {saved} saved by sharing"


def watcher_for(name: str) -> Bar | Lines:
    """Return a bar where standard error is a terminal, lines otherwise."""
    return Bar(name) if sys.stderr.isatty() else Lines(name)
