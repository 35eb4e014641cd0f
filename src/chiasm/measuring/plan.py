"""The plan of a measurement: how many anchors it takes, in which blocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, final

from chiasm.errors import ChiasmError
from chiasm.measuring.mistakes import check_whole_number
from chiasm.measuring.variance.components import GROUPS
from chiasm.measuring.variance.designs import MOST_FACTORIAL, Design, FactorialDesign, PickFreeze

Estimator = Literal["grid", "pick_freeze"]

# Answers of a measurement by default, and anchors of each source where they allow it. The error of an RSV near 0 is
# about 1 / sqrt(anchors): 0.017 at 4096 (measured for linear units); at 4096 in blocks of 4 also intervals of units
# that 2 % of pairs wake cover 92 to 95 %; at 2048 in blocks of 8, with as many answers, 89 to 92 %.
ANSWERS, ANCHORS = 16384, 4096
# Larger blocks gain little: of 16 anchors, 15 degrees of freedom are left to each source.
LARGEST = 16
# The original estimator has 100 samples a ratio; 4 blocks of 64 are as many answers as the default.
PER_ANCHOR = 64
# A block of more is a matter of memory: its answers are held at once.
MOST_LEVELS = 128


@final
@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """The blocks that a measurement draws.

    Attributes:
        estimator: "grid" or "pick_freeze".
        sources: the number of sources.
        blocks: the number of blocks.
        levels: anchors of each source in a block.
        wanted: the anchors of each source that were asked for.
    """

    estimator: Estimator
    sources: int
    blocks: int
    levels: int
    wanted: int

    @property
    def anchors(self) -> int:
        """Anchors of each source."""
        return self.blocks * self.levels

    @property
    def design(self) -> Design:
        """Which anchors of a block are combined."""
        return design(self.sources, self.levels)


@cache
def design(sources: int, levels: int) -> Design:
    """Return the design of a block; equal ones are built once."""
    return FactorialDesign(sources, levels) if sources <= MOST_FACTORIAL else PickFreeze(sources)


def plan(
    sources: int, samples: int, anchors: Any, estimator: Any, block: Any, pooling: str, pairing: str
) -> SamplingPlan:
    """Choose blocks that use the anchors asked for, or by default as many as a bounded number of answers allows.

    Raises:
        ChiasmError: a number outside its range, or an estimator that the sources do not allow.

    >>> plan(2, 10_000, None, "auto", None, "ratio", "product")
    SamplingPlan(estimator='grid', sources=2, blocks=1024, levels=4, wanted=4096)
    >>> plan(3, 500, None, "auto", None, "ratio", "product")
    SamplingPlan(estimator='pick_freeze', sources=3, blocks=250, levels=2, wanted=4096)
    """
    check_whole_number("anchors", anchors, 2)
    if estimator not in ("auto", "grid", "pick_freeze"):
        raise ChiasmError(f"estimator = {estimator!r}; expected 'auto', 'grid' or 'pick_freeze'")
    chosen: Estimator = ("grid" if sources == 2 else "pick_freeze") if estimator == "auto" else estimator
    if chosen == "grid" and sources > MOST_FACTORIAL:
        raise ChiasmError(
            f"a grid of {sources} sources needs too many answers; estimator='pick_freeze' takes any number of sources"
        )
    if block is not None and (not isinstance(block, int) or not 2 <= block <= MOST_LEVELS or chosen != "grid"):
        raise ChiasmError(
            f"block = {block!r} with estimator = '{chosen}'; a grid takes 2 to {MOST_LEVELS} anchors a block, "
            "pick_freeze always two"
        )
    if pooling == "per_anchor":
        if chosen != "grid" or sources != 2:
            raise ChiasmError("pooling='per_anchor' is a grid of two sources; for others there is only 'ratio'")
        block = block or min(PER_ANCHOR, samples)
        anchors = anchors or 4 * PER_ANCHOR
    wanted = int(anchors) if anchors else min(ANCHORS, 2 * ANSWERS // len(design(sources, 2).points))
    # Each block of `local` pairing is one sample of the data; else each anchor is one.
    used = wanted if pairing == "local" else min(wanted, samples)
    levels = 2
    if chosen == "grid":
        affordable = int((ANSWERS / used) ** (1 / (sources - 1)) + 1e-9)
        levels = block or max(2, min(affordable, used // GROUPS, LARGEST))
        if pairing == "local" and block is None:  # variants cost nothing: more of them, where samples are few
            levels = max(levels, min(MOST_LEVELS, -(-used // samples)))
    levels = min(levels, used)
    # A block more than asked for, rather than a few anchors fewer, where there are samples for it.
    blocks = min(-(-used // levels), samples if pairing == "local" else samples // levels)
    return SamplingPlan(chosen, sources, blocks, levels, wanted)
