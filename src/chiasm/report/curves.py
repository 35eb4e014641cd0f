"""Curves over durations, onsets and epochs: mean and interval over seeds, and every seed as a dot."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from chiasm.objectives import Outcome
from chiasm.pictures.style import (
    CHARACTER,
    HEIGHT,
    INK,
    MUTED,
    SMALLEST_FONT,
    axes_on,
    canvas,
    dodge,
    legend,
    rules,
)
from chiasm.report.outcomes import CellOutcome
from chiasm.statistics import Estimate, estimate

if TYPE_CHECKING:
    import polars as pl

#: Inches that two tick labels need between their middles.
TICK_ROOM = 0.25
#: Characters of a number at the y axis that the usual margin has room for.
FITTING = 5


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes:
        label: what the legend says; empty for none.
        cells: the points, in order of x.
        x: where each point lies.
        value: one number a seed at a point, by seed.
        colour: of line and markers.
        marker: of the means.
    """

    label: str
    cells: Sequence[CellOutcome]
    x: Sequence[float]
    value: Callable[[CellOutcome], Mapping[int, float]]
    colour: str = INK
    marker: str = "o"


@dataclass(frozen=True)
class Level:
    """A horizontal line that a curve is compared with: a control or chance.

    Attributes:
        lines: written beside its right end, below each other.
        estimate: its mean, with an interval or without.
        dotted: whether it is drawn dotted (chance) rather than dashed.
    """

    lines: tuple[str, ...]
    estimate: Estimate
    dotted: bool = False


def chart(
    series: Sequence[Series],
    title: str,
    xlabel: str,
    ylabel: str,
    ylim: tuple[float, float],
    bounds: tuple[float, float],
    levels: Sequence[Level] = (),
) -> Figure:
    """Draw curves into a panel.

    Args:
        series: the curves.
        title: above the axes.
        xlabel: with its unit.
        ylabel: with its unit.
        ylim: range of the y axis.
        bounds: the range that is possible, where intervals are cut.
        levels: horizontal lines.
    """
    named = [one for one in series if one.label]
    lines = math.ceil(len(named) / 2)
    figure = canvas(HEIGHT + 0.2 * lines)
    # Labels of levels stand beside the axes, where they hide nothing.
    longest = max((len(line) for level in levels for line in level.lines), default=0)
    axes = axes_on(figure, right=0.2 + longest * CHARACTER * SMALLEST_FONT / 72, bottom=0.56 + 0.22 * lines)
    everywhere = sorted({x for one in series for x in one.x})
    span = (everywhere[-1] - everywhere[0]) or 1 if everywhere else 1
    shifts = dodge(len(series), 0.02 * span)
    for one, shift in zip(series, shifts, strict=True):
        _draw(axes, one, shift, 0.008 * span, bounds)
    for level in levels:
        _level(axes, level, ylim)
    lost = sorted({x for one in series for x, cell in zip(one.x, one.cells, strict=True) if cell.diverged})
    if lost:
        axes.plot(lost, [ylim[0]] * len(lost), "x", color=INK, ms=7, mew=1.8, clip_on=False, zorder=4)
    y_axis(axes, ylim)
    _x_axis(axes, everywhere, span, axes.get_position().width * figure.get_size_inches()[0])
    rules(axes)
    axes.set_title(title, x=0, y=1)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if named:
        handles = [Line2D([], [], color=s.colour, marker=s.marker, markersize=5, label=s.label) for s in named]
        legend(figure, handles, columns=2 if len(named) > 1 else 1)
    return figure


def curve_data(series: Sequence[Series], x: str, value: str) -> pl.DataFrame:
    """Return the numbers of curves: a row a point and seed, with the names of both columns as given."""
    import polars as pl

    rows = [
        (one.label or "all", float(place), seed, number)
        for one in series
        for place, cell in zip(one.x, one.cells, strict=True)
        for seed, number in one.value(cell).items()
    ]
    schema = {"series": pl.String, x: pl.Float64, "seed": pl.Int64, value: pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def _draw(axes: Axes, one: Series, shift: float, jitter: float, bounds: tuple[float, float]) -> None:
    xs, means, below, above = [], [], [], []
    places: list[float] = []
    dots: list[float] = []
    for x, cell in zip(one.x, one.cells, strict=True):
        values = one.value(cell)
        # Seeds stand to the right of their mean, where its marker does not hide them.
        places += [x + shift + 2.6 * jitter + d for d in dodge(len(values), jitter / 2)]
        dots += values.values()
        over_seeds = estimate(list(values.values()), bounds)
        if over_seeds is not None:
            xs.append(x + shift)
            means.append(over_seeds.mean)
            below.append(0.0 if over_seeds.low is None else over_seeds.mean - over_seeds.low)
            above.append(0.0 if over_seeds.high is None else over_seeds.high - over_seeds.mean)
    axes.plot(places, dots, "o", ms=3.2, mfc="none", mec=one.colour, mew=0.8, alpha=0.8, zorder=2)
    if any(below) or any(above):
        low, high = (
            [m - d for m, d in zip(means, below, strict=True)],
            [m + d for m, d in zip(means, above, strict=True)],
        )
        axes.vlines(xs, low, high, colors=one.colour, linewidth=1.1, zorder=3)
        axes.plot(xs * 2, low + high, "_", color=one.colour, ms=6, mew=1.0, zorder=3)
    axes.plot(xs, means, "-", marker=one.marker, color=one.colour, linewidth=1.5, ms=5.5, zorder=4)


def _level(axes: Axes, level: Level, ylim: tuple[float, float]) -> None:
    style = (0, (1, 2)) if level.dotted else (0, (5, 3))
    axes.axhline(level.estimate.mean, color=MUTED, linewidth=1.0, linestyle=style, zorder=1)
    if not level.dotted:  # wide and light: seen on both sides of a curve that lies on it
        axes.axhline(level.estimate.mean, color=MUTED, alpha=0.22, linewidth=7, solid_capstyle="butt", zorder=0)
    if level.estimate.low is not None and level.estimate.high is not None:
        axes.axhspan(level.estimate.low, level.estimate.high, color=MUTED, alpha=0.14, linewidth=0, zorder=0)
    inside = min(max(level.estimate.mean, ylim[0]), ylim[1])
    place = axes.get_yaxis_transform()
    axes.text(1.02, inside, "\n".join(level.lines), transform=place, ha="left", va="center", color=MUTED)


def _x_axis(axes: Axes, everywhere: Sequence[float], span: float, width: float) -> None:
    if not everywhere:
        return
    pad = 0.06 * span
    axes.set_xlim(everywhere[0] - pad, everywhere[-1] + pad)
    inches = width / (1.12 * span)
    # Both ends have their tick, and from the right on each between them that has room.
    first, kept = everywhere[0], everywhere[-1:]
    for x in reversed(everywhere[1:-1]):
        room = TICK_ROOM if max(x, kept[0]) < 100 else TICK_ROOM + 0.08
        if min(kept[0] - x, x - first) * inches >= room:
            kept = [x, *kept]
    axes.xaxis.set_major_locator(FixedLocator(sorted({first, *kept})))


def y_axis(axes: Axes, ylim: tuple[float, float]) -> None:
    """Set the range and the ticks of a y axis, whose left edge makes room for long numbers."""
    axes.set_ylim(*ylim)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    labels = axes.yaxis.get_major_formatter().format_ticks(list(axes.yaxis.get_majorticklocs()))
    longest = max((len(label) for label in labels), default=0)
    if longest > FITTING:
        figure, box = axes.get_figure(root=True), axes.get_position()
        assert figure is not None
        box.x0 += (longest - FITTING) * CHARACTER * SMALLEST_FONT / 72 / figure.get_size_inches()[0]
        axes.set_position(box)


def axis_label(outcome: Outcome) -> str:
    """What stands at an axis of the outcome: "test accuracy (%)"."""
    unit = outcome.quantity.unit
    return f"test {outcome.quantity.label}" + (f" ({unit})" if unit else "")


def outcome_range(values: Sequence[float], chance: float | None, bounds: tuple[float, float]) -> tuple[float, float]:
    """Return the range of all axes of the outcome in a report, so that they compare.

    Args:
        values: all that is drawn, ends of intervals among them, in the unit that is shown.
        chance: the level of chance; kept in sight where the data come near it.
        bounds: the range that is possible, in that unit: (0, 100) for accuracy; either end may be infinite.
    """
    whole = all(map(math.isfinite, bounds))
    low, high = (min(values), max(values)) if values else bounds if whole else (0.0, 1.0)
    span = bounds[1] - bounds[0] if whole else high - low or abs(high) or 1.0
    if chance is not None and (low - chance if whole else max(low - chance, chance - high)) < 0.3 * span:
        low, high = min(low, chance), high if whole else max(high, chance)
    room = max(0.04 * span, 0.08 * (high - low))
    if whole:  # a whole number of steps, twenty to the range
        step = span / 20
        low = max(bounds[0], bounds[0] + step * math.floor((low - bounds[0] - room / 2) / step))
    else:  # from the least that is possible, where the data come near it
        low = bounds[0] if low - bounds[0] < 0.3 * (high - bounds[0]) else low - room
    return (low - 0.02 * (high - low) if low == bounds[0] else low, min(bounds[1] + 0.02 * span, high + room))
