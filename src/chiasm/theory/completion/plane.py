"""Matrix completion by deep factorisations whose task is switched: whole planes of cells at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.theory.arguments import Floats, check, check_int
from chiasm.theory.completion.equations import Factors, draw_layers
from chiasm.theory.completion.task import CompletionTask
from chiasm.theory.histories import Stretch, plane_cells, train

if TYPE_CHECKING:
    import polars as pl

Ints = NDArray[np.int64]

#: A cell whose entries end so many times larger than the largest that it was shown, or began with, has diverged.
FAR = 1e3
INITS = ("gaussian", "balanced")


@dataclass(frozen=True)
class CompletionDraw:
    """The tasks of one seed.

    Attributes:
        seed: of the layers.
        final: the task that every cell ends with, and whose error is measured.
        earlier: tasks that cells may train on for a while instead.

    Raises:
        ChiasmError: the tasks differ in size.
    """

    seed: int
    final: CompletionTask
    earlier: tuple[CompletionTask, ...] = ()

    def __post_init__(self) -> None:
        sizes = {task.size for task in (self.final, *self.earlier)}
        if len(sizes) > 1:
            raise ChiasmError(f"tasks of sizes {sorted(sizes)}: all tasks of a draw have one size")


@dataclass(frozen=True)
class CompletionPlane:
    """The outcome of every cell of a plane.

    Attributes:
        depth: layers of the factorisation.
        step: of gradient descent; a step is so much time.
        onset: (*cells,) step at which the earlier task begins.
        release: (*cells,) step at which the final task begins.
        steps: (*cells,) steps in all.
        draw: (*cells,) which draw.
        earlier: (*cells,) which of its earlier tasks.
        products: (*cells, n, n) W at the end.
        error: (*cells,) at the end, on entries that the final task does not show, see `CompletionTask.error`.
        times: (records,) the steps at which paths are recorded.
        error_path: (*cells, records), NaN after a cell's end.
        values_path: (*cells, records, top) the largest singular values of W.
        measured_path: (*cells, records, top) by how much one step moves them, divided by its length.
        equation_path: (*cells, records, top) what the equation for balanced layers says instead.
    """

    depth: int
    step: float
    onset: Ints
    release: Ints
    steps: Ints
    draw: Ints
    earlier: Ints
    products: Floats = field(repr=False)
    error: Floats = field(repr=False)
    times: Ints = field(repr=False)
    error_path: Floats = field(repr=False)
    values_path: Floats = field(repr=False)
    measured_path: Floats = field(repr=False)
    equation_path: Floats = field(repr=False)

    def mismatch(self) -> Floats:
        """Return how far the equation of the singular values is from descent, over a cell's path after its start.

        At the start itself the singular values are those of noise, so crowded that one step turns them into each other.

        Returns:
            (*cells,): |measured - equation| / |measured|, norms over records and singular values; 0 where it holds.
        """
        paths = (self.measured_path - self.equation_path)[..., 1:, :], self.measured_path[..., 1:, :]
        # In units of the largest: speeds of a tiny start are too small to be squared, of tiny steps too large.
        unit = np.nanmax(np.abs(paths[1]), (-2, -1), keepdims=True, initial=0.0)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            gap, size = (np.sqrt(np.nansum((path / unit) ** 2, (-2, -1))) for path in paths)
            return np.asarray(gap / size)

    def frame(self) -> pl.DataFrame:
        """Return a table with one row per cell: depth, onset, duration, steps, draw, earlier, error."""
        import polars as pl

        cells = {**vars(self), "duration": self.release - self.onset}
        names = ("onset", "duration", "steps", "draw", "earlier", "error")
        return pl.DataFrame({"depth": self.depth} | {name: cells[name].ravel() for name in names})


def complete(
    draws: Sequence[CompletionDraw],
    *,
    depth: int = 2,
    onset: ArrayLike = 0,
    release: ArrayLike = 0,
    steps: ArrayLike = 4000,
    draw: ArrayLike = 0,
    earlier: ArrayLike = 0,
    scale: float = 1e-2,
    step: float = 0.2,
    init: Literal["gaussian", "balanced"] = "gaussian",
    every: int = 100,
    top: int = 5,
    progress: Callable[[float], None] | None = None,
) -> CompletionPlane:
    """Train every cell of a plane at once, by full gradients on the entries shown.

    Cells of a draw share their steps until their tasks differ.

    Args:
        draws: tasks and seeds.
        depth: layers, at least 1.
        onset: step at which the earlier task begins; this and all down to `earlier` broadcast to the shape of cells.
        release: step at which the final task comes back; equal to `onset` for never leaving it.
        steps: steps in all, at least `release`.
        draw: which of `draws`.
        earlier: which of the draw's earlier tasks.
        scale: of the product of the layers at the start, above 0.
        step: of gradient descent.
        init: "gaussian" or "balanced", see `draw_layers`.
        every: record the paths each so many steps.
        top: record so many singular values.
        progress: called with the share of steps done, in (0, 1].

    Raises:
        ChiasmError: an argument is out of range, a window ends after its cell, or a cell diverges.

    >>> from chiasm.theory.completion.task import low_rank, random_mask
    >>> task = CompletionTask.of(low_rank(8, 1, seed=0), random_mask(8, 40, seed=0))
    >>> plane = complete([CompletionDraw(0, task)], depth=3, steps=6000)
    >>> bool(plane.error < 0.01)
    True
    """
    if not draws:
        raise ChiasmError("no draw is given; give one or more")
    if len({draw.final.size for draw in draws}) > 1:
        raise ChiasmError("the draws' matrices differ in size; all draws of a plane have one size")
    check("step", step, above=0)
    check("scale", scale, above=0)
    for name, value in (("depth", depth), ("every", every), ("top", top)):
        check_int(name, value)
    if init not in INITS:
        raise unknown("init", init, INITS)
    cells = plane_cells({"onset": onset, "release": release, "steps": steps, "draw": draw, "earlier": earlier}, {})
    _check_cells(draws, cells)
    drawn = [draw_layers(draws[0].final.size, depth, scale, draw.seed, init) for draw in draws]
    layers = [torch.stack(together) for together in zip(*drawn, strict=True)]
    owner = np.arange(len(draws))

    def enter(part: Stretch) -> Factors:
        nonlocal layers, owner
        owner = owner[part.parent]
        layers = [layer[torch.from_numpy(part.parent)] for layer in layers]
        tasks = [(draws[d].final, *draws[d].earlier)[k] for d, k in zip(owner.tolist(), part.state, strict=True)]
        mask = torch.from_numpy(np.stack([task.mask for task in tasks]).astype(np.float64))
        shown = torch.from_numpy(np.stack([np.where(task.mask, task.shown, 0.0) for task in tasks]))
        return Factors(layers, mask, shown, step)

    def look(rows: Factors) -> list[Floats]:
        now = rows.product().numpy()
        errors = [draws[d].final.error(w) for d, w in zip(owner.tolist(), now, strict=True)]
        return [now, np.array(errors), *(values[:, :top] for values in rows.spectra())]

    origin, deficit = cells["draw"].ravel(), cells["earlier"].ravel() + 1
    times, ends, paths = train(cells, origin, every, enter, Factors.descend, look, progress, deficit)
    products, error = ends[:2]
    # Descent that does not diverge stays near what it is shown; one layer that does takes long to overflow.
    largest = max(scale, *(np.abs(task.shown[task.mask]).max() for one in draws for task in (one.final, *one.earlier)))
    far = ~(np.abs(products).max((-1, -2)) <= FAR * largest)
    if far.any():
        raise ChiasmError(
            f"step = {step:g} with scale {scale:g}: {far.sum()} of {far.size} cells diverge; give a smaller step"
        )
    error_path, values_path, measured_path, equation_path = paths
    return CompletionPlane(
        depth, step, **cells, products=products, error=error, times=times, error_path=error_path,
        values_path=values_path, measured_path=measured_path, equation_path=equation_path,
    )  # fmt: skip


def _check_cells(draws: Sequence[CompletionDraw], cells: dict[str, Ints]) -> None:
    draw, earlier, impaired = cells["draw"], cells["earlier"], cells["onset"] < cells["release"]
    if (draw >= len(draws)).any():
        raise ChiasmError(f"draw {draw.max()} is not among the {len(draws)} draws, which count from 0")
    for d in np.unique(draw[impaired]).tolist():
        most = int(earlier[(draw == d) & impaired].max())
        if most >= len(draws[d].earlier):
            raise ChiasmError(f"earlier task {most} of draw {d}: it has {len(draws[d].earlier)}, which count from 0")
