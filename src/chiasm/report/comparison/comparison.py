"""A study of linear pathways beside its theory, number by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from chiasm.errors import ChiasmError, unknown
from chiasm.pictures.words import count, number
from chiasm.report.comparison.expected import Expected, Theory, expect
from chiasm.report.phrases import capital

if TYPE_CHECKING:
    from chiasm.study.results import Results

KEYS = ("run", "epoch", "layer", "source", "quantity")
COLUMNS = ("arm", "run", "seed", "onset", "duration", "epoch", "final", "layer", "source", "quantity")


@dataclass(frozen=True)
class Beside:
    """A study's numbers beside the theory's.

    Attributes:
        results: as measured.
        steps: the theory of gradient descent with the study's learning rate.
        flow: the theory of gradient flow; of what the probe sees, only the ends of the runs.
    """

    results: Results
    steps: Expected
    flow: Expected

    def table(self, theory: Theory = "steps") -> pl.DataFrame:
        """Return measured and predicted side by side; `prediction_table` says what the columns are."""
        return _joined(self.results, self.steps if theory == "steps" else self.flow)


def beside(results: Results) -> Beside:
    """Compute what the theory says of every run of a study.

    Raises:
        ChiasmError: the theory says nothing of any run; the sentence says why.
    """
    return Beside(results, _expected(results), _expected(results, "flow", ends=True))


def _expected(results: Results, theory: Theory = "steps", ends: bool = False) -> Expected:
    made = expect(results, theory, ends)
    if made.table.is_empty():
        why = next(iter(made.left.values()), "it has no runs")
        raise ChiasmError(f"study '{results.study.name}' cannot be predicted: {why}")
    return made


def _joined(results: Results, said: Expected) -> pl.DataFrame:
    measured = results.frame().select(*COLUMNS, pl.col("value").alias("measured"))
    measured = measured.with_columns(pl.col("layer", "source").fill_null(""))
    joined = measured.join(said.table, on=KEYS, how="inner", maintain_order="left")
    gap = (pl.col("measured") - pl.col("predicted")).alias("difference")
    return joined.select(*COLUMNS, "measured", "predicted", gap)


def applies(results: Results) -> bool:
    """Return whether a study trains the network that the theory is of; quick, as nothing is computed."""
    return results.study.sections.get("network", {}).get("kind") == "deep_linear"


def prediction_table(results: Results, theory: Theory = "steps") -> pl.DataFrame:
    """Return every recorded number that the theory can say, beside what it says.

    Args:
        results: of a study with network.kind = "deep_linear", task.kind = "linear" and objective.kind = "squares".
        theory: "steps": gradient descent with the study's learning rate, exact up to rounding; "flow": gradient flow.

    Returns:
        A row per run, epoch, layer or source ("" where none applies) and quantity: arm, run, seed, onset, duration,
        epoch, final, layer, source, quantity, measured, predicted, difference (measured - predicted). Quantities are
        train_loss in every epoch, and what the probe measures of the map from sources to outputs: accuracy and loss
        with all sources and each alone, RSV and shares of the outputs' variance, usable bits, ranks. Runs of which the
        theory says nothing are left out.

    Raises:
        ChiasmError: the theory says nothing of any run, or is none of the two.
    """
    if theory not in ("steps", "flow"):
        raise unknown("theory", theory, ("steps", "flow"))
    return _joined(results, _expected(results, theory))


def summary(made: Beside) -> pl.DataFrame:
    """Return the largest differences by quantity, of the theory of gradient descent.

    Returns:
        quantity, layer, source, numbers (how many), measured (largest, in size) and difference (largest, in size).
    """
    rows = made.table().filter(pl.col("difference").is_finite())
    by = rows.group_by("quantity", "layer", "source", maintain_order=True)
    return by.agg(pl.len().alias("numbers"), pl.col("measured", "difference").abs().max())


def findings(made: Beside) -> list[str]:
    """Return in words how far measurement and theory are apart; every number comes from the tables."""
    said = []
    table, flow = made.table(), made.table("flow")
    runs = table["run"].n_unique()
    loss, loss_flow = (t.filter(pl.col("quantity") == "train_loss") for t in (table, flow))
    top = float(loss["measured"].max())  # type: ignore[arg-type]
    said.append(
        f"Training loss, {count(loss.height, 'number')} of {count(runs, 'run')}, up to {number(top)}: the theory of "
        f"gradient descent is off by {small(_most(loss))} at most, that of gradient flow by "
        f"{small(_most(loss_flow))}."
    )
    shares = table.filter((pl.col("quantity") == "share_mean") & pl.col("final") & pl.col("difference").is_finite())
    if shares.height:
        far = _most(flow.filter((pl.col("quantity") == "share_mean") & pl.col("final")))
        said.append(
            f"Share of the output that each source carries in the end: off by {small(_most(shares))} at most by "
            f"gradient descent, by {small(far)} by gradient flow."
        )
    if made.steps.left:
        why = dict.fromkeys(made.steps.left.values())
        said.append(f"{capital(count(len(made.steps.left), 'run'))} left out: {'; '.join(why)}.")
    return said


def _most(table: pl.DataFrame) -> float:
    return float(table["difference"].abs().max())  # type: ignore[arg-type]


def small(value: float) -> str:
    """A small number in words: 3.2e-07 is "3.2·10⁻⁷", 0.012 is "0.012"."""
    if value >= 0.001 or value == 0:
        return number(value, 4)
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}·10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
