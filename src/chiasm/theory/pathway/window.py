"""The critical period of a mode: from which onset on a deficit no longer decides who learns it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import check
from chiasm.theory.pathway.coordinates import Floats
from chiasm.theory.pathway.deficit import Kind, PathwayDeficit
from chiasm.theory.pathway.flow import pathway_flow
from chiasm.theory.pathway.pathways import Pathways

#: Onsets that are tried over the whole range, and then within each interval found, so many times: to 1e-7 of the range,
#: where neighbouring onsets still differ by more than the error of the flow.
COARSE, FINE, TURNS = 129, 17, 4


@dataclass(frozen=True)
class PathwayWindow:
    """When the critical period of a mode closes.

    Attributes:
        levels: (L,) of the dominance index.
        closes: (L, *cells) the onset at which the index falls below a level; 0 where it is below from the beginning,
            NaN where it never falls below it within the range searched.
        first: (*cells,) the index after a deficit from the very beginning.
        last: (*cells,) the index after a deficit at the end of the range.
    """

    levels: Floats
    closes: Floats
    first: Floats
    last: Floats

    def width(self, high: float = 0.9, low: float = 0.1) -> Floats:
        """Return how long closing takes, (*cells,): from one level of the index to another; NaN without either."""
        known = self.levels.tolist()
        for level in (high, low):
            if level not in known:
                raise ChiasmError(f"the level {level:g} was not asked for; the levels are {known}")
        width = self.closes[known.index(low)] - self.closes[known.index(high)]
        return np.where(self.first < high, np.nan, width)


def pathway_window(
    system: Pathways,
    duration: ArrayLike,
    until: float,
    kind: Kind = "freeze",
    levels: Sequence[float] = (0.9, 0.5, 0.1),
    rate: ArrayLike = 1.0,
    pathway: int = 1,
    rival: int = 0,
) -> PathwayWindow:
    """Find the onsets at which the final index of a pathway's rival over it falls below levels, under gradient flow.

    Under freezing the index falls steadily with the onset: what a pathway misses is the residual summed over the
    deficit, which is less the later it comes. Under silencing there may be no fall to be found.

    Args:
        system: the cells; modes and depths are what one varies here.
        duration: (*cells,) length of the deficit in time.
        until: the latest onset to try.
        kind: of the deficit.
        levels: (L,) in (-1, 1).
        rate: (*cells,) share of the time at which the deficit is there.
        pathway: which one suffers.
        rival: which one profits.

    Raises:
        ChiasmError: a range that is not above 0, no level, and what `pathway_flow` raises.

    Source: At depth 2 in closed form: logistic growth before and during the deficit, index tanh(lesson missed) after
    it.

    >>> from chiasm.theory.pathway.pathways import pathways
    >>> window = pathway_window(pathways(3.873, [2, 3, 4], output=0.01), 1.5, until=5.0)
    >>> window.closes[1].round(2).tolist(), window.width().round(2).tolist()
    ([0.68, 1.02, 1.23], [0.57, 0.42, 0.33])
    """
    check("until", until, above=0)
    if not len(levels):
        raise ChiasmError("give at least one level of the index")
    length = np.asarray(duration, dtype=np.float64)

    def after(onset: Floats) -> Floats:
        """Return the index after deficits from each onset, both (onsets, *cells)."""
        return pathway_flow(system, [PathwayDeficit(pathway, onset, onset + length, kind, rate)]).index(rival, pathway)

    shape = np.broadcast_shapes(system.cells, length.shape, np.shape(rate))
    tried = np.linspace(0, until, COARSE).reshape(-1, *[1] * len(shape))
    index = after(np.broadcast_to(tried, (COARSE, *shape)))
    wanted = np.asarray(levels, dtype=np.float64).reshape(-1, *[1] * len(shape))
    gap = until / (COARSE - 1)
    low = _crossing(index[:, None], wanted, np.zeros((len(levels), *shape)), gap)
    for _ in range(TURNS):
        # The levels become an axis of the cells: each has an interval of its own to look into.
        fine = np.linspace(0, gap, FINE).reshape(-1, *[1] * (len(shape) + 1))
        onset = np.where(np.isnan(low), 0.0, low) + fine
        gap /= FINE - 1
        low = _crossing(after(onset), wanted, low, gap)
    closes = np.where(index[0] < wanted, 0.0, low + gap / 2)
    return PathwayWindow(np.asarray(levels, dtype=np.float64), closes, index[0], index[-1])


def _crossing(values: Floats, level: Floats, low: Floats, gap: float) -> Floats:
    """Return where values (tries, L, *cells), `gap` apart, first fall below a level: the try before it, else NaN."""
    falls = (values[:-1] >= level) & (values[1:] < level)
    return np.where(falls.any(0), low + gap * np.argmax(falls, axis=0), np.nan)
