"""Figures of the study `linear-fusion`."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from chiasm.pictures.style import INK, MUTED, SOURCES, Panel, dodge, legend
from chiasm.pictures.words import number
from chiasm.theory.fusion.findings import findings
from chiasm.theory.fusion.landscape import Landscape, penalty
from chiasm.theory.fusion.plane import FusionPlane
from chiasm.theory.fusion.problem import FusionProblem
from chiasm.theory.fusion.study import FusionResult
from chiasm.theory.pages.charts import Sweep, chart, depth_key, key, log_axes, mark, note, of_depth, sweep

__all__ = ["FIRST", "findings", "panels"]

EXCESS = "excess loss (1: best single source)"
DURATION = "duration of the deficit (steps)"
#: Depths of the landscapes that are drawn; one more and the curves hide each other.
DRAWN = 4

#: The pictures that stand first.
FIRST = ("fusion-duration", "fusion-onset", "fusion-landscape")


def panels(result: FusionResult) -> list[Panel]:
    """Return the figures of the study, in reading order."""
    asked, cut = result.settings, len(result.settings.durations)
    durations, onsets = (
        [Sweep(plane.excess[cells], plane.layers.own) for plane in result.depths]
        for cells in (slice(0, cut), slice(cut, None))
    )
    window = f"A deficit of {asked.onset_duration} steps"
    drawn = min(asked.depths) <= DRAWN
    figures = {
        "duration": sweep(durations, asked.durations, "A deficit from the beginning", DURATION, EXCESS),
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
    captions = _captions(result)
    return [Panel(f"fusion-{name}", figure, captions[name]) for name, figure in figures.items()]


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


def _recovery(result: FusionResult) -> Figure:
    asked = result.settings
    # Without a deficit there is no release to count from.
    kept = [k for k, duration in enumerate(asked.durations) if duration > 0]
    most = max((plane.layers.own for plane in result.free), default=DRAWN)
    curves = [
        Sweep(plane.recovery(asked.threshold)[kept], plane.layers.own, hollow)
        for planes, hollow in ((result.depths, False), (result.free, True))
        for plane in planes
        if plane.layers.own <= most
    ]
    top = max(asked.after, asked.free_after)
    figure = sweep(
        curves, [asked.durations[k] for k in kept], "How long recovery takes", DURATION, "steps until recovered",
        never=1.06 * top, hollow="without decay",
    )  # fmt: skip
    figure.axes[0].set_ylim(0, 1.12 * top)
    note(figure.axes[0], "never", (0, 1.06 * top), "y", (3, -5), va="top")
    return figure


def _penalty() -> Figure:
    ylabel = "penalty (in units of the decay)"
    figure, axes = chart("What p layers pay for a weight", "singular value w of the product", ylabel)
    w = np.linspace(0, 1, 600) ** 3
    for depth in range(1, DRAWN + 1):
        values, colour = penalty(w, depth), SOURCES[depth - 1]
        axes.plot(w, values, color=colour, lw=1.6)
        end = (1.0, float(values[-1]))
        axes.annotate(f"p = {depth}", end, (4, 0), textcoords="offset points", va="center", color=colour)
    axes.set_xlim(0, 1.14)
    axes.set_ylim(0, DRAWN / 2 * 1.08)
    return figure


def _landscape(result: FusionResult, near: bool) -> Figure:
    drawn = [one for one in result.landscapes if one.depth <= DRAWN]
    title = "Near the lost state" if near else "The energy against source b"
    figure, axes = chart(title, "weight of source b", f"energy above weight 0{' (× 0.001)' if near else ''}", 2)
    end = 0.03 if near else 1.35 * max(rest.w_b for one in drawn for rest in one.rests())
    w = end * np.linspace(0, 1, 800) ** 2
    factor = 1000 if near else 1
    for one in drawn:
        colour, marker = of_depth(one.depth)
        base = float(one.valley(0.0))
        axes.plot(w, factor * (one.valley(w) - base), color=colour, lw=1.6, zorder=2)
        for rest in one.rests():
            if rest.w_b <= end:
                fill, up = colour if rest.stable else "white", factor * (rest.energy - base)
                axes.plot([rest.w_b], [up], marker, ms=7, mec=colour, mew=1.4, mfc=fill, zorder=4, clip_on=False)
        if not near:
            # Each feature of each seed, at the end of the plane that was trained longest.
            longest = next(plane for plane in (*result.lasting, *result.depths) if plane.layers.own == one.depth)
            ends = np.linalg.svd(longest.maps[..., 1, :, :], compute_uv=False).ravel()
            axes.plot(ends, one.valley(ends) - base, "x", color=INK, ms=4.5, mew=0.9, zorder=5, clip_on=False)
    if near:
        axes.set_ylim(-4, 5)
        axes.set_xticks([0, 0.01, 0.02, 0.03])
    axes.set_xlim(-0.02 * end, end)
    handles = [depth_key(one.depth) for one in drawn]
    handles.append(key("unstable", MUTED, "", marker="o", markerfacecolor="white"))
    if not near:
        handles.append(key("descent ended", INK, "", marker="x", markersize=5))
    legend(figure, handles, columns=3)
    return figure


def _late(result: FusionResult) -> Figure:
    asked = result.settings
    figure, axes = chart("How long a late deficit may last", "depth of a pathway", "duration (steps)", 2)
    depths = range(3, max(6, *asked.late_depths) + 1)
    for kind, style, colour in (("zero", "-", SOURCES[0]), ("decorrelate", "--", SOURCES[1])):
        problem = FusionProblem(asked.features, asked.noise, kind)  # type: ignore[arg-type]
        limited = [one for depth in depths if (one := Landscape(problem, depth, asked.decay)).limited]
        edges = [one.longest() / asked.step for one in limited]
        axes.plot([one.depth for one in limited], edges, style, color=colour, lw=1.6, marker=".", ms=5)
    for plane in result.late:
        duration = (plane.release - plane.onset)[:, 0]
        back, lost = plane.excess.max(1) < asked.threshold, plane.excess.min(1) > 1 - asked.threshold
        for marker, which in (("o", back), ("x", lost)):
            at = [plane.layers.own] * int(which.sum())
            axes.plot(at, duration[which], marker, color=INK, ms=6, mfc="none", zorder=4)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    ticks = [tick for tick in (50, 100, 200, 500, 1000, 2000, 5000) if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xticks(list(depths))
    axes.set_xlim(depths[0] - 0.4, depths[-1] + 0.4)
    handles = [
        key("edge, source silent", SOURCES[0]),
        key("edge, decorrelated", SOURCES[1], "--"),
        key("came back", INK, "", marker="o", markerfacecolor="none"),
        key("lost", INK, "", marker="x"),
    ]
    legend(figure, handles, columns=2)
    return figure


def _shared(result: FusionResult) -> Figure:
    planes = sorted((*result.depths, *result.shared), key=lambda plane: (plane.layers.own, plane.layers.shared))
    title, height = "Own layers count, not shared ones", 0.95 + 0.2 * len(planes)
    figure, axes = chart(title, EXCESS, "own + shared layers", height=height, left=1.3, grid="x")
    at = int(np.argmax(result.settings.durations))
    for k, plane in enumerate(planes):
        colour, marker = of_depth(plane.layers.own)
        axes.plot(plane.excess[at], [k] * plane.excess.shape[1], marker, color=colour, ms=5.5, mfc="none")
    axes.set_yticks(range(len(planes)), [plane.layers.name for plane in planes])
    axes.set_ylim(len(planes) - 0.4, -0.6)
    axes.set_xlim(-0.05, None)
    return figure


def _redundant(result: FusionResult) -> Figure:
    plane, decay = result.redundant, result.settings.decay
    figure, axes = chart("Sources without noise, depth 1", "step", "share of source b", 1)
    for row, colour in ((0, SOURCES[0]), (1, SOURCES[1])):
        axes.plot(plane.times, plane.share_path[row, 1].T, color=colour, lw=1.1)
    release, last = int(plane.release[1, 1, 0]), int(plane.steps[1, 1, 0])
    mark(axes, release, "release")
    # By decay alone W_a - W_b shrinks as exp(-decay t), and W_a + W_b is 2 / (2 + decay).
    at = np.linspace(release + 0.15 * (last - release), last, 12)
    gap = np.exp(-decay * plane.step[1, 1, 0] * (at - release)) / (1 + decay)
    total = 2 / (2 + decay)
    axes.plot(at, (total - gap) / 2 / total, ".", color=INK, ms=5, zorder=4)
    axes.axhline(0.5, color=MUTED, lw=0.9, ls=(0, (5, 3)))
    note(axes, "balance", (0, 0.5), "y", (3, 2), va="bottom")
    axes.set_ylim(0, 0.62)
    handles = [
        key("no decay", SOURCES[0]),
        key(f"decay {decay:g}", SOURCES[1]),
        key("closed form", INK, "", marker="."),
    ]
    legend(figure, handles, columns=3)
    return figure


def _steps(result: FusionResult) -> Figure:
    rows = math.ceil((len(result.steps) + 1) / 2)
    figure, axes = chart("Descent beside flow", "length of a step", "largest distance from flow", rows, grid="both")
    handles = []
    for one in result.steps:
        colour, marker = of_depth(one.layers.own)
        for k, (style, fill) in zip(range(len(one.durations)), (("-", colour), ("--", "none")), strict=False):
            kept, gap = one.left[:, k] == 0, one.gap[:, k].mean(1)
            axes.plot(one.steps[kept], gap[kept], style, color=colour, marker=marker, ms=4.5, lw=1.3, mfc=fill)
        for name, style in (("fused", "-"), ("lost", ":")):
            if name in one.edges:
                axes.axvline(one.edges[name], color=colour, lw=1.0, ls=style, zorder=1)
        handles.append(depth_key(one.layers.own))
    # No step keeps with flow, or none leaves it: axes without a point.
    empty = not any((one.gap.mean(2)[one.left == 0] > 0).any() for one in result.steps)
    steps = result.steps[0].steps
    log_axes(axes, (0.05, 0.1, 0.2, 0.5, 1.0), steps.min(), steps.max(), empty)
    label = f"deficit of time {number(float(result.steps[0].durations[-1]), 0)}"
    handles.append(key(label, MUTED, "--", marker="o", markerfacecolor="none"))
    legend(figure, handles, columns=2)
    return figure


def _swinging(result: FusionResult, plane: FusionPlane) -> Figure:
    figure, axes = chart("Beyond the edge of the lost state", "length of a step", "features of source b", left=1.0)
    steps, kept = plane.step[:, 0], result.kept_features()
    gap = float(np.diff(np.sort(steps)).min()) if len(steps) > 1 else 0.02
    colour, _ = of_depth(plane.layers.own)
    for step, features in zip(steps, kept, strict=True):
        at = step + np.array(dodge(len(features), 0.12 * gap))
        axes.plot(at, features, "o", ms=4, mfc="none", mec=colour, mew=1.0, clip_on=False)
        lost = np.isnan(features)
        axes.plot(at[lost], [-0.5] * int(lost.sum()), "x", ms=4.5, color=INK, mew=1.0, clip_on=False)
    landscape = result.settings.landscape(plane.layers.own)
    edges = landscape.edges()
    for rest in landscape.rests():
        if rest.stable:
            axes.axvline(edges[rest.name], color=colour, lw=1.0, ls=":" if rest.name == "lost" else "-", zorder=1)
    most = result.settings.features
    axes.set_ylim(-0.7, most + 0.3)
    axes.set_yticks([-0.5, *range(most + 1)], ["diverged", *[str(k) for k in range(most + 1)]])
    return figure
