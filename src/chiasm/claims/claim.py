"""A claim is a sentence as a check that can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt

import msgspec
import polars as pl

from chiasm.errors import ChiasmError
from chiasm.statistics import Estimate, jackknife
from chiasm.study.results import Results


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence about a study's results, and the bounds between which its number must lie.

    Attributes:
        sentence: what is claimed.
        number: reads the number off the results, a mean over seeds.
        least: the number must not be below it.
        most: the number must not be above it.
        refuted: whether it was found not to hold; it stays, with its bounds as they were set, and is reported.
    """

    sentence: str
    number: Callable[[Results], float]
    least: float = float("-inf")
    most: float = float("inf")
    refuted: bool = False

    def check(self, results: Results) -> Verdict:
        """Measure the claim on results; a number that cannot be had (NaN) does not hold."""
        number = self.number(results)
        return Verdict(self, number, self.least <= number <= self.most)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a claim: the number found, and whether it lies within the bounds."""

    claim: Claim
    value: float
    holds: bool

    def __str__(self) -> str:
        bounds = [f">= {self.claim.least:g}"] * (self.claim.least > float("-inf"))
        bounds += [f"<= {self.claim.most:g}"] * (self.claim.most < float("inf"))
        word = "holds" if self.holds else "refuted" if self.claim.refuted else "FAILS"
        return f"{word}: {self.claim.sentence}: {self.value:.3f} ({' and '.join(bounds)})"


def over_seeds(number: Callable[[Results], float], results: Results) -> Estimate:
    """Return a number of a study with the interval that its seeds give, by Tukey's jackknife.

    Of a mean, or a difference of means over the same seeds, it is exactly Student's interval; of a ratio or the least
    of several means, approximately that.

    Args:
        number: reads the number off results.
        results: of two seeds or more.

    Raises:
        ChiasmError: one seed, or a number that cannot be had.
    """
    whole, seeds = number(results), results.study.seeds
    if seeds < 2:
        raise ChiasmError("one seed gives no interval; run two or more")
    without = []
    for seed in range(seeds):
        study = msgspec.structs.replace(results.study, seeds=seeds - 1)
        rest = replace(results, study=study, table=results.frame().filter(pl.col("seed") != seed))
        without.append(number(rest))
    return jackknife(whole, without)


def allows(printed: str, estimated: Estimate, level: float) -> bool:
    """Return whether a printed number may be that of as many other seeds as an estimate has.

    A mean of other seeds, or of the same seeds where rounding has made other runs of them, differs from ours by as much
    as both vary: sqrt(2) times the half width of our interval. Half a unit of the last printed digit comes on top, and
    is all that is allowed where our seeds agree exactly.

    Args:
        printed: the number as it is printed.
        estimated: ours, of two seeds or more.
        level: the share of such numbers that are allowed, in (0, 1).

    >>> near = Estimate(0.62, error=0.0016, freedom=1)
    >>> allows("+.64", near, 0.95), allows(".655", near, 0.95), allows(".655", near, 0.99)
    (True, False, True)
    """
    low, high = estimated.interval(level) or (estimated.mean, estimated.mean)
    rounding = 0.5 * 10.0 ** -len(printed.partition(".")[2])
    return abs(float(printed) - estimated.mean) <= (high - low) / 2 * sqrt(2) + rounding


def mean_over_seeds(
    results: Results, quantity: str, arm: str, layer: str | None = None, source: str | None = "all", **cell: object
) -> float:
    """Return the mean over seeds of a final number of one cell.

    Args:
        results: of a study.
        quantity: "accuracy", "rsv_mean", ...
        arm: the arm's name.
        layer: for a quantity of a layer; `source` is then ignored.
        source: "all", or the one source that is not silenced.
        cell: values that name the cell, d=80; a dot is written as two underscores, training__clock="constant".

    Raises:
        ChiasmError: no such cell, or a seed is missing from it (a diverged run).
    """
    wanted = [f"{name.replace('__', '.')}={value}" for name, value in cell.items()]
    frame = results.frame().filter(pl.col("final"), pl.col("arm") == arm, pl.col("quantity") == quantity)
    frame = frame.filter(pl.col("layer") == layer if layer else pl.col("source") == source)
    keep = [all(part in label.split(", ") for part in wanted) for label in frame["cell"]]
    frame = frame.filter(pl.Series(keep, dtype=pl.Boolean))
    if frame.height != results.study.seeds or frame["cell"].n_unique() != 1:
        where = f"arm '{arm}', {', '.join(wanted) or 'no values'}"
        raise ChiasmError(
            f"{where}: {frame.height} final {quantity} found in {frame['cell'].n_unique()} cells, "
            f"{results.study.seeds} seeds of one cell wanted"
        )
    return float(frame["value"].mean())  # type: ignore[arg-type]
