"""Two linear pathways with weight decay, one source of which is impaired for a while: whole planes of cells at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from chiasm.errors import ChiasmError, unknown
from chiasm.theory.arguments import check, check_int
from chiasm.theory.fusion.network import GRAIN, REAL, FusionLayers, Rows
from chiasm.theory.fusion.problem import Floats, FusionProblem, share
from chiasm.theory.histories import Stretch, follow, plane_cells, stretches

if TYPE_CHECKING:
    import polars as pl

Ints = NDArray[np.int64]

#: A cell has diverged if its weights end this many times larger than both its start and the best weights.
FAR = 1e3


@dataclass(frozen=True)
class FusionPlane:
    """The outcome of every cell of a plane.

    Attributes:
        problem: what was learned.
        layers: depth and width of the networks.
        onset: (*cells,) first impaired step.
        release: (*cells,) one past the last impaired step.
        steps: (*cells,) steps in all.
        decay: (*cells,) weight decay.
        scale: (*cells,) scale of the products at the start.
        step: (*cells,) length of a step; a deficit of d steps lasts the time d * step.
        seed: (*cells,) of the initial weights.
        maps: (*cells, 2, features, features) W_a and W_b at the end.
        excess: (*cells,) excess loss at the end, see `FusionProblem.excess`.
        share: (*cells,) of source b at the end, see `share`.
        times: (records,) the steps at which paths are recorded.
        excess_path: (*cells, records) excess loss on the unimpaired problem; NaN after a cell's end.
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
        """Return the steps from the release to the first record with an excess below the threshold, (*cells,).

        Infinite where there is no such record; the spacing of the records bounds the error.
        """
        since = self.times - self.release[..., None]
        with np.errstate(invalid="ignore"):
            recovered = (since >= 0) & (self.excess_path < threshold)
        first = np.take_along_axis(since, recovered.argmax(-1)[..., None], -1)[..., 0]
        return np.where(recovered.any(-1), first, np.inf)

    def frame(self) -> pl.DataFrame:
        """Return a table with one row per cell.

        Columns: own, shared, onset, steps, decay, scale, step, seed, duration, excess, share.
        """
        import polars as pl

        columns: dict[str, Any] = {
            "own": np.full(self.excess.size, self.layers.own),
            "shared": np.full(self.excess.size, self.layers.shared),
        }
        columns |= {name: getattr(self, name).ravel() for name in ("onset", "steps", "decay", "scale", "step", "seed")}
        columns |= {"duration": (self.release - self.onset).ravel()}
        return pl.DataFrame(columns | {name: getattr(self, name).ravel() for name in ("excess", "share")})


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
    check_int("every", every)
    if diverging not in ("refuse", "keep"):
        raise unknown("way with diverging cells", str(diverging), ("refuse", "keep"))
    if by not in ("descent", "flow"):
        raise unknown("method", str(by), ("descent", "flow"))
    check("decay", decay, least=0)
    check("scale", scale, above=0)
    check("step", step, above=0)
    if layers.width < problem.features:
        raise ChiasmError(f"width = {layers.width}; hidden layers must hold {problem.features} features")
    cells = plane_cells(
        {"onset": onset, "release": release, "steps": steps, "seed": seed},
        {"decay": decay, "scale": scale, "step": step},
    )
    flat = {name: values.ravel() for name, values in cells.items()}
    times = np.arange(0, int(flat["steps"].max()) + 1, every)
    f, n = problem.features, len(flat["seed"])
    maps, paths = np.empty((n, 2, f, f)), np.full((2, n, len(times)), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):  # a cell that diverges is found at the end
        for at, row, now in _states(problem, layers, flat, every, by, progress):
            active = row >= 0
            if at % every == 0:
                for path, value in zip(paths, (problem.excess(now), share(now)), strict=True):
                    path[active, at // every] = value[row[active]]
            ends = active & (flat["steps"] == at)
            maps[ends] = now[row[ends]]
    # The best weights are 1 at most. One layer that swings out takes thousands of steps to overflow.
    near = np.abs(maps).max((1, 2, 3)) <= FAR * np.maximum(flat["scale"], 1)
    if diverging == "refuse" and not near.all():
        raise ChiasmError(
            f"step up to {flat['step'].max():g}, decay to {flat['decay'].max():g}, scale to {flat['scale'].max():g}: "
            f"{(~near).sum()} of {n} cells diverge at {layers.name} layers; give a smaller step"
        )
    shape = cells["seed"].shape
    return FusionPlane(
        problem, layers, **cells, maps=maps.reshape(*shape, 2, f, f), excess=problem.excess(maps).reshape(shape),
        share=share(maps).reshape(shape), times=times, excess_path=paths[0].reshape(*shape, -1),
        share_path=paths[1].reshape(*shape, -1),
    )  # fmt: skip


#: (step, the row of each cell or -1 once it has ended, the maps of each row).
_States = Iterator[tuple[int, NDArray[np.intp], Floats]]


def _states(
    problem: FusionProblem,
    layers: FusionLayers,
    cells: Mapping[str, NDArray[Any]],
    every: int,
    by: str,
    progress: Callable[[float], None] | None,
) -> _States:
    """Train the cells; yield at the start, each `every` steps, and wherever a deficit or a cell begins or ends."""
    seeds, seed = np.unique(cells["seed"], return_inverse=True)
    columns = np.stack([seed.ravel(), cells["scale"], cells["decay"], cells["step"]], 1)
    kinds, origin = np.unique(columns, axis=0, return_inverse=True)
    drawn = [layers.draw(int(one), problem.features) for one in seeds]
    factor = torch.from_numpy(kinds[:, 1] ** (1 / layers.depth))[:, None, None]
    starts = [factor * torch.stack([drawn[int(k)][at] for k in kinds[:, 0]], 1) for at in range(layers.depth)]
    if layers.depth == 1:
        return _shallow(problem, cells, starts[0][:, torch.from_numpy(origin.ravel())], every, by, progress)
    plan = stretches(origin.ravel(), cells["onset"], cells["release"], cells["steps"])
    return _train(problem, layers, starts, kinds[:, 2:], plan, every, by, progress)


def _train(
    problem: FusionProblem,
    layers: FusionLayers,
    weights: Sequence[Tensor],
    rates: Floats,
    plan: Sequence[Stretch],
    every: int,
    by: str,
    progress: Callable[[float], None] | None,
) -> _States:
    """Train from the weights and rates (decay, step) of each origin."""
    decay, step = torch.from_numpy(rates.T.copy())
    moments = [problem.moments(impaired) for impaired in (False, True)]
    seconds, target = (torch.from_numpy(np.stack(pair)) for pair in zip(*moments, strict=True))
    size = max(1, (GRAIN - 1) // (2 * problem.features**2))

    def enter(part: Stretch) -> list[Rows]:
        nonlocal weights, decay, step
        # By NumPy: torch would share this among threads, and that wait takes longer than all the steps of a stretch.
        weights = [torch.from_numpy(w.numpy()[:, part.parent]) for w in weights]
        parent, state = torch.from_numpy(part.parent), torch.from_numpy(part.state)
        decay, step = decay[parent], step[parent]
        return [
            Rows(layers, [w[:, some] for w in weights], seconds[state[some]], target[state[some]], decay[some],
                 step[some])
            for some in (slice(start, start + size) for start in range(0, len(decay), size))
        ]  # fmt: skip

    for at, row, batches in follow(plan, enter, Rows.flow if by == "flow" else Rows.descend, every, progress):
        # In memory of their own: the next step writes over what `maps` returns.
        maps = torch.cat([rows.maps() for rows in batches], 1).transpose(0, 1).contiguous().numpy()
        yield at, row, maps


def _shallow(
    problem: FusionProblem,
    cells: Mapping[str, NDArray[Any]],
    start: Tensor,
    every: int,
    by: str,
    progress: Callable[[float], None] | None,
) -> _States:
    """Train at depth 1, where weights are linear in their start and the same for every feature.

    W_s(t) = z_s(t) I + sum over s' of (u_s's(t) - z_s(t)) W_s'(0), z trained from 0 and u_s' from 1 in source s' and 0
    in the other, with one feature; so seeds and scales cost nothing.
    """
    rates, origin = np.unique(np.stack([cells["decay"], cells["step"]], 1), axis=0, return_inverse=True)
    n = len(origin)
    each = [np.repeat(values, 3) for values in (3 * origin.ravel(), *(cells[k] for k in ("onset", "release", "steps")))]
    plan = stretches(each[0] + np.tile(np.arange(3), n), *each[1:])
    units = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=REAL).repeat(1, len(rates))[:, :, None, None]
    narrow = FusionProblem(1, problem.noise, problem.deficit)
    identity = np.eye(problem.features)
    drawn = start.transpose(0, 1).reshape(n, 2, -1).numpy()
    trained = _train(narrow, FusionLayers(1, 0, 1), [units], np.repeat(rates, 3, 0), plan, every, by, progress)
    for at, row, maps in trained:
        rows = row.reshape(n, 3)
        weights = maps[:, :, 0, 0][rows]  # (cells, starts, sources); of an ended cell whatever row -1 is
        mix = weights[:, 1:] - weights[:, :1]
        mixed = (mix.swapaxes(1, 2) @ drawn).reshape(n, 2, *identity.shape)
        mixed += weights[:, 0, :, None, None] * identity
        yield at, np.where(rows[:, 0] >= 0, np.arange(n), -1), mixed
