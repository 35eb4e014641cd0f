"""Gradient descent with a step of any length on the reduced equations of parallel pathways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike

from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.theory.arguments import check, check_int
from chiasm.theory.pathway.coordinates import Floats, Ints
from chiasm.theory.pathway.deficit import PathwayDeficit, windows
from chiasm.theory.pathway.flow import dominance
from chiasm.theory.pathway.pathways import Bools, Pathways

#: Every so many steps descent is tested for having ended.
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
        return np.asarray(np.abs((self.final - self.before).sum(-1)))


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

    Source: Compared with a scalar loop; with `pathway_flow` as the step goes to 0. At depth 1 p_a - p_b and at depth 2
    p_a / p_b are conserved at any step.

    >>> from chiasm.theory.pathway.pathways import pathways
    >>> early = pathway_descent(pathways(10.0, depth=2, weight=0.005), [PathwayDeficit(1, 0, 4)])
    >>> early.final.round(3).tolist()
    [6.819, 3.181]
    """
    gates = Gates(system, deficits, step, steps, at, seed)
    system, eta, noted = gates.windows.system, gates.eta, gates.noted
    strength = system.strength.ravel()
    p, depth, able = (system.flat(each) for each in (system.start, system.depth, ~system.missing))
    balanced = system.gap == 0
    q = p if balanced else np.sqrt(system.gap + p * p)
    outputs = np.empty((len(noted), *p.shape))
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
            spoken = speaks * now
            residual = strength - spoken.sum(0) - (now - spoken)
            push = eta * able * learns * residual
            moved = p + push * drive
            if k % LOOK == 0 and k >= gates.last and np.array_equal(moved, p, equal_nan=True):
                outputs[place:] = now  # nothing will ever move again
                before = now
                break
            q = moved if balanced else q + push * p * lower
            p = moved
    diverged = ~np.all(np.abs(now) < 1e3 * strength, axis=0)
    final, before = (system.shaped(np.where(diverged, np.nan, output)) for output in (now, before))
    outputs = np.moveaxis(outputs, 2, 0).reshape(*system.cells, len(noted), system.count)
    return PathwayDescent(system, noted, outputs, final, before, diverged.reshape(system.cells))


class Gates:
    """Which pathways learn and speak at each step of a descent; a coin decides where a rate lies between 0 and 1.

    Attributes:
        windows: the system and its deficits, broadcast against the lengths of a step.
        eta: (C,) length of a step of each cell.
        noted: (T,) numbers of steps after which to note outputs, in order, once each.
        last: the step from which on there is no deficit.
    """

    def __init__(
        self,
        system: Pathways,
        deficits: Sequence[PathwayDeficit],
        step: ArrayLike,
        steps: int,
        at: ArrayLike,
        seed: int,
    ) -> None:
        """Check a descent's arguments: steps above 0, windows and times that end within `steps`."""
        check_int("steps", steps)
        self.noted: Ints = np.unique(check("at", at, least=0, most=steps, whole=True).ravel()).astype(np.int64)
        length = check("step", step, above=0)
        self.windows, self.seed = windows(system, deficits, length.shape), seed
        onset, release, rate = self.windows.onset, self.windows.release, self.windows.rate
        if release.max(initial=0) > steps:
            raise ChiasmError(f"a deficit ends at step {release.max():g}, beyond the last of {steps} steps")
        self.eta = np.broadcast_to(length, self.windows.system.cells).ravel()
        self.turns = {int(k) for k in np.ceil(np.unique(np.concatenate([onset.ravel(), release.ravel()])))}
        self.last = max(self.turns, default=0)
        self.chance = bool(np.any((rate > 0) & (rate < 1)))
        self.now: tuple[Floats, Floats] | None = None

    def at(self, k: int) -> tuple[Floats, Floats]:
        """Return the shares of gradient and of output, (n, C) each of 0 and 1, in step k."""
        if self.now is None or k in self.turns or (self.chance and k < self.last):
            windows = self.windows
            if self.chance:
                stream = generator(self.seed, "pathway deficit", 0, k)
                coins = torch.rand(windows.rate.shape, dtype=torch.float64, generator=stream).numpy()
                windows = replace(windows, rate=(coins < windows.rate).astype(np.float64))
            self.now = windows.gates(float(k))
        return self.now


def _power(base: Floats, exponent: Ints) -> Floats:
    """Return integer powers by products, with signs; 1 where the exponent is 0 or less."""
    product = np.ones_like(base)
    for k in range(int(exponent.max(initial=0))):
        np.multiply(product, base, out=product, where=exponent > k)
    return product
