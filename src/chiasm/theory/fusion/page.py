"""Figures of the study `linear-fusion`."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chiasm.pictures.style import INK, MARKERS, MUTED, SOURCES, Panel, dodge, legend, rules
from chiasm.pictures.words import number
from chiasm.theory.charts import Sweep, by_depth, frame, look, sweep
from chiasm.theory.fusion.findings import findings
from chiasm.theory.fusion.landscape import Landscape, penalty
from chiasm.theory.fusion.plane import FusionPlane
from chiasm.theory.fusion.problem import Floats, FusionProblem
from chiasm.theory.fusion.study import FusionResult

__all__ = ["findings", "panels"]

EXCESS = "excess loss (1: best single source)"
#: Depths of the landscapes that are drawn; one more and the curves hide each other.
DRAWN = 4


def panels(result: FusionResult) -> list[Panel]:
    """Return the figures of the study, in reading order."""
    asked = result.settings
    durations = [_curve(plane, plane.excess[result.duration_cells(plane)]) for plane in result.depths]
    onsets = [_curve(plane, plane.excess[result.onset_cells(plane)]) for plane in result.depths]
    drawn = min(asked.depths) <= DRAWN
    window = f"A deficit of {asked.onset_duration} steps"
    duration = "duration of the deficit (steps)"
    figures = {
        "duration": sweep(durations, asked.durations, "A deficit from the beginning", duration, EXCESS),
        "onset": sweep(onsets, asked.onsets, window, "onset of the deficit (steps)", EXCESS),
        **({"recovery": _recovery(result)} if max(asked.durations) else {}),
        "penalty": _penalty(),
        **({"landscape": _landscape(result, near=False), "barrier": _landscape(result, near=True)} if drawn else {}),
        **({"late": _late(result)} if result.late else {}),
        **({"shared": _shared(result)} if result.shared else {}),
        "redundant": _redundant(result),
        **({"steps": _steps(result)} if result.steps else {}),
        **({"swinging": _swinging(result, result.swinging)} if result.swinging else {}),
    }
    return [Panel(f"fusion-{name}", figure, _captions(result)[name]) for name, figure in figures.items()]


def _captions(result: FusionResult) -> dict[str, str]:
    asked = result.settings
    return {
        "duration": f"Excess loss {asked.after} steps after the release, against the duration of a deficit of source b "
        f"that begins at step 0, by the depth of the pathways. Weight decay {asked.decay:g}. Means over {asked.seeds} "
        "seeds with 95 % intervals (Student's t), a small circle a seed.",
        "onset": f"The same for a deficit of {asked.onset_duration} steps, against its onset.",
        "recovery": f"Steps from the release until the excess loss is below {asked.threshold:g}, against the duration "
        f"of a deficit from step 0; filled with weight decay {asked.decay:g}, hollow and dashed without. At the top: "
        f"not within {asked.after} steps. A mean is drawn where every seed has come back.",
        "penalty": "The least half sum of squares of p weights whose product is w: p/2 |w|^(2/p). With L2 weight decay "
        "this is what a pathway of p layers pays for a singular value w of its product.",
        "landscape": "Energy (loss and penalty) of one feature against the weight of source b, source a at its best, "
        f"above the energy at weight 0; decay {asked.decay:g}. Filled: stable rest points, hollow: unstable ones, both "
        "in closed form. Crosses: where gradient descent has ended, each feature of each seed.",
        "barrier": "The same near weight 0. From depth 3 on, a barrier stands between the lost state and the fused "
        "one; a source whose weight has fallen below its top is lost.",
        "late": "The longest deficit from which a fused network comes back, by depth: closed form, for a silent source "
        f"and for a decorrelated one. Circles: descent came back from a deficit ({asked.deficit}) that long; crosses: "
        "it did not, in any seed.",
        "shared": f"Excess loss after a deficit of {max(asked.durations)} steps from step 0, for pathways with layers "
        "of their own and layers shared after the sum; a mark a seed.",
        "redundant": "Share of source b at depth 1 when neither source has noise, through time, after a deficit of "
        f"{asked.onset_duration} steps, with and without weight decay: a line a seed. Dots: the imbalance shrinks as "
        "exp(−decay · time).",
        "steps": "Largest distance between the excess loss of gradient descent and that of gradient flow along the "
        "way, as a share of the excess at the start, against the length of a step: means over seeds. A curve ends "
        "where descent no longer ends where flow does. Vertical lines: 2 / sharpness of the fused state (solid) and of "
        "the lost one (dotted), in closed form.",
        "swinging": f"How many of {asked.features} features source b has {asked.swinging_after} steps after a deficit "
        f"that is permanent under flow, at depth {asked.swinging_depth}: a circle a seed, a cross where descent "
        "diverged. Vertical lines: 2 / sharpness of the lost (dotted) and of the fused state (solid), in closed form.",
    }


def _curve(plane: FusionPlane, values: Floats) -> Sweep:
    return by_depth(f"depth {plane.layers.own}", values, plane.layers.own)


def _recovery(result: FusionResult) -> Figure:
    asked = result.settings
    # Without a deficit there is no release to count from.
    kept = [k for k, duration in enumerate(asked.durations) if duration > 0]
    most = max((plane.layers.own for plane in result.free), default=DRAWN)
    curves = []
    for plane, free in [*((p, False) for p in result.depths), *((p, True) for p in result.free)]:
        if plane.layers.own <= most:
            label = "" if free else f"depth {plane.layers.own}"
            curves.append(by_depth(label, plane.recovery(asked.threshold)[kept], plane.layers.own, hollow=free))
    top = max(asked.after, asked.free_after)
    settings = [asked.durations[k] for k in kept]
    figure = sweep(
        curves, settings, "How long recovery takes", "duration of the deficit (steps)", "steps until recovered",
        never=1.06 * top, hollow="without decay",
    )  # fmt: skip
    axes = figure.axes[0]
    axes.set_ylim(0, 1.12 * top)
    at = ("axes fraction", "data")
    axes.annotate("never", (0, 1.06 * top), (3, -5), at, "offset points", va="top", color=MUTED)
    return figure


def _penalty() -> Figure:
    figure, axes = frame(0)
    rules(axes)
    w = np.linspace(0, 1, 600) ** 3
    for depth in range(1, DRAWN + 1):
        values, colour = penalty(w, depth), SOURCES[depth - 1]
        axes.plot(w, values, color=colour, lw=1.6)
        end = (1.0, float(values[-1]))
        axes.annotate(f"p = {depth}", end, (4, 0), textcoords="offset points", va="center", color=colour)
    axes.set_xlim(0, 1.14)
    axes.set_ylim(0, DRAWN / 2 * 1.08)
    axes.set_title("What p layers pay for a weight", x=0, y=1)
    axes.set_xlabel("singular value w of the product")
    axes.set_ylabel("penalty (in units of the decay)")
    return figure


def _landscape(result: FusionResult, near: bool) -> Figure:
    drawn = [one for one in result.landscapes if one.depth <= DRAWN]
    figure, axes = frame(2)
    rules(axes)
    end = 0.03 if near else 1.35 * max(rest.w_b for one in drawn for rest in one.rests())
    w = end * np.linspace(0, 1, 800) ** 2
    factor = 1000 if near else 1
    for one in drawn:
        colour, marker = SOURCES[one.depth - 1], MARKERS[one.depth - 1]
        base = float(one.valley(0.0))
        axes.plot(w, factor * (one.valley(w) - base), color=colour, lw=1.6, zorder=2)
        for rest in one.rests():
            if rest.w_b <= end:
                fill, up = colour if rest.stable else "white", factor * (rest.energy - base)
                axes.plot([rest.w_b], [up], marker, ms=7, mec=colour, mew=1.4, mfc=fill, zorder=4, clip_on=False)
        if not near:
            ends = _ends(result, one)
            axes.plot(ends, one.valley(ends) - base, "x", color=INK, ms=4.5, mew=0.9, zorder=5, clip_on=False)
    if near:
        axes.set_ylim(-4, 5)
        axes.set_xticks([0, 0.01, 0.02, 0.03])
    axes.set_xlim(-0.02 * end, end)
    axes.set_title("Near the lost state" if near else "The energy against source b", x=0, y=1)
    axes.set_xlabel("weight of source b")
    axes.set_ylabel(f"energy above weight 0{' (× 0.001)' if near else ''}")
    handles = [
        Line2D([], [], color=SOURCES[o.depth - 1], marker=MARKERS[o.depth - 1], markersize=5, label=f"depth {o.depth}")
        for o in drawn
    ]
    handles.append(Line2D([], [], color=MUTED, marker="o", markerfacecolor="white", linestyle="", label="unstable"))
    if not near:
        handles.append(Line2D([], [], color=INK, marker="x", markersize=5, linestyle="", label="descent ended"))
    legend(figure, handles, columns=3)
    return figure


def _ends(result: FusionResult, landscape: Landscape) -> Floats:
    """Weights of source b, each feature of each seed, at the end of what was followed longest."""
    followed = [plane for plane in (*result.lasting, *result.depths) if plane.layers.own == landscape.depth]
    return np.asarray(np.linalg.svd(followed[0].maps[..., 1, :, :], compute_uv=False).ravel())


def _late(result: FusionResult) -> Figure:
    asked = result.settings
    figure, axes = frame(2)
    rules(axes)
    depths = range(3, max(6, *asked.late_depths) + 1)
    for kind, style, colour in (("zero", "-", SOURCES[0]), ("decorrelate", "--", SOURCES[1])):
        problem = FusionProblem(asked.features, asked.noise, kind)  # type: ignore[arg-type]
        found = [(depth, Landscape(problem, depth, asked.decay)) for depth in depths]
        edges = [(d, one.longest() / asked.step) for d, one in found if one.rest("fused") and one.rest("saddle")]
        axes.plot([d for d, _ in edges], [edge for _, edge in edges], style, color=colour, lw=1.6, marker=".", ms=5)
    for plane in result.late:
        duration = (plane.release - plane.onset)[:, 0]
        back, lost = plane.excess.max(1) < asked.threshold, plane.excess.min(1) > 1 - asked.threshold
        for mark, which in (("o", back), ("x", lost)):
            at = [plane.layers.own] * int(which.sum())
            axes.plot(at, duration[which], mark, color=INK, ms=6, mfc="none", zorder=4)
    axes.set_yscale("log")
    ticks = [50, 100, 200, 500, 1000, 2000, 5000]
    low, high = axes.get_ylim()
    axes.set_yticks([tick for tick in ticks if low <= tick <= high], [f"{t}" for t in ticks if low <= t <= high])
    axes.minorticks_off()
    axes.set_xticks(list(depths))
    axes.set_xlim(depths[0] - 0.4, depths[-1] + 0.4)
    axes.set_title("How long a late deficit may last", x=0, y=1)
    axes.set_xlabel("depth of a pathway")
    axes.set_ylabel("duration (steps)")
    handles = [
        Line2D([], [], color=SOURCES[0], label="edge, source silent"),
        Line2D([], [], color=SOURCES[1], linestyle="--", label="edge, decorrelated"),
        Line2D([], [], color=INK, marker="o", markerfacecolor="none", linestyle="", label="came back"),
        Line2D([], [], color=INK, marker="x", linestyle="", label="lost"),
    ]
    legend(figure, handles, columns=2)
    return figure


def _shared(result: FusionResult) -> Figure:
    planes = sorted((*result.depths, *result.shared), key=lambda plane: (plane.layers.own, plane.layers.shared))
    figure, axes = frame(0, height=0.95 + 0.2 * len(planes), left=1.3)
    rules(axes, "x")
    at = int(np.argmax(result.settings.durations))
    for k, plane in enumerate(planes):
        colour, marker = look(plane.layers.own)
        axes.plot(plane.excess[at], [k] * plane.excess.shape[1], marker, color=colour, ms=5.5, mfc="none")
    axes.set_yticks(range(len(planes)), [plane.layers.name for plane in planes])
    axes.set_ylim(len(planes) - 0.4, -0.6)
    axes.set_xlim(-0.05, None)
    axes.set_title("Own layers count, not shared ones", x=0, y=1)
    axes.set_xlabel(EXCESS)
    axes.set_ylabel("own + shared layers")
    return figure


def _redundant(result: FusionResult) -> Figure:
    plane, asked = result.redundant, result.settings
    figure, axes = frame(1)
    rules(axes)
    for row, colour in ((0, SOURCES[0]), (1, SOURCES[1])):
        axes.plot(plane.times, plane.share_path[row, 1].T, color=colour, lw=1.1)
    release = int(plane.release[1, 1, 0])
    axes.axvline(release, color=MUTED, lw=0.9, ls=":")
    axes.annotate("release", (release, 1), (4, -2), ("data", "axes fraction"), "offset points", va="top", color=MUTED)
    _decayed(axes, plane, asked.decay)
    axes.axhline(0.5, color=MUTED, lw=0.9, ls=(0, (5, 3)))
    axes.annotate("balance", (0, 0.5), (3, 2), ("axes fraction", "data"), "offset points", va="bottom", color=MUTED)
    axes.set_ylim(0, 0.62)
    axes.set_title("Sources without noise, depth 1", x=0, y=1)
    axes.set_xlabel("step")
    axes.set_ylabel("share of source b")
    handles = [
        Line2D([], [], color=SOURCES[0], label="no decay"),
        Line2D([], [], color=SOURCES[1], label=f"decay {asked.decay:g}"),
        Line2D([], [], color=INK, marker=".", linestyle="", label="closed form"),
    ]
    legend(figure, handles, columns=3)
    return figure


def _decayed(axes: Axes, plane: FusionPlane, decay: float) -> None:
    """What decay alone makes of the imbalance: W_a - W_b shrinks as exp(-decay t), W_a + W_b is 2 / (2 + decay)."""
    release, last = int(plane.release[1, 1, 0]), int(plane.steps[1, 1, 0])
    at = np.linspace(release + 0.15 * (last - release), last, 12)
    gap = np.exp(-decay * plane.step[1, 1, 0] * (at - release)) / (1 + decay)
    whole = 2 / (2 + decay)
    axes.plot(at, (whole - gap) / 2 / whole, ".", color=INK, ms=5, zorder=4)


def _steps(result: FusionResult) -> Figure:
    figure, axes = frame(math.ceil((len(result.steps) + 1) / 2))
    rules(axes, "both")
    handles = []
    for one in result.steps:
        colour, marker = look(one.layers.own)
        for k, hollow in zip(range(len(one.durations)), (False, True), strict=False):
            there, gap = one.left[:, k] == 0, one.gap[:, k].mean(1)
            style, fill = ("--", "none") if hollow else ("-", colour)
            axes.plot(one.steps[there], gap[there], style, color=colour, marker=marker, ms=4.5, lw=1.3, mfc=fill)
        for name, style in (("fused", "-"), ("lost", ":")):
            if name in one.edges:
                axes.axvline(one.edges[name], color=colour, lw=1.0, ls=style, zorder=1)
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=5, label=f"depth {one.layers.own}"))
    axes.set_xscale("log")
    if not any((one.gap.mean(2)[one.left == 0] > 0).any() for one in result.steps):
        axes.set_ylim(1e-3, 1)  # no step keeps with flow, or none leaves it: an axis without a point
    axes.set_yscale("log")
    ticks = [0.05, 0.1, 0.2, 0.5, 1.0]
    low, high = result.steps[0].steps.min(), result.steps[0].steps.max()
    axes.set_xticks([t for t in ticks if low <= t <= high], [f"{t:g}" for t in ticks if low <= t <= high])
    axes.minorticks_off()
    axes.set_title("Descent beside flow", x=0, y=1)
    axes.set_xlabel("length of a step")
    axes.set_ylabel("largest distance from flow")
    label = f"deficit of time {number(float(result.steps[0].durations[-1]), 0)}"
    handles.append(Line2D([], [], color=MUTED, linestyle="--", marker="o", markerfacecolor="none", label=label))
    legend(figure, handles, columns=2)
    return figure


def _swinging(result: FusionResult, plane: FusionPlane) -> Figure:
    figure, axes = frame(0, left=1.0)
    rules(axes)
    steps, kept = plane.step[:, 0], result.kept_features()
    gap = float(np.diff(np.sort(steps)).min()) if len(steps) > 1 else 0.02
    colour, _ = look(plane.layers.own)
    for step, features in zip(steps, kept, strict=True):
        at = step + np.array(dodge(len(features), 0.12 * gap))
        axes.plot(at, features, "o", ms=4, mfc="none", mec=colour, mew=1.0, clip_on=False)
        lost = np.isnan(features)
        axes.plot(at[lost], [-0.5] * int(lost.sum()), "x", ms=4.5, color=INK, mew=1.0, clip_on=False)
    landscape = Landscape(result.settings.problem, plane.layers.own, result.settings.decay)
    for rest in landscape.rests():
        if rest.stable:
            style = ":" if rest.name == "lost" else "-"
            axes.axvline(2 / landscape.sharpness(rest), color=colour, lw=1.0, ls=style, zorder=1)
    most = result.settings.features
    axes.set_ylim(-0.7, most + 0.3)
    axes.set_yticks([-0.5, *range(most + 1)], ["diverged", *[str(k) for k in range(most + 1)]])
    axes.set_title("Beyond the edge of the lost state", x=0, y=1)
    axes.set_xlabel("length of a step")
    axes.set_ylabel("features of source b")
    return figure
