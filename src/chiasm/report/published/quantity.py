"""A quantity there and here, point by point: levels, and changes against no deficit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chiasm.report.outcomes import CellOutcome
from chiasm.report.published.pairing import Pairing, read_at
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.statistics import Estimate, difference, estimate

#: What the paper shows its networks.
SHOWN = ("both", "left", "right")


@dataclass(frozen=True)
class Line:
    """One point.

    Attributes:
        cell: ours.
        there: epochs of the published deficit.
        stands: whether a number was published at that length, rather than read between its neighbours.
        published: the published level; with an interval where several runs were published.
        level: ours.
        published_change: against no deficit; for accuracy what is lost.
        change: ours, paired by seed.
    """

    cell: CellOutcome
    there: float
    stands: bool
    published: Estimate | None
    level: Estimate | None
    published_change: Estimate | None
    change: Estimate | None

    @property
    def apart(self) -> float | None:
        """Our change minus the published one; None where one is missing."""
        if self.change is None or self.published_change is None:
            return None
        return self.change.mean - self.published_change.mean

    @property
    def inside(self) -> bool | None:
        """Whether the published change lies inside the interval of ours; None where there is no such interval."""
        if self.change is None or self.published_change is None or self.change.low is None:
            return None
        return not self.change.excludes(self.published_change.mean)


@dataclass(frozen=True)
class PublishedQuantity:
    """One quantity of a pairing.

    Attributes:
        title: what it is, with its unit, and what its changes are where they are losses.
        digits: to print.
        signed: whether a plus sign is printed before levels.
        losses: whether changes are what is lost, as everywhere in the report for accuracy.
        lines: in order of length.
    """

    title: str
    digits: int
    signed: bool
    losses: bool
    lines: tuple[Line, ...]


def accuracy(pair: Pairing, outcomes: StudyOutcomes) -> PublishedQuantity:
    """Final accuracy in percent, and points lost."""
    paper = pair.published
    levels = () if paper.relative else paper.runs or (paper.accuracy,)
    lines = []
    for cell in pair.cells:
        there = pair.there(cell)
        level = _over_runs([dict(zip(paper.durations, run, strict=True)) for run in levels], there)
        lost = _over_runs([dict(zip(paper.durations, run, strict=True)) for run in paper.drops], there)
        lines.append(
            Line(
                cell,
                there,
                there in paper.durations,
                level,
                outcomes.mean_score(cell),
                lost if cell.duration else None,
                outcomes.cost(cell) if cell.duration else None,
            )
        )
    return PublishedQuantity("accuracy, % (against none: points lost)", 1, False, True, tuple(lines))


def rsv(pair: Pairing, outcomes: StudyOutcomes, layer: str) -> list[PublishedQuantity]:
    """Mean and standard deviation of RSV over the units of a layer; none where nothing was published."""
    histograms = pair.published.rsv
    if not histograms or len(outcomes.sources) != 2:
        return []
    means, sds = {n: h.mean for n, h in histograms.items()}, {n: h.sd for n, h in histograms.items()}
    return [
        _quantity(pair, outcomes, title, there, *_of_layer(outcomes, layer, quantity), bounds, signed)
        for title, there, quantity, bounds, signed in (
            (f"mean RSV, here layer {layer}", means, "rsv_mean", (-1, 1), True),
            ("its spread over units (sd)", sds, "rsv_sd", (0, 1), False),
        )
    ]


def bits(pair: Pairing, outcomes: StudyOutcomes) -> list[PublishedQuantity]:
    """Usable bits with both sources and each alone; none where they are missing there or here."""
    bits_by_length = pair.published.bits
    ours = [cell.other("usable_bits", "all") for cell in pair.cells]
    if not bits_by_length or len(outcomes.sources) != 2 or not any(ours):
        return []
    return [
        _quantity(
            pair,
            outcomes,
            "usable bits, both sources" if shown == "both" else f"usable bits, {source} alone",
            {n: values[shown] for n, values in bits_by_length.items()},
            *_of_source(source),
        )
        for shown, source in zip(SHOWN, ("all", *outcomes.sources), strict=True)
    ]


Value = Callable[[CellOutcome], Mapping[int, float]]
Change = Callable[[CellOutcome, CellOutcome], Estimate | None]


def _of_layer(outcomes: StudyOutcomes, layer: str, quantity: str) -> tuple[Value, Change]:
    return (
        lambda cell: cell.layer(layer, quantity),
        lambda cell, control: outcomes.moved(layer, quantity, {cell: 1, control: -1}),
    )


def _of_source(source: str) -> tuple[Value, Change]:
    def value(cell: CellOutcome) -> Mapping[int, float]:
        return cell.other("usable_bits", source)

    return value, lambda cell, control: difference(value(cell), value(control))


def _quantity(
    pair: Pairing,
    outcomes: StudyOutcomes,
    title: str,
    there: Mapping[int, float],
    value: Value,
    change: Change,
    bounds: tuple[float, float] = (-float("inf"), float("inf")),
    signed: bool = False,
) -> PublishedQuantity:
    lines = []
    for cell in pair.cells:
        at, control = pair.there(cell), outcomes.control(cell)
        level, start = _over_runs([there], at), _over_runs([there], 0)
        moved = None
        if cell.duration and level is not None and start is not None:
            moved = Estimate(level.mean - start.mean, (level.mean - start.mean,))
        ours = change(cell, control) if control is not None and cell.duration else None
        lines.append(Line(cell, at, at in there, level, estimate(list(value(cell).values()), bounds), moved, ours))
    return PublishedQuantity(title, 2, signed, False, tuple(lines))


def _over_runs(runs: Sequence[Mapping[int, float]], there: float) -> Estimate | None:
    read = [read_at(run, there) for run in runs]
    return estimate([value for value in read if value is not None])
