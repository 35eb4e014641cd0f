"""Whether training in bfloat16 changes what a study finds: cifar-blur-small's first arm in both precisions.

Needs CIFAR-10 (CHIASM_DATA). For each cell: what both precisions say, the difference paired by seed with its 95 %
interval (Student's t), and the standard deviation over seeds that it is to be held against.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import chiasm
from chiasm.report.outcomes import CellOutcome
from chiasm.report.read_results import read_results
from chiasm.statistics import difference
from chiasm.study.spec import Study

LAYER = "trunk.stage4"
ARMS = [
    {
        "name": name,
        "role": "duration",
        "timeline": "blur(right, 4) {d} | clean 20",
        "d": [0, 20],
        "training": {"precision": name},
    }
    for name in ("float32", "bfloat16")
]


def asked(seeds: int) -> Study:
    """Return the shipped study with these two arms and so many seeds."""
    small = Study.load("cifar-blur-small", seeds=seeds)
    return Study.from_dict({"name": "precision", "seeds": seeds, **small.sections, "arm": ARMS})


def values(cell: CellOutcome, quantity: str) -> dict[int, float]:
    """Return one number a seed: points of accuracy, or of the last stage's units."""
    if quantity == "accuracy":
        return {seed: 100 * x for seed, x in cell.scores().items()}
    return cell.layer(LAYER, quantity)


def main() -> None:
    """Print a line a cell and quantity."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/precision"))
    parser.add_argument("--store", type=Path, help="a store to share work with")
    options = parser.parse_args()
    outcomes = read_results(chiasm.run(asked(options.seeds), options.out, store=options.store, report=False))
    by = {(cell.arm, cell.timeline.epochs): cell for cell in outcomes}
    print("blurred  quantity        float32  bfloat16  difference, paired           sd over seeds")
    for epochs in (20, 40):
        full, half = by["float32", epochs], by["bfloat16", epochs]
        for quantity in ("accuracy", "rsv_mean", "rsv_sd", "synergy_mean"):
            a, b = values(full, quantity), values(half, quantity)
            change = difference(b, a, (-100, 100))
            written = (
                f"{change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
                if change and change.low is not None
                else "-"
            )
            means = statistics.mean(a.values()), statistics.mean(b.values())
            spread = statistics.stdev(a.values())
            print(f"{epochs - 20:7}  {quantity:14} {means[0]:8.3f}  {means[1]:8.3f}  {written:28} {spread:.3f}")


if __name__ == "__main__":
    main()
