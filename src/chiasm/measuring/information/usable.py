"""Usable information: what a model decodes from each subset of its sources, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import NormalDist
from typing import final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.information.shapley import Array, interaction, shapley
from chiasm.measuring.mistakes import check_level

OF = ("accuracy", "bits")
QUANTITIES = tuple(kind + of for kind in ("", "drop_", "shapley_", "interaction_") for of in OF)
STANDS = {"mean": "its mean", "zero": "zeros", "shuffle": "that of another sample"}


@final
@dataclass(frozen=True, eq=False, repr=False)
class Usable:
    """What a model decodes from every measured subset of its sources, kept sample by sample, so that differences pair.

    Usable information is H(Y) minus the cross entropy, H(Y) the entropy of the labels shown: how much better the model
    guesses than their frequencies do. It is at most H(Y) and never clipped: below 0 the model is worse than those
    frequencies, as it may be with a stand-in that it never met in training. From n labels of C classes H(Y) is
    (C - 1) / (2 n ln 2) bits too small on average (Miller 1955): .0006 for 10,000 labels of 10 classes.

    Quantities: "accuracy" and "bits" with only the named sources present (none named: all), and of each of the two
    "drop_bits", lost where the named sources go missing from all; "shapley_bits" of one source; "interaction_bits" of
    two, above 0 where they are worth more together than apart (Grabisch and Roubens 1999).

    Attributes:
        sources: their names, in the order given.
        classes: how many logits the model has.
        entropy: H(Y) in bits; entropy - bits() is the cross entropy.
        replaced_by: what stood in for a missing source: "mean", "zero", "shuffle", "value" or a function's name; where
            sources differ in it, "left: mean, right: zero".
        subsets: the sources present, for each measured subset, the largest first.
        information: (subsets, samples) float32, log2 q(y | x) - log2 p(y) (Ethayarajh et al. 2022), of mean `bits`.
        correct: (subsets, samples) bool.
    """

    sources: tuple[str, ...]
    classes: int
    entropy: float
    replaced_by: str
    subsets: tuple[tuple[str, ...], ...]
    information: NDArray[np.float32]
    correct: NDArray[np.bool_]

    def __repr__(self) -> str:
        return f"<Usable\n{self.summary()}>"

    @property
    def samples(self) -> int:
        """The number of samples that were evaluated."""
        return len(self.correct[0])

    def bits(self, *present: str) -> float:
        """Return the usable information in bits, at most H(Y), with only these sources present (none named: all)."""
        return self.value("bits", *present)

    def accuracy(self, *present: str) -> float:
        """Return the share of samples decoded, in [0, 1], with only these sources present (none named: all)."""
        return self.value("accuracy", *present)

    def alone(self, quantity: str = "accuracy") -> dict[str, float]:
        """Return the accuracy, or the "bits", with each source alone."""
        return {name: self.value(quantity, name) for name in self.sources}

    def missing(self, quantity: str = "accuracy") -> dict[str, float]:
        """Return the accuracy, or the "bits", with each source missing and the others present."""
        return {name: self.value(quantity) - self.value(f"drop_{quantity}", name) for name in self.sources}

    def nothing(self, quantity: str = "accuracy") -> float:
        """Return the accuracy, or the "bits", with every source missing."""
        return self.value(quantity) - self.value(f"drop_{quantity}", *self.sources)

    def shapley(self, quantity: str = "accuracy") -> dict[str, float]:
        """Return each source's Shapley value of accuracy, or of "bits"; ChiasmError where a subset was not measured."""
        return {name: self.value(f"shapley_{quantity}", name) for name in self.sources}

    def value(self, quantity: str, *sources: str) -> float:
        """Return any quantity by its name; ChiasmError where it, a source or the subset is not known."""
        return float(self._each(quantity, sources).mean())

    def standard_error(self, quantity: str, *sources: str) -> float:
        """Return a quantity's standard error over the draw of samples, H(Y)'s included; seeds vary on top of that."""
        return float(self._each(quantity, sources).std(ddof=1) / sqrt(self.samples))

    def interval(self, quantity: str, *sources: str, level: float = 0.95) -> tuple[float, float]:
        """Return a quantity's interval over the draw of samples, low and high: normal, of an accuracy Wilson's (1927).

        ChiasmError as in `value`, or for a level outside (0, 1). At 95 % it covered 94 to 96 % of all these quantities
        (1,000 draws of 150 samples and as many of 1,000, two Gaussian sources, "zero" and "shuffle").
        """
        check_level(level)
        z, value, n = NormalDist().inv_cdf((1 + level) / 2), self.value(quantity, *sources), self.samples
        half = z * self.standard_error(quantity, *sources)
        if quantity == "accuracy":
            half = z / (1 + z**2 / n) * sqrt(value * (1 - value) / n + z**2 / (4 * n**2))
            value = (value + z**2 / (2 * n)) / (1 + z**2 / n)
        return value - half, value + half

    def summary(self) -> str:
        """Return in words the samples, what stood in for a missing source, and the result of each subset in a line."""
        samples = f"{self.samples} samples of {self.classes} classes, H(Y) = {self.entropy:.2f} bits"
        lines = [f"{samples}; a missing source is replaced by {STANDS.get(self.replaced_by, self.replaced_by)}."]
        for row, subset in enumerate(self.subsets):
            (accuracy, spread), (bits, error) = self._mean("accuracy", row), self._mean("bits", row)
            present = " and ".join(subset) + (" alone" if len(subset) == 1 < len(self.sources) else "")
            worse = ", a worse guess than the labels' frequencies" if bits < -2 * error else ""
            result = f"accuracy {accuracy:.3f} ± {spread:.3f}, {bits:.2f} ± {error:.2f} bits usable{worse}"
            lines.append(f"With {present or 'no source'}: {result}.")
        for of in OF if self._complete else ():
            worth = ", ".join(f"{name} {x:+.3f}" for name, x in self.shapley(of).items())
            lines.append(f"Shapley values of {of}: {worth}.")
        return "\n".join(lines)

    def frame(self) -> pl.DataFrame:
        """Return a tidy table of every quantity.

        Columns: quantity; sources as it names them, joined by " + " ("none": no source); value; standard_error. Shapley
        values and interactions are there where every subset was measured.
        """
        rows = [(of, subset, *self._mean(of, row)) for of in OF for row, subset in enumerate(self.subsets)]
        kinds = [("drop_", 1), *([("shapley_", 1), ("interaction_", 2)] if self._complete else [])]
        for q, count in ((kind + of, count) for kind, count in kinds for of in OF):
            groups = combinations(self.sources, count)
            rows += [(q, group, self.value(q, *group), self.standard_error(q, *group)) for group in groups]
        named = [(q, " + ".join(group) or "none", value, error) for q, group, value, error in rows]
        return pl.DataFrame(named, schema=["quantity", "sources", "value", "standard_error"], orient="row")

    @property
    def _complete(self) -> bool:
        return len(self.subsets) == 1 << len(self.sources)

    def _mean(self, of: str, row: int) -> tuple[float, float]:
        x = (self.correct if of == "accuracy" else self.information)[row].astype(np.float64)
        return float(x.mean()), float(x.std(ddof=1) / sqrt(self.samples))

    def _each(self, quantity: str, sources: tuple[str, ...]) -> Array:
        """Return the contribution of each sample to a quantity, (samples,): a weighted sum over subsets."""
        if quantity not in QUANTITIES:
            raise unknown("quantity", quantity, QUANTITIES)
        for name in sources:
            if name not in self.sources:
                raise unknown("source", name, self.sources)
        (kind, _, of), named, full = quantity.rpartition("_"), set(sources), set(self.sources)
        least, most = {"": (0, len(full)), "drop": (1, len(full)), "shapley": (1, 1), "interaction": (2, 2)}[kind]
        if not least <= len(named) <= most:
            raise ChiasmError(f"{quantity} is of {least} different source(s); given: {', '.join(sources) or 'none'}")
        if kind in ("shapley", "interaction"):
            if not self._complete:
                raise ChiasmError(f"{quantity} needs every subset of the sources; decode with subsets='all'")
            places, games = [self.sources.index(name) for name in sources], np.eye(len(self.subsets))
            worth = shapley(games)[places[0]] if kind == "shapley" else interaction(games, *places)
            masks = [{name for j, name in enumerate(self.sources) if mask >> j & 1} for mask in range(len(worth))]
            weights = [(self._row(mask), w) for mask, w in zip(masks, worth.tolist(), strict=True)]
        elif kind == "drop":
            weights = [(self._row(full), 1.0), (self._row(full - named), -1.0)]
        else:
            weights = [(self._row(named or full), 1.0)]
        per_sample = self.correct if of == "accuracy" else self.information
        return sum((w * per_sample[row] for row, w in weights), np.zeros(self.samples))

    def _row(self, present: set[str]) -> int:
        for row, subset in enumerate(self.subsets):
            if set(subset) == present:
                return row
        raise ChiasmError(f"{' and '.join(sorted(present))} alone was not measured; decode with subsets='all'")
