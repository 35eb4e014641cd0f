"""What training asks of the network: a loss a row from logits by head and the batch's targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from chiasm.errors import ChiasmError


class Classify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="classify"):
    """Cross-entropy on the class label, read by the head that the batch names for each sample.

    Attributes:
        label_smoothing: share of the target spread over all classes, in [0, 1).
    """

    label_smoothing: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats of each row: logits (rows, samples, classes) -> (rows,)."""
        rows, samples, classes = logits.shape
        flat = cross_entropy(
            logits.reshape(rows * samples, classes),
            target.reshape(-1),
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return flat.view(rows, samples).mean(1)


class Squares(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="squares"):
    """Half the squared distance between the output and the answer that a sample's class wants.

    For logits that are minus half squared distances to the answers, as those of the network `deep_linear` are.

    >>> Squares().loss(torch.tensor([[[-0.5, -2.0], [-4.5, -1.0]]]), torch.tensor([[0, 1]]))
    tensor([0.7500])
    """

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over samples for each row: logits (rows, samples, classes) -> (rows,)."""
        return -logits.gather(-1, target.unsqueeze(-1)).squeeze(-1).mean(1)


Objective = Classify | Squares


def read(logits: Mapping[str, Tensor], head: Tensor | None, sources: Sequence[str]) -> Tensor:
    """Pick each sample's head.

    Args:
        logits: (rows, samples, classes) by head: "both", and one a source where the network has them.
        head: (rows, samples) 0 for "both", j for the j-th source; ignored where "both" is the only head.
        sources: the names of the sources, in order.

    Raises:
        ChiasmError: the network has heads for some sources but not for all.

    Returns:
        (rows, samples, classes).
    """
    if head is None or len(logits) == 1:
        return logits["both"]
    missing = [name for name in sources if name not in logits]
    if missing:
        raise ChiasmError(f"the network has no head for {', '.join(missing)}; it needs one a source, or only 'both'")
    every = torch.stack([logits[name] for name in ("both", *sources)])  # (heads, rows, samples, classes)
    index = head[None, :, :, None].expand(1, *every.shape[1:])
    return every.gather(0, index)[0]
