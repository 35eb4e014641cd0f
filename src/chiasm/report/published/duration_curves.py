"""Curves over the length of the deficit, there and here, on one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from chiasm.pictures.style import HEIGHT, MUTED, PAPER, axes_on, canvas, dodge, legend, rules
from chiasm.report.published.pairing import Pairing
from chiasm.statistics import Estimate

DASHED = (0, (4, 2.5))


@dataclass(frozen=True)
class DurationCurve:
    """One quantity over lengths, there and here.

    Attributes:
        label: what the legend says of it; empty where there is only one.
        there: the published points, epochs and values; several where single runs were published, else one.
        here: ours, epochs of the published deficit and estimates.
        colour: of ours.
        published: of the paper's.
        marker: of ours.
    """

    label: str
    there: Sequence[tuple[Sequence[float], Sequence[float]]]
    here: Sequence[tuple[float, Estimate]]
    colour: str
    published: str = MUTED
    marker: str = "o"


def duration_curves(
    pair: Pairing, drawn: Sequence[DurationCurve], title: str, ylabel: str, ylim: tuple[float, float], zero: bool
) -> Figure:
    """Draw quantities over lengths: the paper dashed with open markers, its single runs thin; ours filled.

    Args:
        pair: whose lengths are on the axis.
        drawn: the quantities.
        title: above the axes.
        ylabel: with its unit.
        ylim: of the y axis.
        zero: whether 0 is marked.
    """
    handles = _handles(drawn)
    lines = math.ceil(len(handles) / 2)
    figure = canvas(HEIGHT + 0.2 * lines)
    axes = axes_on(figure, bottom=0.56 + 0.22 * lines)
    unit = 100 / pair.published.longest if pair.scaled else 1.0
    span = unit * pair.published.longest
    if zero:
        axes.axhline(0, color=MUTED, linewidth=0.8, zorder=0)
    for curve, shift in zip(drawn, dodge(len(drawn), 0.018 * span), strict=True):
        _there(axes, curve, unit)
        _here(axes, curve, unit, shift, 0.008 * span)
    axes.set_xlim(-0.06 * span, 1.06 * span)
    axes.set_ylim(*ylim)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 3, 4, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    rules(axes)
    axes.set_title(title, x=0, y=1)
    axes.set_xlabel("share of the longest deficit (%)" if pair.scaled else "length of the deficit (epochs)")
    axes.set_ylabel(ylabel)
    legend(figure, handles, columns=2)
    return figure


def extent(drawn: Sequence[DurationCurve], zero: bool) -> tuple[float, float]:
    """Return the y range that shows every number of some courses, intervals within reason.

    An interval of two or three seeds can be so wide that it would flatten every curve; it may reach beyond the axes.
    """
    solid = [value for curve in drawn for _, values in curve.there for value in values]
    solid += [value for curve in drawn for _, estimate in curve.here for value in estimate.values]
    solid += [0.0] if zero else []
    ends = [e for curve in drawn for _, estimate in curve.here for e in (estimate.low, estimate.high) if e is not None]
    low, high = min(solid), max(solid)
    room = max(high - low, 1e-6)
    low, high = (
        max(min([low, *ends]), low - 0.5 * room),
        min(max([high, *ends]), high + 0.5 * room),
    )
    return low - 0.06 * room, high + 0.06 * room


def _there(axes: Axes, curve: DurationCurve, unit: float) -> None:
    if len(curve.there) > 1:
        for epochs, values in curve.there:
            axes.plot([unit * n for n in epochs], values, "-", color=curve.published, lw=0.7, alpha=0.55, zorder=1)
    if not curve.there:
        return
    epochs = curve.there[0][0]
    means = [math.fsum(column) / len(column) for column in zip(*(values for _, values in curve.there), strict=True)]
    axes.plot(
        [unit * n for n in epochs], means, marker=curve.marker, linestyle=DASHED, color=curve.published, lw=1.3, ms=5,
        mfc=PAPER, mew=1.1, zorder=2,
    )  # fmt: skip


def _here(axes: Axes, curve: DurationCurve, unit: float, shift: float, jitter: float) -> None:
    at = [unit * n + shift for n, _ in curve.here]
    for x, (_, estimate) in zip(at, curve.here, strict=True):
        seeds = [x + 2.6 * jitter + d for d in dodge(estimate.n, jitter / 2)]
        if estimate.n > 1:
            axes.plot(seeds, estimate.values, "o", ms=3.2, mfc="none", mec=curve.colour, mew=0.8, alpha=0.8, zorder=3)
        if estimate.low is not None and estimate.high is not None:
            axes.errorbar(
                [x], [estimate.mean], [[estimate.mean - estimate.low], [estimate.high - estimate.mean]], fmt="none",
                ecolor=curve.colour, elinewidth=1.1, capsize=3, zorder=4,
            )  # fmt: skip
    means = [estimate.mean for _, estimate in curve.here]
    axes.plot(at, means, "-", marker=curve.marker, color=curve.colour, lw=1.5, ms=5.5, zorder=5)


def _handles(drawn: Sequence[DurationCurve]) -> list[Line2D]:
    """The legend: what is dashed and what is filled, and a colour a quantity where there are several."""
    one = drawn[0]
    colour, there = (one.colour, one.published) if len(drawn) == 1 else (MUTED, MUTED)
    runs = max(len(curve.there) for curve in drawn)
    paper = f"paper, mean of {runs} runs" if runs > 1 else "paper"
    handles = [
        Line2D([], [], color=colour, marker=one.marker, markersize=5, label="here, 95 % interval"),
        Line2D([], [], color=there, linestyle=DASHED, marker=one.marker, markersize=5, mfc=PAPER, label=paper),
    ]
    if runs > 1:
        handles.append(Line2D([], [], color=there, lw=0.7, alpha=0.7, label="paper, single runs"))
    if len(drawn) > 1:
        handles += [Line2D([], [], color=c.colour, marker=c.marker, markersize=5, label=c.label) for c in drawn]
    return handles
