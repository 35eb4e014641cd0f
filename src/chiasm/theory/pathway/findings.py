"""Findings of the study `linear-pathways`, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chiasm.pictures.words import listed, number, percent
from chiasm.theory.pathway.coordinates import Floats, Ints
from chiasm.theory.pathway.result import PathwaysResult

#: An index below this counts as none.
NONE = 1e-3


def findings(result: PathwaysResult) -> list[str]:
    """Return the findings, one sentence each; every number comes from the result."""
    return [
        *_onsets(result),
        *_silence(result),
        *_windows(result),
        *_lessons(result),
        *_doses(result),
        *_portrait(result),
        *_matrices(result),
        *_large(result),
    ]


def _onsets(result: PathwaysResult) -> Iterator[str]:
    settings, sweep = result.settings, result.sweep
    first, strength = sweep.flow[0, 0, :, 0], number(float(result.strength[0]), 3)
    yield (
        f"A pathway that is frozen for the first {settings.duration} steps never catches up on the strongest mode "
        f"({strength}): index {_each(first, settings.depths)}, where 1 is all to the other pathway and 0 is half each."
    )
    late = np.abs(sweep.flow[0, -1]).max()
    harmless = " Late freezing is harmless: a frozen pathway misses only the residual, and there is none left."
    yield (
        f"Frozen from step {sweep.onset[-1]} on, no mode at any depth ends with an index above {_small(late)}."
        f"{harmless if late < NONE else ''}"
    )


def _silence(result: PathwaysResult) -> Iterator[str]:
    settings, sweep = result.settings, result.sweep
    least = sweep.flow[1, ..., 0].min(0)
    yield (
        f"{'Silencing is never harmless:' if least.min() > NONE else 'Under silencing,'} over all onsets the index of "
        f"the strongest mode is no less than {_each(least, settings.depths)}. While the pathway is silent the other "
        "one learns its part as well, and after the release both unlearn the surplus together, not each its own."
    )
    yield (
        "A silence that is late and long leaves the same of every mode: index "
        f"{_each(result.ever, settings.depths, 3)}, towards √5 − 2 = {number(5**0.5 - 2, 3)} for ever more depth."
    )


def _windows(result: PathwaysResult) -> Iterator[str]:
    settings, window, width = result.settings, result.window, result.window.width()
    levels = window.levels.tolist()
    half = window.closes[levels.index(0.5)]
    for mode in dict.fromkeys((0, len(result.strength) - 1)):
        yield (
            f"The window of freezing closes for the mode of strength {number(float(result.strength[mode]), 3)} (index "
            f"below 0.5) at step {_each(half[:, mode], settings.depths, 0)}."
        )
    known = np.isfinite(width[:, 0])
    if known.sum() > 1 and np.all(np.diff(width[known, 0]) < 0) and np.all(np.diff(half[:, 0]) > 0):
        depths = [int(depth) for depth in np.array(settings.depths)[known]]
        yield (
            "Depth delays the closing and makes it sharper: for the strongest mode the index falls from 0.9 to 0.1 "
            f"within {_each(width[known, 0], depths, 0, ' steps')}."
        )


def _lessons(result: PathwaysResult) -> Iterator[str]:
    depths = result.settings.depths
    if 2 in depths:
        place = depths.index(2)
        apart = np.abs(np.tanh(result.sweep.missed[:, :, place]) - result.sweep.flow[:, :, place]).max()
        yield (
            "One number decides who ends up with a mode: the residual summed over the deficit, the lesson missed. "
            f"Freezing and silencing, early and late, lie on one curve a depth; at depth 2 the index is its hyperbolic "
            f"tangent, within {apart:.0e} over all windows."
        )


def _doses(result: PathwaysResult) -> Iterator[str]:
    doses, settings = result.doses, result.settings
    late = doses.flow[1, 1]
    worst = np.unravel_index(late.argmax(), late.shape)
    always = np.flatnonzero(doses.rate == 1)
    if len(always) and late[worst] > late[worst[0], always[0]]:
        yield (
            f"Silence that comes and goes is worse than silence that stays: late ({settings.late} steps) and "
            f"{doses.duration[worst[0]]} steps long, {percent(float(doses.rate[worst[1]]))} of the time leaves an "
            f"index of {number(late[worst], 2)}, all of the time {number(late[worst[0], always[0]], 2)}, at depth "
            f"{settings.dose_depth}. When it speaks, the outputs add up to too much, and it unlearns."
        )
    frozen = np.abs(doses.flow[0, 1]).max()
    if frozen < NONE:
        yield f"Freezing as late is harmless at every rate (index below {_small(frozen)})."


def _portrait(result: PathwaysResult) -> Iterator[str]:
    portrait = result.portrait
    mean, size = portrait.index.mean(-1), np.abs(portrait.index).mean(-1)
    yield (
        "From a wide random start, freezing early leaves a mean index of "
        f"{_each(mean[0], portrait.depth)}, and late of {_each(mean[1], portrait.depth)}."
    )
    yield (
        "A late mean near 0 is not an even split: which pathway leads is then left to the random start, and the mean "
        f"size of the index is {_each(size[1], portrait.depth)}."
    )


def _matrices(result: PathwaysResult) -> Iterator[str]:
    part, settings, lesion = result.matrices, result.settings, result.lesion
    lags = [f"{percent(float(a), 1)} of a mode at step {s:.2g}" for a, s in zip(part.ahead, part.steps, strict=True)]
    yield (
        f"Gradient descent on {settings.matrix_depth} matrices a pathway follows the reduced equations within "
        f"{part.apart:.0e}, step for step. Gradient flow runs ahead of it where modes rise, by up to "
        f"{listed(lags)}."
    )
    strength = float(lesion.flow[-1, lesion.mode].sum())
    final = float(lesion.matrices[-1, lesion.mode, 1])
    when = "never" if np.isnan(lesion.learned) else f"at step {lesion.learned:.0f}"
    yield (
        f"An inhibited pathway is not dead: a mode of strength {number(strength, 3)} that the first pathway lacks is "
        f"learned by the second after its release, 90 % of it {when}, in the end {number(final, 2)}."
    )


def _large(result: PathwaysResult) -> Iterator[str]:
    for one in result.large:
        beyond = (one.step > one.limits[0]) & np.isfinite(one.index)
        if not np.isfinite(one.index).any():
            yield f"At depth {one.depth} descent diverges at every step that was tried."
            continue
        if one.depth < 3:
            least = float(one.index[np.isfinite(one.index)].min())
            yield (
                f"At depth {one.depth} no step shares out again what one pathway took: the index stays "
                f"{number(least, 3)} or more, beyond the edge of stability too."
            )
            continue
        inside = beyond & (one.step < one.limits[1])
        apart = np.abs(one.index - one.edge)[inside].max(initial=0.0)
        sentences = (
            f"At depth {one.depth} steps above {number(one.limits[0], 4)} do: the split moves to the edge of stability "
            f"(index within {number(float(apart), 2)} of it), and is even from {number(one.limits[1], 4)} on; gradient "
            f"flow says {number(one.flow, 3)} at any step."
        )
        if len(one.tried) and one.matrices.shape[1] > 1:
            others = one.matrices[:, 1:]
            sentences += (
                f" On matrices too, but for the strongest mode only: the index of the others stays "
                f"{number(float(others.min()), 2)} or more, since the step is far below their edge."
            )
        yield sentences


def _each(values: Floats, depths: Sequence[int] | Ints, digits: int = 2, unit: str = "") -> str:
    """Write values by depth."""
    numbers = listed([number(float(value), digits) for value in values])
    return f"{numbers}{unit} at depth {listed([str(depth) for depth in depths])}"


def _small(value: float) -> str:
    if value < 1e-12:
        return "1e-12"
    return f"{value:.0e}" if value < NONE else number(float(value), 3)
