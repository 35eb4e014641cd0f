"""`outcome`: what the objective scores, and the loss, with all sources and with each alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from chiasm.measuring.probe.measure import Measure, ProbeInput, ProbeResult, Subset
from chiasm.quantity import Quantity


def conditions(names: Sequence[str]) -> dict[str, Subset]:
    """Return what a network is shown, by what the table calls it: "all", and each source alone where there are several.

    >>> conditions(["left", "right"])
    {'all': ('left', 'right'), 'left': ('left',), 'right': ('right',)}
    """
    return {"all": tuple(names)} | ({name: (name,) for name in names} if len(names) > 1 else {})


@final
class OutcomeMeasure(Measure):
    """Outcome (`accuracy` for `classify`) and `loss` with all sources, and with each alone, the others at baseline."""

    tag: ClassVar[str] = "outcome"
    quantities: ClassVar[tuple[Quantity, ...]] = (Quantity("loss", "loss", "", "source", 0.0, digits=3),)

    def subsets(self, sources: Sequence[str]) -> list[Subset]:
        return list(conditions(sources).values())

    def measure(self, given: ProbeInput) -> list[ProbeResult]:
        names = (given.objective.outcome().quantity.name, "loss")
        return [
            ProbeResult(
                [
                    (quantity, None, condition, float(given.ablated[subset][i, row]))
                    for condition, subset in conditions(given.sources).items()
                    for i, quantity in enumerate(names)
                ]
            )
            for row in range(len(given.tests))
        ]
