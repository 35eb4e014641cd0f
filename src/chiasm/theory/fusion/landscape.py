"""Why depth makes a loss permanent: the energy of two fused pathways under weight decay, in closed form.

The least half sum of squares of p weights with product w is p/2 |w|^(2/p), and for matrices the same holds with
singular values (a Schatten-2/p penalty). So p layers with L2 decay minimise, as a function of their product,

    E(w_a, w_b) = loss(w_a, w_b) + decay p/2 (|w_a|^(2/p) + |w_b|^(2/p))

At p = 1 and 2 the penalty is convex (ridge, lasso) and E has one minimum. From p = 3 on its slope at 0 is infinite:
W_b = 0 is a minimum of its own, which nothing leaves, beside the fused one. All of it is for pathways without shared
layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import Floats, check, check_int
from chiasm.theory.fusion.problem import FusionProblem

#: Points of the grid on which roots are bracketed, dense near 0, where the saddle of a deep pathway lies.
GRID = 4000
#: Steps of Newton's method, each of which doubles the digits once it is near.
NEWTON = 80


def penalty(w: ArrayLike, depth: int) -> Floats:
    """Return the least half sum of squares of `depth` weights whose product is w: depth / 2 |w|^(2 / depth).

    Raises:
        ChiasmError: a depth below 1.

    >>> penalty(0.25, 1).item(), penalty(0.25, 2).item(), penalty(0.125, 3).item()
    (0.03125, 0.25, 0.375)
    """
    check_int("depth", depth)
    return np.asarray(depth / 2 * np.abs(np.asarray(w, float)) ** (2 / depth))


@dataclass(frozen=True)
class Rest:
    """A point at which gradient flow rests."""

    # "fused": both sources count, a minimum. "lost": source b does not count. "saddle": both count, not a
    # minimum.
    name: Literal["fused", "lost", "saddle"]
    w_a: float  # the weight of source a, a multiple of the identity
    w_b: float  # of source b
    energy: float  # of one feature, penalty included
    stable: bool  # whether flow comes back to it after a small push; taken in the space of the layers


@dataclass(frozen=True)
class Landscape:
    """The energy of one feature, against the weight of source b, with source a at its best.

    Attributes:
        problem: what is to be learned.
        depth: layers of each pathway, none shared, at least 1.
        decay: weight decay, 0 or more.

    Raises:
        ChiasmError: depth or decay is out of range.

    Source: Srebro, Rennie & Jaakkola 2004 (depth 2) and Dai, Karzand & Srebro 2021 (any depth) for the penalty; tested
    against where gradient descent ends, and against the Hessian over the layers.

    >>> [(rest.name, round(rest.w_b, 4), rest.stable) for rest in Landscape(FusionProblem(), 3, 0.03).rests()]
    [('lost', 0.0, True), ('saddle', 0.0016, False), ('fused', 0.4173, True)]
    >>> [(rest.name, round(rest.w_b, 4), rest.stable) for rest in Landscape(FusionProblem(), 2, 0.03).rests()]
    [('lost', 0.0, False), ('fused', 0.4217, True)]
    """

    problem: FusionProblem
    depth: int
    decay: float

    def __post_init__(self) -> None:
        check_int("depth", self.depth)
        check("decay", self.decay, least=0)

    def energy(self, w_a: ArrayLike, w_b: ArrayLike) -> Floats:
        """Return the energy E of one feature; the shapes of the weights broadcast."""
        a, b = np.asarray(w_a, float), np.asarray(w_b, float)
        (aa, ab), (_, bb) = self.problem.seconds
        loss = 0.5 * (1 - 2 * (a + b) + aa * a * a + 2 * ab * a * b + bb * b * b)
        return np.asarray(loss + self.decay * (penalty(a, self.depth) + penalty(b, self.depth)))

    def best_a(self, w_b: ArrayLike) -> Floats:
        """Return the weight of source a at which E is lowest for a given weight of source b, on the branch above 0.

        0 where that branch has ended, which is where flow goes.
        """
        (aa, ab), _ = self.problem.seconds
        return self._answer(1 - ab * np.asarray(w_b, float), aa)

    def valley(self, w_b: ArrayLike) -> Floats:
        """Return E along the valley in which source a is at its best."""
        return self.energy(self.best_a(w_b), w_b)

    def rests(self) -> list[Rest]:
        """Return where flow rests while source a counts, by the weight of source b, from 0 up.

        Raises:
            ChiasmError: the decay is so strong that not even source a is learned.
        """
        from scipy.optimize import brentq

        a = float(self.best_a(0.0))
        if a == 0:
            raise ChiasmError(f"decay = {self.decay:g}: at depth {self.depth} it lets nothing be learned; give less")
        rests = []
        if self.depth > 1:
            # At depth 2 both layers grow at the residual and shrink at the decay; deeper, growth is of higher order.
            stable = self._residual(a) < self.decay if self.depth == 2 else self.decay > 0
            rests.append(Rest("lost", a, 0.0, float(self.energy(a, 0)), stable))
        # Dense towards 0 on the scale of logarithms; 1 / second moment is the most that source b can get.
        grid = np.concatenate(
            [np.geomspace(1e-12, 1e-2, GRID), np.linspace(1e-2, 1 / self.problem.seconds[1, 1], GRID)[1:]]
        )
        falls = self._slope(grid) < 0
        for k in np.flatnonzero(falls[:-1] != falls[1:]):
            w_b = float(brentq(self._slope, grid[k], grid[k + 1], xtol=1e-300))
            w_a, rises = float(self.best_a(w_b)), bool(falls[k])
            if w_a > 0:  # else the slope has jumped where the branch of source a ends
                rests.append(Rest("fused" if rises else "saddle", w_a, w_b, float(self.energy(w_a, w_b)), rises))
        return rests

    def rest(self, name: Literal["fused", "lost", "saddle"]) -> Rest | None:
        """Return the rest point of this name, None where there is none."""
        return next((rest for rest in self.rests() if rest.name == name), None)

    @property
    def limited(self) -> bool:
        """Whether a fused network can be impaired for too long: there is a saddle below the fused point."""
        return {"fused", "saddle"} <= {rest.name for rest in self.rests()}

    def sharpness(self, rest: Rest) -> float:
        """Return the largest curvature of the penalised loss over the layers, these being balanced, at a rest point.

        Gradient descent with a step above 2 / sharpness leaves the point, where flow stays.

        Source: the Hessian of E over the layers, in the span of the modes; tested against autograd's.
        """
        p = self.depth
        w = np.array([rest.w_a, rest.w_b])
        if p == 1:
            return float(np.linalg.eigvalsh(self.problem.seconds)[-1]) + self.decay
        push = p**0.5 * w ** (1 - 1 / p)
        # Besides, two layers of a pathway bend the loss by its slope, -decay w^(2/p - 1), times the trace of the
        # product of their changes: it is least, and the curvature most, where two features turn into each other.
        bend = p if self.problem.features > 1 else 2 - p
        curvature = np.outer(push, push) * self.problem.seconds + np.diag(self.decay * np.where(w > 0, bend, 1))
        if p == 2 and rest.w_b == 0:
            curvature[1, 1] = self.decay + abs(self._residual(rest.w_a))
        return float(max(np.linalg.eigvalsh(curvature)[-1], 2 * self.decay))

    def edges(self) -> dict[str, float]:
        """Return the step above which descent leaves a rest point, 2 / sharpness, by the name of the point."""
        return {rest.name: 2 / self.sharpness(rest) for rest in self.rests()}

    def longest(self) -> float:
        """Return the longest deficit, in units of time, that a fused network comes back from.

        Source b's weight falls from the fused point; once below the saddle, it goes on to 0 after the release. For each
        of its p equal weights u, du/dt = -decay u - second u^(2p - 1), where `second` is what source b shows
        during the deficit (0 when silent). With v = u^-(2p - 2) this is linear: v + second / decay grows as
        exp((2p - 2) decay t). A source that is decorrelated is unlearned as well as forgotten, so it is lost sooner.

        Returns:
            The time; infinite where there is no saddle (depth 1 and 2, or no decay).

        Raises:
            ChiasmError: nothing is fused under this decay.

        Source: derived here, taking source a to be at its best throughout; tested against descent (within 3 %).

        >>> round(Landscape(FusionProblem(), 3, 0.03).longest(), 1)
        61.7
        """
        fused, saddle = self.rest("fused"), self.rest("saddle")
        if fused is None:
            raise ChiasmError(f"decay = {self.decay:g}: at depth {self.depth} no fused state is stable; give less")
        if saddle is None:
            return np.inf
        power = (2 * self.depth - 2) / self.depth
        offset = float(self.problem.moments(impaired=True)[0][1, 1]) / self.decay
        start, end = fused.w_b**-power + offset, saddle.w_b**-power + offset
        return float(np.log(end / start) / ((2 * self.depth - 2) * self.decay))

    def delay_slope(self) -> float:
        """Return by how many steps each impaired step delays recovery at depth 2, source b being silent meanwhile.

        Silent, W_b shrinks as exp(-2 decay t); released, it grows as exp(2 (residual - decay) t) from what is left,
        so the ratio is decay / (residual - decay), with the residual that the best use of source a leaves.

        Raises:
            ChiasmError: the depth is not 2, or source b does not come back.
        """
        if self.depth != 2:
            raise ChiasmError(f"depth = {self.depth}: recovery is delayed in proportion to the deficit at depth 2 only")
        residual = self._residual(float(self.best_a(0.0)))
        if residual <= self.decay:
            raise ChiasmError(f"decay = {self.decay:g}: at least the residual {residual:.3g}, so source b stays lost")
        return self.decay / (residual - self.decay)

    def _residual(self, w_a: float) -> float:
        """By how much the loss falls with the first of source b."""
        return float(1 - self.problem.seconds[0, 1] * w_a)

    def _slope(self, w_b: Floats) -> Floats:
        (_, ab), (_, bb) = self.problem.seconds
        return np.asarray(ab * self.best_a(w_b) + bb * w_b - 1 + self.decay * w_b ** (2 / self.depth - 1))

    def _answer(self, pull: Floats, second: float) -> Floats:
        """The largest root w >= 0 of second w + decay w^(2/p - 1) = pull; 0 where there is none."""
        if self.depth == 1:
            return np.asarray(pull / (second + self.decay))
        if self.depth == 2:
            return np.asarray(np.maximum(pull - self.decay, 0) / second)
        power = 2 / self.depth - 1
        w = np.maximum(pull, 0) / second
        if self.decay == 0:
            return np.asarray(w)
        # Right of where the left side is least it is convex and rising: Newton from the right never passes the root.
        least = (-power * self.decay / second) ** (1 / (1 - power))
        exists = (pull > second * least + self.decay * least**power) & (w > least)
        w = np.where(exists, w, 1.0)
        for _ in range(NEWTON):
            gap = second * w + self.decay * w**power - np.where(exists, pull, second + self.decay)
            w = w - gap / (second + power * self.decay * w ** (power - 1))
        return np.asarray(np.where(exists, w, 0.0))
