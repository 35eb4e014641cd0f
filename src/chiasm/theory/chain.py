"""Chains of linear layers, many side by side: their products, and the gradients of their layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

REAL = torch.float64


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return the matrix products of two stacks, float64 on the CPU."""
    # For small float64 matrices NumPy's loop over OpenBLAS is two to six times faster than torch.bmm over MKL.
    return torch.from_numpy(np.matmul(left.numpy(), right.numpy()))


def outputs(layers: Sequence[Tensor], x: Tensor | None = None) -> list[Tensor]:
    """Return the output of each layer, the first of which is shown x, or by default the identity."""
    shown = [layers[0] if x is None else product(layers[0], x)]
    for layer in layers[1:]:
        shown.append(product(layer, shown[-1]))
    return shown


def pull_back(layers: Sequence[Tensor], inputs: Sequence[Tensor | None], delta: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return the gradient of each layer from that of the last output, and the gradient of the first input.

    An input of None is the identity, below which nothing is pulled.
    """
    changes = []
    for layer, x in zip(reversed(layers), reversed(inputs), strict=True):
        if x is None:
            changes.append(delta)
        else:
            changes.append(product(delta, x.mT))
            delta = product(layer.mT, delta)
    return changes[::-1], delta
