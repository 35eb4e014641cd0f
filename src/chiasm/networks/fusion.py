"""The shape every network of the bench has: pathways, a fusion, a trunk, heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError

Operation = Literal["sum", "mean", "concat"]


class Fusion(nn.Module):
    """Where pathways meet: their outputs are summed, averaged or concatenated, then rectified.

    Args:
        operation: "sum", "mean" (both need equal shapes), or "concat" along the first axis after samples.
        activation: what follows the meeting; its output is what a probe of the layer "fusion" sees.
    """

    def __init__(self, operation: Operation, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.operation = operation
        self.activation = nn.ReLU() if activation is None else activation

    def meet(self, encoded: Sequence[Tensor], axis: int = 1) -> Tensor:
        """Combine one tensor a source; `axis` is the first axis after samples."""
        if self.operation == "concat":
            return torch.cat(list(encoded), dim=axis)
        met = encoded[0]
        for z in encoded[1:]:
            met = met + z
        return met / len(encoded) if self.operation == "mean" else met

    def forward(self, encoded: Sequence[Tensor]) -> Tensor:
        """Map one (samples, ...) tensor a source to one (samples, ...) tensor."""
        fused: Tensor = self.activation(self.meet(encoded))
        return fused


class FusionNetwork(nn.Module):
    """Pathways that only one source reaches, their fusion, a trunk, and heads that read out.

    Submodules are named `pathways.<source>`, `fusion`, `trunk`, `heads.<head>`; the head "both" reads all sources
    and is always there, a head named after a source is trained by that source's labels under dissociation.

    Args:
        pathways: one module a source, in the order of the sources.
        fusion: where they meet.
        trunk: what follows.
        heads: modules that map the trunk's output to logits; must hold "both".
    """

    def __init__(
        self, pathways: Mapping[str, nn.Module], fusion: Fusion, trunk: nn.Module, heads: Mapping[str, nn.Module]
    ) -> None:
        super().__init__()
        if "both" not in heads:
            raise ChiasmError(f"a network needs a head named 'both'; heads given: {', '.join(heads) or 'none'}")
        self.pathways = nn.ModuleDict(pathways)
        self.fusion = fusion
        self.trunk = trunk
        self.heads = nn.ModuleDict(heads)

    def encode(self, sources: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run each pathway on its source: (samples, *shape) a source -> (samples, *features) a source."""
        return {name: pathway(sources[name]) for name, pathway in self.pathways.items()}

    def join(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run fusion, trunk and heads on encoded sources: logits (samples, classes) by head."""
        z = self.trunk(self.fusion([encoded[name] for name in self.pathways]))
        return {name: head(z) for name, head in self.heads.items()}

    def forward(self, sources: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map the sources by name to logits (samples, classes) by head."""
        return self.join(self.encode(sources))
