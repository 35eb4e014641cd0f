"""Gradient flow of parallel pathways through windows of deficits, all cells at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import check
from chiasm.theory.pathway.allocation import settled
from chiasm.theory.pathway.coordinates import Floats, Ints, output
from chiasm.theory.pathway.deficit import PathwayDeficit, windows
from chiasm.theory.pathway.pathways import Pathways
from chiasm.theory.pathway.series import advance


@dataclass(frozen=True)
class PathwayFlow:
    """Gradient flow of pathways through deficits, and to its end.

    Attributes:
        system: the cells, broadcast against the windows.
        times: (T,) when the outputs were asked for; empty without any.
        outputs: (*cells, T, n) outputs K at those times. A silenced pathway's output is the one it would give.
        release: (*cells, n) outputs at the end of the last deficit.
        final: (*cells, n) outputs when all is learned, for ever after the last deficit.
        lessons: (*cells, n) lessons H at the end of the last deficit; differences are conserved from there on.
    """

    system: Pathways
    times: Floats
    outputs: Floats
    release: Floats
    final: Floats
    lessons: Floats

    def index(self, first: int = 0, second: int = 1) -> Floats:
        """Return (K_a - K_b) / (K_a + K_b) in the end, (*cells,): 1 means that the first pathway has taken the mode."""
        return dominance(self.final, first, second)

    def missed(self, first: int = 0, second: int = 1) -> Floats:
        """Return how much more lesson the first pathway had than the second at release, (*cells,), beyond the start."""
        begun = self.system.lesson(self.system.start)
        with np.errstate(invalid="ignore"):
            gained = self.lessons - begun
        return np.asarray(gained[..., first] - gained[..., second])

    def frame(self) -> pl.DataFrame:
        """Return a tidy table: a row for each cell (numbered flat) and pathway, with its depth and outputs."""
        cell, pathway = np.indices((self.system.strength.size, self.system.count)).reshape(2, -1)
        return pl.DataFrame(
            {
                "cell": cell,
                "pathway": pathway,
                "strength": self.system.strength.ravel()[cell],
                "depth": self.system.depth.ravel(),
                "start": self.system.output(self.system.start).ravel(),
                "release": self.release.ravel(),
                "final": self.final.ravel(),
            }
        )


def dominance(outputs: Floats, first: int = 0, second: int = 1) -> Floats:
    """Return the dominance index (K_a - K_b) / (K_a + K_b) of two pathways.

    Args:
        outputs: (..., n).
        first: the pathway that counts as positive.
        second: the one that counts as negative.

    Returns:
        (...) in [-1, 1] for outputs that are not negative; 0 where both are 0.

    >>> dominance(np.array([[3.0, 1.0], [0.0, 0.0]])).tolist()
    [0.5, 0.0]
    """
    for pathway in (first, second):
        if pathway not in range(outputs.shape[-1]):
            raise ChiasmError(f"there is no pathway {pathway}; the pathways are numbered 0 to {outputs.shape[-1] - 1}")
    a, b = outputs[..., first], outputs[..., second]
    total = a + b
    return np.where(total == 0, 0.0, (a - b) / np.where(total == 0, 1.0, total))


def pathway_flow(system: Pathways, deficits: Sequence[PathwayDeficit] = (), times: ArrayLike = ()) -> PathwayFlow:
    """Follow gradient flow through deficits, and to its end.

    Cells that stand at the same place of the same flow share one trajectory. After the last deficit the end is solved
    for (`settle`), not approached.

    Args:
        system: the cells.
        deficits: with windows in time; their shapes and the shape of the cells are broadcast against each other.
        times: (T,) times at which to report outputs, from 0.

    Raises:
        ChiasmError: windows that make no sense (see `windows`), times before 0 or not finite, a deficit that never
            ends and silences some of the time only, for which there is no end to be solved for.

    Source: Relative error of outputs below 1e-9 against scipy.integrate.solve_ivp at rtol 1e-12; index tanh(lesson
    missed) at depth 2.

    >>> from chiasm.theory.pathway.pathways import pathways
    >>> late = pathway_flow(pathways(3.873, depth=[2, 4], output=0.01), [PathwayDeficit(1, 4.0, 5.5, "silence")])
    >>> late.index().round(3).tolist()
    [0.333, 0.279]
    """
    asked = check("times", times, least=0).ravel()
    impaired = windows(system, deficits)
    system, n = impaired.system, system.count
    strength = system.strength.ravel()
    depth, weight, able = (system.flat(each) for each in (system.depth, system.start, ~system.missing))
    outputs = np.empty((len(strength), len(asked), n))
    # When deficits begin or end, in order, a row for all cells: (phases, C).
    ends = np.where(np.isfinite(impaired.release), impaired.release, impaired.onset)
    edges = np.sort(np.concatenate([np.zeros((1, len(strength))), impaired.onset, ends]), axis=0)
    for k, begin in enumerate(edges):
        end = edges[k + 1] if k + 1 < len(edges) else np.full_like(begin, np.inf)
        learns, speaks = impaired.gates(begin)
        learns = learns * able
        cell, which = np.nonzero((asked >= begin[:, None]) & (asked < end[:, None]))
        lasts = np.flatnonzero((end > begin) & np.isfinite(end))
        who = np.concatenate([lasts, cell])
        when = np.concatenate([(end - begin)[lasts], asked[which] - begin[cell]])
        reached = _shared(weight, strength, depth, system.gap, learns, speaks, who, when)
        outputs[cell, which] = output(reached[:, len(lasts) :], depth[:, cell], system.gap).T
        if k + 1 < len(edges):
            weight = weight.copy()
            weight[:, lasts] = reached[:, : len(lasts)]
    if np.any((speaks > 0) & (speaks < 1)):
        raise ChiasmError(
            "a deficit that silences a pathway some of the time and never ends leads to no end that could be solved "
            "for; give it a release"
        )
    ended = system.shaped(settled(weight, strength, depth, system.gap, learns, speaks))
    weight = system.shaped(weight)
    outputs = outputs.reshape(*system.cells, len(asked), n)
    return PathwayFlow(system, asked, outputs, system.output(weight), system.output(ended), system.lesson(weight))


def _shared(
    weight: Floats, strength: Floats, depth: Ints, gap: float, learns: Floats, speaks: Floats, who: Ints, when: Floats
) -> Floats:
    """Follow each trajectory once, whichever cells lie on it; return (n, questions) weights."""
    if not len(who):
        return np.empty((len(weight), 0))
    label = np.zeros(len(strength), dtype=np.int64)
    for row in (strength, *weight, *depth, *learns, *speaks):
        if np.any(row != row[0]):
            _, code = np.unique(row, return_inverse=True)
            _, label = np.unique(label * (code.max() + 1) + code, return_inverse=True)
    _, one, group = np.unique(label[who], return_index=True, return_inverse=True)
    cell = who[one]
    return advance(weight[:, cell], strength[cell], depth[:, cell], gap, learns[:, cell], speaks[:, cell], group, when)
