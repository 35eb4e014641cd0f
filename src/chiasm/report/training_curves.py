"""The outcome through training: every seed and their mean, for the cells that stand for the study."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from chiasm.pictures.style import HEIGHT, INK, MUTED, PAPER, Panel, axes_on, canvas, legend, rules
from chiasm.pictures.words import count
from chiasm.report.curves import axis_label, y_axis
from chiasm.report.outcomes import CellOutcome
from chiasm.report.study_outcomes import StudyOutcomes

if TYPE_CHECKING:
    from chiasm.study.results import Results

#: Colours belong to sources; cells are told apart by line and marker. The control lies widest and behind, and its
#: hollow markers on top, so that no curve hides it.
LOOKS = ((MUTED, "o", "-", True), (INK, "s", "-", False), (INK, "^", "--", False))


@dataclass(frozen=True)
class TrainingCurve:
    """A quantity through training: every seed and their mean.

    Attributes:
        label: what the legend says.
        seeds: by seed, the epochs and the values.
        colour: of the lines.
        marker: of the mean, drawn where it is measured.
        style: of the mean's line.
        wide: whether the mean's line is wide and pale, and its markers hollow and on top.
        release: epoch of the last release; None without a deficit.
    """

    label: str
    seeds: Mapping[int, tuple[Sequence[int], Sequence[float]]]
    colour: str
    marker: str
    style: str
    wide: bool
    release: int | None


def through_training(curves: Sequence[TrainingCurve], title: str, ylabel: str, ylim: tuple[float, float]) -> Figure:
    """Draw a quantity through training: thin lines are seeds, thick ones means, a vertical line the release."""
    figure = canvas(HEIGHT + 0.2 * len(curves))
    axes = axes_on(figure, bottom=0.56 + 0.22 * len(curves))
    last = 1
    for curve in curves:
        by_epoch: dict[int, list[float]] = {}
        for epochs, values in curve.seeds.values():
            axes.plot(epochs, values, "-", color=curve.colour, linewidth=0.7, alpha=0.4, zorder=2)
            for epoch, value in zip(epochs, values, strict=True):
                by_epoch.setdefault(epoch, []).append(value)
        complete = {e: v for e, v in sorted(by_epoch.items()) if len(v) == len(curve.seeds)}
        means = [math.fsum(v) / len(v) for v in complete.values()]
        every = max(1, len(complete) // 12)
        looks: dict[str, Any] = {
            "color": curve.colour,
            "linestyle": curve.style,
            "linewidth": _width(curve),
            "zorder": 3,
        }
        marks: dict[str, Any] = {"marker": curve.marker, "markevery": every, "ms": 4}
        if curve.wide:
            axes.plot(list(complete), means, **(looks | {"alpha": 0.5, "zorder": 2.5}))
            looks["linestyle"], marks = "none", marks | {"ms": 6, "mfc": PAPER, "mew": 1.2, "zorder": 4}
        axes.plot(list(complete), means, **(looks | marks))
        if curve.release is not None:
            axes.axvline(curve.release, color=curve.colour, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        last = max([last, *by_epoch])
    axes.set_xlim(-0.02 * last, 1.03 * last)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    y_axis(axes, ylim)
    rules(axes)
    axes.set_title(title, x=0, y=1)
    axes.set_xlabel("epoch")
    axes.set_ylabel(ylabel)
    handles = [
        Line2D([], [], color=t.colour, marker=t.marker, ls=t.style, lw=_width(t), ms=5, label=t.label, mfc=_face(t))
        for t in curves
    ]
    legend(figure, handles)
    return figure


def _face(curve: TrainingCurve) -> str:
    return PAPER if curve.wide else curve.colour


def _width(curve: TrainingCurve) -> float:
    return 3.2 if curve.wide else 1.5


def training_curves(
    results: Results, outcomes: StudyOutcomes, cells: Sequence[tuple[str, CellOutcome]], ylim: tuple[float, float]
) -> Iterator[Panel]:
    """Draw the outcome on test data for some named cells; nothing where it was measured at one epoch only."""
    quantity = outcomes.outcome.quantity
    names = {run.name: (name, run.seed) for name, cell in cells for run in cell.runs if run.diverged is None}
    rows = results.frame().filter(
        (pl.col("quantity") == quantity.name)
        & pl.col("source").fill_null("all").eq("all")
        & pl.col("run").is_in(list(names))
        & pl.col("value").is_finite()
    )
    by_cell: dict[str, dict[int, tuple[list[int], list[float]]]] = {}
    for run, epoch, value in rows.sort("run", "epoch").select("run", "epoch", "value").iter_rows():
        name, seed = names[run]
        epochs, values = by_cell.setdefault(name, {}).setdefault(seed, ([], []))
        epochs.append(epoch)
        values.append(quantity.scale * value)
    drawn = [
        TrainingCurve(_named(name, cell), by_cell[name], *LOOKS[i % len(LOOKS)], cell.timeline.release)
        for i, (name, cell) in enumerate(cells)
        if name in by_cell
    ]
    if max((len(epochs) for curve in drawn for epochs, _ in curve.seeds.values()), default=0) < 2:
        return
    values = [value for curve in drawn for _, numbers in curve.seeds.values() for value in numbers]
    low, high = outcomes.range
    room = 0.02 * (high - low if math.isfinite(high - low) else max(values) - min(values))
    top = max(values)
    ylim = min(ylim[0], min(values) - room), ylim[1] if top <= ylim[1] else top + room
    figure = through_training(drawn, "Through training", axis_label(outcomes.outcome), ylim)
    caption = "Thin lines: single seeds; thick: their mean. Dashed verticals: the release of the deficit."
    numbers_of = [
        (curve.label, seed, epoch, value)
        for curve in drawn
        for seed, measured in curve.seeds.items()
        for epoch, value in zip(*measured, strict=True)
    ]
    schema = {"run": pl.String, "seed": pl.Int64, "epoch": pl.Int64, axis_label(outcomes.outcome): pl.Float64}
    yield Panel("through-training", figure, caption, pl.DataFrame(numbers_of, schema, orient="row"))


def _named(name: str, cell: CellOutcome) -> str:
    """A cell as a legend has room for: what stands for it, and how long its deficit lasts and when it begins."""
    if not cell.duration:
        return name
    onset = f" from epoch {cell.onset}" if cell.onset else ""
    return f"{name}: {count(cell.duration, 'epoch')}{onset}"
