"""What the study `linear-fusion` found, in plain sentences; every number comes from the result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chiasm.intervals import estimate
from chiasm.pictures.words import count, listed, number, number_between, percent
from chiasm.theory.fusion.landscape import Landscape
from chiasm.theory.fusion.problem import Floats
from chiasm.theory.fusion.study import FusionResult


def findings(result: FusionResult) -> list[str]:
    """Return what the study found.

    Args:
        result: of `LinearFusion.run`.

    Returns:
        Sentences, each complete in itself.
    """
    said = [_durations(result), *_onsets(result), *_lasting(result), *_delays(result), *_free(result), *_rests(result)]
    return [*said, *_late(result), *_shared(result), *_redundant(result), *_steps(result), *_swinging(result)]


def _durations(result: FusionResult) -> str:
    last = int(np.argmax(result.settings.durations))
    parts = [f"{_mean(plane.excess[last])} at depth {plane.layers.own}" for plane in result.depths]
    return (
        f"After a deficit of {result.settings.durations[last]} steps from the beginning and {result.settings.after} "
        f"clean steps, the excess loss (0: fused as well as can be, 1: source b lost) is {listed(parts)}."
    )


def _onsets(result: FusionResult) -> list[str]:
    asked, made = result.settings, []
    for plane in result.depths:
        excess = plane.excess[result.onset_cells(plane)]
        hurt = excess.mean(1) > 0.5
        if hurt.any() and not hurt.all():
            worst = [f"{onset}" for onset, bad in zip(asked.onsets, hurt, strict=True) if bad]
            rest = excess[~hurt].mean(1).max()
            made.append(
                f"At depth {plane.layers.own} {asked.onset_duration} impaired steps cost the source when they begin at "
                f"step {listed(worst)}; at every other onset the mean excess loss is {number(rest, 3)} or less."
            )
        elif hurt.all():
            control = plane.excess[int(np.argmin(asked.durations))].mean()
            slow = f", and without a deficit it is {number(control, 3)} still" if control > asked.threshold else ""
            made.append(
                f"At depth {plane.layers.own} {asked.onset_duration} impaired steps cost the source at every "
                f"onset{slow}: that is no critical period, the source is simply forgotten."
            )
    return made


def _lasting(result: FusionResult) -> list[str]:
    parts = []
    for plane in result.lasting:
        gap = np.abs(plane.excess[-1] - plane.excess[0]).max()
        share = plane.share[-1].max()
        parts.append(f"{_small(gap)} at depth {plane.layers.own} (share of source b: {_small(share)})")
    if not parts:
        return []
    asked = result.settings
    return [
        f"{asked.lasting_after} steps after the deficit, the largest difference between the control's excess loss and "
        f"that of the longest deficit, over {count(asked.seeds, 'seed')}, is {listed(parts)}."
    ]


def _delays(result: FusionResult) -> list[str]:
    plane = next((p for p in result.depths if p.layers.own == 2), None)
    landscape = next((one for one in result.landscapes if one.depth == 2), None)
    kept = [k for k, duration in enumerate(result.settings.durations) if duration >= 200]
    if plane is None or landscape is None or len(kept) < 2 or not result.settings.decay:
        return []
    steps = np.median(plane.recovery(result.settings.threshold)[kept], axis=1)
    durations = np.array([result.settings.durations[k] for k in kept])
    if not np.isfinite(steps).all() or result.settings.deficit != "zero":
        return []
    slope = np.polyfit(durations, steps, 1)[0]
    return [
        f"At depth 2 recovery is late, never missing: {number(float(slope), 3)} steps later for each impaired step, "
        f"{number(landscape.delay_slope(), 3)} in closed form."
    ]


def _free(result: FusionResult) -> list[str]:
    asked, parts = result.settings, []
    kept = [k for k, duration in enumerate(asked.durations) if duration > 0]
    back = True
    for plane in result.free if kept else ():
        steps = np.median(plane.recovery(asked.threshold)[kept], axis=1)
        back &= bool(np.isfinite(steps).all())
        if np.isfinite(steps).all():
            span = f"{steps.min():.0f}" if steps.min() == steps.max() else f"{steps.min():.0f} to {steps.max():.0f}"
            parts.append(f"{span} steps at depth {plane.layers.own}")
        else:
            parts.append(f"more than {asked.free_after} steps at depth {plane.layers.own} in some cells")
    if not parts:
        return []
    lasting = "nothing is permanent" if back else "not every cell was followed to its end"
    return [
        f"Without weight decay {lasting}: after every deficit of up to {max(asked.durations)} steps the "
        f"excess loss is below {asked.threshold:g} again in {listed(parts)} (medians over seeds)."
    ]


def _rests(result: FusionResult) -> list[str]:
    made = []
    for one in result.landscapes:
        lost, saddle, fused = one.rest("lost"), one.rest("saddle"), one.rest("fused")
        if lost is None or fused is None:
            continue
        if saddle is None:
            made.append(
                f"At depth {one.depth} the state without source b is {'stable' if lost.stable else 'not stable'} under "
                f"a decay of {one.decay:g}; the only other state of rest is the fused one, at weight "
                f"{number(fused.w_b, 3)}."
            )
        else:
            made.append(
                f"At depth {one.depth} the fused state (weight {number(fused.w_b, 3)}) and the lost one are both "
                f"stable; the saddle between them is at weight {number(saddle.w_b, 4)}, an energy of "
                f"{_small(saddle.energy - lost.energy)} above the lost state."
            )
    return made


def _late(result: FusionResult) -> list[str]:
    asked, made = result.settings, []
    for plane in result.late:
        durations = (plane.release - plane.onset)[:, 0]
        back = [int(d) for d, x in zip(durations, plane.excess, strict=True) if (x < asked.threshold).all()]
        lost = [int(d) for d, x in zip(durations, plane.excess, strict=True) if (x > 1 - asked.threshold).all()]
        edge = next(one for one in _edges(result) if one[0] == plane.layers.own)[1]
        told = [f"came back from {listed([str(d) for d in back])}"] if back else []
        told += [f"did not from {listed([str(d) for d in lost])}"] if lost else []
        made.append(
            f"At depth {plane.layers.own} a fused network can do without source b for {edge:.0f} steps, says the "
            f"landscape; descent {' and '.join(told) or 'is undecided'} steps, in every seed."
        )
    return made


def _edges(result: FusionResult) -> list[tuple[int, float]]:
    asked = result.settings
    return [(d, Landscape(asked.problem, d, asked.decay).longest() / asked.step) for d in asked.late_depths]


def _shared(result: FusionResult) -> list[str]:
    if not result.shared:
        return []
    at, control = int(np.argmax(result.settings.durations)), int(np.argmin(result.settings.durations))
    few, many = ([plane for plane in result.shared if (plane.layers.own < 3) == below] for below in (True, False))
    made = []
    if few:
        worst = max(float((p.excess - p.excess[control]).max()) for p in few)
        made.append(
            f"Pathways with one or two layers of their own lose nothing, whatever they share "
            f"({listed([p.layers.name for p in few])}): at no duration or onset is the excess loss more than "
            f"{_small(worst)} above the control's."
        )
    for plane in many:
        made.append(f"With {plane.layers.name} layers it is {_mean(plane.excess[at])} after the longest deficit.")
    return made


def _redundant(result: FusionResult) -> list[str]:
    plane = result.redundant
    free, decayed = (_mean(plane.share[row, 1]) for row in (0, 1))
    return [
        f"Sources without noise stay out of balance even at depth 1, since nothing tells them apart: "
        f"{result.settings.after} steps after the release source b has a share of {free} without decay, for ever, and "
        f"{decayed} with it, on its way to 0.5 at the speed of the decay."
    ]


def _steps(result: FusionResult) -> list[str]:
    made = []
    for one in result.steps:
        safe = [float(s) for s, lost in zip(one.steps, one.left[:, 0], strict=True) if not lost]
        hurt = [float(s) for s, lost in zip(one.steps, one.left[:, -1], strict=True) if not lost]
        if not safe or not hurt or "fused" not in one.edges:
            continue
        small = float(one.gap[0].mean())
        text = (
            f"At depth {one.layers.own} descent with steps of {one.steps[0]:g} keeps within {percent(small, 1)} of "
            f"flow, and ends where flow does up to steps of {max(safe):g} (2 / sharpness of the fused state: "
            f"{number(one.edges['fused'], 3)})"
        )
        if max(hurt) < max(safe) and "lost" in one.edges:
            text += (
                f", but after a deficit only up to {max(hurt):g}: the state it leads to is sharper "
                f"({number(one.edges['lost'], 3)})"
            )
        made.append(text + ".")
    return made


def _swinging(result: FusionResult) -> list[str]:
    plane = result.swinging
    if plane is None:
        return []
    landscape = Landscape(result.settings.problem, plane.layers.own, result.settings.decay)
    lost, fused = landscape.rest("lost"), landscape.rest("fused")
    if lost is None or fused is None:
        return []
    low, high = (2 / landscape.sharpness(rest) for rest in (lost, fused))
    kept, steps = result.kept_features(), plane.step[:, 0]
    below = kept[steps < low]
    between = kept[(steps > low) & (steps < high)]
    if not below.size or not between.size:
        return []
    gone = int(np.isnan(between).sum())
    return [
        f"What flow never undoes, large steps may: at depth {plane.layers.own}, below the edge of the lost state "
        f"({number(low, 3)}), source b ends with {number(float(np.nanmax(below)), 0)} of {result.settings.features} "
        f"features at most; between it and the edge of the fused state ({number(high, 3)}) descent swings and gives "
        f"back {number(float(np.nanmean(between)), 1)} in the mean, but diverges in {gone} of {between.size} runs."
    ]


def _mean(values: Floats | Sequence[float]) -> str:
    made = estimate([float(v) for v in np.asarray(values) if np.isfinite(v)], (0.0, np.inf))
    return "not finite" if made is None else number_between(made, 3)


def _small(value: float) -> str:
    """A number of any size: 0.994, or 2.2 · 10^-19."""
    if not np.isfinite(value):
        return "not known"
    if value == 0 or abs(value) >= 1e-3:
        return number(float(value), 3)
    digits, power = f"{value:.1e}".split("e")
    return f"{digits} · 10^{int(power)}".replace("-", "−")
