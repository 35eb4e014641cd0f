"""Deficits: what is wrong with the data for a while, as pure functions of (batch, generator)."""

from __future__ import annotations

from chiasm.deficits.blur import Blur
from chiasm.deficits.deficit import DEFICITS, Composed, Deficit
from chiasm.deficits.dissociate import Dissociate
from chiasm.deficits.freeze import Freeze
from chiasm.deficits.lag import Lag
from chiasm.deficits.noise import Noise
from chiasm.deficits.occlude import Occlude
from chiasm.deficits.shuffle_labels import ShuffleLabels
from chiasm.deficits.silence import Silence
from chiasm.deficits.swap import Swap

__all__ = [
    "DEFICITS",
    "Blur",
    "Composed",
    "Deficit",
    "Dissociate",
    "Freeze",
    "Lag",
    "Noise",
    "Occlude",
    "ShuffleLabels",
    "Silence",
    "Swap",
]
