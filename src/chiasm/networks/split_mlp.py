"""`split_mlp`: one multi-layer perceptron a source, fused, read by a perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Annotated, Literal, cast, final

import msgspec
from torch import nn

from chiasm.errors import ChiasmError, unknown
from chiasm.networks.fusion import Fusion, FusionNetwork, Heads, Operation, head_names
from chiasm.networks.network import Network
from chiasm.sources import Source

Width = Annotated[int, msgspec.Meta(ge=1)]
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "identity": nn.Identity}


@final
class SplitMLP(Network, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="split_mlp"):
    """Settings of a split multi-layer perceptron.

    Attributes:
        depth: linear layers a pathway (1 or more), the activation between them but not after the last.
        width: units of each of those layers.
        pathways: widths of one source's layers, where they differ from `depth` times `width`.
        fusion: "concat", or one for which pathways must end equally wide: "sum", "mean", or, learned, "gate" or
            "attention" (see `Fusion`).
        trunk: widths of the layers after the fusion, each followed by the activation.
        heads: "one" (named "both"), or "per_source": "both" and one head a source.
        activation: "relu", "tanh" or "identity"; also applied to the fused sum.
    """

    depth: Width = 3
    width: Width = 64
    pathways: dict[str, tuple[Width, ...]] = msgspec.field(default_factory=dict)
    fusion: Operation = "sum"
    trunk: tuple[Width, ...] = (64,)
    heads: Heads = "one"
    activation: Literal["relu", "tanh", "identity"] = "relu"

    def build(self, sources: Sequence[Source], classes: int) -> FusionNetwork:
        """Make the network with He-normal weights and zero biases, drawn from torch's global generator."""
        names = [source.name for source in sources]
        for name in self.pathways:
            if name not in names:
                raise unknown("source", name, names, "network.pathways")
        widths = {name: self.pathways.get(name, (self.width,) * self.depth) for name in names}
        if any(not w for w in widths.values()):
            raise ChiasmError("network.pathways: a pathway needs one layer or more; an empty list was given")
        ends = {name: w[-1] for name, w in widths.items()}
        if self.fusion != "concat" and len(set(ends.values())) > 1:
            widths_text = ", ".join(f"{name} {width}" for name, width in ends.items())
            raise ChiasmError(
                f"network.fusion = '{self.fusion}' needs pathways that end equally wide; given: {widths_text}"
            )
        fused = sum(ends.values()) if self.fusion == "concat" else next(iter(ends.values()))
        act = ACTIVATIONS[self.activation]
        pathways = {
            s.name: nn.Sequential(nn.Flatten(), *_layers((prod(s.shape), *widths[s.name]), act)) for s in sources
        }
        trunk = [m for wide in pairwise((fused, *self.trunk)) for m in (nn.Linear(*wide), act())]
        heads = head_names(self.heads, names)
        end = self.trunk[-1] if self.trunk else fused
        network = FusionNetwork(
            pathways,
            Fusion(self.fusion, act(), len(names), fused),
            nn.Sequential(*trunk),
            {name: nn.Linear(end, classes) for name in heads},
        )
        he_init(network)
        return network

    def decoders(self, network: nn.Module, sources: Sequence[Source]) -> dict[str, nn.Module]:
        """Make a linear layer a source, from the fusion to all of its numbers."""
        ends = [[m.out_features for m in path if isinstance(m, nn.Linear)][-1] for path in _pathways(network)]
        fused = sum(ends) if self.fusion == "concat" else ends[0]
        modules = nn.ModuleDict({source.name: nn.Linear(fused, prod(source.shape)) for source in sources})
        he_init(modules)
        return dict(modules.items())


def _pathways(network: nn.Module) -> list[nn.Sequential]:
    assert isinstance(network, FusionNetwork)
    return [cast(nn.Sequential, path) for path in network.pathways.values()]


def _layers(widths: tuple[int, ...], act: type[nn.Module]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for wide in pairwise(widths):
        layers += [nn.Linear(*wide), act()]
    return layers[:-1]


def he_init(network: nn.Module) -> None:
    """Draw every linear and convolutional weight He-normal (fan in, gain of a rectifier); biases become zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
