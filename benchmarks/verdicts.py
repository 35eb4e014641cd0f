"""How often a report is wrong, and how often it finds what is there: thousands of studies made of noise, read whole.

Prints, per cent of studies: those without any effect whose report says “present”, of the critical period and of any
question; how often an interval of `cost` covers; what is found of true windows; how often a difference that just counts
is called absent; and shapes that look like a window. The draws are fixed: a second run prints the same numbers.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.noisy_studies import (
    AT_THE_MARGIN,
    LAYOUTS,
    SPREADS,
    Scenario,
    Tally,
    at_the_margin,
    early,
    null,
    shapes,
    tally,
)

from chiasm.progress_bar import ProgressBar

NULLS = [(cells, spread, n) for cells in LAYOUTS for spread in [*SPREADS, "two wide"] for n in (2, 3, 5)]
#: Points that an early deficit costs, spread of runs in points, seeds.
WINDOWS = [(cells, *what) for cells in LAYOUTS for what in ((5, 2, 5), (10, 3, 3), (10, 3, 2), (5, 2, 3))]
MARGINS = [(1.0, 2), (1.0, 3), (1.0, 5), (0.5, 5)]
SHAPES = [(name, i) for name, found in shapes().items() for i in range(len(found))]


def scenario(kind: str, at: int) -> Scenario:
    """One of the lists above."""
    if kind == "null":
        return null(*NULLS[at])
    if kind == "window":
        return early(*WINDOWS[at])
    if kind == "margin":
        return at_the_margin(*MARGINS[at])
    name, i = SHAPES[at]
    return shapes()[name][i]


def work(studies: int, job: tuple[str, int]) -> Tally:
    return tally(scenario(*job), max(1, studies // 20 if job[0] == "shape" else studies), job[1])


def main(studies: int = 1000) -> None:
    began = time.perf_counter()
    kinds = {"null": len(NULLS), "window": len(WINDOWS), "margin": len(MARGINS), "shape": len(SHAPES)}
    jobs = [(kind, at) for kind, n in kinds.items() for at in range(n)]
    bar, tallies = ProgressBar("reading studies", len(jobs)), []
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for found in pool.map(partial(work, studies), jobs):
            tallies.append(found)
            bar.advance(1)
    bar.close()
    of = iter(tallies)
    print(f"{studies} studies a row, of a shape {max(1, studies // 20)}; per cent of studies")
    for print_table in (nulls, windows, margins, odd_shapes):
        print_table(of)
    print(
        f"\n{time.perf_counter() - began:.0f} s on {os.cpu_count()} cores of {platform.machine()}, {platform.system()}"
    )


def nulls(of: Iterator[Tally]) -> None:
    print(
        "\nno effect                window: present absent unsettled   any present   cost covered   most often present"
    )
    for (cells, spread, n), found in zip(NULLS, of, strict=False):
        heads = "".join(f"{100 * found.share('window', v):8.1f}" for v in ("present", "absent", "unsettled"))
        often = [(count, about) for (about, verdict), count in found.verdicts.items() if verdict == "present"]
        most = f"{max(often)[1]} {100 * max(often)[0] / found.studies:.1f}" if often else ""
        anywhere, covered = 100 * found.any_present / found.studies, 100 * found.coverage
        print(f"{cells:5}{spread:17}{n} seeds {heads}{anywhere:16.1f}{covered:15.1f}   {most}")


def windows(of: Iterator[Tally]) -> None:
    print("\nan early window            found   absent   cost covered")
    for (cells, points, sd, n), found in zip(WINDOWS, of, strict=False):
        shares = "".join(f"{100 * found.share('window', v):8.1f}" for v in ("present", "absent"))
        print(f"{cells:5}{points:2} points, sd {sd}, {n} seeds {shares}{100 * found.coverage:13.1f}")


def margins(of: Iterator[Tally]) -> None:
    print("\neffects that just count: called absent on average, and of the question most often wrong")
    for (sd, n), found in zip(MARGINS, of, strict=False):
        shares = sorted((100 * found.share(about, "absent"), about) for about in AT_THE_MARGIN)
        mean = sum(share for share, _ in shares) / len(shares)
        print(f"sd {sd}, {n} seeds {mean:8.1f}{shares[-1][0]:8.1f} {shares[-1][1]}")


def odd_shapes(of: Iterator[Tally]) -> None:
    print("\nshapes                 number   window   late   middle: called present, on average and at worst")
    by_name: dict[str, list[Tally]] = {}
    for (name, _), found in zip(SHAPES, of, strict=False):
        by_name.setdefault(name, []).append(found)
    for name, founds in by_name.items():
        texts = []
        for about in ("window", "late", "middle"):
            shares = [100 * found.share(about, "present") for found in founds]
            texts.append(f"{sum(shares) / len(shares):8.1f} {max(shares):.0f}")
        print(f"{name:24}{len(founds):5}{''.join(texts)}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
