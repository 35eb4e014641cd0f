"""The numbers of further measures of the probe: a table a measure that has a title, one row a cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chiasm.measuring.probe import MEASURES, Measure
from chiasm.pictures.table import Entry, PageTable, between
from chiasm.quantity import Quantity
from chiasm.report.outcomes import CellOutcome
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.table import by_arm
from chiasm.statistics import Estimate, estimate

#: How many times as large as the smallest mean of a quantity the largest may be, to be printed with fixed decimals.
ALIKE = 100


@dataclass(frozen=True)
class Column:
    """One quantity of one source, layer or part; `name` is empty for a whole run, and for a network's output."""

    quantity: Quantity
    name: str

    def mean(self, cell: CellOutcome) -> Estimate | None:
        """The mean over a cell's seeds in the unit that is shown; None where there is no number."""
        quantity = self.quantity
        of_layer = quantity.of == "layer"
        values = (cell.layer(self.name, quantity.name) if of_layer else cell.other(quantity.name, self.name)).values()
        mean = estimate(list(values), (quantity.low, quantity.high))
        return None if mean is None else mean.scaled(quantity.scale)


def probes(outcomes: StudyOutcomes) -> Iterator[tuple[str, str, PageTable]]:
    """Yield title, introduction and table of each further measure that has numbers at the runs' ends."""
    for measure in MEASURES.kinds().values():
        columns = _columns(measure, outcomes) if measure.title else []
        if columns:
            yield measure.title, measure.about, _table(measure.title, columns, outcomes)


def _columns(measure: type[Measure], outcomes: StudyOutcomes) -> list[Column]:
    """The columns that there are numbers for: sources by quantity, and the quantities of a layer side by side."""
    runs = [run for cell in outcomes for run in cell.runs]
    of_sources = [pair for run in runs for pair in run.others]
    of_layers = [(quantity, layer) for run in runs for layer, values in run.layers.items() for quantity in values]
    layered = [quantity for quantity in measure.quantities if quantity.of == "layer"]
    others = [quantity for quantity in measure.quantities if quantity.of != "layer"]
    return [
        *(Column(quantity, name) for quantity in others for name in _names([quantity], of_sources)),
        *(Column(quantity, layer) for layer in _names(layered, of_layers) for quantity in layered),
    ]


def _names(quantities: Iterable[Quantity], pairs: Iterable[tuple[str, str]]) -> list[str]:
    """The sources, or layers, that any of some quantities was measured of."""
    wanted = {quantity.name for quantity in quantities}
    return list(dict.fromkeys(name for quantity, name in pairs if quantity in wanted))


def _table(title: str, columns: list[Column], outcomes: StudyOutcomes) -> PageTable:
    # A quantity that knows "all" is one of what the network answers with these sources; others are of a source itself.
    tested = {column.quantity.name for column in columns if column.name == "all"}
    means = {column: [column.mean(cell) for cell in outcomes] for column in columns}
    wide = {
        quantity
        for quantity in {column.quantity for column in columns}
        if _spread(mean for column in columns if column.quantity == quantity for mean in means[column]) > ALIKE
    }

    def written(column: Column, cell: CellOutcome) -> Entry:
        mean, quantity = column.mean(cell), column.quantity
        digits = quantity.digits
        if mean is not None and mean.mean and quantity in wide:
            # Three digits that count: traces of parts and of moments in training lie orders of magnitude apart.
            digits = max(0, 2 - math.floor(math.log10(abs(mean.mean))))
        return between(mean, digits, sign=quantity.low < 0 and quantity.name not in tested)

    heads = [_head(column, column.quantity.name in tested) for column in columns]
    return by_arm(title, outcomes, heads, lambda cell: [written(column, cell) for column in columns])


def _head(column: Column, tested: bool) -> list[str]:
    quantity, name = column.quantity, column.name
    if quantity.of == "layer":
        name = name or "the output"
    elif tested and name != "all" and not name.startswith("without "):
        name = f"{name} alone"
    unit = "" if quantity.unit in quantity.label.split() else quantity.unit
    below = ", ".join(filter(None, (name, unit)))
    return [f"{quantity.label},", below] if below else [quantity.label]


def _spread(means: Iterable[Estimate | None]) -> float:
    """How many times as large as the smallest the largest is, of the means that are not 0."""
    sizes = [abs(mean.mean) for mean in means if mean is not None and mean.mean]
    return max(sizes) / min(sizes) if sizes else 1.0
