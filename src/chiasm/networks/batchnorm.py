"""BatchNorm statistics estimated anew, on the side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from chiasm.networks.stacked import Stacked
from chiasm.randomness import seeded_globals
from chiasm.sources import Batch


@torch.no_grad()
def reestimated(
    network: Stacked, weights: Mapping[str, Tensor], clean: Sequence[Batch], batch: int
) -> dict[str, Tensor]:
    """Return BatchNorm statistics estimated anew: the average over one pass of clean training data in train mode.

    Args:
        network: the stacked template.
        weights: parameters and buffers (rows, ...); left as they are.
        clean: one training set a row.
        batch: samples a step.
    """
    template = network.template
    norms = [(name, m) for name, m in template.named_modules() if isinstance(m, torch.nn.modules.batchnorm._NormBase)]
    mine = {key: t.clone() for key, t in weights.items()}
    statistics = [f"{name}.{key}" for name, module in norms for key, _ in module.named_buffers(recurse=False)]
    for key in statistics:
        mine[key].fill_(1.0 if key.endswith("running_var") else 0.0)
    momenta = [module.momentum for _, module in norms]
    template.train()
    try:
        for _, module in norms:
            module.momentum = None  # torch's sign for a plain average over batches
        rows = len(next(iter(mine.values())))
        padded = [*clean, *[clean[0]] * (rows - len(clean))]
        for start in range(0, len(clean[0]), batch):
            x = {n: torch.stack([c.sources[n][start : start + batch] for c in padded]) for n in clean[0]}
            with seeded_globals(0, "reestimate", start):
                network(mine, x)
    finally:
        for (_, module), momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum
    return {key: mine[key] for key in statistics}
