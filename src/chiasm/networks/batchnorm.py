"""BatchNorm statistics estimated anew, on the side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from chiasm.networks.stacked import Stacked
from chiasm.randomness import seeded_globals


@torch.no_grad()
def reestimated(
    network: Stacked, weights: Mapping[str, Tensor], shown: Iterable[Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Return BatchNorm statistics estimated anew: the average over batches of clean training data in train mode.

    Args:
        network: the stacked template.
        weights: parameters and buffers (rows, ...); left as they are.
        shown: the batches, each (rows, samples, *shape) by source.
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
        for step, sources in enumerate(shown):
            with seeded_globals(0, "reestimate", step):
                network(mine, sources)
    finally:
        for (_, module), momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum
    return {key: mine[key] for key in statistics}
