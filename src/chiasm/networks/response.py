"""What a stack of networks answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Response:
    """The outputs of a stack of networks.

    Attributes:
        logits: (rows, samples, classes) by head.
        layers: (rows, samples, ...) by the layer's name, for the layers that were asked for.
        rebuilt: (rows, samples, ...) by source, as its decoder makes it, where that was asked for.
    """

    logits: dict[str, Tensor]
    layers: dict[str, Tensor] = field(default_factory=dict)
    rebuilt: dict[str, Tensor] = field(default_factory=dict)
