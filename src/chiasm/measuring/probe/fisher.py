"""`fisher`: the trace of the Fisher information of each part of a network, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from chiasm.measuring.information.gradients import traces
from chiasm.measuring.probe.measure import Measure, ProbeInput, ProbeResult
from chiasm.measuring.probe.number import Number, require_classes, require_samples
from chiasm.measuring.probe.spec import Probe
from chiasm.measuring.sampling.samples import Samples
from chiasm.networks import Stacked
from chiasm.objectives import Objective
from chiasm.quantity import Quantity
from chiasm.randomness import generator
from chiasm.sources import Batch


@final
class FisherMeasure(Measure):
    """`fisher_trace` of each part, "pathways.<source>", "fusion", "trunk", "heads" (of other networks its children).

    Gradients are those of `probe.fisher_samples` test samples, with one label each drawn from the network.
    """

    tag: ClassVar[str] = "fisher"
    title: ClassVar[str] = "Fisher information"
    about: ClassVar[str] = (
        "The trace of the Fisher information of each part's parameters: how much the answers depend on them. Labels "
        "are drawn from the network, not from the data."
    )
    quantities: ClassVar[tuple[Quantity, ...]] = (Quantity("fisher_trace", "Fisher trace", "", "layer", 0.0),)

    def check(self, network: Stacked, probe: Probe, sources: Sequence[str], test: int, objective: Objective) -> None:
        require_samples(self.tag, test)
        require_classes(self.tag, objective)

    def measure(self, given: ProbeInput) -> list[ProbeResult]:
        samples = given.probe.fisher_samples
        return [ProbeResult(n) for n in fishers(given.network, given.weights, given.tests, given.seeds, samples)]


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

    def answer(tensors: dict[str, Tensor], shown: dict[str, Samples]) -> Any:
        args, kwargs = network.arguments(tensors, shown)
        return functional_call(template, tensors, args, kwargs)

    # cuDNN cannot differentiate recurrent layers in evaluation mode, torch's own kernels can.
    recurrent = any(isinstance(module, nn.RNNBase) for module in template.modules())
    numbers: list[list[Number]] = []
    for row, (test, seed) in enumerate(zip(tests, seeds, strict=True)):
        # The samples and labels of a row hang on its own seed alone, the same at every epoch: what changes is the row.
        index = torch.randperm(len(test), generator=generator(seed, "fisher samples"))[:samples].sort().values
        shown = {name: x[index.to(x.device)] for name, x in test.sources.items()}
        own = {name: w[row] for name, w in weights.items()}
        ours = {name: own.pop(name) for name in parameters}
        with torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext():
            norms = traces(answer, ours, own, shown, parts, seed=seed)
        numbers.append([("fisher_trace", part, None, float(x)) for part, x in zip(parts, norms.mean(1), strict=True)])
    return numbers
