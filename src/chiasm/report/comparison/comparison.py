"""A study of linear pathways against its theory, number by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from chiasm.errors import ChiasmError, unknown
from chiasm.pictures.words import count, number
from chiasm.report.comparison.expected import Expected, TrainingTheory, expect
from chiasm.report.phrases import capital

if TYPE_CHECKING:
    from chiasm.study.results import Results

KEYS = ("run", "epoch", "layer", "source", "quantity")
COLUMNS = ("arm", "run", "seed", "onset", "duration", "epoch", "final", "layer", "source", "quantity")


@dataclass(frozen=True)
class Comparison:
    """A study's numbers, and the theory's."""

    results: Results  # as measured
    steps: Expected  # by the theory of gradient descent with the study's learning rate
    flow: Expected  # by the theory of gradient flow; of what the probe measures, only the ends of the runs

    def table(self, theory: TrainingTheory = "steps") -> pl.DataFrame:
        """Return measured and predicted numbers; `prediction_table` says what the columns are."""
        return _joined(self.results, self.steps if theory == "steps" else self.flow)

    def losses(self, theory: TrainingTheory = "steps") -> pl.DataFrame:
        """Return the rows of `table` that hold the training loss."""
        return self.table(theory).filter(pl.col("quantity") == "train_loss")


def compare(results: Results) -> Comparison:
    """Compute what the theory predicts for every run of a study.

    Raises:
        ChiasmError: the theory predicts no run; the sentence says why.
    """
    return Comparison(results, _expected(results), _expected(results, "flow", ends=True))


def prediction_table(results: Results, theory: TrainingTheory = "steps") -> pl.DataFrame:
    """Return every recorded number that the theory predicts, with the prediction.

    Args:
        results: of a study with network.kind = "deep_linear", task.kind = "linear" and objective.kind = "squares".
        theory: "steps": gradient descent with the study's learning rate, exact up to rounding; "flow": gradient flow.

    Returns:
        A row per run, epoch, layer or source ("" where none applies) and quantity: arm, run, seed, onset, duration,
        epoch, final, layer, source, quantity, measured, predicted, difference (measured - predicted). Quantities are
        train_loss in every epoch, and what the probe measures of the map from sources to outputs: accuracy and loss
        with all sources and each alone, RSV and shares of the outputs' variance, usable bits, ranks. Runs that the
        theory does not predict are left out.

    Raises:
        ChiasmError: the theory predicts no run, or is none of the two.
    """
    if theory not in ("steps", "flow"):
        raise unknown("theory", theory, ("steps", "flow"))
    return _joined(results, _expected(results, theory))


def summary(comparison: Comparison) -> pl.DataFrame:
    """Return the largest differences from the theory of gradient descent, by quantity.

    Returns:
        quantity, layer, source, numbers (how many), measured (largest, in size) and difference (largest, in size).
    """
    rows = comparison.table().filter(pl.col("difference").is_finite())
    by = rows.group_by("quantity", "layer", "source", maintain_order=True)
    return by.agg(pl.len().alias("numbers"), pl.col("measured", "difference").abs().max())


def findings(comparison: Comparison) -> list[str]:
    """Return how far measurement and theory are apart, one sentence each; every number comes from the tables."""
    losses, table, flow = comparison.losses(), comparison.table(), comparison.table("flow")
    top = float(losses["measured"].max())  # type: ignore[arg-type]
    sentences = [
        f"Training loss, {count(losses.height, 'number')} of {count(table['run'].n_unique(), 'run')}, up to "
        f"{number(top)}: the theory of gradient descent is off by {small(_most(losses))} at most, that of gradient "
        f"flow by {small(_most(comparison.losses('flow')))}."
    ]
    of_shares = (pl.col("quantity") == "share_mean") & pl.col("final")
    shares = table.filter(of_shares & pl.col("difference").is_finite())
    if shares.height:
        sentences.append(
            f"Share of the output that each source carries in the end: off by {small(_most(shares))} at most by "
            f"gradient descent, by {small(_most(flow.filter(of_shares)))} by gradient flow."
        )
    if left := comparison.steps.left:
        why = dict.fromkeys(left.values())
        sentences.append(f"{capital(count(len(left), 'run'))} left out: {'; '.join(why)}.")
    return sentences


def small(value: float) -> str:
    """Write a small number: 3.2e-07 is "3.2·10⁻⁷", 0.012 is "0.0120"."""
    if value >= 0.001 or value == 0:
        return number(value, 4)
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}·10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def _expected(results: Results, theory: TrainingTheory = "steps", ends: bool = False) -> Expected:
    expected = expect(results, theory, ends)
    if expected.table.is_empty():
        why = next(iter(expected.left.values()), "it has no runs")
        raise ChiasmError(f"study '{results.study.name}' cannot be predicted: {why}")
    return expected


def _joined(results: Results, expected: Expected) -> pl.DataFrame:
    measured = results.frame().select(*COLUMNS, pl.col("value").alias("measured"))
    measured = measured.with_columns(pl.col("layer", "source").fill_null(""))
    joined = measured.join(expected.table, on=KEYS, how="inner", maintain_order="left")
    gap = (pl.col("measured") - pl.col("predicted")).alias("difference")
    return joined.select(*COLUMNS, "measured", "predicted", gap)


def _most(table: pl.DataFrame) -> float:
    return float(table["difference"].abs().max())  # type: ignore[arg-type]
