"""Gradient descent with large steps beside flow, in the study `linear-modes`."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D

from chiasm.pictures.style import MUTED, Panel, legend, rules
from chiasm.theory.charts import frame, look
from chiasm.theory.mode.study import ModesResult


def steps(result: ModesResult) -> Panel:
    """Draw how far descent runs from flow, against the length of its steps in units of the edge."""
    settings = result.settings
    figure, axes = frame(2)
    rules(axes, "both")
    highest = 0.0
    for one in result.steps:
        colour, marker = look(one.depth)
        share, order = one.steps / one.edge, np.argsort(one.steps)
        there = order[~one.left[order] & (one.gap[order] > 0)]
        axes.plot(share[there], one.gap[there], color=colour, marker=marker, ms=4.5, lw=1.4)
        highest = max(highest, float(one.gap[there].max(initial=0.0)))
    gone = np.concatenate([one.steps[one.left] / one.edge for one in result.steps])
    axes.set_xscale("log")
    if not highest:
        axes.set_ylim(1e-3, 1)
    axes.set_yscale("log")
    axes.plot(gone, np.full(len(gone), 0.96), "x", transform=axes.get_xaxis_transform(), color=MUTED, ms=5)
    axes.axvline(1, color=MUTED, lw=1.0, ls=":")
    ticks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
    low, high = axes.get_xlim()
    axes.set_xticks([t for t in ticks if low <= t <= high], [f"{t:g}" for t in ticks if low <= t <= high])
    axes.minorticks_off()
    axes.set_title("Descent beside flow", x=0, y=1)
    axes.set_xlabel("length of a step (share of 2 / sharpness)")
    axes.set_ylabel("largest distance from flow")
    handles = [
        *(
            Line2D([], [], color=look(one.depth)[0], marker=look(one.depth)[1], label=f"depth {one.depth}")
            for one in result.steps
        ),
        Line2D([], [], color=MUTED, marker="x", linestyle="", label="ends elsewhere"),
    ]
    legend(figure, handles, columns=3)
    return Panel(
        "modes-steps",
        figure,
        f"Largest distance of any weight of gradient descent from that of gradient flow along the way, as a share of "
        f"the task's largest entry, against the length of a step; source {settings.removed} is silent until time "
        f"{settings.release:g}. Crosses: descent does not end where flow does. The dotted line is 2 / sharpness of the "
        "learned state, depth · s^(2 − 2/depth) for the strongest mode s, in closed form.",
    )
