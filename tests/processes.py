"""Processes that tests start: waited for by what they do, not by the clock, and gone when the test is over."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")

#: Inherited by every process that comes from this one, however far removed, and into whatever session it goes.
MARK = "CHIASM_TEST_OWNER"
os.environ[MARK] = f"{os.getpid()}-{uuid.uuid4().hex}"

#: Seconds after which a test gives up. A machine that is twenty times too busy does not get there; a deadlock does.
CEILING = 900.0


def start(command: Iterable[str | Path], cwd: Path | None = None, **changes: str) -> subprocess.Popen[str]:
    """Start a command of one thread in a session of its own, its output kept; `changes` are variables it is told."""
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], status: int = 0) -> tuple[str, str]:
    """Wait for a process that must end with this status; returns what it wrote on standard output and error."""
    output, errors = process.communicate(timeout=CEILING)
    assert process.returncode == status, f"status {process.returncode}, not {status}: {errors}"
    return output, errors


def until(happened: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until something has happened, or until a process has ended and it never will."""
    began = time.monotonic()
    while not happened() and (process is None or process.poll() is None):
        assert time.monotonic() - began < CEILING, "what the test waits for does not happen"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not waited for (a zombie) does not."""
    try:
        return (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def descendants(mark: str = MARK) -> list[int]:
    """Return the living processes that inherited our value of a variable; none where there is no /proc to look at."""
    inherited = f"{mark}={os.environ[mark]}".encode()
    pids = []
    for folder in PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile, or belongs to somebody else
            if inherited in (folder / "environ").read_bytes().split(b"\0"):
                pids.append(int(folder.name))
    return pids


def end(pids: Iterable[int]) -> None:
    """Kill processes and wait until they are gone."""
    pids = list(pids)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in pids))
