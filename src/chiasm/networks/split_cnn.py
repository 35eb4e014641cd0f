"""`split_cnn`: a small convolutional pathway a source, fused as feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal, final

import msgspec
from torch import nn

from chiasm.errors import ChiasmError
from chiasm.networks.fusion import Fusion, FusionNetwork, Heads, Operation, head_names
from chiasm.networks.images import check_images
from chiasm.networks.network import Network
from chiasm.networks.split_mlp import he_init
from chiasm.sources import Source

Channels = Annotated[int, msgspec.Meta(ge=1)]


@final
class SplitCNN(Network, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="split_cnn"):
    """Settings of a split convolutional network: 3 x 3 convolutions, global average pooling, linear heads.

    Attributes:
        channels: channels of each convolution of a pathway; a rectifier between them but not after the last.
        fusion: "sum", "mean", "concat" (along channels), "gate" or "attention" (learned; see `Fusion`).
        trunk: channels of the convolutions after the fusion, each normalised and rectified.
        stride: stride of the last convolution of each pathway.
        padding: "zeros", or "circular" for sources on a torus.
        norm: "none" or "batch" (after every convolution).
        heads: "one" (named "both"), or "per_source".
    """

    channels: tuple[Channels, ...] = (8, 16)
    fusion: Operation = "sum"
    trunk: tuple[Channels, ...] = (16,)
    stride: Annotated[int, msgspec.Meta(ge=1)] = 1
    padding: Literal["zeros", "circular"] = "zeros"
    norm: Literal["none", "batch"] = "none"
    heads: Heads = "one"

    def build(self, sources: Sequence[Source], classes: int) -> FusionNetwork:
        """Make the network with He-normal weights and zero biases, drawn from torch's global generator."""
        if not self.channels:
            raise ChiasmError("network.channels: a pathway needs one convolution or more; an empty list was given")
        check_images("split_cnn", sources)
        fused = self.channels[-1] * (len(sources) if self.fusion == "concat" else 1)
        pathways = {s.name: nn.Sequential(*self._convolutions((s.shape[0], *self.channels))) for s in sources}
        trunk: list[nn.Module] = []
        for inside, outside in pairwise((fused, *self.trunk)):
            trunk += [*self._convolution(inside, outside, 1), nn.ReLU()]
        end = self.trunk[-1] if self.trunk else fused
        names = head_names(self.heads, (source.name for source in sources))
        network = FusionNetwork(
            pathways,
            Fusion(self.fusion, None, len(sources), self.channels[-1]),
            nn.Sequential(*trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            {name: nn.Linear(end, classes) for name in names},
        )
        he_init(network)
        return network

    def decoders(self, network: nn.Module, sources: Sequence[Source]) -> dict[str, nn.Module]:
        """Make a convolution a source, from the fused maps to the pixels of its picture."""
        fused = self.channels[-1] * (len(sources) if self.fusion == "concat" else 1)
        fine = self.stride
        modules = nn.ModuleDict()
        for source in sources:
            if any(length % fine for length in source.shape[-2:]):
                raise ChiasmError(
                    f"network.stride = {fine} does not divide the size of source '{source.name}', "
                    f"{source.shape[-2]} x {source.shape[-1]}, so it cannot be rebuilt; expected a stride that does"
                )
            conv = nn.Conv2d(fused, source.shape[0] * fine**2, 3, padding=1, padding_mode=self.padding)
            modules[source.name] = nn.Sequential(conv, nn.PixelShuffle(fine)) if fine > 1 else conv
        he_init(modules)
        return dict(modules.items())

    def _convolutions(self, channels: tuple[int, ...]) -> list[nn.Module]:
        layers: list[nn.Module] = []
        last = len(channels) - 2
        for i, (inside, outside) in enumerate(pairwise(channels)):
            layers += [*self._convolution(inside, outside, self.stride if i == last else 1), nn.ReLU()]
        return layers[:-1]

    def _convolution(self, inside: int, outside: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(inside, outside, 3, stride=stride, padding=1, padding_mode=self.padding)
        return [conv, *([nn.BatchNorm2d(outside)] if self.norm == "batch" else [])]
