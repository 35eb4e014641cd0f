"""Maps of the study `linear-modes`: of weights that change, and over onset and release, what a removal costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chiasm.pictures.style import (
    HEIGHT,
    INK,
    MUTED,
    PAPER,
    SOURCES,
    WIDTH,
    Panel,
    axes_on,
    canvas,
    legend,
    power,
    powers,
)
from chiasm.pictures.words import number
from chiasm.theory.arguments import Floats
from chiasm.theory.mode.recovery import Recovery
from chiasm.theory.mode.study import HOWS, ModesResult
from chiasm.theory.pages.charts import DASHED, SEQUENCE, chart, colour_bar, key

#: Smaller differences are drawn as this: it is the accuracy of the integration.
FLOOR = 1e-8
#: Inches: of a plane's side; between two beside each other, and above each other; around all of them.
SIDE, GAP, ROW, LEFT, TOP, BELOW = 1.56, 0.3, 0.26, 0.62, 0.44, 1.34


def maps(
    planes: Sequence[Recovery],
    values: Sequence[Floats],
    title: str,
    unit: str = "share of the time to learn",
    floor: float | None = None,
) -> Figure:
    """Draw the values of each plane's cells, a plane a depth, two beside each other, on one scale of colours.

    Onset is across, release up; `floor` is the low end of a logarithmic scale, without it the scale is linear from 0.
    """
    rows = -(-len(planes) // 2)
    height = TOP + rows * SIDE + (rows - 1) * ROW + BELOW
    figure = canvas(height)
    figure.text(LEFT / WIDTH, 1 - 0.12 / height, title, fontweight="bold", fontsize=10.5, va="top")
    high = max(float(one[np.isfinite(one)].max(initial=0.0)) for one in values)
    scale: Normalize = Normalize(0, high or 1.0) if floor is None else LogNorm(floor, max(high, 10 * floor))
    for i, (plane, value) in enumerate(zip(planes, values, strict=True)):
        x, y = LEFT + (i % 2) * (SIDE + GAP), height - TOP - SIDE - (i // 2) * (SIDE + ROW)
        axes = figure.add_axes((x / WIDTH, y / height, SIDE / WIDTH, SIDE / height))
        _map(axes, plane, np.maximum(value, floor or 0.0), scale)
        note = f"depth {plane.depth.flat[0]}" + ("" if value.any() else ": 0")
        axes.annotate(note, (1, 0), (-3, 4), "axes fraction", "offset points", ha="right", color=INK)
        if i % 2:
            axes.set_yticklabels([])
        if i < len(planes) - 2:
            axes.set_xticklabels([])
    middle = (LEFT + SIDE + GAP / 2) / WIDTH
    figure.text(middle, (BELOW - 0.4) / height, "onset (share of the time to learn)", ha="center", va="center")
    across = (BELOW + (height - TOP - BELOW) / 2) / height
    figure.text(0.16 / WIDTH, across, "release (share of that time)", rotation=90, va="center", ha="center")
    bar = colour_bar(figure, scale, unit, LEFT, 2 * SIDE + GAP, LEFT + SIDE + GAP / 2)
    if floor is None:
        bar.xaxis.set_major_locator(MaxNLocator(5))
    else:
        bar.set_xscale("log")
        bar.minorticks_off()
        exponents = np.arange(np.ceil(np.log10(floor)), np.floor(np.log10(scale.vmax or 1.0)) + 1)
        exponents = exponents[:: -(-len(exponents) // 6)].astype(int)
        bar.set_xticks(10.0**exponents, [power(10.0**p) for p in exponents])
    return figure


def _map(axes: Axes, plane: Recovery, value: Floats, scale: Normalize) -> None:
    unit = float(plane.finish.flat[0])
    # In units of the time to learn, which may be short: what differs by rounding is one edge.
    onset, release = ((ends / unit).round(9) for ends in (plane.onset, plane.release))
    edges = np.unique(np.concatenate([onset, release]))
    image = np.full((len(edges), len(edges)), np.nan)
    image[np.searchsorted(edges, release), np.searchsorted(edges, onset)] = value
    # What never recovered is hatched; what cannot be is left empty.
    lost = np.isinf(image)
    half = (edges[1] - edges[0]) / 2
    axes.imshow(
        np.ma.masked_invalid(image), cmap=SEQUENCE, norm=scale, origin="lower", aspect="auto", interpolation="none",
        extent=(edges[0] - half, edges[-1] + half) * 2,
    )  # fmt: skip
    if lost.any():
        axes.contourf(edges, edges, lost, levels=[0.5, 1.5], colors="none", hatches=["////"])
    ticks = [t for t in (0, 0.5, 1, 1.5, 2) if t <= edges[-1] + 1e-6]
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(ticks, [f"{t:g}" for t in ticks])


def change(result: ModesResult) -> Panel:
    """Draw the largest change of each weight of the deep network by the source's absence."""
    settings, largest = result.settings, result.change[1]
    rows, columns = largest.shape
    height = 1.34 + 0.42 * rows
    figure = canvas(height)
    axes = axes_on(figure, left=0.62, right=0.12, bottom=0.56, top=0.62)
    staying = np.ma.array(largest, mask=np.broadcast_to(~result.others, largest.shape))
    top = float(staying.max()) or 1.0
    axes.imshow(staying, cmap=SEQUENCE, vmin=0, vmax=top, aspect="auto", interpolation="none")
    if columns <= 10:
        for (i, j), value in np.ndenumerate(largest):
            if result.others[j]:
                text = "0" if value == 0 else number(float(value), 2).lstrip("0")
                axes.text(j, i, text, ha="center", va="center", color=PAPER if value > 0.55 * top else INK)
    for j in np.flatnonzero(~result.others):
        axes.axvspan(j - 0.5, j + 0.5, fc="none", ec=MUTED, hatch="////", lw=0)
    axes.set_xticks(range(columns), result.names)
    axes.set_yticks(range(rows), [str(i + 1) for i in range(rows)])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("source")
    axes.set_ylabel("output")
    title, below = f"Largest change without {settings.removed}", f"of a weight, at any time, depth {settings.depth}"
    figure.text(0.62 / WIDTH, 1 - 0.14 / height, title, fontweight="bold", fontsize=10.5, va="top")
    figure.text(0.62 / WIDTH, 1 - 0.36 / height, below, color=MUTED, va="top")
    shallow = result.change[0][:, result.others].max()
    return Panel(
        "modes-change",
        figure,
        f"How far each weight of the sources that stay comes from what it is with source {settings.removed} (hatched), "
        f"at any time. In a shallow network no weight changes by more than {shallow:.1e}.",
    )


def left(result: ModesResult) -> Panel:
    """Draw what is left of a removal one learning time after its end, source silent."""
    planes = result.planes["silence"]
    values = []
    for plane in planes:
        look = min(int(np.searchsorted(plane.since, plane.finish[0])), len(plane.since) - 1)
        values.append(plane.difference[:, look])
    figure = maps(planes, values, "What is left of the removal", "largest difference of a weight", floor=FLOOR)
    caption = (
        "The largest difference of any weight from the network that lost nothing, one learning time after the release; "
        f"source {result.settings.removed} is silent in between. Differences below {FLOOR:.0e} are drawn as that."
    )
    return Panel("modes-left", figure, caption)


def permanence(result: ModesResult) -> Panel:
    """Draw the worst window of each plane through time after the release."""
    xlabel, ylabel = "time after release (share of the time to learn)", "largest difference of a weight"
    figure, axes = chart("The worst window, after its release", xlabel, ylabel, height=HEIGHT + 0.56, bottom=1.1)
    styles: dict[str, Any] = {"silence": "-", "unrelated": DASHED}
    last = 0.0
    for how in HOWS:
        for plane, colour in zip(result.planes[how], SOURCES, strict=False):
            worst = np.maximum(plane.difference.max(0), FLOOR)
            # From where only the integration's error is left, there is nothing to draw.
            ends = np.flatnonzero(worst > 2 * FLOOR)
            drawn = slice(0, int(ends[-1]) + 2 if len(ends) else 2)
            times = plane.since[drawn] / plane.finish[0]
            axes.plot(times, worst[drawn], color=colour, linestyle=styles[how], linewidth=1.6)
            last = max(last, float(times[-1]))
    axes.set_yscale("log")
    powers(axes.yaxis)
    axes.set_xlim(0, 1.03 * last)
    axes.set_ylim(FLOOR / 2, 30)
    axes.set_yticks(10.0 ** np.arange(-8, 1, 2))
    axes.minorticks_off()
    planes = zip(result.planes["silence"], SOURCES, strict=False)
    handles = [key(f"depth {plane.depth[0]}", colour, lw=1.8) for plane, colour in planes]
    handles += [key(how, MUTED, style, lw=1.6) for how, style in styles.items()]
    legend(figure, handles, columns=3, left=0.1)
    caption = (
        "The largest difference of any weight from the network that lost nothing, in the worst window of each plane, "
        f"as time goes on after the release; lines end at {FLOOR:.0e}, the error of integration, or with the plane."
    )
    return Panel("modes-permanence", figure, caption)
