"""`classify`: tell the class of a sample."""

from __future__ import annotations

from typing import Annotated, final

import msgspec
from torch import Tensor
from torch.nn.functional import cross_entropy

from chiasm.objectives.objective import Objective
from chiasm.objectives.outcome import Outcome
from chiasm.quantity import Quantity

ACCURACY = Quantity("accuracy", "accuracy", "%", "source", 0.0, 1.0, digits=1, scale=100.0)


@final
class Classify(Objective, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="classify"):
    """Cross-entropy on the class label, read by the head that the batch names for each sample.

    Attributes:
        label_smoothing: share of the target spread over all classes, in [0, 1).
    """

    label_smoothing: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0

    def outcome(self, chance: float | None = None) -> Outcome:
        """Return accuracy, in percent, of which differences below two points count as none."""
        return Outcome(ACCURACY, chance, margin=2.0, difference="points")

    def loss(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats of each row: logits (rows, samples, classes) -> (rows,)."""
        return cross_entropies(answer, target, self.label_smoothing).mean(1)

    def held_out(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy of each sample in nats, labels as they are."""
        return cross_entropies(answer, target)

    def score(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return whether each sample's largest logit is that of its class."""
        return answer.argmax(-1) == target


def cross_entropies(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy of each sample in nats: (rows, samples, classes), (rows, samples) -> (rows, samples)."""
    flat = cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none", label_smoothing=label_smoothing)
    return flat.view_as(target)
