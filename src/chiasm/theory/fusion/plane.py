"""Two linear pathways with weight decay, one source of which is impaired for a while: whole planes of cells at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.theory.arguments import Floats, check, check_int
from chiasm.theory.fusion.network import FusionLayers, Rows
from chiasm.theory.fusion.problem import FusionProblem, share
from chiasm.theory.histories import Stretch, plane_cells, train

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

        cells = {**vars(self), "duration": self.release - self.onset}
        names = ("onset", "steps", "decay", "scale", "step", "seed", "duration", "excess", "share")
        layers = {"own": self.layers.own, "shared": self.layers.shared}
        return pl.DataFrame(layers | {name: cells[name].ravel() for name in names})


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
    seeds, seed = np.unique(cells["seed"], return_inverse=True)
    columns = np.stack([seed.ravel(), *(cells[name].ravel() for name in ("scale", "decay", "step"))], 1)
    kinds, origin = np.unique(columns, axis=0, return_inverse=True)
    drawn = [layers.draw(int(one), problem.features) for one in seeds]
    factor = torch.from_numpy(kinds[:, 1] ** (1 / layers.depth))[:, None, None]
    weights = [factor * torch.stack([drawn[int(k)][at] for k in kinds[:, 0]], 1) for at in range(layers.depth)]
    rates = torch.from_numpy(kinds[:, 2:].T.copy())
    moments = [problem.moments(impaired) for impaired in (False, True)]
    seconds, target = (torch.from_numpy(np.stack(pair)) for pair in zip(*moments, strict=True))

    def enter(part: Stretch) -> Rows:
        nonlocal weights, rates
        parent, state = torch.from_numpy(part.parent), torch.from_numpy(part.state)
        weights, rates = [w[:, parent] for w in weights], rates[:, parent]
        return Rows(layers, weights, seconds[state], target[state], *rates)

    def look(rows: Rows) -> list[Floats]:
        maps = rows.maps().transpose(0, 1).contiguous().numpy()
        return [maps, problem.excess(maps), share(maps)]

    method = Rows.flow if by == "flow" else Rows.descend
    times, ends, paths = train(cells, origin.ravel(), every, enter, method, look, progress)
    maps, excess, shares = ends
    # The best weights are 1 at most. One layer that swings out takes thousands of steps to overflow.
    far = ~(np.abs(maps).max((-1, -2, -3)) <= FAR * np.maximum(cells["scale"], 1))
    if diverging == "refuse" and far.any():
        most = {name: cells[name].max() for name in ("step", "decay", "scale")}
        raise ChiasmError(
            f"step up to {most['step']:g}, decay to {most['decay']:g}, scale to {most['scale']:g}: {far.sum()} of "
            f"{far.size} cells diverge at {layers.name} layers; give a smaller step"
        )
    return FusionPlane(
        problem, layers, **cells, maps=maps, excess=excess, share=shares, times=times, excess_path=paths[0],
        share_path=paths[1],
    )  # fmt: skip
