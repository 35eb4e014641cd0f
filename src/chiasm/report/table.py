"""The table of the numbers: one row a cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chiasm.objectives import Outcome
from chiasm.pictures.table import Entry, PageTable, RowGroup, between
from chiasm.pictures.words import number
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import SCHEDULES, pair_words
from chiasm.report.study_outcomes import StudyOutcomes

#: Layers that the table names.
LAYERS = 3


def numbers_table(outcomes: StudyOutcomes) -> PageTable:
    """Return the table: the final outcome, the loss against the paired control, RSV, synergy, dead units.

    Of three sources or more RSV compares the first two, and the shares of total effects of all stand beside it.
    """
    layers = outcomes.layers[:LAYERS]
    first = outcomes.sources[0] if outcomes.sources else "first source"
    of_two = pair_words(outcomes.sources)
    shared = outcomes.sources if len(outcomes.sources) > 2 else ()
    heads = [["seeds"], *_outcome_heads(outcomes.outcome)]
    for layer in layers:
        name = layer or "the output"
        heads.append([f"mean RSV{of_two}, {name}", f"+1: {first} only"])
        heads += [[f"share of {source}, {name}", "% of total effects"] for source in shared]
        heads += [[f"synergy, {name}", "% of variance"], [f"dead units, {name}"]]

    def row(cell: CellOutcome) -> list[Entry]:
        digits = outcomes.outcome.quantity.digits
        bad = [f"{len(cell.diverged)} diverged"] if cell.diverged else []
        bad += [f"{len(lost)} collapsed"] if (lost := outcomes.collapsed(cell)) else []
        entries = [
            Entry(str(len(cell.scores())), bad=", ".join(bad)),
            between(outcomes.mean_score(cell), digits),
            Entry() if cell.lone else between(outcomes.cost(cell), digits),
        ]
        for layer in layers:
            entries.append(between(cell.mean_layer(layer, "rsv_mean", (-1, 1)), 2, sign=True))
            entries += [_share(cell, layer, f"share_mean {source}") for source in shared]
            entries += [_share(cell, layer, "synergy_mean"), _dead(cell, layer)]
        return entries

    return by_arm("Table of the numbers", outcomes, heads, row)


def by_arm(
    label: str,
    outcomes: StudyOutcomes,
    heads: Sequence[Sequence[str]],
    row: Callable[[CellOutcome], Sequence[Entry]],
) -> PageTable:
    """Return a table with a row a cell, under the name of its arm.

    Args:
        label: of the table.
        outcomes: the cells.
        heads: of the columns after the first two, which name the cell and its learning rate.
        row: the entries of those columns.
    """
    groups = []
    for arm in dict.fromkeys(cell.arm for cell in outcomes):
        rows = []
        for cell in (c for c in outcomes if c.arm == arm):
            note = f"tested with {cell.lone} alone" if cell.lone else ""
            name = outcomes.short(cell) or str(cell.timeline)
            schedule = SCHEDULES.get(cell.clock, cell.clock)
            rows.append([Entry(name, note=note, title=f"{cell.label}: {cell.timeline}"), Entry(schedule), *row(cell)])
        groups.append(RowGroup(rows, f"{arm}: {outcomes.titles[arm]}" if arm in outcomes.titles else arm))
    return PageTable(label, [["run"], ["learning rate"], *heads], groups, words=2)


def _outcome_heads(outcome: Outcome) -> list[list[str]]:
    label, worse = outcome.quantity.label, "drop" if outcome.higher_is_better else "rise"
    named = ((label, outcome.quantity.unit), (worse, outcome.difference or outcome.quantity.unit))
    return [[", ".join(filter(None, pair))] for pair in named]


def _share(cell: CellOutcome, layer: str, quantity: str) -> Entry:
    mean = cell.mean_layer(layer, quantity, (0, 1))
    return between(None if mean is None else mean.scaled(100), 0)


def _dead(cell: CellOutcome, layer: str) -> Entry:
    dead, units = (list(cell.layer(layer, name).values()) for name in ("dead", "units"))
    if not dead:
        return Entry()
    of = f" of {number(units[0], 0)}" if units else ""
    return Entry(f"{number(sum(dead) / len(dead), 1)}{of}")
