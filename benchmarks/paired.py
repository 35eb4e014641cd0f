"""What every cell of a study changes against its control, paired by seed: python benchmarks/paired.py FOLDER LAYER.

Points of accuracy, mean RSV and mean synergy of one layer, each with its 95 % interval (Student's t over seeds).
"""

from __future__ import annotations

import sys

import chiasm
from chiasm.report.harvest import harvest
from chiasm.report.intervals import Estimate, difference


def told(made: Estimate | None) -> str:
    """An estimate and its ends, or a dash."""
    if made is None or made.low is None or made.high is None:
        return f"{'-':>24}"
    return f"{made.mean:+.3f} [{made.low:+.3f}, {made.high:+.3f}]"


def main(folder: str, layer: str) -> None:
    """Print one line a cell."""
    outcomes = harvest(chiasm.load(folder))
    print(f"{'cell':48} points of accuracy lost    mean RSV of {layer}    synergy")
    for cell in outcomes:
        control = outcomes.control(cell)
        if control is None or control is cell:
            continue
        synergy = difference(cell.layer(layer, "synergy_mean"), control.layer(layer, "synergy_mean"), (-1, 1))
        print(f"{cell.label:48} {told(outcomes.cost(cell))}  {told(outcomes.shift(cell, layer))}  {told(synergy)}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
