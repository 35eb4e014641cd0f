"""The numbers of further probes: usable bits, Fisher information, rank; a table each, one row a cell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from chiasm.intervals import estimate, percents
from chiasm.report.outcomes import CellOutcome, StudyOutcomes
from chiasm.report.table import by_arm, entry

USABLE = (
    "Usable bits are the entropy of the test labels minus the cross entropy of the network's answers, with all "
    "sources, with one alone, or with one at rest: below 0 the network guesses worse than the labels' frequencies do. "
    "A Shapley value is what a source adds, averaged over all orders in which the sources may come; over sources they "
    "add up to what all of them are worth beyond none."
)
FISHER = (
    "The trace of the Fisher information of each part's parameters: how much the answers depend on them. Labels are "
    "drawn from the network, not from the data."
)
RANK = (
    "In how many directions the units of a layer vary together on test samples as they are: the effective rank counts "
    "weak directions too, the participation ratio strong ones. Compare at equal numbers of samples."
)
#: Heads of columns, by quantity.
OF_SOURCES = {
    "usable_bits": "usable bits,<br>{}",
    "shapley_bits": "Shapley value,<br>{}, bits",
    "shapley_accuracy": "Shapley value,<br>{}, points",
}
OF_LAYERS = {
    "effective_rank": "effective rank,<br>{}",
    "participation_ratio": "participation ratio,<br>{}",
    "rank_dead": "dead units,<br>{}",
}


def probes(outcomes: StudyOutcomes) -> Iterator[tuple[str, str, str]]:
    """Yield title, introduction and table (HTML) of each further probe that there are numbers of at the runs' ends."""
    found = dict.fromkeys(pair for cell in outcomes for run in cell.runs for pair in run.others)
    if pairs := [pair for quantity in OF_SOURCES for pair in found if pair[0] == quantity]:
        heads = [OF_SOURCES[quantity].format(escape(_heard(quantity, source))) for quantity, source in pairs]
        yield "Usable information", USABLE, by_arm(outcomes, heads, lambda c: [_of_source(c, *pair) for pair in pairs])
    if parts := _named(outcomes, "fisher_trace"):
        heads = [f"trace,<br>{escape(part)}" for part in parts]
        yield "Fisher information", FISHER, by_arm(outcomes, heads, lambda c: [_trace(c, part) for part in parts])
    if layers := _named(outcomes, "effective_rank"):
        columns = [(layer, quantity) for layer in layers for quantity in OF_LAYERS]
        heads = [OF_LAYERS[quantity].format(escape(layer or "the output")) for layer, quantity in columns]
        yield "Rank", RANK, by_arm(outcomes, heads, lambda c: [_of_layer(c, *column) for column in columns])


def _named(outcomes: StudyOutcomes, quantity: str) -> list[str]:
    """The layers, or parts, that a quantity was measured of."""
    every = (held for cell in outcomes for run in cell.runs for held in run.layers.items())
    return list(dict.fromkeys(name for name, held in every if quantity in held))


def _heard(quantity: str, source: str) -> str:
    lone = quantity == "usable_bits" and source != "all" and not source.startswith("without ")
    return f"{source} alone" if lone else source


def _of_source(cell: CellOutcome, quantity: str, source: str) -> str:
    points = quantity == "shapley_accuracy"
    made = estimate(list(cell.other(quantity, source).values()))
    return entry(percents(made) if points else made, 1 if points else 2, sign=quantity.startswith("shapley"))


def _trace(cell: CellOutcome, part: str) -> str:
    made = cell.mean_layer(part, "fisher_trace", (0, math.inf))
    # Three digits that count: traces of parts and of moments in training lie orders of magnitude apart.
    digits = 2 - math.floor(math.log10(made.mean)) if made is not None and made.mean > 0 else 0
    return entry(made, max(0, digits))


def _of_layer(cell: CellOutcome, layer: str, quantity: str) -> str:
    return entry(cell.mean_layer(layer, quantity, (0, math.inf)), 1)
