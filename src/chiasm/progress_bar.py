"""A progress bar on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@final
class ProgressBar:
    """A progress bar on standard error, where that is a terminal; elsewhere it shows nothing.

    It appears with the first advance, so that no earlier error is printed below it.

    Args:
        title: what is going on, before the bar.
        total: how much there is to do, in any unit.
        done: how much of it is done already.
        enabled: False shows nothing.
        stays: whether it stays on the terminal when it is closed.
    """

    def __init__(self, title: str, total: float, *, done: float = 0, enabled: bool = True, stays: bool = False) -> None:
        self._title, self._total, self.done, self._enabled, self._stays = title, total, done, enabled, stays
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def advance(self, by: float, detail: str = "") -> None:
        """Show that so much more is done, and a few words behind the bar."""
        self.reach(self.done + by, detail)

    def reach(self, done: float, detail: str = "") -> None:
        """Show that so much is done in all."""
        self.done = done
        if self._enabled and self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            console = Console(stderr=True)
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[detail]}"))
            left = (TextColumn("time left"), TimeRemainingColumn())
            hidden = not console.is_terminal
            self._bar = Progress(*columns, *left, console=console, transient=not self._stays, disable=hidden)
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=max(self._total, 1e-9), detail="")
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, detail=detail)

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        from rich.console import Console

        console = Console(stderr=True) if self._bar is None else self._bar.console
        console.print(sentence, markup=False, highlight=False)

    def close(self) -> None:
        """Take the bar away, or leave it as it stands where it is to stay."""
        if self._bar is not None:
            self._bar.stop()
