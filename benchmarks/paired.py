"""What every cell of a study changes against its control, paired by seed: python benchmarks/paired.py FOLDER LAYER.

A cell is held against the run with as many clean epochs and, in a second table, the one that trained for as many
epochs in total. Printed are points of accuracy lost, then what happens to mean and spread of RSV over the units of one
layer and to their mean synergy, then to usable bits with all sources and with each alone (the rest silent), each with
its 95 % interval (Student's t over seeds).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import chiasm
from chiasm.report.outcomes import CellOutcome
from chiasm.report.read_results import read_results
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.statistics import Estimate, difference

QUANTITIES = {"rsv_mean": (-2, 2), "rsv_sd": (-1, 1), "synergy_mean": (-1, 1)}


def written(change: Estimate | None, digits: int = 3) -> str:
    """An estimate and its ends, or a dash."""
    if change is None or change.low is None or change.high is None:
        return f"{'-':>24}"
    return f"{f'{change.mean:+.{digits}f} [{change.low:+.{digits}f}, {change.high:+.{digits}f}]':>24}"


def table(title: str, pairs: Sequence[tuple[CellOutcome, CellOutcome]], layer: str, outcomes: StudyOutcomes) -> None:
    """Print one line a pair of a cell and what it is held against."""
    wide = max(len(cell.label) for cell, _ in pairs)
    conditions, outcome = ("all", *outcomes.sources), outcomes.outcome
    heads = (
        f"{outcome.difference or outcome.quantity.label} lost",
        *QUANTITIES,
        *(f"usable bits, {source}" for source in conditions),
    )
    print("".join([f"{title:{wide}}", *(f"  {x:>24}" for x in heads)]))
    for cell, control in pairs:
        better, worse = (control, cell) if outcome.higher_is_better else (cell, control)
        lost = difference(outcomes.shown(better.scores()), outcomes.shown(worse.scores()))
        changes = [
            difference(cell.layer(layer, name), control.layer(layer, name), bounds)
            for name, bounds in QUANTITIES.items()
        ]
        bits = [difference(cell.other("usable_bits", x), control.other("usable_bits", x)) for x in conditions]
        print(
            "  ".join(
                [
                    f"{cell.label:{wide}}",
                    written(lost, outcome.quantity.digits),
                    *map(written, changes),
                    *(written(x, 2) for x in bits),
                ]
            )
        )


def main(folder: str, layer: str) -> None:
    """Print both tables."""
    outcomes = read_results(chiasm.load(folder))
    for title, against in (("equal clean epochs", outcomes.control), ("equal total epochs", outcomes.as_long)):
        pairs = [(cell, control) for cell in outcomes if cell.duration and (control := against(cell)) is not None]
        if pairs:
            table(f"{layer}, {title}", pairs, layer, outcomes)


if __name__ == "__main__":
    main(*sys.argv[1:3])
