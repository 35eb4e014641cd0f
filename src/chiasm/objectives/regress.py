"""`regress`: answer with numbers."""

from __future__ import annotations

from math import inf, prod
from typing import ClassVar, final

from torch import Tensor

from chiasm.objectives.objective import Objective, Targets
from chiasm.objectives.outcome import Outcome
from chiasm.quantity import Quantity

ERROR = Quantity("error", "mean squared error", "", "source", 0.0, inf, digits=3)


@final
class Regress(Objective, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="regress"):
    """Squared error of a network's numbers, averaged over the numbers of a sample's target.

    >>> import torch
    >>> Regress().loss(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[1.0, 4.0]]]))
    tensor([2.])
    """

    targets: ClassVar[Targets] = "numbers"

    def outcome(self, chance: float | None = None) -> Outcome:
        """Return the mean squared error: lower is better, a difference below a hundredth of chance counts as none."""
        return Outcome(ERROR, chance, higher_is_better=False, margin=0.01 * (chance or 0.0))

    def outputs(self, classes: int, target: tuple[int, ...]) -> int:
        """Return how many numbers a target holds."""
        super().outputs(classes, target)
        return prod(target)

    def loss(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared error of each row: (rows, samples, outputs) -> (rows,)."""
        return self.score(answer, target).mean(1)

    def held_out(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the squared error of each sample, the mean over its numbers."""
        return self.score(answer, target)

    def score(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the squared error of each sample, the mean over its numbers."""
        return (answer - target.reshape(answer.shape)).square().mean(-1)
