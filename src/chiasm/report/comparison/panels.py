"""Theory beside measurement: what a study of linear pathways recorded, over what was computed beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from chiasm.pictures.style import (
    BLUE,
    GREEN,
    HEIGHT,
    INK,
    MARKERS,
    MUTED,
    ORANGE,
    PURPLE,
    SOURCES,
    VERMILLION,
    Panel,
    axes_on,
    canvas,
    legend,
    rules,
    shorten,
    theme,
)
from chiasm.pictures.words import count
from chiasm.report.comparison.comparison import Beside, beside, prediction_table
from chiasm.report.comparison.expected import Theory
from chiasm.report.phrases import capital

if TYPE_CHECKING:
    from chiasm.study.results import Results

__all__ = ["panels", "prediction_table"]

COLOURS = (VERMILLION, BLUE, GREEN, PURPLE, ORANGE)
#: Below this, a difference is only rounding of numbers of order 1 in float32; the axis of differences ends there.
FLOOR = 1e-8
#: Curves in one panel.
MOST = 5
#: Dots along one curve: enough to see that they lie on it, few enough to see it between them.
DOTS = 28


def panels(results: Results | Beside) -> list[Panel]:
    """Draw theory and measurement: loss through training, shares against onset, RSV of units, the differences.

    Args:
        results: of a study that the theory says something of, or what `beside` made of it.

    Raises:
        ChiasmError: the theory says nothing of any run.
    """
    made = results if isinstance(results, Beside) else beside(results)
    with theme():
        return [_losses(made), *_alone(made), *_shares(made), *_units(made), _differences(made)]


def _losses(made: Beside) -> Panel:
    """Training loss of one seed of a run of each arm, as shown to it."""
    loss = made.table().filter(pl.col("quantity") == "train_loss")
    flow = made.table("flow").filter(pl.col("quantity") == "train_loss")
    names = _chosen(made)
    figure = canvas(HEIGHT + 0.2 * (len(names) + 1))
    axes = axes_on(figure, bottom=0.56 + 0.22 * (len(names) + 1))
    handles = []
    for i, (name, label) in enumerate(names.items()):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        rows, other = loss.filter(pl.col("run") == name), flow.filter(pl.col("run") == name)
        axes.plot(rows["epoch"], rows["predicted"], "-", color=colour, linewidth=1.4, zorder=2)
        axes.plot(other["epoch"], other["predicted"], linestyle=(0, (1, 1.6)), color=colour, linewidth=1.1, zorder=1)
        some = rows.gather_every(max(1, rows.height // DOTS), offset=i * rows.height // (DOTS * len(names)))
        _dots(axes, some["epoch"].to_list(), some["measured"].to_list(), colour, marker)
        handles.append(Line2D([], [], color=colour, marker=marker, ms=4, mfc="none", label=shorten(label, 46)))
    handles.append(Line2D([], [], color=MUTED, linestyle=(0, (1, 1.6)), label="dotted: gradient flow"))
    axes.set_ylim(bottom=0)
    _finish(axes, "Loss through training", "epoch", "training loss (squared error / 2)")
    legend(figure, handles)
    return Panel(
        "theory-loss",
        figure,
        "Symbols: measured, on what the network is shown in that epoch, seed "
        f"{_first_seed(made)}. Lines: computed from the initial weights alone.",
    )


def _alone(made: Beside) -> Iterator[Panel]:
    """The probe's loss with all sources and with each alone, for the first run that is drawn through training."""
    run, label = next(iter(_chosen(made).items()))
    table = made.table()
    rows = table.filter((pl.col("quantity") == "loss") & (pl.col("run") == run))
    heard = rows["source"].unique(maintain_order=True).to_list()
    if not heard:
        return
    figure = canvas(HEIGHT + 0.2 * len(heard))
    axes = axes_on(figure, bottom=0.56 + 0.22 * len(heard))
    handles = []
    for i, source in enumerate(heard):
        colour = INK if source == "all" else SOURCES[(i - 1) % len(SOURCES)]
        own = rows.filter(pl.col("source") == source)
        marker = MARKERS[i % len(MARKERS)]
        axes.plot(own["epoch"], own["predicted"], "-", color=colour, linewidth=1.4, zorder=2)
        _dots(axes, own["epoch"].to_list(), own["measured"].to_list(), colour, marker)
        words = "all sources" if source == "all" else f"{source} alone"
        handles.append(Line2D([], [], color=colour, marker=marker, ms=4, mfc="none", label=words))
    axes.set_ylim(bottom=0)
    _finish(axes, "Each source alone", "epoch", "test loss (nats)")
    legend(figure, handles)
    yield Panel(
        "theory-alone",
        figure,
        f"{capital(label)}; seed {_first_seed(made)}. Symbols: cross-entropy measured by the probe, the other sources "
        "at rest. Lines: computed from the initial weights alone.",
    )


def _shares(made: Beside) -> Iterator[Panel]:
    """How much of the output's variance the first source carries in the end, against onset and against length."""
    layer = _layer(made)
    ends = made.table().filter((pl.col("quantity") == "share_mean") & pl.col("final") & (pl.col("layer") == layer))
    if ends.is_empty():
        return
    source = ends["source"][0]
    ends = ends.filter(pl.col("source") == source)
    for role, x, xlabel in (("onset", "onset", "onset of the deficit (epoch)"),
                            ("duration", "duration", "length of the deficit (epochs)")):  # fmt: skip
        arms = [arm for arm in made.results.study.arms if arm.role == role]
        drawn = [(a, rows) for a in arms if (rows := _ordered(ends, a.name, x))[x].n_unique() > 1][:MOST]
        if not drawn:
            continue
        figure = canvas(HEIGHT + 0.2 * len(drawn))
        axes = axes_on(figure, bottom=0.56 + 0.22 * len(drawn))
        handles = []
        for i, (arm, rows) in enumerate(drawn):
            colour, marker = COLOURS[i], MARKERS[i]
            for _, own in rows.group_by("seed", maintain_order=True):
                axes.plot(own[x], own["predicted"], "-", color=colour, linewidth=1, alpha=0.8, zorder=2)
                _dots(axes, own[x].to_list(), own["measured"].to_list(), colour, marker)
            label = shorten(arm.title or arm.name, 48)
            handles.append(Line2D([], [], color=colour, marker=marker, ms=4, mfc="none", label=label))
        axes.axhline(0.5, color=MUTED, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        axes.set_ylim(-0.02, 1.02)
        _finish(axes, f"What source {source} carries in the end", xlabel, f"share of {source} in the output's variance")
        legend(figure, handles)
        yield Panel(
            f"theory-share-{role}",
            figure,
            "A symbol a seed: measured by the probe after the last epoch, mean over outputs. Lines: computed, a line a "
            "seed, which differ in how strong each mode began. Dashed: both sources alike.",
        )


def _units(made: Beside) -> Iterator[Panel]:
    """RSV of every output at the end of every run, measured against computed."""
    layer = _layer(made)
    if layer not in made.results.layers or not made.steps.rsv:
        return
    units = made.results.units(layer)
    figure = canvas(WIDE)
    axes = axes_on(figure)
    axes.plot([-1, 1], [-1, 1], "-", color=MUTED, linewidth=1, zorder=1)
    found = [(units.rsv[units.at(run)], rsv) for run, rsv in made.steps.rsv.items()]
    measured, computed = (np.concatenate(part) for part in zip(*found, strict=True))
    axes.plot(computed, measured, "o", ms=3, mfc="none", mec=INK, mew=0.6, alpha=0.5, zorder=2)
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(-1.05, 1.05)
    first = units.sources[0]
    _finish(axes, "RSV of every output", f"computed RSV (+1: {first} only)", f"measured RSV (+1: {first} only)")
    rules(axes, "x")
    yield Panel(
        "theory-rsv",
        figure,
        f"Every output of {count(len(found), 'run')} after the last epoch; on the line both agree.",
    )


def _differences(made: Beside) -> Panel:
    """The largest difference of the training loss at each epoch, on a logarithmic scale."""
    figure = canvas(HEIGHT + 0.4)
    axes = axes_on(figure, left=0.76, bottom=0.56 + 0.44)
    handles = []
    looks: Sequence[tuple[Theory, str, str]] = (("flow", ORANGE, "gradient flow"), ("steps", INK, "gradient descent"))
    for theory, colour, label in looks:
        rows = made.table(theory).filter(pl.col("quantity") == "train_loss")
        worst = rows.group_by("epoch").agg(pl.col("difference").abs().max()).sort("epoch")
        axes.plot(worst["epoch"], np.maximum(worst["difference"], FLOOR), "-", color=colour, linewidth=1.3)
        handles.append(Line2D([], [], color=colour, label=f"theory of {label}"))
    axes.set_yscale("log")
    rules(axes)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.set_title("Measured less computed", x=0, y=1)
    axes.set_xlabel("epoch")
    axes.set_ylabel("largest |difference| of training loss")
    legend(figure, handles)
    return Panel(
        "theory-difference",
        figure,
        f"The largest over {count(len(made.steps.table['run'].unique()), 'run')} at each epoch. The bench trains in "
        "float32, which keeps seven digits.",
    )


WIDE = HEIGHT + 0.4


def _chosen(made: Beside) -> dict[str, str]:
    """Pick the run of each arm that is drawn through training: of its first seed, the one with the middle onset."""
    known = made.table().filter(pl.col("quantity") == "train_loss").unique("run", maintain_order=True)
    seed = _first_seed(made)
    names: dict[str, str] = {}
    for arm in made.results.study.arms:
        runs = known.filter((pl.col("arm") == arm.name) & (pl.col("seed") == seed)).sort("onset", "duration")
        if runs.height and len(names) < MOST:
            name = runs["run"][(runs.height - 1) // 2]
            timeline = made.results.frame().filter(pl.col("run") == name)["timeline"][0]
            names[name] = f"{arm.name}: {timeline}"
    return names


def _first_seed(made: Beside) -> int:
    return int(made.table()["seed"].min())  # type: ignore[arg-type]


def _layer(made: Beside) -> str:
    """The first layer that was measured and predicted; "" where there is none."""
    layers = made.steps.table.filter(pl.col("quantity") == "share_mean")["layer"]
    return str(layers[0]) if len(layers) else ""


def _ordered(ends: pl.DataFrame, arm: str, x: str) -> pl.DataFrame:
    return ends.filter((pl.col("arm") == arm) & pl.col(x).is_not_null()).sort("seed", x)


def _dots(axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, marker: str) -> None:
    axes.plot(x, y, marker, ms=4, mfc="none", mec=colour, mew=0.9, zorder=3)


def _finish(axes: Axes, title: str, xlabel: str, ylabel: str) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    rules(axes)
    axes.set_title(title, x=0, y=1)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
