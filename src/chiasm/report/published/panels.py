"""The figures beside the paper: accuracy lost, RSV of every unit, usable bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from chiasm.pictures.style import INK, MARKERS, SOURCES, Panel, theme
from chiasm.pictures.words import count
from chiasm.report.figures import CLOCK_LOOKS
from chiasm.report.phrases import capital, clock_words
from chiasm.report.published.duration_curves import DurationCurve, duration_curves, extent
from chiasm.report.published.histograms import Pair, histograms
from chiasm.report.published.pairing import PLACES, Pairing, rsv_layer
from chiasm.report.published.quantity import SHOWN, PublishedQuantity, accuracy, bits
from chiasm.report.published.sets import PAPER
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.units import live_by_seed, title

if TYPE_CHECKING:
    from chiasm.study.results import Results


def panels(results: Results, outcomes: StudyOutcomes, pairs: Sequence[Pairing]) -> list[Panel]:
    """Draw every figure that there is data for; their names begin with the key of their pairing."""
    drawn = []
    with theme():
        for pair in pairs:
            alike = [other for other in pairs if other.arm == pair.arm]
            drawn += _lost(pair, outcomes, alike)
            drawn += _units(pair, results, outcomes)
            drawn += _bits(pair, outcomes, alike)
    return drawn


def _lost(pair: Pairing, outcomes: StudyOutcomes, alike: Sequence[Pairing]) -> list[Panel]:
    drawn = {other.key: _curve(other, accuracy(other, outcomes)) for other in alike}
    one = drawn[pair.key]
    if not one.here:
        return []
    # One range for the clocks of an arm, so that they compare.
    ylim = extent(list(drawn.values()), True)
    figure = duration_curves(pair, [one], "Accuracy lost", "drop in accuracy (points)", ylim, True)
    paper = pair.published
    caption = f"Against no deficit. {_whose(pair)} {_seeds(one)}{_cut(one, ylim)}"
    if lost := sum(len(cell.diverged) for cell in pair.cells):
        caption += f" {capital(count(lost, 'diverged run'))} in no mean."
    if paper.runs:
        caption += f" In the paper {count(len(paper.runs), 'run')}."
    return [Panel(f"{pair.key}-accuracy", figure, caption, _data([one]))]


def _curve(pair: Pairing, quantity: PublishedQuantity) -> DurationCurve:
    """Points lost, there and here; the point without a deficit is 0 by definition and not drawn for ours."""
    paper = pair.published
    colour, marker = CLOCK_LOOKS.get(pair.clock, (INK, "o"))
    here = [(line.there, line.change) for line in quantity.lines if line.change is not None]
    return DurationCurve("", [(paper.durations, run) for run in paper.drops], here, colour, marker=marker)


def _units(pair: Pairing, results: Results, outcomes: StudyOutcomes) -> list[Panel]:
    layer = rsv_layer(outcomes)
    if layer is None or len(outcomes.sources) != 2:
        return []
    drawn, rows = [], []
    for cell in pair.cells:
        near = pair.histogram(cell)
        by_seed = {seed: rsv for seed, (rsv, _) in live_by_seed(results, layer, cell).items() if rsv.size}
        seeds = tuple(by_seed.values())
        if near is not None and seeds:
            label = f"{cell.duration} ({near[0]})" if pair.scaled else str(cell.duration)
            drawn.append(Pair(label, seeds, near[1]))
            rows += [(cell.duration, s, i, float(v)) for s, rsv in by_seed.items() for i, v in enumerate(rsv)]
    if not drawn:
        return []
    ylabel = "epochs here (paper)" if pair.scaled else "length (epochs)"
    figure = histograms(drawn, outcomes.sources, title("RSV, layer ", layer, ""), ylabel)
    caption = f"Filled: the live units of {count(len(drawn[-1].seeds), 'seed')} here; dashed: the published histogram "
    caption += "of one network, its sign turned. Marks and numbers: means."
    if not layer.endswith(PLACES):
        caption += " Published units are channels at positions; these are not, so compare means rather than widths."
    schema = {"duration": pl.Int64, "seed": pl.Int64, "unit": pl.Int64, "rsv": pl.Float64}
    return [Panel(f"{pair.key}-rsv", figure, f"{caption} {_whose(pair)}", pl.DataFrame(rows, schema, orient="row"))]


def _bits(pair: Pairing, outcomes: StudyOutcomes, alike: Sequence[Pairing]) -> list[Panel]:
    drawn = {other.key: _bit_curves(other, outcomes) for other in alike}
    mine = drawn[pair.key]
    if not any(one.here for one in mine):
        return []
    ylim = extent([one for some in drawn.values() for one in some], False)
    figure = duration_curves(pair, mine, "Usable bits in the end", "usable bits", ylim, False)
    caption = f"{_whose(pair)} {_seeds(mine[0])}{_cut(mine[0], ylim)}"
    return [Panel(f"{pair.key}-bits", figure, caption, _data(mine))]


def _bit_curves(pair: Pairing, outcomes: StudyOutcomes) -> list[DurationCurve]:
    labels = ("both sources", *(f"{source} alone" for source in outcomes.sources))
    looks = zip((INK, *SOURCES[:2]), MARKERS, strict=False)
    bits_by_length = pair.published.bits
    curves = []
    for shown, label, (colour, marker), quantity in zip(SHOWN, labels, looks, bits(pair, outcomes), strict=False):
        there = [(tuple(bits_by_length), [values[shown] for values in bits_by_length.values()])]
        here = [(line.there, line.level) for line in quantity.lines if line.level is not None]
        curves.append(DurationCurve(label, there, here, colour, colour, marker))
    return curves


def _data(curves: Sequence[DurationCurve]) -> pl.DataFrame:
    """The points of curves: a row a length and run; lengths are those of the paper, on whose axis ours are drawn."""
    rows = [
        (curve.label or "accuracy lost", "paper", float(epochs), i, float(value))
        for curve in curves
        for i, (lengths, values) in enumerate(curve.there)
        for epochs, value in zip(lengths, values, strict=True)
    ]
    rows += [
        (curve.label or "accuracy lost", "here", float(epochs), i, value)
        for curve in curves
        for epochs, estimate in curve.here
        for i, value in enumerate(estimate.values)
    ]
    schema = {"series": pl.String, "by": pl.String, "duration": pl.Float64, "run": pl.Int64, "value": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def _whose(pair: Pairing) -> str:
    return f"{PAPER}, {pair.published.source}; here {clock_words(pair.clock)}."


def _seeds(curve: DurationCurve) -> str:
    counts = sorted({estimate.n for _, estimate in curve.here})
    if not counts:
        return "No run here came to its end."
    if counts[-1] < 2:
        return "One seed here: no interval."
    return f"{counts[0]} to {counts[-1]} seeds here." if len(counts) > 1 else f"{counts[0]} seeds here."


def _cut(curve: DurationCurve, ylim: tuple[float, float]) -> str:
    ends = [end for _, estimate in curve.here for end in (estimate.low, estimate.high) if end is not None]
    return " Intervals reach beyond the axes." if any(not ylim[0] <= end <= ylim[1] for end in ends) else ""
