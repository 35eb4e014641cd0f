"""The ablated outcome: how well rows answer when they are shown some of their sources, the others at their baseline."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from chiasm.measuring.probe.measure import Subset
from chiasm.measuring.probe.number import CHUNK
from chiasm.networks import Stacked
from chiasm.objectives import Objective
from chiasm.sources import Batch


def ablated_outcomes(
    network: Stacked,
    weights: Mapping[str, Tensor],
    tests: Sequence[Batch],
    subsets: Collection[Subset],
    objective: Objective,
) -> dict[Subset, Tensor]:
    """Return outcome and held-out loss, (2, rows) float64 by subset; each pathway runs once for all subsets."""
    names = list(tests[0])
    totals = {subset: torch.zeros(2, len(tests), dtype=torch.float64) for subset in subsets}
    samples = len(tests[0])
    baseline = {name: torch.stack([test.baseline[name] for test in tests]).unsqueeze(1) for name in names}
    quiet = network.encode(weights, baseline) if network.separable else baseline
    for start in range(0, samples, CHUNK):
        cut = slice(start, start + CHUNK)
        x = {name: torch.stack([test.sources[name][cut] for test in tests]) for name in names}
        target = torch.stack([test.target[cut] for test in tests])
        full = network.encode(weights, x) if network.separable else x
        for subset in subsets:
            mixed = {name: full[name] if name in subset else quiet[name].expand_as(full[name]) for name in names}
            if network.separable:
                response = network.join(weights, mixed)
            else:  # copies, as a user's network may work in place, and the next subset is shown the same samples
                response = network(weights, {name: z.clone() for name, z in mixed.items()})
            answer = response.logits["both"]
            score, loss = objective.score(answer, target), objective.held_out(answer, target)
            totals[subset] += torch.stack([score.double().sum(1), loss.double().sum(1)]).cpu()
    return {subset: total / samples for subset, total in totals.items()}
