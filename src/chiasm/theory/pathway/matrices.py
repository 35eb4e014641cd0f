"""Gradient descent on the matrices themselves: parallel deep linear pathways that learn one matrix together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.networks.deep_linear import modes
from chiasm.randomness import generator
from chiasm.theory.arguments import check
from chiasm.theory.pathway.coordinates import Floats
from chiasm.theory.pathway.deficit import PathwayDeficit
from chiasm.theory.pathway.descent import Gates, PathwayDescent
from chiasm.theory.pathway.pathways import Pathways, pathways

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class MatrixDescent(PathwayDescent):
    """Gradient descent on matrices, read mode by mode.

    Attributes as those of `PathwayDescent`, with an axis of modes: `system` holds the modes as cells of the reduced
    equations, with the same start; `outputs` is (*cells, T, modes, n) u^T P_i v, how much of a mode the product P_i of
    a pathway carries; `final` and `before` are (*cells, modes, n); `diverged` is (*cells,).

    Attributes:
        astray: (*cells,) the largest entry of the summed products outside the modes, in the end; 0 but for rounding
            where layers began aligned.
    """

    astray: Floats


def matrix_descent(
    depth: int,
    deficits: Sequence[PathwayDeficit] = (),
    step: ArrayLike = 0.01,
    steps: int = 1000,
    at: ArrayLike = (),
    target: str | Rows = "hierarchy",
    width: int = 100,
    output: float = 0.01,
    spread: float = 0.0,
    jitter: float = 0.0,
    init: Literal["balanced", "wide"] = "balanced",
    count: int = 2,
    missing: Sequence[tuple[int, int]] = (),
    seed: int = 0,
) -> MatrixDescent:
    """Train products of matrices, the products summed, on half the summed squared error; all inputs are shown at once.

    Every cell is a network of its own; cells train together as one batch of matrix products.

    Args:
        depth: matrices of every pathway, from 1.
        deficits: with windows in steps; they and `step` are broadcast over the cells.
        step: (*cells,) learning rate.
        steps: how many, from 1.
        at: (T,) numbers of steps after which to note the outputs, in [0, steps].
        target: "hierarchy" (15 properties of 8 items), another matrix that `networks.deep_linear` knows, or its rows.
        width: units between the layers, no fewer than the modes.
        output: what every pathway gives of every mode at the start.
        spread: sd of that over modes, relative; all pathways and cells begin alike.
        jitter: sd of normal noise on every weight at the start, for layers that are not quite aligned.
        init: "balanced", or "wide": the first layer small, all others with singular values of 1.
        count: the number n of pathways.
        missing: (pathway, mode) pairs: modes, strongest first, that a pathway lacks for ever.
        seed: of spread, jitter, the bases of the layers between and the coins of the deficits.

    Raises:
        ChiasmError: what `pathway_descent` raises, a width below the number of modes, a mode or pathway that is not
            there.

    Source: Kleinman, Achille and Soatto, ICLR 2024: 15 by 8 hierarchy, width 100. Without jitter it follows
    `pathway_descent` to rounding, beyond the edge of stability too.

    >>> run = matrix_descent(2, [PathwayDeficit(1, 0, 100)], steps=300, width=8)
    >>> bool(abs(run.final.sum(-1)[0] - 15**0.5) < 1e-2), bool(run.index()[0] > 0.98)
    (True, True)
    """
    check("spread", spread, least=0)
    check("jitter", jitter, least=0)
    # The cells of the deficits and steps are networks; those of `spectrum` and `system` are modes.
    gates = Gates(pathways(1.0, depth, output=output, count=count), deficits, step, steps, at, seed)
    cells, size, noted = gates.windows.system.cells, len(gates.eta), gates.noted
    u, s, v = modes(target)
    lacks = np.zeros((len(s), count), dtype=np.bool_)
    for pathway, mode in missing:
        if pathway not in range(count) or mode not in range(len(s)):
            raise ChiasmError(
                f"pathway {pathway} cannot lack mode {mode}; there are pathways 0 to {count - 1} and modes 0 to "
                f"{len(s) - 1}"
            )
        lacks[mode, pathway] = True
    spectrum = _modes(s, depth, output, spread, init, count, seed)
    if depth > 1 and width < len(s):
        raise ChiasmError(f"a width of {width} cannot carry {len(s)} modes; give at least that")
    net = _Net(u, v, _layers(u, v, spectrum, width, seed, jitter, size), torch.as_tensor(~lacks))
    eta = torch.as_tensor(gates.eta.copy())[:, None, None, None]
    full = u * s @ v.T
    notes: list[Tensor] = []
    products = before = torch.zeros(0)
    for k in range(steps + 1):
        signals = net.forward()
        products, before = signals[-1], products
        if len(notes) < len(noted) and noted[len(notes)] == k:
            notes.append(net.read(products))
        if k < steps:
            learns, speaks = (torch.as_tensor(g.T.copy())[..., None, None] for g in gates.at(k))
            spoken = speaks * products
            net.descend(signals, eta * learns * (full - spoken.sum(1, keepdim=True) - (products - spoken)))
    final, last = net.read(products).numpy(), net.read(before).numpy()
    diverged = ~(np.abs(final) < 1e3 * float(s[0])).all((1, 2))
    final[diverged], last[diverged] = np.nan, np.nan
    outputs = torch.stack(notes, 1).numpy() if notes else np.empty((size, 0, len(s), count))
    system = replace(spectrum, missing=lacks, start=np.where(lacks, 0.0, spectrum.start))
    results = (outputs, final, last, diverged, net.astray(products).numpy())
    return MatrixDescent(system, noted, *(each.reshape((*cells, *each.shape[1:])) for each in results))


@dataclass(frozen=True)
class _Net:
    """Networks as a batch: layers (B, n, rows, columns), first to last, and the modes each pathway has (modes, n)."""

    u: Tensor
    v: Tensor
    layers: list[Tensor]
    has: Tensor

    def forward(self) -> list[Tensor]:
        """Return what every layer reads, and last the products (B, n, outputs, inputs)."""
        items = len(self.v)
        signals = [torch.eye(items, dtype=self.u.dtype).expand(*self.layers[0].shape[:2], items, items)]
        for layer in self.layers:
            signals.append(layer @ signals[-1])
        return [*signals[:-1], self._kept(signals[-1])]

    def descend(self, signals: list[Tensor], push: Tensor) -> None:
        """Move every layer; push is the step times the residual (B, n, outputs, inputs)."""
        push = self._kept(push)
        for layer, signal in zip(reversed(self.layers), reversed(signals[:-1]), strict=True):
            lower = layer.mT @ push
            layer.add_(push @ signal.mT)
            push = lower

    def read(self, products: Tensor) -> Tensor:
        """Return how much of each mode the products carry, (B, modes, n)."""
        return torch.einsum("om,bnoi,im->bmn", self.u, products, self.v)

    def astray(self, products: Tensor) -> Tensor:
        """Return the largest entry of the summed products outside the modes, (B,)."""
        carried = self.u * self.read(products).sum(-1)[:, None] @ self.v.T
        return (products.sum(1) - carried).abs().amax((1, 2))

    def _kept(self, products: Tensor) -> Tensor:
        """Take out the modes that pathways lack, to the left and to the right of them."""
        if self.has.all():
            return products
        gone = (~self.has).to(self.u.dtype).T
        left = torch.einsum("om,nm,pm->nop", self.u, gone, self.u)
        right = torch.einsum("im,nm,jm->nij", self.v, gone, self.v)
        products = products - left @ products
        return products - products @ right


def _modes(
    s: Tensor, depth: int, output: float, spread: float, init: Literal["balanced", "wide"], count: int, seed: int
) -> Pathways:
    noise = torch.randn(len(s), dtype=torch.float64, generator=generator(seed, "pathway spread"))
    return pathways(s.numpy(), depth, output=(output * (1 + spread * noise)).numpy(), count=count, init=init)


def _layers(u: Tensor, v: Tensor, spectrum: Pathways, width: int, seed: int, jitter: float, size: int) -> list[Tensor]:
    """Layers whose singular vectors meet: what one writes, the next one reads."""
    depth, n = int(spectrum.depth[0, 0]), spectrum.count
    p = torch.as_tensor(spectrum.start.T.copy())[:, None]  # (n, 1, modes), scales columns
    q = torch.sqrt(spectrum.gap + p * p)
    bases = [v]
    for number in range(1, depth):
        stream = generator(seed, "pathway basis", 0, number)
        bases.append(torch.linalg.qr(torch.randn(width, u.shape[1], dtype=torch.float64, generator=stream))[0])
    bases.append(u)
    layers = []
    for number in range(depth):
        layer = (bases[number + 1] * (q if number else p)) @ bases[number].T
        noise = torch.randn(layer.shape, dtype=torch.float64, generator=generator(seed, "pathway jitter", 0, number))
        layers.append((layer + jitter * noise).expand(size, n, -1, -1).clone())
    return layers
