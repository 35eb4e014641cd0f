"""`deep_linear`: products of matrices, one a source, summed: the network whose learning can be computed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, prod
from typing import Annotated, Any, ClassVar, Literal, final

import msgspec
import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError, unknown
from chiasm.networks.fusion import Fusion, FusionNetwork
from chiasm.networks.network import Network
from chiasm.sources import Source

Count = Annotated[int, msgspec.Meta(ge=1)]
Rows = tuple[tuple[float, ...], ...]

#: Items below and properties beside: one property of all, two of halves, four of quarters, eight of one item each.
HIERARCHY: Rows = tuple(
    tuple(float(item // size == block) for item in range(8)) for size in (8, 4, 2, 1) for block in range(8 // size)
)
#: Sensors below and tasks beside: sensor 3 serves tasks 1 and 5, tasks 3 and 4 share nothing with the others.
TASKS_BY_SENSORS: Rows = (
    (1.0, 0.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0),
    (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
    (0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    (0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 1.0),
)
MATRICES = {"hierarchy": HIERARCHY, "tasks_by_sensors": TASKS_BY_SENSORS}


def target_matrix(target: str | Rows) -> Tensor:
    """Return the matrix to be learned: (outputs, items), float64.

    Args:
        target: "hierarchy" (15, 8), "tasks_by_sensors" (5, 8), or the rows themselves.

    Raises:
        ChiasmError: an unknown name, rows of unequal length, a number that is none, or nothing to learn.

    >>> target_matrix("hierarchy").sum(1).tolist()
    [8.0, 4.0, 4.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if isinstance(target, str):
        if target not in MATRICES:
            raise unknown("target", target, MATRICES)
        rows = MATRICES[target]
    else:
        rows = target
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or 0 in lengths:
        raise ChiasmError(
            f"target has rows of {', '.join(map(str, sorted(lengths))) or 'no'} numbers; a matrix has rows of "
            "equal length, one number an item"
        )
    if not all(isfinite(x) for row in rows for x in row) or not any(x for row in rows for x in row):
        raise ChiasmError("target must hold finite numbers that are not all zero; else there is nothing to learn")
    return torch.tensor(rows, dtype=torch.float64)


def modes(target: str | Rows) -> tuple[Tensor, Tensor, Tensor]:
    """Return the modes of the matrix to be learned, strongest first, without those of strength zero.

    Args:
        target: as `target_matrix` takes it.

    Returns:
        u (outputs, modes), s (modes,) and v (items, modes), float64: the matrix is u diag(s) v^T.

    >>> [round(float(s), 3) for s in modes("hierarchy")[1]]
    [3.873, 2.646, 1.732, 1.732, 1.0, 1.0, 1.0, 1.0]
    """
    u, s, vh = torch.linalg.svd(target_matrix(target), full_matrices=False)
    kept = s > 1e-10 * s[0]  # float64 leaves 1e-15 of a mode of strength zero
    return u[:, kept], s[kept], vh[kept].T


# A leaf that works on the last axis alone and so takes any axes in front, which is how a stack knows nn.Identity.
class Distances(nn.Identity):
    """Turn an output into logits: minus half its squared distance to the answer that each class wants.

    The logit of the right class is minus the squared error, the largest logit is the nearest answer, and the softmax is
    the posterior over classes for answers with normal noise of variance 1. Nothing here is trained.

    Args:
        answers: (classes, outputs) what each class wants.

    >>> Distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))(torch.zeros(1, 2))
    tensor([[ -0.0000, -12.5000]])
    """

    answers: Tensor

    def __init__(self, answers: Tensor) -> None:
        super().__init__()
        self.register_buffer("answers", answers)

    def forward(self, output: Tensor) -> Tensor:
        """Map (..., outputs) to logits (..., classes)."""
        # Differences first: |y|^2 - 2yt + |t|^2 would lose a small error in the rounding of its large terms.
        difference: Tensor = output.unsqueeze(-2) - self.answers
        return difference.square().sum(-1) * -0.5


@final
class DeepLinear(Network, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="deep_linear"):
    """Settings of a deep linear network: each source through a product of matrices, the products summed.

    There are no biases and no activations, so the output for sources x_a, x_b, ... is
    S_q ... S_1 (A_p ... A_1 x_a + B_p ... B_1 x_b + ...). A class is an item of `task.kind = "linear"` or its negative;
    the matrix `target` holds what is to be answered to it, and logits are minus half squared distances to the answers
    (see `Distances`). With `objective.kind = "squares"` training is linear regression by deep networks.

    Attributes:
        depth: matrices a pathway, p.
        width: units of the layers between.
        shared: matrices after the sum, q.
        target: what to learn, a row an output and a column an item: "hierarchy" (15 properties of 8 items: one of all,
            two of halves, four of quarters, eight of one each), "tasks_by_sensors" (5 x 8), or rows of numbers.
        init: "balanced": every pathway begins as `scale` times the target's modes, evenly spread over its layers, so
            that modes learn apart from one another, which is what the theory assumes. "gaussian": independent normal
            weights, of a size that makes the whole product of the order of `scale`.
        scale: strength of every mode of each pathway in the beginning, above 0.
        spread: sd of the logarithm of those strengths over modes and pathways ("balanced"); 0: all are equal, and two
            pathways that are treated alike stay alike.

    Raises:
        ChiasmError: a target that is no matrix, or layers too narrow for its modes.

    >>> network = DeepLinear(depth=2).build((Source("a", (8,)), Source("b", (8,))), 16)
    >>> [name for name, _ in network.named_parameters()]
    ['pathways.a.1.weight', 'pathways.a.2.weight', 'pathways.b.1.weight', 'pathways.b.2.weight']
    """

    answers: ClassVar[Literal["logits", "distances", "any"]] = "distances"

    depth: Count = 3
    width: Count = 16
    shared: Annotated[int, msgspec.Meta(ge=0)] = 0
    target: str | Rows = "hierarchy"
    init: Literal["balanced", "gaussian"] = "balanced"
    scale: Annotated[float, msgspec.Meta(gt=0)] = 0.01
    spread: Annotated[float, msgspec.Meta(ge=0)] = 0.0

    def __post_init__(self) -> None:
        rank = len(modes(self.target)[1])
        if not (isfinite(self.scale) and isfinite(self.spread)):
            raise ChiasmError(f"scale = {self.scale} and spread = {self.spread}; expected finite numbers")
        if self.init == "balanced" and self.depth + self.shared > 1 and self.width < rank:
            raise ChiasmError(
                f"width = {self.width} is too narrow for the {rank} modes of the target; expected {rank} or more, or "
                "init = 'gaussian'"
            )

    def build(self, sources: Sequence[Source], classes: int) -> FusionNetwork:
        """Make the network, its weights drawn from torch's global generator.

        Raises:
            ChiasmError: a task whose items are not the target's columns.
        """
        matrix = target_matrix(self.target)
        outputs, items = matrix.shape
        for source in sources:
            if prod(source.shape) != items or classes != 2 * items:
                raise ChiasmError(
                    f"deep_linear learns a target of {items} columns, so sources must show {items} numbers and classes "
                    f"be {2 * items}, as task.kind = 'linear' with items = {items} makes them; source "
                    f"'{source.name}' shows {prod(source.shape)} and there are {classes} classes"
                )
        inner = (self.width,) * (self.depth + self.shared - 1)
        widths = [items, *inner, outputs]
        network = FusionNetwork(
            {source.name: _chain(widths[: self.depth + 1], flatten=True) for source in sources},
            Fusion("sum", nn.Identity()),
            _chain(widths[self.depth :], flatten=False),
            {"both": Distances(torch.cat([matrix.T, -matrix.T]).float())},
        )
        with torch.no_grad():
            self._balanced(network) if self.init == "balanced" else self._gaussian(network)
        return network

    def _gaussian(self, network: FusionNetwork) -> None:
        size = self.scale ** (1 / (self.depth + self.shared))
        for pathway in (*network.pathways.values(), network.trunk):
            for layer in _matrices(pathway):
                layer.copy_(torch.randn(layer.shape) * size / max(layer.shape) ** 0.5)

    def _balanced(self, network: FusionNetwork) -> None:
        u, s, v = modes(self.target)
        each = self.scale ** (1 / (self.depth + self.shared))
        # The trunk first: all pathways must end in the directions that it begins with.
        joint = u
        if self.shared:
            joint = self._directions(len(s))
            self._fill(_matrices(network.trunk), joint, u, each * torch.ones(len(s), dtype=torch.float64))
        for pathway in network.pathways.values():
            drawn = torch.randn(len(s), dtype=torch.float64) * self.spread
            strength = each * (drawn / self.depth).exp()
            self._fill(_matrices(pathway), v, joint, strength)

    def _fill(self, layers: Sequence[Tensor], begin: Tensor, end: Tensor, strength: Tensor) -> None:
        """Set layers that map `begin` to `end`, (features, modes), mode by mode, each layer with that strength."""
        places = [begin, *(self._directions(len(strength)) for _ in layers[1:]), end]
        for layer, (inside, outside) in zip(layers, pairwise(places), strict=True):
            layer.copy_((outside * strength) @ inside.T)

    def _directions(self, count: int) -> Tensor:
        """Draw orthonormal directions (width, count), uniformly."""
        q, r = torch.linalg.qr(torch.randn(self.width, count, dtype=torch.float64))
        drawn: Tensor = q * r.diagonal().sign()
        return drawn


def strengths(network: FusionNetwork, target: str | Rows) -> dict[str, Tensor]:
    """Return how strongly each pathway, with what is shared, holds each mode of the target.

    Args:
        network: made by `DeepLinear.build`.
        target: its target.

    Returns:
        (modes,) float64 by source: the diagonal of u^T W v, where W is the product of the source's matrices.

    >>> network = DeepLinear(scale=0.5).build((Source("a", (8,)), Source("b", (8,))), 16)
    >>> [round(float(k), 6) for k in strengths(network, "hierarchy")["b"]][:2]
    [0.5, 0.5]
    """
    u, _, v = modes(target)
    carried = {}
    for name, pathway in network.pathways.items():
        reached = v
        for layer in (*_matrices(pathway), *_matrices(network.trunk)):
            reached = layer.detach().double().cpu() @ reached
        carried[name] = (u * reached).sum(0)
    return carried


def _chain(widths: Sequence[int], flatten: bool) -> nn.Sequential:
    layers = [nn.Linear(*wide, bias=False) for wide in pairwise(widths)]
    return nn.Sequential(*([nn.Flatten()] if flatten else []), *layers)


def _matrices(chain: Any) -> list[Tensor]:
    return [layer.weight for layer in chain if isinstance(layer, nn.Linear)]
