"""The study `matrix-completion`: a factorisation is shown something else for a while, then its final task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from chiasm.errors import ChiasmError
from chiasm.statistics import estimate
from chiasm.theory.arguments import Floats, check_fields
from chiasm.theory.completion.plane import CompletionDraw, CompletionPlane, complete
from chiasm.theory.completion.task import Bools, CompletionTask, block_mask, low_rank, random_mask, thin
from chiasm.theory.study import TheoryStudy

if TYPE_CHECKING:
    import polars as pl

Switch = Literal["matrix", "observations", "noise", "pattern"]


@dataclass(frozen=True)
class CompletionResult:
    """Result of the study. Cells of a plane are (switches, durations, seeds)."""

    settings: MatrixCompletion  # of the study
    draws: tuple[CompletionDraw, ...]  # tasks, one a seed
    planes: tuple[CompletionPlane, ...]  # one a depth

    def truth_values(self, seed: int) -> Floats:
        """Return the largest singular values of the final matrix of a seed, as many as are recorded."""
        values = np.linalg.svd(self.draws[seed].final.truth, compute_uv=False)
        return np.asarray(values[: self.settings.top])

    def frame(self) -> pl.DataFrame:
        """Return a table with one row per run: depth, switch, duration, seed, error, mismatch."""
        import polars as pl

        tables = []
        for plane in self.planes:
            switch = np.broadcast_to(np.array(self.settings.switches)[:, None, None], plane.error.shape)
            columns = {
                "depth": plane.depth, "switch": switch.ravel(), "duration": (plane.release - plane.onset).ravel(),
                "seed": plane.draw.ravel(), "error": plane.error.ravel(), "mismatch": plane.mismatch().ravel(),
            }  # fmt: skip
            tables.append(pl.DataFrame(columns))
        return pl.concat(tables)

    def summary(self, level: float = 0.95) -> pl.DataFrame:
        """Return a table of means over seeds with intervals of Student's t: depth, switch, duration, mean, low, high.

        The ends of the interval are NaN with one seed; a level outside (0, 1) is a ChiasmError.
        """
        import polars as pl

        if not 0 < level < 1:
            raise ChiasmError(f"level = {level}; expected a level inside (0, 1)")
        rows = []
        switches, durations = enumerate(self.settings.switches), enumerate(self.settings.durations)
        for plane, (i, switch), (j, duration) in product(self.planes, switches, durations):
            mean = estimate(plane.error[i, j].tolist())
            assert mean is not None  # there is a seed
            low, high = mean.interval(level) or (np.nan, np.nan)
            rows.append((plane.depth, switch, duration, mean.mean, low, high))
        return pl.DataFrame(rows, ["depth", "switch", "duration", "mean", "low", "high"], orient="row")


@final
class MatrixCompletion(TheoryStudy, frozen=True, kw_only=True, tag="matrix-completion"):
    """Settings of the study; the defaults are the shipped one. Times are in steps.

    The loss is half the mean squared error of the entries shown, so a step of 0.4 is one of 0.2 on the mean itself.

    Attributes:
        size: side of the matrix. At 100 and `rank` 5, `observed` 2000, `step` 0.2, `scale` 0.001, and times in tens of
            thousands, this is the published experiment.
        rank: of the final matrix.
        observed: how many entries are shown, in the "random" pattern.
        pattern: which entries the final task shows: "random", "blocks" on the diagonal, or "given" by `mask`.
        blocks: how many blocks, in the "blocks" pattern and before a "pattern" switch.
        mask: rows of 0 and 1, in the "given" pattern.
        switches: what differs for a while. "matrix": another matrix of rank `first_rank`, the same entries.
            "observations": only `few` of the entries. "noise": what is shown has noise. "pattern": blocks are shown.
        first_rank: rank of the other matrix; None for `rank`.
        few: entries shown before an "observations" switch.
        noise: standard deviation of the noise before a "noise" switch; the matrix's entries have mean square 1.
        depths: layers of the factorisation.
        durations: of the earlier task, from step 0.
        after: steps of the final task, equal for all.
        seeds: draws of matrix, mask, noise and layers, 0 to seeds - 1.
        step: of gradient descent.
        scale: of the product at the start.
        init: "gaussian" or "balanced" layers.
        every: record the paths each so many steps.
        top: record so many singular values.

    Raises:
        ChiasmError: a field is empty or out of range.

    >>> MatrixCompletion(size=6, observed=30, few=10).draw(0).earlier[1].observed
    10
    """

    size: int = 20
    rank: int = 2
    observed: int = 160
    pattern: Literal["random", "blocks", "given"] = "random"
    blocks: int = 2
    mask: tuple[tuple[int, ...], ...] = ()
    switches: tuple[Switch, ...] = ("matrix", "observations", "noise", "pattern")
    first_rank: int | None = None
    few: int = 120
    noise: float = 1.0
    depths: tuple[int, ...] = (1, 2, 3)
    durations: tuple[int, ...] = (0, 500, 1000, 2000, 6000)
    after: int = 4000
    seeds: int = 10
    step: float = 0.4
    scale: float = 0.01
    init: Literal["gaussian", "balanced"] = "gaussian"
    every: int = 100
    top: int = 5

    def __post_init__(self) -> None:
        if not self.switches:
            raise ChiasmError("switches is empty; give one value or more")
        check_fields(self, "depths seeds after", least=1)
        check_fields(self, "durations", least=0)

    @property
    def other_rank(self) -> int:
        """Rank of the matrix before a "matrix" switch."""
        return self.rank if self.first_rank is None else self.first_rank

    def draw(self, seed: int) -> CompletionDraw:
        """Return the tasks of a seed: the final one, and an earlier one a switch, in their order."""
        truth, mask = low_rank(self.size, self.rank, seed), self._mask(seed)
        if mask.all():
            raise ChiasmError(f"all {mask.size} entries are shown; nothing is left to complete, show fewer")
        earlier: dict[str, Callable[[], CompletionTask]] = {
            "matrix": lambda: CompletionTask.of(
                low_rank(self.size, self.other_rank, seed, "completion other matrix"), mask
            ),
            "observations": lambda: CompletionTask.of(truth, thin(mask, self.few, seed)),
            "noise": lambda: CompletionTask.of(truth, mask, self.noise, seed),
            "pattern": lambda: CompletionTask.of(truth, block_mask(self.size, self.blocks)),
        }
        return CompletionDraw(
            seed, CompletionTask.of(truth, mask), tuple(earlier[switch]() for switch in self.switches)
        )

    def run(self, progress: Callable[[float], None] | None = None) -> CompletionResult:
        """Run the study.

        Args:
            progress: called with the share that is done, in (0, 1].

        Raises:
            ChiasmError: a setting is out of range, or a cell diverges.
        """
        draws = tuple(self.draw(seed) for seed in range(self.seeds))
        release = np.array(self.durations)[:, None]
        planes = []
        for depth in self.depths:
            planes.append(
                complete(
                    draws, depth=depth, release=release, steps=release + self.after, draw=np.arange(self.seeds),
                    earlier=np.arange(len(self.switches))[:, None, None], scale=self.scale, step=self.step,
                    init=self.init, every=self.every, top=self.top,
                )
            )  # fmt: skip
            if progress is not None:
                # A step takes about as long as there are layers.
                progress(sum(self.depths[: len(planes)]) / sum(self.depths))
        return CompletionResult(self, draws, tuple(planes))

    def _mask(self, seed: int) -> Bools:
        if self.pattern == "random":
            return random_mask(self.size, self.observed, seed)
        if self.pattern == "blocks":
            return block_mask(self.size, self.blocks)
        right = [len(row) for row in self.mask] == [self.size] * self.size
        if not right or any(entry not in (0, 1) for row in self.mask for entry in row):
            raise ChiasmError(f"mask: the given pattern needs {self.size} rows of {self.size} numbers 0 or 1")
        return np.array(self.mask, bool)
