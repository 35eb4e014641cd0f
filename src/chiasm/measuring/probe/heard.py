"""How well rows answer when only some of their sources are heard, the others being at their baseline."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from chiasm.measuring.probe.number import CHUNK
from chiasm.networks import Stacked
from chiasm.sources import Batch

# The names of the sources that are heard, in the order of the task.
Subset = tuple[str, ...]


def heard(
    network: Stacked, weights: Mapping[str, Tensor], tests: Sequence[Batch], subsets: Collection[Subset]
) -> dict[Subset, Tensor]:
    """Return accuracy and mean loss in nats, (2, rows) float64 by subset; each pathway runs once for all subsets."""
    names = list(tests[0])
    totals = {subset: torch.zeros(2, len(tests), dtype=torch.float64) for subset in subsets}
    samples = len(tests[0])
    baseline = {name: torch.stack([test.baseline[name] for test in tests]).unsqueeze(1) for name in names}
    quiet = network.encode(weights, baseline) if network.separable else baseline
    for start in range(0, samples, CHUNK):
        cut = slice(start, start + CHUNK)
        x = {name: torch.stack([test.sources[name][cut] for test in tests]) for name in names}
        target = torch.stack([test.target[cut] for test in tests])
        shown = network.encode(weights, x) if network.separable else x
        for subset in subsets:
            mixed = {name: shown[name] if name in subset else quiet[name].expand_as(shown[name]) for name in names}
            if network.separable:
                answer = network.join(weights, mixed)
            else:  # copies, as a user's network may work in place, and the next subset is shown the same samples
                answer = network(weights, {name: z.clone() for name, z in mixed.items()})
            logits = answer.logits["both"]
            loss = cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target)
            right = logits.argmax(-1) == target
            totals[subset] += torch.stack([right.double().sum(1), loss.double().sum(1)]).cpu()
    return {subset: total / samples for subset, total in totals.items()}
