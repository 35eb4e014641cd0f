"""`split_resnet`: a residual network whose first stages are one a source, and whose last stages are shared."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, ClassVar, final

import msgspec
from torch import nn

from chiasm.errors import ChiasmError
from chiasm.networks.fusion import Fusion, FusionNetwork, Heads, Operation, head_names
from chiasm.networks.images import check_images
from chiasm.networks.network import Network
from chiasm.networks.residual import Block, Convolution, Norm
from chiasm.networks.split_mlp import he_init
from chiasm.sources import Source

Count = Annotated[int, msgspec.Meta(ge=1)]
LEAST = 8  # pixels a side: three stages halve the map, which leaves one pixel


@final
class SplitResNet(Network, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="split_resnet"):
    """Settings of a split residual network; the defaults are Kleinman et al. (2023)'s Split-ResNet-18 for CIFAR-10.

    A source has a stem (conv 3 x 3, norm, ReLU) and its first stages to itself, `pathways.<source>.stem`, `.stage1` and
    so on; the maps are fused as they are, without an activation; the remaining stages, `trunk.stage3` and so on, global
    average pooling, `trunk.pool`, and linear heads are shared. Blocks are pre-activation blocks (`residual.Block`), and
    nothing follows the last one. Stage k has width 2^(k-1) channels and, but for the first, halves the map. Weights are
    drawn as torch does by default, those of a network without normalisation He-normal with zero biases.

    Attributes:
        width: channels of the stem and of stage 1; 16 is a quarter of the published network.
        blocks: blocks of each stage, for one to four stages.
        fuse_after: the stage after which the sources meet, 1 to the number of stages; after the last, only pooling and
            heads are shared.
        fusion: "sum", "mean", "concat" (which widens what comes next), "gate" or "attention" (learned; see `Fusion`).
        norm: "batch"; "group": GroupNorm, up to 32 groups of four channels or more; "none": biases, and a residual
            branch scaled by a learned number that begins at 0, which is what lets a deep one train.
        skip: whether blocks have shortcuts. A deep network without shortcuts and normalisation hardly trains.
        heads: "one" (named "both"), or "per_source": "both" and one head a source.

    Raises:
        ChiasmError: no stage or more than four, a stage without a block, or a fusion after a stage that is not there.

    >>> network = SplitResNet().build((Source("left", (3, 32, 32), "image"), Source("right", (3, 32, 32), "image")), 10)
    >>> sum(p.numel() for p in network.parameters())
    11846282
    """

    large: ClassVar[bool] = True

    width: Count = 64
    blocks: Annotated[tuple[Count, ...], msgspec.Meta(min_length=1, max_length=4)] = (2, 2, 2, 2)
    fuse_after: Count = 2
    fusion: Operation = "sum"
    norm: Norm = "batch"
    skip: bool = True
    heads: Heads = "one"

    def __post_init__(self) -> None:
        if not 1 <= len(self.blocks) <= 4 or min(self.blocks) < 1:
            raise ChiasmError(
                f"network.blocks = {list(self.blocks)}; expected one to four stages, each of one block or more"
            )
        if not 1 <= self.fuse_after <= len(self.blocks):
            raise ChiasmError(
                f"network.fuse_after = {self.fuse_after}: the sources meet after one of the stages 1 to "
                f"{len(self.blocks)} that network.blocks names"
            )

    def build(self, sources: Sequence[Source], classes: int) -> FusionNetwork:
        """Make the network for (samples, channels, height, width) images, drawn from torch's global generator.

        Raises:
            ChiasmError: sources that are no images, of unequal sides, or of fewer than 8 pixels a side.
        """
        check_images("split_resnet", sources, LEAST)
        pathway_channels = self.width * 2 ** (self.fuse_after - 1)
        fused = pathway_channels * len(sources) if self.fusion == "concat" else pathway_channels
        shared = [(f"stage{k}", self._stage(k, fused)) for k in range(self.fuse_after + 1, len(self.blocks) + 1)]
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        end = self.width * 2 ** (len(self.blocks) - 1) if shared else fused
        names = head_names(self.heads, (source.name for source in sources))
        network = FusionNetwork(
            {source.name: self._pathway(source.shape[0]) for source in sources},
            Fusion(self.fusion, nn.Identity(), len(sources), pathway_channels),
            nn.Sequential(OrderedDict([*shared, ("pool", pool)])),
            {name: nn.Linear(end, classes) for name in names},
        )
        if self.norm == "none":
            he_init(network)
        return network

    def _pathway(self, channels: int) -> nn.Sequential:
        stages = [(f"stage{k}", self._stage(k, self.width)) for k in range(1, self.fuse_after + 1)]
        return nn.Sequential(OrderedDict([("stem", Convolution(channels, self.width, norm=self.norm)), *stages]))

    def _stage(self, k: int, fused: int) -> nn.Sequential:
        """Return stage k; `fused`: channels that its first block is given where it follows the stem or the fusion."""
        outside = self.width * 2 ** (k - 1)
        inside = fused if k in (1, self.fuse_after + 1) else outside // 2
        first = Block(inside, outside, 1 if k == 1 else 2, self.norm, self.skip)
        others = (Block(outside, outside, 1, self.norm, self.skip) for _ in range(self.blocks[k - 1] - 1))
        return nn.Sequential(first, *others)
