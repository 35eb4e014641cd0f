"""The fusion plane: a unit is a dot, RSV across, synergy up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chiasm.pictures.style import HEIGHT, MARKERS, MUTED, PURPLE, SOURCES, axes_on, canvas, rsv_axis, rules
from chiasm.pictures.words import rsv_ends

Floats = NDArray[np.float64]

#: Beyond this RSV, either way, a unit counts as polarised, as depending on one source.
POLARISED = 0.5
#: Dots in one panel; more are thinned out evenly, or the page grows by megabytes.
MOST = 1500


def fusion_plane(rsv: Floats, synergy: Floats, sources: Sequence[str], title: str) -> Figure:
    """Draw units in the plane of RSV and synergy.

    Args:
        rsv: (units,) in [-1, 1], dead units left out.
        synergy: (units,) in [0, 1].
        sources: names, for the words on the RSV axis.
        title: above the axes.
    """
    figure = canvas(HEIGHT + 0.15)
    axes = axes_on(figure, bottom=0.72)
    plane(axes, rsv, synergy, sources)
    axes.set_title(title, x=0, y=1)
    return figure


def plane(axes: Axes, rsv: Floats, synergy: Floats, sources: Sequence[str]) -> None:
    """Draw units as dots on axes: RSV across, synergy up."""
    kept = thinned(len(rsv))
    rsv, synergy = rsv[kept], synergy[kept]
    looks = (
        (rsv > POLARISED, SOURCES[0], MARKERS[0]),
        (rsv < -POLARISED, SOURCES[1], MARKERS[1]),
        (np.abs(rsv) <= POLARISED, PURPLE, MARKERS[2]),
    )
    for chosen, colour, marker in looks:
        axes.plot(rsv[chosen], synergy[chosen], marker, color=colour, ms=4, alpha=0.6, mew=0, clip_on=False)
    axes.axvline(0, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=0)
    axes.set_xlim(-1.03, 1.03)
    axes.set_ylim(-0.02, 1.03)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    rules(axes)
    rsv_axis(axes, rsv_ends(sources))
    axes.set_ylabel("synergy (% of variance)")


def thinned(n: int, most: int = MOST) -> NDArray[np.int64]:
    """Return the indices of at most `most` of n things, spread evenly."""
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).astype(np.int64)
