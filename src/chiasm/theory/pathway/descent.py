"""Gradient descent with a step of any length on the reduced equations of parallel pathways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike

from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.theory.pathway.coordinates import Floats, Ints
from chiasm.theory.pathway.deficit import PathwayDeficit, Windows, windows
from chiasm.theory.pathway.flow import dominance
from chiasm.theory.pathway.pathways import Bools, Pathways

#: How often the end is looked for, in steps.
LOOK = 64


@dataclass(frozen=True)
class PathwayDescent:
    """Gradient descent on pathways.

    Attributes:
        system: the cells, broadcast against windows and steps.
        at: (T,) numbers of steps after which outputs were noted.
        outputs: (*cells, T, n) outputs K then.
        final: (*cells, n) outputs after the last step; NaN where descent diverged.
        before: (*cells, n) outputs one step earlier: beyond the edge of stability they differ for ever.
        diverged: (*cells,).
    """

    system: Pathways
    at: Ints
    outputs: Floats
    final: Floats
    before: Floats
    diverged: Bools

    def index(self, first: int = 0, second: int = 1) -> Floats:
        """Return (K_a - K_b) / (K_a + K_b) in the end, (*cells,), in the middle of the last two steps."""
        return dominance((self.final + self.before) / 2, first, second)

    def swing(self) -> Floats:
        """Return how far the summed output moved in the last step, (*cells,); near 0 where descent has converged."""
        made: Floats = np.abs((self.final - self.before).sum(-1))
        return made


def pathway_descent(
    system: Pathways,
    deficits: Sequence[PathwayDeficit] = (),
    step: ArrayLike = 0.01,
    steps: int = 1000,
    at: ArrayLike = (),
    seed: int = 0,
) -> PathwayDescent:
    """Do gradient descent on half the squared residual of every cell.

    Every layer of a pathway moves as it would in a network of matrices whose layers share their singular vectors: a
    mode has the weight p in one layer and q in the others, all moved by the same step. A deficit of a rate below 1
    tosses a coin for each cell and step.

    Args:
        system: the cells.
        deficits: with windows in steps: step number k, from 0, is under a deficit where onset <= k < release.
        step: (*cells,) learning rate, above 0; broadcast against the cells.
        steps: how many, from 1.
        at: (T,) numbers of steps in [0, steps] after which to note the outputs; 0 is the start.
        seed: of the coins.

    Raises:
        ChiasmError: a step that is not positive, a window or a time beyond the last step, and what `windows` raises.

    Source:
        Compared with a scalar loop; with `pathway_flow` as the step goes to 0. At depth 1 p_a - p_b and at depth 2
        p_a / p_b are conserved at any step.

    >>> from chiasm.theory.pathway.pathways import pathways
    >>> early = pathway_descent(pathways(10.0, depth=2, weight=0.005), [PathwayDeficit(1, 0, 4)])
    >>> early.final.round(3).tolist()
    [6.819, 3.181]
    """
    length = np.asarray(step, dtype=np.float64)
    check_descent(deficits, length, steps)
    noted = noted_steps(at, steps)
    made = windows(system, [*deficits, PathwayDeficit(0, 0, np.zeros(length.shape))])  # the last for its shape alone
    system = made.system
    n, cells = system.count, system.cells
    made = replace(made, deficits=tuple(deficits), **{k: getattr(made, k)[:-1] for k in ("onset", "release", "rate")})
    eta = np.broadcast_to(length, cells).ravel()
    strength, depth = system.strength.ravel(), np.ascontiguousarray(system.depth.reshape(-1, n).T)
    p = np.ascontiguousarray(system.start.reshape(-1, n).T)
    able = np.where(system.missing, 0.0, 1.0).reshape(-1, n).T
    balanced = system.gap == 0
    q = p if balanced else np.sqrt(system.gap + p * p)
    outputs = np.empty((len(noted), *p.shape))
    gates = Gates(made, seed)
    place, now, before = 0, p, p
    with np.errstate(all="ignore"):
        for k in range(steps + 1):
            lower = _power(q, depth - 2)
            drive = np.where(depth > 1, lower * q, 1.0)
            now, before = p * drive, now
            if place < len(noted) and noted[place] == k:
                outputs[place] = now
                place += 1
            if k == steps:
                break
            learns, speaks = gates.at(k)
            heard = speaks * now
            residual = strength - heard.sum(0) - (now - heard)
            push = eta * able * learns * residual
            moved = p + push * drive
            if k % LOOK == 0 and k >= gates.last and np.array_equal(moved, p, equal_nan=True):
                outputs[place:] = now  # nothing will ever move again
                before = now
                break
            q = moved if balanced else q + push * p * lower
            p = moved
    diverged = ~np.all(np.isfinite(now) & (np.abs(now) < 1e3 * strength), axis=0)
    now, before = np.where(diverged, np.nan, now), np.where(diverged, np.nan, before)
    shape = (*cells, n)
    return PathwayDescent(
        system,
        noted,
        np.moveaxis(outputs, 2, 0).reshape(*cells, len(noted), n),
        now.T.reshape(shape),
        before.T.reshape(shape),
        diverged.reshape(cells),
    )


def check_descent(deficits: Sequence[PathwayDeficit], step: Floats, steps: int) -> None:
    """Refuse steps that are not positive and deficits that end after the last step, with a ChiasmError."""
    if not np.all((step > 0) & np.isfinite(step)):
        raise ChiasmError(f"a step of gradient descent must be above 0 and finite; got {np.min(step):g}")
    if not isinstance(steps, int | np.integer) or steps < 1:
        raise ChiasmError(f"gradient descent needs a whole number of steps, at least 1; got {steps}")
    for one in deficits:
        last = float(np.max(np.asarray(one.release, dtype=np.float64)))
        if last > steps:
            raise ChiasmError(f"a deficit ends at step {last:g}, beyond the last of {steps} steps")


def noted_steps(at: ArrayLike, steps: int) -> Ints:
    """Return the numbers of steps after which to note outputs, in order, once each; refuse any not in [0, steps]."""
    asked = np.asarray(at, np.float64).ravel()
    if not np.array_equal(asked, np.floor(asked)):
        raise ChiasmError("outputs can be noted after whole numbers of steps only")
    noted = np.unique(np.clip(asked, -1, steps + 1)).astype(np.int64)
    if len(noted) and (noted[0] < 0 or noted[-1] > steps):
        raise ChiasmError(f"outputs can be noted after 0 to {steps} steps; got {noted[0]} to {noted[-1]}")
    return noted


class Gates:
    """Which pathways learn and speak at each step: a coin where a rate lies between 0 and 1.

    Attributes:
        last: the step from which on there is no deficit.
    """

    def __init__(self, made: Windows, seed: int) -> None:
        self.made, self.seed = made, seed
        ends = np.concatenate([made.onset.ravel(), made.release.ravel()])
        self.turns = {int(k) for k in np.ceil(np.unique(ends))}
        self.last = max(self.turns, default=0)
        self.chance = bool(np.any((made.rate > 0) & (made.rate < 1)))
        self.now: tuple[Floats, Floats] | None = None

    def at(self, k: int) -> tuple[Floats, Floats]:
        """Return the shares of gradient and of output, (n, C) each of 0 and 1, in step k."""
        if self.now is None or k in self.turns or (self.chance and k < self.last):
            made = self.made
            if self.chance:
                coins = torch.rand(
                    made.rate.shape, dtype=torch.float64, generator=generator(self.seed, "pathway deficit", 0, k)
                )
                made = replace(made, rate=(coins.numpy() < made.rate).astype(np.float64))
            self.now = made.gates(float(k))
        return self.now


def _power(base: Floats, exponent: Ints) -> Floats:
    """Integer powers by products, signs and all; 1 where the exponent is 0 or less."""
    most = int(exponent.max(initial=0))
    if np.all(exponent == most):
        made = np.ones_like(base) if most <= 0 else base.copy()
        for _ in range(most - 1):
            made *= base
        return made
    made = np.ones_like(base)
    for k in range(most):
        np.multiply(made, base, out=made, where=exponent > k)
    return made
