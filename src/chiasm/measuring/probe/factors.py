"""`factors`: of classes that are combinations, how well each of the things combined is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import ClassVar, final

import torch
from torch import Tensor

from chiasm.measuring.probe.measure import Measure, ProbeInput, ProbeResult
from chiasm.measuring.probe.number import CHUNK, require_classes
from chiasm.measuring.probe.outcome import conditions
from chiasm.measuring.probe.spec import Probe
from chiasm.networks import Stacked
from chiasm.objectives import Objective
from chiasm.quantity import Quantity


@final
class FactorsMeasure(Measure):
    """`accuracy_of` each factor of a class ("shape", "direction"), with all sources and with each alone.

    The level that a network answers with is the one whose classes have most probability together.
    """

    tag: ClassVar[str] = "factors"
    title: ClassVar[str] = "Factors of the class"
    about: ClassVar[str] = "How well each of the things that make up a class is told."
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("accuracy_of", "accuracy", "%", "layer", 0.0, 1.0, digits=1, scale=100.0),
    )
    of_factors: ClassVar[bool] = True

    def check(self, network: Stacked, probe: Probe, sources: Sequence[str], test: int, objective: Objective) -> None:
        require_classes(self.tag, objective)

    def measure(self, given: ProbeInput) -> list[ProbeResult]:
        tests = given.padded_tests
        results = [ProbeResult() for _ in given.tests]
        for condition, seen in conditions(given.sources).items():
            right = {factor: torch.zeros(len(tests), dtype=torch.float64) for factor in given.factors}
            for start in range(0, len(tests[0]), CHUNK):
                cut = slice(start, start + CHUNK)
                shown = [test.silenced(*(name for name in test if name not in seen)).sources for test in tests]
                x = {name: torch.stack([sources[name][cut] for sources in shown]) for name in given.sources}
                target = torch.stack([test.target[cut] for test in tests])
                answer = given.network(given.weights, x).logits["both"]
                for factor, marks in levels_right(answer, target, given.factors).items():
                    right[factor] += marks.double().sum(1).cpu()
            for factor, count in right.items():
                for result, value in zip(results, (count / len(tests[0])).tolist(), strict=False):
                    result.numbers.append(("accuracy_of", factor, condition, value))
        return results


def levels_right(answer: Tensor, target: Tensor, factors: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
    """Return where each factor's level is told, (rows, samples) bool by factor.

    Args:
        answer: (rows, samples, classes) logits.
        target: (rows, samples) classes.
        factors: their levels by name, the last one changing fastest from class to class.
    """
    sizes = [len(levels) for levels in factors.values()]
    table = answer.softmax(-1).reshape(*answer.shape[:2], *sizes)
    right = {}
    for i, factor in enumerate(factors):
        others = [2 + j for j in range(len(sizes)) if j != i]
        levels = (table.sum(others) if others else table).argmax(-1)
        right[factor] = levels == target // prod(sizes[i + 1 :]) % sizes[i]
    return right
