"""Deep matrix factorisations that descend on the entries they are shown, and the equations of their singular values.

W = A_D ... A_1 follows gradient descent on L = |mask (W - shown)|^2 / (2 observed). If the layers are balanced
(A_(j+1)^T A_(j+1) = A_j A_j^T, which gradient flow keeps), the singular values of W move by

    d sigma_r / dt = -D sigma_r^(2 - 2/D) <grad L(W), u_r v_r^T>

so the deeper, the more the strong run ahead of the weak (Arora, Cohen, Hu & Luo 2019, theorem 3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.theory.arguments import Floats, check_int
from chiasm.theory.chain import REAL, outputs, pull_back


def draw_layers(size: int, depth: int, scale: float, seed: int, init: str) -> list[Tensor]:
    """Draw the layers of one factorisation: `depth` tensors (n, n), the first layer first, float64.

    Entries of a "gaussian" layer have the standard deviation scale^(1/D) / sqrt(n); "balanced" layers share the product
    of one Gaussian matrix of that scale equally.
    """
    if init == "balanced":
        start = torch.randn(size, size, generator=generator(seed, "completion balanced"), dtype=REAL)
        u, values, vh = torch.linalg.svd(start * (scale / size**0.5))
        root = torch.diag(values ** (1 / depth))
        layers = [root] * depth
        layers[0] = layers[0] @ vh
        layers[-1] = u @ layers[-1]
        return layers
    std = scale ** (1 / depth) / size**0.5
    streams = [generator(seed, "completion init", 0, layer) for layer in range(depth)]
    return [torch.randn(size, size, generator=stream, dtype=REAL) * std for stream in streams]


def spectral_rates(product: Floats, gradient: Floats, depth: int) -> tuple[Floats, Floats]:
    """Return the singular values of products of balanced layers, and how fast flow moves them.

    Args:
        product: (..., n, n) W.
        gradient: (..., n, n) of the loss with respect to W.
        depth: layers D.

    Returns:
        Two arrays (..., n): sigma, from the largest down, and d sigma / dt.

    Raises:
        ChiasmError: a depth below 1, shapes that differ, or a product that is not finite.

    Source: Arora, Cohen, Hu & Luo 2019 (arXiv:1905.13655), theorem 3; tested against gradient descent on the layers.

    >>> sigma, rate = spectral_rates(np.diag([4.0, 1.0]), np.diag([-1.0, 0.5]), depth=2)
    >>> sigma.tolist(), rate.tolist()
    ([4.0, 1.0], [8.0, -1.0])
    """
    check_int("depth", depth)
    if np.shape(product) != np.shape(gradient) or not np.isfinite(product).all():
        raise ChiasmError("product and gradient: expected two finite arrays of one shape, (..., n, n)")
    u, sigma, vh = np.linalg.svd(product)
    along = np.einsum("...ir,...ij,...rj->...r", u, gradient, vh)
    return sigma, -depth * sigma ** (2 - 2 / depth) * along


class Factors:
    """Rows of factorisations of one depth and size, each with its own observed entries; float64 on the CPU."""

    def __init__(self, layers: Sequence[Tensor], mask: Tensor, shown: Tensor, step: float) -> None:
        """Create rows from layers, a tensor (rows, n, n) each, changed in place; mask and shown are (rows, n, n)."""
        self.layers, self.step = list(layers), step
        self.mask = mask / mask.sum((1, 2), keepdim=True)
        self.shown = shown

    def product(self) -> Tensor:
        """Return W, (rows, n, n)."""
        return outputs(self.layers)[-1]

    def descend(self) -> None:
        """Take one step of gradient descent."""
        for layer, change in zip(self.layers, self._changes(), strict=True):
            layer.sub_(change)

    def spectra(self) -> tuple[Floats, Floats, Floats]:
        """Return the singular values of W, how one step moves them and how the equation says they move, (rows, n) each.

        The speeds, by the length of a step, are NaN where descent overflows, as a decomposition would not end.
        """
        product = self.product()
        values, moved, equation = (np.full(product.shape[:2], np.nan) for _ in range(3))
        if product.isfinite().all():
            values, equation = spectral_rates(product.numpy(), self._gradient(product).numpy(), len(self.layers))
            after = outputs([layer - change for layer, change in zip(self.layers, self._changes(), strict=True)])[-1]
            if after.isfinite().all():
                moved = (np.linalg.svd(after.numpy(), compute_uv=False) - values) / self.step
        return values, moved, equation

    def _gradient(self, product: Tensor) -> Tensor:
        """Return the gradient of the loss with respect to W."""
        return (product - self.shown).mul_(self.mask)

    def _changes(self) -> list[Tensor]:
        """Return by how much a step lowers each layer."""
        *inputs, product = outputs(self.layers)
        return pull_back(self.layers, [None, *inputs], self._gradient(product).mul_(self.step))[0]
