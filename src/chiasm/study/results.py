"""What a study found: one tidy table of numbers, and the arrays of its units."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.pictures.words import count, number_between
from chiasm.statistics import estimate
from chiasm.study.cell_table import cell_table, filtered
from chiasm.study.settings import settings_of
from chiasm.study.spec import Study

Array = NDArray[Any]

#: Lines for cells without a deficit in a summary, and rows of a table in a notebook.
SHOWN, HTML_ROWS = 3, 30

#: Columns of the tidy table: one row per run, epoch, layer or source, and quantity.
SCHEMA: dict[str, Any] = {
    "arm": pl.String,  # name of the arm
    "role": pl.String,  # its role in the report
    "run": pl.String,  # "<arm>[<cell>]#<seed>", unique in the study
    "cell": pl.String,  # what is varied, "d=40, training.clock=absolute"
    "seed": pl.Int64,
    "timeline": pl.String,  # in the notation
    "onset": pl.Int64,  # epoch at which the first deficit starts; null without a deficit
    "duration": pl.Int64,  # epochs under any deficit
    "after": pl.Int64,  # clean epochs after the last release
    "clock": pl.String,
    "epoch": pl.Int64,  # epochs completed when this was measured; 0: at initialisation
    "final": pl.Boolean,  # whether this is the run's last epoch
    "layer": pl.String,  # null where the quantity is not of a layer
    "source": pl.String,  # "all", or the one source that was not silenced; null where it does not apply
    "quantity": pl.String,
    "value": pl.Float64,
}


@dataclass(frozen=True)
class Units:
    """Per-unit arrays of one layer, one row a measurement (a run at an epoch).

    Attributes:
        layer: the layer's name.
        sources: names of the sources; RSV +1 means that of the first two only the first matters.
        run: (measurements,) names of the runs.
        epoch: (measurements,) epochs completed.
        rsv: (measurements, units) in [-1, 1]; NaN where the unit is dead.
        synergy: (measurements, units) in [0, 1]; NaN where dead.
        first: (measurements, sources, units) first-order shares of variance.
        share: (measurements, sources, units) shares of total effects, adding to 1 over sources.
        variance: (measurements, units) total variance.
        dead: (measurements, units) whether the unit is masked.
    """

    layer: str
    sources: tuple[str, ...]
    run: NDArray[np.str_]
    epoch: NDArray[np.int64]
    rsv: NDArray[np.float32]
    synergy: NDArray[np.float32]
    first: NDArray[np.float32]
    share: NDArray[np.float32]
    variance: NDArray[np.float32]
    dead: NDArray[np.bool_]

    def at(self, run: str, epoch: int | None = None) -> int:
        """Return the row of a run at an epoch (its last one by default)."""
        rows = np.flatnonzero(self.run == run)
        if epoch is not None:
            rows = rows[self.epoch[rows] == epoch]
        if not len(rows):
            raise ChiasmError(f"layer '{self.layer}' was not measured in run '{run}' at epoch {epoch}")
        return int(rows[np.argmax(self.epoch[rows])])


@dataclass(frozen=True, repr=False)
class Results:
    """The results of a study.

    Attributes:
        study: the study as run.
        table: the tidy table (see `SCHEMA`); `frame()` returns it.
        layers: per-unit arrays by layer; `units(layer)` returns one.
        environment: versions, device and threads of the run.
        folder: where it lies on disk; None for results in memory only.
        writer: what writes the report; `chiasm.run` and `chiasm.load` put it here.
    """

    study: Study
    table: pl.DataFrame
    layers: Mapping[str, Units] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    writer: Callable[[Results, Path], Path] | None = field(default=None, repr=False, compare=False)

    def frame(self, **filters: Any) -> pl.DataFrame:
        """Return the tidy table: one row per run, epoch, layer or source, and quantity.

        Args:
            filters: values of columns that the rows must have: `frame(arm="duration", final=True, layer=None)`.

        Raises:
            ChiasmError: an unknown column, or a value that never occurs in its column.
        """
        return filtered(self.table, filters)

    def cells(self) -> pl.DataFrame:
        """Return one row a cell: arm, role, cell (its name in `frame`), timeline, onset, duration, after, clock.

        Then a typed column for every key that any arm varies ("d", "training.clock"), null where an arm does not vary
        it. Whole numbers beside others become floats, lists of one type stay lists, and values of no common type become
        their JSON text. A placeholder that bears the name of a column before it is put into braces.
        """
        return cell_table(self.table, self.study.varied())

    def __repr__(self) -> str:
        return f"<Results\n{self.summary()}>"

    def summary(self) -> str:
        """Return in at most eight lines what was run, how it ended without a deficit, and where it lies."""
        cells, study = self.cells(), self.study
        question = shorten(study.question, 110, placeholder=" ...")
        per_arm = [f"{arm} ({n})" for arm, n in cells.group_by("arm", maintain_order=True).len().iter_rows()]
        diverged = self.table.filter(quantity="diverged", value=1.0)["run"].unique(maintain_order=True).to_list()
        runs = self.table["run"].n_unique()
        lines = [
            f"study '{study.name}'" + f": {question}" * bool(question),
            f"{count(len(per_arm), 'arm')}, {count(len(cells), 'cell')}, {count(study.seeds, 'seed')}: "
            + _some(per_arm, 6),
            *self._without_deficit(cells),
            f"diverged: {_some(diverged, 3)}" + f" ({len(diverged)} of {count(runs, 'run')})" * bool(diverged),
            f"folder: {self.folder}" if self.folder else "in memory only",
        ]
        return "\n".join(lines)

    def _without_deficit(self, cells: pl.DataFrame) -> list[str]:
        """The final outcome of the first cells without a deficit, a line a cell."""
        quantity = settings_of(self.study.sections).objective.outcome().quantity
        unit = f" {quantity.unit}" if quantity.unit else ""
        last = self.table.filter(pl.col("final"), pl.col("quantity") == quantity.name)
        last = last.filter(pl.col("source").is_null() | (pl.col("source") == "all"), pl.col("value").is_finite())
        lines = []
        for arm, cell in cells.filter(duration=0).select("arm", "cell").iter_rows():
            values = last.filter(pl.col("arm") == arm, pl.col("cell").eq_missing(pl.lit(cell)))["value"].to_list()
            bounds = quantity.scale * quantity.low, quantity.scale * quantity.high
            mean = estimate([quantity.scale * value for value in values], bounds)
            if mean is not None:
                where = f"{arm}, {cell}" if cell else arm
                lines.append(f"{where}: final {quantity.label} {number_between(mean, quantity.digits)}{unit}")
        more = len(lines) - SHOWN
        lines = [shorten(line, 118, placeholder=" ...") for line in lines[:SHOWN]]
        if more > 0:
            lines.append(f"and {count(more, 'more cell')} without a deficit")
        return lines or ["no cell without a deficit has a final outcome"]

    def _repr_html_(self) -> str:
        from chiasm.pictures.notebook import notebook_table

        cells = self.cells().drop("role", "clock")
        rows = [["" if entry is None else entry for entry in row] for row in cells.head(HTML_ROWS).iter_rows()]
        if len(cells) > HTML_ROWS:
            rows.append([f"and {count(len(cells) - HTML_ROWS, 'more cell')}: results.cells()"])
        return notebook_table(self.summary(), cells.columns, rows)

    def units(self, layer: str) -> Units:
        """Return the per-unit arrays of a layer; raises ChiasmError for a layer that was not measured."""
        if layer not in self.layers:
            raise unknown("layer", layer, self.layers)
        return self.layers[layer]

    def report(self) -> Path:
        """Write the report (report.html and figures/) into the results' folder and return its path."""
        if self.folder is None or self.writer is None:
            raise ChiasmError("these results came without a folder or a writer; chiasm.load(folder) brings both")
        return self.writer(self, self.folder)

    def save(self, folder: Path) -> None:
        """Write results.parquet, units.npz, study.toml and environment.json, each whole or not at all."""
        from chiasm.files import write_whole

        buffer = io.BytesIO()
        self.table.write_parquet(buffer)
        write_whole(folder / "units.npz", _pack(self.layers))
        write_whole(folder / "study.toml", self.study.to_toml().encode())
        write_whole(folder / "environment.json", json.dumps(dict(self.environment), indent=2, sort_keys=True).encode())
        write_whole(folder / "results.parquet", buffer.getvalue())  # last: it says that the others are there

    @classmethod
    def load(cls, folder: str | Path) -> Results:
        """Read the results of a study from its folder; raises ChiasmError where something is missing or damaged."""
        folder = Path(folder)
        for name in ("study.toml", "results.parquet", "units.npz", "environment.json"):
            if not (folder / name).is_file():
                raise ChiasmError(f"'{folder}' holds no finished study: {name} is missing; 'chiasm run' makes one")
        study = Study.load(folder / "study.toml", check=False)
        try:
            table = pl.read_parquet(folder / "results.parquet")
            layers = _unpack(folder / "units.npz")
            environment = json.loads((folder / "environment.json").read_text())
        except Exception as error:  # whatever a damaged file makes its reader say
            raise ChiasmError(f"'{folder}' is damaged ({error}); run the study again into the same folder") from error
        if table["seed"].n_unique() != study.seeds:
            raise ChiasmError(
                f"'{folder}' holds a study whose {study.seeds} seeds are not all there; run it to its end"
            )
        return cls(study, table, layers, environment, folder)


def _some(names: list[str], most: int) -> str:
    """The first of some names, and how many more there are."""
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more]) or "none"


FIELDS = ("run", "epoch", "rsv", "synergy", "first", "share", "variance", "dead")


def _pack(layers: Mapping[str, Units]) -> bytes:
    arrays: dict[str, Array] = {}
    for i, (name, units) in enumerate(layers.items()):
        arrays[f"{i}.layer"] = np.array(name)
        arrays[f"{i}.sources"] = np.array(units.sources)
        arrays |= {f"{i}.{key}": getattr(units, key) for key in FIELDS}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _unpack(path: Path) -> dict[str, Units]:
    layers = {}
    with np.load(path, allow_pickle=False) as packed:
        for i in range(sum(key.endswith(".layer") for key in packed)):
            name = str(packed[f"{i}.layer"])
            sources = tuple(str(source) for source in packed[f"{i}.sources"])
            layers[name] = Units(name, sources, **{key: packed[f"{i}.{key}"] for key in FIELDS})
    return layers
