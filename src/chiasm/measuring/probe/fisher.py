"""The trace of the Fisher information of each part of a network, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from chiasm.measuring.information.gradients import traces
from chiasm.measuring.probe.number import Number
from chiasm.measuring.sampling.samples import Samples
from chiasm.networks import Stacked
from chiasm.randomness import generator
from chiasm.sources import Batch


def fishers(
    network: Stacked, weights: Mapping[str, Tensor], tests: Sequence[Batch], seeds: Sequence[int], samples: int
) -> list[list[Number]]:
    """Tell the traces of each row, those of `chiasm.fisher` with its default parts; NaN where gradients are.

    Args:
        network: the stacked template, in evaluation mode.
        weights: parameters and buffers, (rows, ...); rows beyond the tests are not looked at.
        tests: one test set a row.
        seeds: one a row: of which samples are shown, and of the labels drawn from the network.
        samples: how many are shown.
    """
    from chiasm.measuring.information.fisher import (
        usual_parts,
    )  # here, as it needs scipy, which takes its time to import

    template = network.template
    parameters = [name for name, p in template.named_parameters() if p.is_floating_point()]
    parts = usual_parts(template, parameters)

    def answer(held: dict[str, Tensor], shown: dict[str, Samples]) -> Any:
        args, kwargs = network.arguments(held, shown)
        return functional_call(template, held, args, kwargs)

    # cuDNN cannot differentiate recurrent layers in evaluation mode, torch's own kernels can.
    recurrent = any(isinstance(module, nn.RNNBase) for module in template.modules())
    told: list[list[Number]] = []
    for row, (test, seed) in enumerate(zip(tests, seeds, strict=True)):
        # The samples and labels of a row hang on its own seed alone, the same at every epoch: what changes is the row.
        index = torch.randperm(len(test), generator=generator(seed, "fisher samples"))[:samples].sort().values
        shown = {name: x[index.to(x.device)] for name, x in test.sources.items()}
        own = {name: w[row] for name, w in weights.items()}
        ours = {name: own.pop(name) for name in parameters}
        with torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext():
            norms = traces(answer, ours, own, shown, parts, seed=seed)
        told.append([("fisher_trace", part, None, float(x)) for part, x in zip(parts, norms.mean(1), strict=True)])
    return told
