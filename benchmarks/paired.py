"""What every cell of a study changes against its control, paired by seed: python benchmarks/paired.py FOLDER LAYER.

Points of accuracy lost; then mean and spread of RSV over the units of one layer, and their mean synergy. Each with its
95 % interval (Student's t over seeds).
"""

from __future__ import annotations

import sys

import chiasm
from chiasm.report.harvest import harvest
from chiasm.report.intervals import Estimate, difference

QUANTITIES = {"rsv_mean": (-2, 2), "rsv_sd": (-1, 1), "synergy_mean": (-1, 1)}


def told(made: Estimate | None, digits: int = 3) -> str:
    """An estimate and its ends, or a dash."""
    if made is None or made.low is None or made.high is None:
        return f"{'-':>24}"
    return f"{f'{made.mean:+.{digits}f} [{made.low:+.{digits}f}, {made.high:+.{digits}f}]':>24}"


def main(folder: str, layer: str) -> None:
    """Print one line a cell."""
    outcomes = harvest(chiasm.load(folder))
    wide = max(len(cell.label) for cell in outcomes)
    print("".join([f"{layer:{wide}}", *(f"  {x:>24}" for x in ("points lost", *QUANTITIES))]))
    for cell in outcomes:
        control = outcomes.control(cell)
        if control is None or control is cell:
            continue
        changes = [
            difference(cell.layer(layer, name), control.layer(layer, name), bounds)
            for name, bounds in QUANTITIES.items()
        ]
        print("  ".join([f"{cell.label:{wide}}", told(outcomes.cost(cell), 1), *map(told, changes)]))


if __name__ == "__main__":
    main(*sys.argv[1:3])
