"""Two deep linear pathways that meet in a sum, many such networks side by side, and one step of their descent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat

import numpy as np
import torch
from torch import Tensor

from chiasm.randomness import generator
from chiasm.theory.arguments import check_int

REAL = torch.float64
#: torch shares an elementwise operation among threads from this many elements on. Steps take microseconds, and on a
#: busy machine threads that wait for each other make them a hundred times slower: no operation here is as large.
GRAIN = 32_768


@dataclass(frozen=True)
class FusionLayers:
    """How deep and how wide: W_s = (product of the shared layers) (product of the own layers of source s).

    Attributes:
        own: layers of each pathway that the other does not share, at least 1.
        shared: layers after the sum, 0 or more.
        width: of every hidden layer, at least the number of features.

    Raises:
        ChiasmError: a depth or the width is too small.

    >>> FusionLayers(own=2, shared=1).shapes(4)
    [(24, 4), (24, 24), (4, 24)]
    """

    own: int = 3
    shared: int = 0
    width: int = 24

    def __post_init__(self) -> None:
        check_int("own", self.own)
        check_int("shared", self.shared, 0)
        check_int("width", self.width)

    @property
    def depth(self) -> int:
        """All layers between a source and the output."""
        return self.own + self.shared

    @property
    def name(self) -> str:
        """The layers in words: "3", or "2 + 1 shared"."""
        return f"{self.own} + {self.shared} shared" if self.shared else f"{self.own}"

    def shapes(self, features: int) -> list[tuple[int, int]]:
        """Return (outputs, inputs) of each layer, the first layer first."""
        widths = [features, *[self.width] * (self.depth - 1), features]
        return [(out, into) for into, out in pairwise(widths)]

    def draw(self, seed: int, features: int) -> list[Tensor]:
        """Draw layers of scale 1: N(0, 1) / sqrt(the larger of inputs and outputs).

        Times scale^(1 / depth) they make products of about `scale`. Layer k of source s comes from the stream
        (seed, "fusion", s, k), a shared one from (seed, "fusion shared", 0, k).

        Returns:
            A tensor a layer: (2, outputs, inputs) for own layers, (1, outputs, inputs) for shared ones, float64.
        """
        layers = []
        for k, shape in enumerate(self.shapes(features)):
            streams = (
                [generator(seed, "fusion", source, k) for source in range(2)]
                if k < self.own
                else [generator(seed, "fusion shared", 0, k)]
            )
            drawn = [torch.randn(shape, generator=stream, dtype=REAL) for stream in streams]
            layers.append(torch.stack(drawn) / max(shape) ** 0.5)
        return layers


class Rows:
    """Rows of networks with the same layers, each row with weights, data and weight decay of its own.

    Everything is float64 on the CPU and lies (sources, rows, outputs, inputs); shared layers have 1 source.
    """

    def __init__(
        self, layers: FusionLayers, weights: Sequence[Tensor], seconds: Tensor, target: Tensor, decay: Tensor,
        step: Tensor,
    ) -> None:  # fmt: skip
        """Create rows from weights, a tensor (2 or 1, rows, outputs, inputs) a layer, changed in place.

        The second moments of the sources are (rows, 2, 2), their moments with the target (rows, 2), weight decay and
        the length of a step (rows,).
        """
        self.layers, self.weights = layers, list(weights)
        self.features = self.weights[0].shape[3]
        square = (2, len(decay), self.features, self.features)
        turned = torch.diagonal(seconds, dim1=1, dim2=2), seconds[:, 0, 1:].expand(-1, 2), target
        own, cross, aim = ((-step * m.T).reshape(2, -1, 1, 1).expand(square) for m in turned)
        self.own, self.cross = own.contiguous(), cross.contiguous()
        self.aim = -aim * torch.eye(self.features, dtype=REAL)
        kept = 1 - step * decay
        self.kept: Tensor | float = kept[:, None, None]
        if bool((kept == kept[0]).all()):
            self.kept = float(kept[0])
        self._crossed: tuple[Tensor | None, list[tuple[Tensor, Tensor, Tensor]]] = (None, [])
        self._blocks: list[Tensor] = []
        self._used = 0

    def maps(self) -> Tensor:
        """Return W_a and W_b, (2, rows, features, features), in memory that the next step writes over."""
        self._used = 0
        return self._forward(self.weights)[0]

    def descend(self) -> None:
        """Take one step of gradient descent on the loss with the penalty decay / 2 |weights|^2."""
        # From the last layer down: the second layer's input is the first layer itself.
        for layer, (delta, x) in zip(self.weights[::-1], self._falls(self.weights), strict=True):
            change = self._change(delta, x)
            for some, changes, kept in self._portions(layer, change):
                if isinstance(kept, float):
                    torch.add(changes, some, alpha=kept, out=some)
                else:
                    torch.addcmul(changes, some, kept, out=some)

    def flow(self) -> None:
        """Follow gradient flow for one step, by the classical Runge-Kutta method of fourth order."""
        start, total = [w.clone() for w in self.weights], [torch.zeros_like(w) for w in self.weights]
        at = start
        for share, onward in ((1 / 6, 0.5), (1 / 3, 0.5), (1 / 3, 1.0), (1 / 6, 0.0)):
            changes = []
            for w, (delta, x) in zip(at[::-1], self._falls(at), strict=True):
                changes.append(self._change(delta, x) + w * (self.kept - 1))
            changes.reverse()
            for sum_, change in zip(total, changes, strict=True):
                sum_.add_(change, alpha=share)
            at = [torch.add(w, change, alpha=onward) for w, change in zip(start, changes, strict=True)]
        for layer, change in zip(self.weights, total, strict=True):
            layer.add_(change)

    def _portions(self, layer: Tensor, change: Tensor) -> Iterable[tuple[Tensor, Tensor, Tensor | float]]:
        rows = max(1, (GRAIN - 1) * layer.shape[1] // layer.numel())
        if layer.shape[1] <= rows:
            return [(layer, change, self.kept)]
        kept = repeat(self.kept) if isinstance(self.kept, float) else torch.split(self.kept, rows)
        return zip(torch.split(layer, rows, 1), torch.split(change, rows, 1), kept, strict=False)

    def _falls(self, weights: Sequence[Tensor]) -> list[tuple[Tensor, Tensor | None]]:
        """Return step times minus the gradient of each layer, the last first: (delta, input), for delta input^T."""
        self._used = 0
        maps, inputs = self._forward(weights)
        delta = torch.addcmul(self.aim, self.own, maps, out=self._block(maps.shape))
        if self._crossed[0] is not maps:
            # Each source's map pulls at the other's. The views are kept: making them takes as long as using them.
            self._crossed = maps, list(zip(delta, self.cross, (maps[1], maps[0]), strict=True))
        for pulled, cross, other in self._crossed[1]:
            pulled.addcmul_(cross, other)
        if self.layers.shared:
            delta = self._join(delta)
        falls: list[tuple[Tensor, Tensor | None]] = []
        for k in range(len(weights) - 1, 0, -1):
            falls.append((delta, inputs[k]))
            delta = self._product(weights[k].mT, delta)
            if k == self.layers.own:
                delta = self._separate(delta)
        falls.append((delta, None))  # the input of the first layer is the identity
        return falls

    def _change(self, delta: Tensor, x: Tensor | None) -> Tensor:
        if x is None:
            return delta
        # A product with a transposed right side takes twice as long as one with a copy of it.
        turned = self._block((*x.shape[:2], x.shape[3], x.shape[2]))
        np.copyto(turned.numpy(), x.mT.numpy())
        return self._product(delta, turned)

    def _forward(self, weights: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the maps, and the input of each layer; the first entry of the inputs is not used."""
        x, inputs = weights[0], [weights[0]]
        for k in range(1, len(weights)):
            if k == self.layers.own:
                x = self._join(x)
            inputs.append(x)
            x = self._product(weights[k], x)
        return self._separate(x) if self.layers.shared else x, inputs

    def _join(self, x: Tensor) -> Tensor:
        """(2, rows, n, features) as (1, rows, n, 2 features): a shared layer sees both sources' columns."""
        _, rows, n, f = x.shape
        out = self._block((1, rows, n, 2 * f))
        np.copyto(out.view(rows, n, 2, f).numpy(), x.permute(1, 2, 0, 3).numpy())
        return out

    def _separate(self, x: Tensor) -> Tensor:
        _, rows, n, double = x.shape
        out = self._block((2, rows, n, double // 2))
        np.copyto(out.numpy(), x.view(rows, n, 2, double // 2).permute(2, 0, 1, 3).numpy())
        return out

    def _product(self, left: Tensor, right: Tensor) -> Tensor:
        # NumPy's loop over OpenBLAS does these small float64 products two to six times faster than torch.bmm over MKL.
        out = self._block((*left.shape[:-1], right.shape[-1]))
        np.matmul(left.numpy(), right.numpy(), out=out.numpy())
        return out

    def _block(self, shape: Sequence[int]) -> Tensor:
        # Each step asks for the same blocks in the same order and gets the same memory: fresh memory costs page faults.
        if self._used == len(self._blocks):
            self._blocks.append(torch.empty(tuple(shape), dtype=REAL))
        self._used += 1
        return self._blocks[self._used - 1]
