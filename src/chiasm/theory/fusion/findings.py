"""Findings of the study `linear-fusion`, as sentences; every number comes from the result."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chiasm.pictures.words import count, listed, number, percent
from chiasm.theory.fusion.study import FusionResult
from chiasm.theory.pages.charts import mean_between


def findings(result: FusionResult) -> list[str]:
    """Return the findings, one sentence each."""
    parts = (_durations, _onsets, _lasting, _delays, _free, _rests, _late, _shared, _redundant, _steps, _swinging)
    return [sentence for part in parts for sentence in part(result)]


def _durations(result: FusionResult) -> Iterator[str]:
    last = int(np.argmax(result.settings.durations))
    parts = [f"{mean_between(plane.excess[last])} at depth {plane.layers.own}" for plane in result.depths]
    yield (
        f"After a deficit of {result.settings.durations[last]} steps from the beginning and {result.settings.after} "
        f"clean steps, the excess loss (0: fused as well as can be, 1: source b lost) is {listed(parts)}."
    )


def _onsets(result: FusionResult) -> Iterator[str]:
    asked = result.settings
    for plane in result.depths:
        excess = plane.excess[len(asked.durations) :]
        hurt = excess.mean(1) > 0.5
        cost = f"At depth {plane.layers.own} {asked.onset_duration} impaired steps cost the source"
        if hurt.any() and not hurt.all():
            worst = [f"{onset}" for onset, bad in zip(asked.onsets, hurt, strict=True) if bad]
            yield (
                f"{cost} when they begin at step {listed(worst)}; at every other onset the mean excess loss is "
                f"{number(excess[~hurt].mean(1).max(), 3)} or less."
            )
        elif hurt.all():
            control = plane.excess[int(np.argmin(asked.durations))].mean()
            slow = f", and without a deficit it is {number(control, 3)} still" if control > asked.threshold else ""
            yield f"{cost} at every onset{slow}: that is no critical period, the source is simply forgotten."


def _lasting(result: FusionResult) -> Iterator[str]:
    asked, parts = result.settings, []
    for plane in result.lasting:
        gap = _small(np.abs(plane.excess[-1] - plane.excess[0]).max())
        parts.append(f"{gap} at depth {plane.layers.own} (share of source b: {_small(plane.share[-1].max())})")
    if parts:
        yield (
            f"{asked.lasting_after} steps after the deficit, the largest difference between the control's excess loss "
            f"and that of the longest deficit, over {count(asked.seeds, 'seed')}, is {listed(parts)}."
        )


def _delays(result: FusionResult) -> Iterator[str]:
    asked = result.settings
    plane = next((plane for plane in result.depths if plane.layers.own == 2), None)
    kept = [k for k, duration in enumerate(asked.durations) if duration >= 200]
    if plane is None or len(kept) < 2 or not asked.decay or asked.deficit != "zero":
        return
    steps = np.median(plane.recovery(asked.threshold)[kept], axis=1)
    if np.isfinite(steps).all():
        slope = np.polyfit(np.array([asked.durations[k] for k in kept]), steps, 1)[0]
        exact = asked.landscape(2).delay_slope()
        yield (
            f"At depth 2 recovery is late, never missing: {number(float(slope), 3)} steps later for each impaired "
            f"step, {number(exact, 3)} in closed form."
        )


def _free(result: FusionResult) -> Iterator[str]:
    asked, parts, every = result.settings, [], True
    kept = [k for k, duration in enumerate(asked.durations) if duration > 0]
    for plane in result.free if kept else ():
        steps = np.median(plane.recovery(asked.threshold)[kept], axis=1)
        if np.isfinite(steps).all():
            span = f"{steps.min():.0f}" if steps.min() == steps.max() else f"{steps.min():.0f} to {steps.max():.0f}"
            parts.append(f"{span} steps at depth {plane.layers.own}")
        else:
            every = False
            parts.append(f"more than {asked.free_after} steps at depth {plane.layers.own} in some cells")
    if parts:
        lasting = "nothing is permanent" if every else "not every cell was followed to its end"
        yield (
            f"Without weight decay {lasting}: after every deficit of up to {max(asked.durations)} steps the "
            f"excess loss is below {asked.threshold:g} again in {listed(parts)} (medians over seeds)."
        )


def _rests(result: FusionResult) -> Iterator[str]:
    for one in result.landscapes:
        lost, saddle, fused = one.rest("lost"), one.rest("saddle"), one.rest("fused")
        if lost is None or fused is None:
            continue
        if saddle is None:
            yield (
                f"At depth {one.depth} the state without source b is {'stable' if lost.stable else 'not stable'} under "
                f"a decay of {one.decay:g}; the only other state of rest is the fused one, at weight "
                f"{number(fused.w_b, 3)}."
            )
        else:
            yield (
                f"At depth {one.depth} the fused state (weight {number(fused.w_b, 3)}) and the lost one are both "
                f"stable; the saddle between them is at weight {number(saddle.w_b, 4)}, an energy of "
                f"{_small(saddle.energy - lost.energy)} above the lost state."
            )


def _late(result: FusionResult) -> Iterator[str]:
    asked = result.settings
    for plane in result.late:
        edge = asked.landscape(plane.layers.own).longest() / asked.step
        durations = [str(int(d)) for d in (plane.release - plane.onset)[:, 0]]
        back = [d for d, x in zip(durations, plane.excess, strict=True) if (x < asked.threshold).all()]
        lost = [d for d, x in zip(durations, plane.excess, strict=True) if (x > 1 - asked.threshold).all()]
        outcomes = [f"came back from {listed(back)}"] if back else []
        outcomes += [f"did not from {listed(lost)}"] if lost else []
        yield (
            f"At depth {plane.layers.own} a fused network can do without source b for {edge:.0f} steps, says the "
            f"landscape; descent {' and '.join(outcomes) or 'is undecided'} steps, in every seed."
        )


def _shared(result: FusionResult) -> Iterator[str]:
    at, control = int(np.argmax(result.settings.durations)), int(np.argmin(result.settings.durations))
    few = [plane for plane in result.shared if plane.layers.own < 3]
    if few:
        names = listed([plane.layers.name for plane in few])
        worst = max(float((plane.excess - plane.excess[control]).max()) for plane in few)
        yield (
            f"Pathways with one or two layers of their own lose nothing, whatever they share ({names}): at no duration "
            f"or onset is the excess loss more than {_small(worst)} above the control's."
        )
    for plane in result.shared:
        if plane.layers.own >= 3:
            excess = mean_between(plane.excess[at])
            yield f"With {plane.layers.name} layers it is {excess} after the longest deficit."


def _redundant(result: FusionResult) -> Iterator[str]:
    free, decayed = (mean_between(result.redundant.share[row, 1]) for row in (0, 1))
    yield (
        f"Sources without noise stay out of balance even at depth 1, since nothing tells them apart: "
        f"{result.settings.after} steps after the release source b has a share of {free} without decay, for ever, and "
        f"{decayed} with it, on its way to 0.5 at the speed of the decay."
    )


def _steps(result: FusionResult) -> Iterator[str]:
    for one in result.steps:
        control, impaired = (one.steps[one.left[:, k] == 0] for k in (0, -1))
        if not len(control) or not len(impaired) or "fused" not in one.edges:
            continue
        sentence = (
            f"At depth {one.layers.own} descent with steps of {one.steps[0]:g} keeps within "
            f"{percent(float(one.gap[0].mean()), 1)} of flow, and ends where flow does up to steps of "
            f"{control.max():g} (2 / sharpness of the fused state: {number(one.edges['fused'], 3)})"
        )
        if impaired.max() < control.max() and "lost" in one.edges:
            sentence += (
                f", but after a deficit only up to {impaired.max():g}: the state it leads to is sharper "
                f"({number(one.edges['lost'], 3)})"
            )
        yield sentence + "."


def _swinging(result: FusionResult) -> Iterator[str]:
    plane = result.swinging
    if plane is None:
        return
    edges = result.settings.landscape(plane.layers.own).edges()
    if not {"lost", "fused"} <= edges.keys():
        return
    low, high = edges["lost"], edges["fused"]
    kept, steps = result.kept_features(), plane.step[:, 0]
    below, between = kept[steps < low], kept[(steps > low) & (steps < high)]
    if below.size and between.size:
        yield (
            f"What flow never undoes, large steps may: at depth {plane.layers.own}, below the edge of the lost state "
            f"({number(low, 3)}), source b ends with {number(float(np.nanmax(below)), 0)} of "
            f"{result.settings.features} features at most; between it and the edge of the fused state "
            f"({number(high, 3)}) descent swings and gives back {number(float(np.nanmean(between)), 1)} in the mean, "
            f"but diverges in {np.isnan(between).sum()} of {between.size} runs."
        )


def _small(value: float) -> str:
    """Write a number of any size: 0.994, or 2.2 · 10^-19."""
    if not np.isfinite(value):
        return "not known"
    if value == 0 or abs(value) >= 1e-3:
        return number(float(value), 3)
    digits, power = f"{value:.1e}".split("e")
    return f"{digits} · 10^{int(power)}".replace("-", "−")
