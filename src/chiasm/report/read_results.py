"""Reading the outcomes out of the tidy table: the last epoch of every run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from chiasm.errors import ChiasmError
from chiasm.report.outcomes import CLOCKS, CellOutcome, RunOutcome
from chiasm.report.phrases import healthy
from chiasm.report.questions import questions
from chiasm.report.settings import margins
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.study.settings import settings_of
from chiasm.timeline import Timeline

if TYPE_CHECKING:
    from chiasm.study.results import Results


def read_results(results: Results) -> StudyOutcomes:
    """Read the outcomes out of a study's results: one pass over the rows of the last epochs."""
    table = results.frame()
    sources, chance = _task(results)
    outcome, rsv_margin = margins(results.study, settings_of(results.study.sections).objective.outcome(chance))
    values = results.study.varied()
    lone = {question.role for question in questions() if question.lone}
    runs: dict[tuple[str, str], dict[str, _Draft]] = {}
    first: dict[tuple[str, str], dict[str, Any]] = {}
    known = table.unique(["arm", "cell", "run"], keep="first", maintain_order=True)
    for row in known.iter_rows(named=True):
        key = (row["arm"], row["cell"] or "")
        first.setdefault(key, row)
        runs.setdefault(key, {})[row["run"]] = _Draft(row["seed"], outcome.quantity.name)
    # A run that diverged has no last epoch of its own; the mark may stand at any epoch.
    last = table.filter(pl.col("final") | (pl.col("quantity") == "diverged"))
    for row in last.iter_rows(named=True):
        runs[row["arm"], row["cell"] or ""][row["run"]].take(row)
    cells = []
    for key, row in first.items():
        timeline = Timeline.parse(row["timeline"])
        left = healthy(timeline, sources) if row["role"] in lone else ()
        drafts = sorted(runs[key].items(), key=lambda item: item[1].seed)
        cells.append(
            CellOutcome(
                key[0],
                row["role"],
                key[1],
                values.get(key, {}),
                timeline,
                row["clock"],
                left[0] if len(left) == 1 else "",
                tuple(draft.run(name) for name, draft in drafts),
            )
        )
    own = results.study.sections.get("training", {}).get("clock", CLOCKS[0])
    clocks = sorted(
        {cell.clock for cell in cells}, key=lambda c: (c != own, CLOCKS.index(c) if c in CLOCKS else len(CLOCKS), c)
    )
    # Layers whose units were measured; other numbers of layers and parts have a table of their own.
    layers = table.filter(quantity="rsv_mean")["layer"].unique(maintain_order=True).to_list()
    ordered = sorted(layers, key=lambda name: name != "fusion")
    titles = {arm.name: arm.title for arm in results.study.arms if arm.title}
    return StudyOutcomes(tuple(cells), sources, tuple(ordered), tuple(clocks), outcome, titles, rsv_margin)


class _Draft:
    """A run while its rows are being read."""

    def __init__(self, seed: int, outcome: str) -> None:
        self.seed = seed
        self.outcome = outcome  # its name in the table
        self.score: float | None = None
        self.train_score: float | None = None
        self.alone: dict[str, float] = {}
        self.layers: dict[str, dict[str, float]] = {}
        self.others: dict[tuple[str, str], float] = {}
        self.diverged: int | None = None

    def take(self, row: Mapping[str, Any]) -> None:
        quantity, value, source = row["quantity"], row["value"], row["source"]
        if quantity == "diverged":
            if value:
                self.diverged = row["epoch"]
        elif value is None or not math.isfinite(value):
            return
        elif row["layer"] is not None:
            named = quantity if source is None else f"{quantity} {source}"
            self.layers.setdefault(row["layer"], {})[named] = value
        elif quantity == self.outcome and source in (None, "all"):
            self.score = value
        elif quantity == self.outcome:
            self.alone[source] = value
        elif quantity == f"train_{self.outcome}":
            self.train_score = value
        else:
            self.others[quantity, source or ""] = value

    def run(self, name: str) -> RunOutcome:
        if self.diverged is not None:  # whatever it measured on the way is no result
            return RunOutcome(name, self.seed, None, {}, {}, None, self.diverged)
        return RunOutcome(name, self.seed, self.score, self.alone, self.layers, self.train_score, None, self.others)


def _task(results: Results) -> tuple[tuple[str, ...], float | None]:
    """The sources in order and the level of chance, from the task, or from the table where its data are gone."""
    try:
        about = results.study.cells()[0].settings.task.describe()
    except (ChiasmError, OSError):  # a user's arrays may have moved since the study ran
        for units in results.layers.values():
            return units.sources, None
        named = results.frame()["source"].drop_nulls().unique(maintain_order=True).to_list()
        return tuple(name for name in named if name != "all" and not name.startswith("without ")), None
    return tuple(source.name for source in about.sources), about.chance
