"""The structure that the networks of this package share: pathways, a fusion, a trunk, heads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError, unknown

Operation = Literal["sum", "mean", "concat", "gate", "attention"]
Heads = Literal["one", "per_source"]
OPERATIONS: tuple[str, ...] = get_args(Operation)
LEARNED = ("gate", "attention")


class Fusion(nn.Module):
    """Where pathways meet: their outputs are combined, then rectified.

    "sum", "mean", "gate" and "attention" need outputs of equal shape, "concat" lays them along the first axis after
    samples, whose entries are the channels. The learned ones weigh each source's output z_j before they sum:

    - "gate": a weight in (0, 1) a source and channel, sigmoid(W [z_1; z_2; ...] + b), of outputs averaged over
      positions (the gated multimodal unit of Arevalo et al. 2017, per channel as Hu et al. 2018 squeeze and excite).
    - "attention": weights that sum to 1 over sources, softmax(W [z_1; z_2; ...] + b), at each position by itself.

    Args:
        operation: one of those.
        activation: what follows the meeting; its output is what a probe of the layer "fusion" sees.
        sources: how many pathways meet; only a learned operation needs it.
        channels: channels of each pathway's output; only a learned operation needs it.

    Attributes:
        scores: the linear layer of a learned operation (W and b), else None.

    Raises:
        ChiasmError: an unknown operation, or a learned one without the number of sources or channels.

    >>> [name for name, _ in Fusion("attention", sources=2, channels=8).named_parameters()]
    ['scores.weight', 'scores.bias']
    """

    scores: nn.Linear | None

    def __init__(
        self, operation: Operation, activation: nn.Module | None = None, sources: int = 0, channels: int = 0
    ) -> None:
        super().__init__()
        if operation not in OPERATIONS:
            raise unknown("fusion", operation, OPERATIONS)
        if operation in LEARNED and (sources < 1 or channels < 1):
            raise ChiasmError(
                f"a fusion by {operation} has weights to learn, so it needs to know how many sources meet and how many "
                f"channels each has; given: {sources} sources of {channels} channels"
            )
        self.operation = operation
        self.activation = nn.ReLU() if activation is None else activation
        wide = sources * channels
        self.scores = nn.Linear(wide, wide if operation == "gate" else sources) if operation in LEARNED else None

    def combine(self, encoded: Sequence[Tensor], axis: int = 1) -> Tensor:
        """Combine one tensor a source; `axis` is the first axis after samples."""
        if self.scores is not None:
            return self.weighted_sum(encoded, self.scores(self.scores_input(encoded, axis)), axis)
        if self.operation == "concat":
            return torch.cat(list(encoded), dim=axis)
        total = encoded[0]
        for z in encoded[1:]:
            total = total + z
        return total / len(encoded) if self.operation == "mean" else total

    def scores_input(self, encoded: Sequence[Tensor], axis: int = 1) -> Tensor:
        """Return what `scores` reads: all sources' channels on the last axis, for "gate" averaged over positions."""
        channels = torch.cat(list(encoded), dim=axis)
        positions = list(range(axis + 1, channels.dim()))
        if self.operation == "gate":
            return channels.mean(positions) if positions else channels
        return channels.movedim(axis, -1)

    def weighted_sum(self, encoded: Sequence[Tensor], scores: Tensor, axis: int = 1) -> Tensor:
        """Sum one tensor a source with the weights that the scores give, learned operations only."""
        shares = list(self._shares(scores, len(encoded), axis, encoded[0].dim()))
        total = encoded[0] * shares[0]
        for z, share in zip(encoded[1:], shares[1:], strict=True):
            total = total + z * share
        return total

    def _shares(self, scores: Tensor, sources: int, axis: int, axes: int) -> Iterable[Tensor]:
        if self.operation == "attention":
            return (share.unsqueeze(axis) for share in scores.softmax(-1).unbind(-1))
        # A sigmoid. Torch's own gives an element other bits by its place in the tensor, and so by a row's company.
        openness = 0.5 + 0.5 * (0.5 * scores).tanh()
        gates = openness.reshape(*scores.shape[:-1], sources, -1).unbind(-2)
        return (gate.reshape(*gate.shape, *[1] * (axes - gate.dim())) for gate in gates)

    def forward(self, encoded: Sequence[Tensor]) -> Tensor:
        """Map one (samples, ...) tensor a source to one (samples, ...) tensor."""
        fused: Tensor = self.activation(self.combine(encoded))
        return fused


def head_names(heads: Heads, sources: Iterable[str]) -> list[str]:
    """Return the names of a network's heads: "both", and with "per_source" one a source."""
    return ["both", *(sources if heads == "per_source" else ())]


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
        #: One module a source that rebuilds it from the fusion, where an objective asks for it.
        self.decoders: nn.ModuleDict | None = None

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
