"""What it costs to begin: importing chiasm beyond torch, and `chiasm --help`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

REPEATS = 7


def seconds(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Time whole processes, in turn, and print medians."""
    chiasm = str(Path(sys.executable).with_name("chiasm"))
    whole = "import chiasm\nfor name in chiasm.__all__: getattr(chiasm, name)"
    commands = {
        "torch": (sys.executable, "-c", "import torch"),
        "chiasm": (sys.executable, "-c", "import torch, chiasm"),
        "everything": (sys.executable, "-c", f"import torch\n{whole}"),
        "help": (chiasm, "--help"),
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(REPEATS):
        for name, command in commands.items():
            times[name].append(seconds(*command))
    median = {name: statistics.median(found) for name, found in times.items()}
    print(f"import torch                                         {median['torch']:6.2f} s")
    print(f"import chiasm beyond it (wanted < 0.3 s)             {median['chiasm'] - median['torch']:6.2f} s")
    print(f"every public name beyond it                          {median['everything'] - median['torch']:6.2f} s")
    print(f"chiasm --help (wanted < 1.5 s)                       {median['help']:6.2f} s")


if __name__ == "__main__":
    main()
