"""Two linear pathways with weight decay, one source of which is impaired for a while: whole planes of cells at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError
from chiasm.theory.fusion.network import FusionLayers
from chiasm.theory.fusion.problem import Floats, FusionProblem, share
from chiasm.theory.fusion.states import states

Ints = NDArray[np.int64]

#: A cell whose weights end so many times larger than both its start and the best ones has diverged.
FAR = 1e3
NAMES = ("onset", "release", "steps", "decay", "scale", "step", "seed")


@dataclass(frozen=True)
class FusionPlane:
    """What became of every cell of a plane.

    Attributes:
        problem: what was to be learned.
        layers: by what networks.
        onset: (*cells,) first impaired step.
        release: (*cells,) one past the last impaired step.
        steps: (*cells,) steps in all.
        decay: (*cells,) weight decay.
        scale: (*cells,) scale of the products at the start.
        step: (*cells,) length of a step; a deficit of d steps lasts the time d * step.
        seed: (*cells,) of the draw of the weights.
        maps: (*cells, 2, features, features) W_a and W_b at the end.
        excess: (*cells,) excess loss at the end, see `FusionProblem.excess`.
        share: (*cells,) of source b at the end, see `share`.
        times: (records,) the steps at which paths are recorded.
        excess_path: (*cells, records) excess loss, always of the unimpaired problem; NaN after a cell's end.
        share_path: (*cells, records), likewise.
    """

    problem: FusionProblem
    layers: FusionLayers
    onset: Ints
    release: Ints
    steps: Ints
    decay: Floats
    scale: Floats
    step: Floats
    seed: Ints
    maps: Floats = field(repr=False)
    excess: Floats = field(repr=False)
    share: Floats = field(repr=False)
    times: Ints = field(repr=False)
    excess_path: Floats = field(repr=False)
    share_path: Floats = field(repr=False)

    def recovery(self, threshold: float = 0.1) -> Floats:
        """Return how many steps after its release each cell is first seen with an excess below the threshold.

        Args:
            threshold: of the excess loss, as a share of that of the best single source.

        Returns:
            (*cells,) steps, up to the spacing of the records; infinity where that is never seen.
        """
        since = self.times - self.release[..., None]
        with np.errstate(invalid="ignore"):
            there = (since >= 0) & (self.excess_path < threshold)
        return np.where(there.any(-1), np.take_along_axis(since, there.argmax(-1)[..., None], -1)[..., 0], np.inf)

    def frame(self) -> Any:
        """Return a polars table, a row a cell.

        Columns: own, shared, onset, steps, decay, scale, step, seed, duration, excess, share.
        """
        import polars

        cells = {name: getattr(self, name).ravel() for name in ("onset", *NAMES[2:])}
        made = {
            "duration": (self.release - self.onset).ravel(),
            "excess": self.excess.ravel(),
            "share": self.share.ravel(),
        }
        fixed = {"own": self.layers.own, "shared": self.layers.shared}
        columns = {**{k: np.full(self.excess.size, v) for k, v in fixed.items()}, **cells, **made}
        return polars.DataFrame(columns)


def fuse(
    problem: FusionProblem,
    layers: FusionLayers,
    *,
    onset: ArrayLike = 0,
    release: ArrayLike = 0,
    steps: ArrayLike = 2000,
    decay: ArrayLike = 0.03,
    scale: ArrayLike = 0.05,
    step: ArrayLike = 0.05,
    seed: ArrayLike = 0,
    every: int = 20,
    by: Literal["descent", "flow"] = "descent",
    diverging: Literal["refuse", "keep"] = "refuse",
    progress: Callable[[float], None] | None = None,
) -> FusionPlane:
    """Train every cell of a plane at once, by full gradients on the population's moments.

    Cells that begin alike share their steps until their deficits differ.

    Args:
        problem: what is to be learned, and what the deficit does to source b.
        layers: depth and width of the networks.
        onset: first impaired step; this and all down to `seed` broadcast against each other to the shape of the cells.
        release: one past the last impaired step; equal to `onset` for no deficit.
        steps: steps in all, at least `release`.
        decay: weight decay, 0 or more: the loss has decay / 2 |weights|^2 added.
        scale: of the product of the layers at the start, above 0.
        step: length of a step of descent (the learning rate), or of the Runge-Kutta method.
        seed: of the draw of the weights.
        every: record the paths each so many steps.
        by: "descent": gradient descent, finite steps. "flow": gradient flow, up to an error of the order step^4.
        diverging: "refuse" a plane with a cell that diverges, or "keep" it; such a cell has excess NaN or infinite.
        progress: called with the share of steps done, in (0, 1].

    Raises:
        ChiasmError: an argument is out of range, a window ends after its cell, or a cell diverges.

    >>> plane = fuse(FusionProblem(), FusionLayers(own=1), release=[0, 800], steps=[2000, 2800])
    >>> plane.excess.round(4).tolist(), plane.recovery().tolist()
    ([0.0014, 0.0014], [20.0, 80.0])
    """
    cells = _cells(onset, release, steps, decay, scale, step, seed)
    _check(cells, every, by, diverging)
    if layers.width < problem.features:
        raise ChiasmError(f"width = {layers.width}: hidden layers must hold {problem.features} features")
    flat = {name: values.ravel() for name, values in cells.items()}
    times = np.arange(0, int(flat["steps"].max()) + 1, every)
    f = problem.features
    n = len(flat["seed"])
    maps, paths = np.empty((n, 2, f, f)), np.full((2, n, len(times)), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):  # a cell that diverges is found at the end
        for at, row, made in states(problem, layers, flat, every, by, progress):
            here = row >= 0
            if at % every == 0:
                for path, value in zip(paths, (problem.excess(made), share(made)), strict=True):
                    path[here, at // every] = value[row[here]]
            ends = here & (flat["steps"] == at)
            maps[ends] = made[row[ends]]
    excess = problem.excess(maps)
    # The best weights are 1 at most. One layer that swings out takes thousands of steps to overflow.
    there = np.abs(maps).max((1, 2, 3)) <= FAR * np.maximum(flat["scale"], 1)
    if diverging == "refuse" and not there.all():
        lost = int((~there).sum())
        raise ChiasmError(
            f"step up to {flat['step'].max():g}, decay to {flat['decay'].max():g}, scale to {flat['scale'].max():g}: "
            f"{lost} of {n} cells diverge at {layers.name} layers; a smaller step would do"
        )
    shape = cells["seed"].shape
    return FusionPlane(
        problem, layers, **cells, maps=maps.reshape(*shape, 2, f, f), excess=excess.reshape(shape),
        share=share(maps).reshape(shape), times=times, excess_path=paths[0].reshape(*shape, -1),
        share_path=paths[1].reshape(*shape, -1),
    )  # fmt: skip


def _cells(*given: ArrayLike) -> dict[str, Any]:
    arrays = {name: np.asarray(value) for name, value in zip(NAMES, given, strict=True)}
    for name in ("decay", "scale", "step"):
        if arrays[name].dtype.kind not in "iuf":
            raise ChiasmError(f"{name} = {arrays[name].tolist()}: give numbers")
    for name in ("onset", "release", "steps", "seed"):
        if arrays[name].dtype.kind not in "iu":
            raise ChiasmError(f"{name} = {arrays[name].tolist()}: give whole numbers")
    try:
        made = np.broadcast_arrays(*arrays.values())
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ChiasmError(f"the cells' shapes do not broadcast against each other: {shapes}") from None
    if not made[0].size:
        raise ChiasmError("a plane has 1 cell or more; none were given")
    types = dict.fromkeys(NAMES, np.int64) | dict.fromkeys(("decay", "scale", "step"), np.float64)
    return {name: np.array(array, types[name]) for name, array in zip(NAMES, made, strict=True)}


def _check(cells: dict[str, Any], every: int, by: str, diverging: str) -> None:
    if not (isinstance(every, int | np.integer) and every >= 1):
        raise ChiasmError(f"every = {every}: record each so many steps, 1 or more")
    if diverging not in ("refuse", "keep"):
        raise ChiasmError(f"diverging = '{diverging}': 'refuse' or 'keep' would do")
    if by not in ("descent", "flow"):
        raise ChiasmError(f"by = '{by}': 'descent' or 'flow' would do")
    for name, ok, wanted in (
        ("decay", cells["decay"] >= 0, "0 or more"),
        ("scale", cells["scale"] > 0, "above 0"),
        ("step", cells["step"] > 0, "above 0"),
        ("onset", cells["onset"] >= 0, "0 or more"),
        ("steps", cells["steps"] >= 1, "1 or more"),
    ):
        bad = cells[name][~(ok & np.isfinite(cells[name]))]
        if bad.size:
            raise ChiasmError(f"{name} = {bad.flat[0]}: a finite number, {wanted}, would do")
    for ok, wrong in (
        (cells["onset"] <= cells["release"], "release before its onset"),
        (cells["release"] <= cells["steps"], "window beyond the end"),
    ):
        if not ok.all():
            at = tuple(int(cells[name][~ok].flat[0]) for name in ("onset", "release", "steps"))
            raise ChiasmError(
                f"a {wrong}: onset {at[0]}, release {at[1]} of {at[2]} steps; onset <= release <= steps would do"
            )
