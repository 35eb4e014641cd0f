"""`all_conv`: pathways of convolutions alone, for the question of depth."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, final

import msgspec
from torch import nn

from chiasm.errors import ChiasmError
from chiasm.networks.fusion import Fusion, FusionNetwork, Heads, head_names
from chiasm.networks.images import check_images
from chiasm.networks.network import Network
from chiasm.networks.residual import Convolution
from chiasm.sources import Source

Count = Annotated[int, msgspec.Meta(ge=1)]
Layer = tuple[int, int, int, int]  # a convolution's channels in and out, side of its kernel, stride


@final
class AllConv(Network, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="all_conv"):
    """Settings of an all-convolutional network, the one by which Kleinman et al. (2023), Fig. 5, ask about depth.

    A pathway is conv 3 x 3 (w channels), then for i = 1 to n conv 3 x 3 (w 2^(i-1)) and conv 3 x 3 (w 2^i, stride 2).
    What follows is conv 3 x 3 (w 2^n), conv 1 x 1 (w 2^n), conv 1 x 1 (classes) and the average over the map. Every
    convolution but the last is without bias and followed by BatchNorm and ReLU. Weights are drawn as torch does by
    default. The sources' maps are summed.

    The last convolution is read after the averaging, as a linear head: averages of a linear map's results are its
    result for the averages, so the logits are the same.

    Attributes:
        depth: n, 1 or more (published: 1, 2, 3).
        width: w, channels of the first convolution.
        fuse: "blocks": the sources meet after the last strided convolution and share what follows (the published code);
            "logits": each source goes on to class maps of its own, which are summed (the published text).
        matched: choose w so that the network has as nearly as can be the parameters that depth 2 has at `width`, for
            the same sources, classes and fusion; of two equally near widths the smaller one. Depth 2 keeps `width`.
        heads: "one" (named "both"), or "per_source": "both" and one head a source, for `fuse` = "blocks" only.

    Raises:
        ChiasmError: several heads on summed class maps.

    >>> eyes = (Source("left", (3, 32, 32), "image"), Source("right", (3, 32, 32), "image"))
    >>> [AllConv(depth=n, matched=True).width_for(eyes, 10) for n in (1, 2, 3)]
    [205, 96, 47]
    """

    large: ClassVar[bool] = True

    depth: Count = 2
    width: Count = 96
    fuse: Literal["blocks", "logits"] = "blocks"
    matched: bool = False
    heads: Heads = "one"

    def __post_init__(self) -> None:
        if self.fuse == "logits" and self.heads == "per_source":
            raise ChiasmError(
                "network.heads = 'per_source' reads what the sources share, and with network.fuse = 'logits' that is "
                "the logits themselves; expected network.fuse = 'blocks' or network.heads = 'one'"
            )

    def build(self, sources: Sequence[Source], classes: int) -> FusionNetwork:
        """Make the network for (samples, channels, height, width) images, drawn from torch's global generator.

        Raises:
            ChiasmError: sources that are no images, of unequal sides, or of fewer than 2^depth pixels a side.
        """
        check_images("all_conv", sources, 2**self.depth)
        width = self.width_for(sources, classes)
        end = width * 2**self.depth
        after = self._after(width)
        separate = self.fuse == "logits"
        pathways: dict[str, nn.Module] = {}
        for source in sources:
            stem, *layers = self._pathway(source.shape[0], width)
            blocks = [_chain(layers[i : i + 2]) for i in range(0, len(layers), 2)]
            parts = [("stem", Convolution(*stem)), *((f"block{i}", block) for i, block in enumerate(blocks, start=1))]
            if separate:
                parts += [("after", _chain(after)), ("classes", nn.Conv2d(end, classes, 1))]
            pathways[source.name] = nn.Sequential(OrderedDict(parts))
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        trunk = nn.Sequential(OrderedDict([*([] if separate else [("after", _chain(after))]), ("pool", pool)]))
        names = head_names(self.heads, (source.name for source in sources))
        heads = {name: nn.Identity() if separate else nn.Linear(end, classes) for name in names}
        return FusionNetwork(pathways, Fusion("sum", nn.Identity()), trunk, heads)

    def width_for(self, sources: Sequence[Source], classes: int) -> int:
        """Return the width that `build` uses: `width`, or the one that matches the parameters of depth 2."""
        if not self.matched or self.depth == 2:
            return self.width
        wanted = msgspec.structs.replace(self, depth=2)._parameters(self.width, sources, classes)
        width = 1
        while self._parameters(width, sources, classes) < wanted:
            width += 1
        # Parameters grow with the width, so the nearest count is this one's or the one's before.
        over = self._parameters(width, sources, classes) - wanted
        under = wanted - self._parameters(width - 1, sources, classes) if width > 1 else over + 1
        return width if over < under else width - 1

    def _parameters(self, width: int, sources: Sequence[Source], classes: int) -> int:
        layers = [layer for s in sources for layer in self._pathway(s.shape[0], width)]
        endings = len(sources) if self.fuse == "logits" else 1
        layers += self._after(width) * endings
        readouts = endings + (len(sources) if self.heads == "per_source" else 0)
        # Without bias, but with the scale and the shift of BatchNorm; the readouts have biases.
        return sum(k * k * i * o + 2 * o for i, o, k, _ in layers) + readouts * ((width << self.depth) + 1) * classes

    def _pathway(self, channels: int, width: int) -> list[Layer]:
        layers: list[Layer] = [(channels, width, 3, 1)]
        for i in range(self.depth):
            inside, outside = width * 2**i, width * 2 ** (i + 1)
            layers += [(inside, inside, 3, 1), (inside, outside, 3, 2)]
        return layers

    def _after(self, width: int) -> list[Layer]:
        end = width << self.depth
        return [(end, end, 3, 1), (end, end, 1, 1)]


def _chain(layers: Sequence[Layer]) -> nn.Sequential:
    return nn.Sequential(*(Convolution(*layer) for layer in layers))
