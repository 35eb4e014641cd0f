"""`squares`: half the squared distance to the answer that a class wants."""

from __future__ import annotations

from typing import ClassVar, Literal, final

from torch import Tensor

from chiasm.objectives.classify import ACCURACY, cross_entropies
from chiasm.objectives.objective import Objective
from chiasm.objectives.outcome import Outcome


@final
class Squares(Objective, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="squares"):
    """Half the squared distance between the output and the answer that a sample's class wants.

    For logits that are minus half squared distances to the answers, as those of the network `deep_linear` are.

    >>> import torch
    >>> Squares().loss(torch.tensor([[[-0.5, -2.0], [-4.5, -1.0]]]), torch.tensor([[0, 1]]))
    tensor([0.7500])
    """

    answers: ClassVar[Literal["logits", "distances"]] = "distances"

    def outcome(self, chance: float | None = None) -> Outcome:
        """Return accuracy: the nearest answer is the right one."""
        return Outcome(ACCURACY, chance, margin=2.0, difference="points")

    def loss(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the mean over samples for each row: logits (rows, samples, classes) -> (rows,)."""
        return -answer.gather(-1, target.unsqueeze(-1)).squeeze(-1).mean(1)

    def held_out(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy of each sample in nats, distances taken for logits."""
        return cross_entropies(answer, target)

    def score(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return whether the answer that each sample's class wants is the nearest."""
        return answer.argmax(-1) == target
