"""`rebuilt`: how well a network that rebuilds its sources rebuilds what it does not see of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, final

import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.measuring.probe.measure import Measure, ProbeInput, ProbeResult
from chiasm.measuring.probe.number import require_samples
from chiasm.measuring.probe.spec import Probe
from chiasm.networks import Stacked
from chiasm.objectives import Objective
from chiasm.quantity import Quantity
from chiasm.randomness import generator

SAMPLES = 512


def _quantity(name: str, label: str) -> Quantity:
    return Quantity(name, label, "", "source", 0.0, digits=3)


@final
class RebuiltMeasure(Measure):
    """`rebuild_error_alone`, `_with_others`, `_with_unrelated`: of what is hidden of each source, by what else is seen.

    Half of a source's tokens are hidden, drawn for every sample; of a network without tokens, the source as a whole.
    The rest is seen alone, together with all other sources, or with those of another sample, which is the null of what
    the others tell. Means over up to 512 test samples.
    """

    tag: ClassVar[str] = "rebuilt"
    title: ClassVar[str] = "Rebuilt sources"
    about: ClassVar[str] = (
        "Mean squared error of what is hidden of a source, half of its tokens or all of it: seen are the rest of it "
        "alone, the other sources too, or the other sources of an unrelated sample."
    )
    quantities: ClassVar[tuple[Quantity, ...]] = (
        _quantity("rebuild_error_alone", "from its own rest"),
        _quantity("rebuild_error_with_others", "with the other sources"),
        _quantity("rebuild_error_with_unrelated", "with unrelated ones"),
    )

    def check(self, network: Stacked, probe: Probe, sources: Sequence[str], test: int, objective: Objective) -> None:
        if getattr(network.template, "decoders", None) is None:
            raise ChiasmError(
                "probe.measures: 'rebuilt' is of networks that rebuild their sources; expected an objective "
                "'reconstruct'"
            )
        require_samples(self.tag, test)

    def measure(self, given: ProbeInput) -> list[ProbeResult]:
        tests = given.padded_tests
        sources = {name: torch.stack([test.sources[name][:SAMPLES] for test in tests]) for name in given.sources}
        quiet = {name: torch.stack([test.baseline[name] for test in tests]).unsqueeze(1) for name in given.sources}
        results = [ProbeResult() for _ in given.tests]
        for name, x in sources.items():
            marks = torch.stack([self._half(given, name, seed, x.shape[1]) for seed in given.padded_seeds]).to(x.device)
            nothing, everything = torch.zeros_like(marks[..., :1]), torch.ones_like(marks[..., :1])
            seen: dict[str, tuple[Mapping[str, Tensor], Tensor]] = {
                "alone": (sources, everything),
                "with_others": (sources, nothing),
                "with_unrelated": ({n: y if n == name else y.roll(1, 1) for n, y in sources.items()}, nothing),
            }
            for how, (shown, others) in seen.items():
                hidden = {
                    other: marks if other == name else others.expand(-1, -1, given.network.tokens.get(other, 1))
                    for other in sources
                }
                rebuilt = given.network(given.weights, shown, (), True, hidden, quiet).rebuilt[name]
                counted = given.network.spread(name, marks, x)
                error = (rebuilt.reshape(x.shape) - x).square()
                total = torch.where(counted, error, 0.0).flatten(1).sum(1) / counted.flatten(1).sum(1)
                for result, value in zip(results, total.tolist(), strict=False):
                    result.numbers.append((f"rebuild_error_{how}", None, name, value))
        return results

    @staticmethod
    def _half(given: ProbeInput, name: str, seed: int, samples: int) -> Tensor:
        tokens = given.network.tokens.get(name, 1)
        draws = generator(seed, f"rebuilt {name}")
        return torch.rand(samples, tokens, generator=draws).argsort(1).argsort(1) < -(-tokens // 2)
