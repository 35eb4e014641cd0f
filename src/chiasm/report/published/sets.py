"""The published numbers that a study's own may be laid beside: curves and histograms of Kleinman et al. (CVPR 2023)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from chiasm.errors import ChiasmError, unknown
from chiasm.objectives import Classify

if TYPE_CHECKING:
    from chiasm.study.spec import Study

#: Where the numbers come from.
PAPER = "Kleinman, Achille & Soatto (CVPR 2023)"
#: How they were read, and how far to trust them.
HOW = "digitised from the vector figures, error about .005 in accuracy"

#: What it scores.
ACCURACY = Classify().outcome()


@dataclass(frozen=True)
class Histogram:
    """A published histogram of RSV, in our sign: +1 means left only.

    Attributes:
        edges: (bins + 1,) of equal bins, beyond [-1, 1] on both sides.
        fractions: (bins,) adding to 1.
        mean: of the histogram.
        sd: of the histogram.
    """

    edges: tuple[float, ...]
    fractions: tuple[float, ...]
    mean: float
    sd: float


@dataclass(frozen=True)
class PublishedSet:
    """What was published of one experiment: a deficit of growing length from the start, then clean epochs.

    Attributes:
        name: of the set.
        source: the figures.
        what: the experiment in one line.
        clock: what the learning rate counted: "absolute" epochs, or "constant".
        longest: epochs of the longest deficit.
        clean: epochs after it.
        durations: (points,) epochs of the deficit, the first 0.
        accuracy: (points,) in percent, mean over the runs; relative: points above that without a deficit.
        runs: (runs, points) of single runs, where several were published; else empty.
        relative: whether only differences were published.
        rsv: histograms by duration, of every channel at every position before pooling, of one network.
        bits: usable bits at the end by duration: "both" sources, "left" and "right" alone.
    """

    name: str
    source: str
    what: str
    clock: str
    longest: int
    clean: int
    durations: tuple[int, ...]
    accuracy: tuple[float, ...]
    runs: tuple[tuple[float, ...], ...]
    relative: bool
    rsv: Mapping[int, Histogram]
    bits: Mapping[int, Mapping[str, float]]

    @property
    def drop(self) -> tuple[float, ...]:
        """(points,) of accuracy lost against no deficit; negative where accuracy rose."""
        return _drop(self.accuracy)

    @property
    def drops(self) -> tuple[tuple[float, ...], ...]:
        """(runs, points) likewise, each run against itself without a deficit; the mean alone where it is all there is.

        >>> [round(run[-1], 3) for run in published("blur").drops]
        [2.648, 4.348, 2.874, 2.562]
        """
        return tuple(_drop(run) for run in self.runs) or (self.drop,)

    def mirrored(self) -> PublishedSet:
        """Return what a deficit of the other source would have given were the two alike: RSV and bits change sides.

        >>> published("masking").mirrored().bits[180]["left"] == published("masking").bits[180]["right"]
        True
        """
        turned = {
            n: Histogram(tuple(-edge for edge in h.edges[::-1]), h.fractions[::-1], -h.mean, h.sd)
            for n, h in self.rsv.items()
        }
        other = {"both": "both", "left": "right", "right": "left"}
        swapped = {n: {other[name]: value for name, value in bits.items()} for n, bits in self.bits.items()}
        return replace(self, rsv=turned, bits=swapped)


def published(name: str, where: str = "") -> PublishedSet:
    """Return a set of published numbers by name.

    Args:
        name: one of `known_published()`.
        where: stands before the sentence of an error.

    Raises:
        ChiasmError: an unknown name.

    Source: Kleinman, Achille & Soatto, CVPR 2023, the figures that each set names, digitised from the vector figures
    (error about .005 in accuracy). The paper plots RSV with -1 for left; here, as in its equation 5, left is +1.

    >>> blur = published("blur")
    >>> blur.source, blur.longest, round(blur.drop[-1], 2), blur.rsv[180].mean
    ('Figs. 4, 5 left and 16 left', 180, 3.11, 0.635)
    """
    known = _read()
    if name not in known:
        raise unknown("published set", name, known, where)
    return known[name]


def known_published() -> tuple[str, ...]:
    """Return the names of the published sets.

    >>> known_published()[:2]
    ('blur', 'dissociation')
    """
    return tuple(_read())


def published_sets(study: Study) -> dict[str, PublishedSet]:
    """Return what a study lays its arms beside, by arm in the order of the study: its table `[report.published]`.

    Raises:
        ChiasmError: an arm that is none of the study's, or has another role than duration; an unknown set.
    """
    table = study.report.get("published", {})
    if not isinstance(table, Mapping):
        raise ChiasmError(f"report: published = {table!r}; expected a table of arms, each with the name of a set")
    names = [arm.name for arm in study.arms]
    for arm, name in table.items():
        where = f"report.published, arm '{arm}'"
        if arm not in names:
            raise unknown("arm", arm, names, "report.published")
        if not isinstance(name, str):
            raise ChiasmError(f"{where}: {name!r}; expected the name of a set: {', '.join(known_published())}")
        if study.arm(arm).role != "duration":
            raise ChiasmError(
                f"{where}: '{name}' beside role = '{study.arm(arm).role}'; published curves are over durations, "
                "expected role = 'duration'"
            )
    return {arm: published(table[arm], f"report.published, arm '{arm}'") for arm in names if arm in table}


@lru_cache(maxsize=1)
def _read() -> dict[str, PublishedSet]:
    text = resources.files("chiasm.report.published").joinpath("published.json").read_text(encoding="utf-8")
    content = json.loads(text)
    edges = tuple(content["edges"])
    return {name: _set(name, entry, edges) for name, entry in content["sets"].items()}


def _set(name: str, entry: Mapping[str, Any], edges: tuple[float, ...]) -> PublishedSet:
    return PublishedSet(
        name=name,
        source=entry["source"],
        what=entry["what"],
        clock=entry["clock"],
        longest=entry["longest"],
        clean=entry["clean"],
        durations=tuple(entry["durations"]),
        accuracy=tuple(entry["accuracy"]),
        runs=tuple(tuple(run) for run in entry.get("runs", ())),
        relative=entry.get("relative", False),
        rsv={
            int(n): Histogram(edges, tuple(h["fractions"]), h["mean"], h["sd"]) for n, h in entry.get("rsv", {}).items()
        },
        bits={int(n): dict(bits) for n, bits in entry.get("bits", {}).items()},
    )


def _drop(accuracy: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(value) for value in accuracy[0] - np.array(accuracy))
