"""Figures that compare a study of linear pathways with what was computed beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chiasm.pictures.style import (
    HEIGHT,
    INK,
    MARKERS,
    MUTED,
    SOURCES,
    Panel,
    legend,
    powers,
    rules,
    shorten,
    theme,
)
from chiasm.pictures.words import count
from chiasm.report.comparison.comparison import Comparison, compare
from chiasm.report.phrases import capital
from chiasm.theory.pages.charts import chart, key

if TYPE_CHECKING:
    from chiasm.study.results import Results

#: Colours belong to sources; arms are told apart by marker, shade and line.
SHADES = (INK, MUTED)
LINES: tuple[Any, ...] = ("-", "-", (0, (5, 2)), (0, (5, 2)), (0, (2, 1)))
#: Below this, a difference is only rounding of numbers of order 1 in float32; the axis of differences ends there.
FLOOR = 1e-8
#: Curves in one panel.
MOST = 5
#: Letters of a legend's line.
WORDS = 48
#: Dots along one curve: enough to see that they lie on it, few enough to see it between them.
DOTS = 28


def panels(results: Results | Comparison) -> list[Panel]:
    """Draw theory and measurement: loss through training, shares against onset, RSV of units, the differences.

    Args:
        results: of a study that the theory predicts, or what `compare` returned for it.

    Raises:
        ChiasmError: the theory predicts no run.
    """
    comparison = results if isinstance(results, Comparison) else compare(results)
    with theme():
        parts = (_losses, _alone, _shares, _units, _differences)
        return [panel for draw in parts for panel in draw(comparison)]


def _losses(comparison: Comparison) -> Iterator[Panel]:
    """Draw the training loss of one seed of a run of each arm, on the sources that it trains with."""
    loss, flow, drawn = comparison.losses(), comparison.losses("flow"), _chosen(comparison)
    figure, axes = _axes("Loss through training", "epoch", "training loss (squared error / 2)", len(drawn) + 1)
    handles = []
    for i, (name, label) in enumerate(drawn.items()):
        colour, style, marker = _looks(i)
        rows, other = loss.filter(pl.col("run") == name), flow.filter(pl.col("run") == name)
        some = rows.gather_every(max(1, rows.height // DOTS), offset=i * rows.height // (DOTS * len(drawn)))
        axes.plot(rows["epoch"], rows["predicted"], linestyle=style, color=colour, linewidth=1.4, zorder=2)
        axes.plot(other["epoch"], other["predicted"], linestyle=(0, (1, 1.6)), color=colour, linewidth=1.1, zorder=1)
        _dots(axes, some, "epoch", colour, marker)
        handles.append(key(label, colour, style, marker=marker, ms=4, mfc="none"))
    handles.append(key("dotted: gradient flow", MUTED, (0, (1, 1.6))))
    axes.set_ylim(bottom=0)
    legend(figure, handles)
    yield Panel(
        "theory-loss",
        figure,
        "Symbols: measured, on what the network is shown in that epoch, seed "
        f"{_first_seed(comparison)}. Lines: computed from the initial weights alone.",
        loss.filter(pl.col("run").is_in(list(drawn))).select("run", "seed", "epoch", "measured", "predicted"),
    )


def _alone(comparison: Comparison) -> Iterator[Panel]:
    """Draw the probe's loss with all sources and with each alone, for the first run drawn through training."""
    run, label = next(iter(_chosen(comparison).items()))
    rows = comparison.table().filter((pl.col("quantity") == "loss") & (pl.col("run") == run))
    sources = rows["source"].unique(maintain_order=True).to_list()
    if not sources:
        return
    figure, axes = _axes("Each source alone", "epoch", "test loss (nats)", len(sources))
    handles = []
    for i, source in enumerate(sources):
        colour = INK if source == "all" else SOURCES[(i - 1) % len(SOURCES)]
        own, marker = rows.filter(pl.col("source") == source), MARKERS[i % len(MARKERS)]
        axes.plot(own["epoch"], own["predicted"], "-", color=colour, linewidth=1.4, zorder=2)
        _dots(axes, own, "epoch", colour, marker)
        words = "all sources" if source == "all" else f"{source} alone"
        handles.append(key(words, colour, marker=marker, ms=4, mfc="none"))
    axes.set_ylim(bottom=0)
    legend(figure, handles)
    yield Panel(
        "theory-alone",
        figure,
        f"{capital(label)}; seed {_first_seed(comparison)}. Symbols: cross-entropy measured by the probe, the other "
        "sources at rest. Lines: computed from the initial weights alone.",
        rows.select("run", "seed", "source", "epoch", "measured", "predicted"),
    )


def _shares(comparison: Comparison) -> Iterator[Panel]:
    """Draw the share of the output's variance that the first source carries in the end, against onset and length."""
    of_layer = (pl.col("quantity") == "share_mean") & pl.col("final") & (pl.col("layer") == _layer(comparison))
    ends = comparison.table().filter(of_layer)
    if ends.is_empty():
        return
    source = ends["source"][0]
    ends = ends.filter(pl.col("source") == source)
    for x, xlabel in (("onset", "onset of the deficit (epoch)"), ("duration", "length of the deficit (epochs)")):
        arms = [(arm, _ordered(ends, arm.name, x)) for arm in comparison.results.study.arms if arm.role == x]
        drawn = [(arm, rows) for arm, rows in arms if rows[x].n_unique() > 1][:MOST]
        if not drawn:
            continue
        title, ylabel = f"What source {source} carries in the end", f"share of {source} in the output's variance"
        figure, axes = _axes(title, xlabel, ylabel, len(drawn))
        handles = []
        for i, (arm, rows) in enumerate(drawn):
            colour, style, marker = _looks(i)
            for _, own in rows.group_by("seed", maintain_order=True):
                axes.plot(own[x], own["predicted"], linestyle=style, color=colour, linewidth=1, alpha=0.8, zorder=2)
                _dots(axes, own, x, colour, marker)
            words = arm.title if arm.title and len(arm.title) <= WORDS else arm.name
            handles.append(key(shorten(words, WORDS), colour, style, marker=marker, ms=4, mfc="none"))
        axes.axhline(0.5, color=MUTED, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        axes.set_ylim(-0.02, 1.02)
        legend(figure, handles)
        yield Panel(
            f"theory-share-{x}",
            figure,
            "A symbol a seed: measured by the probe after the last epoch, mean over outputs. Lines: computed, a line a "
            "seed, which differ in how strong each mode began. Dashed: both sources alike.",
            pl.concat([rows for _, rows in drawn]).select("arm", "seed", x, "source", "measured", "predicted"),
        )


def _units(comparison: Comparison) -> Iterator[Panel]:
    """Draw the RSV of every output at the end of every run, measured against computed."""
    layer = _layer(comparison)
    if layer not in comparison.results.layers or not comparison.steps.rsv:
        return
    units = comparison.results.units(layer)
    words = f"RSV (+1: {units.sources[0]} only)"
    figure, axes = _axes("RSV of every output", f"computed {words}", f"measured {words}", height=HEIGHT + 0.4)
    axes.plot([-1, 1], [-1, 1], "-", color=MUTED, linewidth=1, zorder=1)
    pairs = [(units.rsv[units.at(run)], rsv) for run, rsv in comparison.steps.rsv.items()]
    measured, computed = (np.concatenate(part) for part in zip(*pairs, strict=True))
    axes.plot(computed, measured, "o", ms=3, mfc="none", mec=INK, mew=0.6, alpha=0.5, zorder=2)
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(-1.05, 1.05)
    rules(axes, "x")
    caption = f"Every output of {count(len(pairs), 'run')} after the last epoch; on the line both agree."
    columns = {"run": np.repeat(list(comparison.steps.rsv), [len(one) for _, one in pairs])}
    yield Panel("theory-rsv", figure, caption, pl.DataFrame(columns | {"measured": measured, "predicted": computed}))


def _differences(comparison: Comparison) -> Iterator[Panel]:
    """Draw the largest difference of the training loss at each epoch, on a logarithmic scale."""
    ylabel = "largest |difference| of training loss"
    figure, axes = chart("Measured less computed", "epoch", ylabel, height=HEIGHT + 0.4, bottom=0.56 + 0.44)
    looks = (("gradient flow", comparison.losses("flow"), MUTED), ("gradient descent", comparison.losses(), INK))
    data = []
    for name, rows, colour in looks:
        worst = rows.group_by("epoch").agg(pl.col("difference").abs().max()).sort("epoch")
        axes.plot(worst["epoch"], np.maximum(worst["difference"], FLOOR), "-", color=colour, linewidth=1.3)
        data.append(worst.select(pl.lit(name).alias("theory"), "epoch", "difference"))
    axes.set_yscale("log")
    powers(axes.yaxis)
    axes.minorticks_off()
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    legend(figure, [key(f"theory of {name}", colour) for name, _, colour in looks])
    yield Panel(
        "theory-difference",
        figure,
        f"The largest over {count(len(comparison.steps.table['run'].unique()), 'run')} at each epoch. The bench trains "
        "in float32, which keeps seven digits.",
        pl.concat(data),
    )


def _chosen(comparison: Comparison) -> dict[str, str]:
    """Choose the run of each arm that is drawn through training: of its first seed, the one with the middle onset."""
    runs = comparison.losses().unique("run", maintain_order=True)
    runs = runs.filter(pl.col("seed") == _first_seed(comparison)).sort("onset", "duration")
    names: dict[str, str] = {}
    for arm in comparison.results.study.arms:
        own = runs.filter(pl.col("arm") == arm.name)
        if own.height and len(names) < MOST:
            name, onset, duration = own.select("run", "onset", "duration").row((own.height - 1) // 2)
            words = f"{count(duration, 'epoch')} from epoch {onset}" if duration else "no deficit"
            names[name] = f"{shorten(arm.name, WORDS - len(words))}: {words}"
    return names


def _looks(i: int) -> tuple[str, Any, str]:
    """The shade, line and marker of an arm."""
    return SHADES[i % len(SHADES)], LINES[i % len(LINES)], MARKERS[i % len(MARKERS)]


def _first_seed(comparison: Comparison) -> int:
    return int(comparison.table()["seed"].min())  # type: ignore[arg-type]


def _layer(comparison: Comparison) -> str:
    """Return the first layer that was measured and predicted; "" where there is none."""
    layers = comparison.steps.table.filter(pl.col("quantity") == "share_mean")["layer"]
    return str(layers[0]) if len(layers) else ""


def _ordered(ends: pl.DataFrame, arm: str, x: str) -> pl.DataFrame:
    return ends.filter((pl.col("arm") == arm) & pl.col(x).is_not_null()).sort("seed", x)


def _dots(axes: Axes, rows: pl.DataFrame, x: str, colour: str, marker: str) -> None:
    axes.plot(rows[x].to_list(), rows["measured"].to_list(), marker, ms=4, mfc="none", mec=colour, mew=0.9, zorder=3)


def _axes(title: str, xlabel: str, ylabel: str, rows: int = 0, height: float = HEIGHT) -> tuple[Figure, Axes]:
    figure, axes = chart(title, xlabel, ylabel, rows, height=height, left=0.62)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    return figure, axes
