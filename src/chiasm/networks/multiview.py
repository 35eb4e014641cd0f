"""`multiview`: one transformer over the tokens of all sources, with a light decoder a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Annotated, final

import msgspec
import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError, unknown
from chiasm.networks.fusion import Heads, head_names
from chiasm.networks.network import Network
from chiasm.networks.patches import Patches
from chiasm.sources import Source

Count = Annotated[int, msgspec.Meta(ge=1)]
Size = Annotated[int, msgspec.Meta(ge=0)]


@final
class MultiView(Network, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="multiview"):
    """Settings of a transformer encoder over patches of any number of sources of any kind (after MultiMAE).

    Attributes:
        patch: side of a picture's patches, numbers of a vector's, times of a sequence's; 0: each vector, picture and
            time is one token. It must divide every source.
        patches: the same for single sources, by name.
        width: of a token; a multiple of `attention_heads`, even, and at least 2 an axis of a source's grid.
        depth: blocks of attention and perceptron.
        attention_heads: of every attention.
        mlp: hidden units of a block's perceptron, in widths.
        decoder_width: of the decoders, a multiple of `attention_heads`.
        decoder_depth: blocks of a decoder: the first one attends to the encoder's tokens, others to its own.
        heads: "one" (named "both"), or "per_source".
    """

    patch: Size = 4
    patches: dict[str, Size] = msgspec.field(default_factory=dict)
    width: Count = 48
    depth: Count = 2
    attention_heads: Count = 4
    mlp: Count = 2
    decoder_width: Count = 32
    decoder_depth: Count = 1
    heads: Heads = "one"

    def build(self, sources: Sequence[Source], outputs: int) -> MultiViewTransformer:
        """Make the network: linear layers Xavier-uniform, biases zero, tokens normal at .02."""
        names = [source.name for source in sources]
        for name in self.patches:
            if name not in names:
                raise unknown("source", name, names, "network.patches")
        for key, width in (("width", self.width), ("decoder_width", self.decoder_width)):
            if width % self.attention_heads:
                raise ChiasmError(
                    f"network.{key} = {width} is no multiple of network.attention_heads = {self.attention_heads}"
                )
        cuts = {source.name: Patches(source, self.patches.get(source.name, self.patch)) for source in sources}
        blocks = [TransformerBlock(self.width, self.attention_heads, self.mlp) for _ in range(self.depth)]
        network = MultiViewTransformer(cuts, blocks, self.width, head_names(self.heads, names), outputs)
        _init(network)
        return network

    def decoders(self, network: nn.Module, sources: Sequence[Source]) -> dict[str, nn.Module]:
        """Make one decoder a source."""
        assert isinstance(network, MultiViewTransformer)
        modules = nn.ModuleDict(
            {
                name: Decoder(cut, self.width, self.decoder_width, self.decoder_depth, self.attention_heads, self.mlp)
                for name, cut in network.cuts.items()
            }
        )
        _init(modules)
        return dict(modules.items())


class MultiViewTransformer(nn.Module):
    """Patches of all sources as tokens of one encoder, with a global token; heads read their mean.

    Layers are named `embed.<source>`, `blocks.<i>`, `norm` (the encoder's tokens, the global one first, then source by
    source), `pool`, `heads.<head>`, `decoders.<source>`.

    Args:
        cuts: how each source is cut, in the order of the sources.
        blocks: of the encoder.
        width: of a token.
        heads: names of the heads; must hold "both".
        outputs: numbers of an answer.

    Attributes:
        tokens: how many tokens each source has.
    """

    def __init__(
        self, cuts: Mapping[str, Patches], blocks: Sequence[nn.Module], width: int, heads: Sequence[str], outputs: int
    ) -> None:
        super().__init__()
        self.cuts = dict(cuts)
        self.tokens = {name: cut.count for name, cut in cuts.items()}
        self.embed = nn.ModuleDict({name: nn.Linear(cut.numbers, width) for name, cut in cuts.items()})
        self.source_token = nn.Parameter(torch.empty(len(cuts), width))
        self.global_token = nn.Parameter(torch.empty(width))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width)
        self.pool = Pool()
        self.heads = nn.ModuleDict({name: nn.Linear(width, outputs) for name in heads})
        self.decoders: nn.ModuleDict | None = None
        self._places = {name: positions(cut.grid, width) for name, cut in cuts.items()}

    def forward(self, sources: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map the sources by name to answers (samples, outputs) by head."""
        return self.see(sources)[0]

    def see(
        self,
        sources: Mapping[str, Tensor],
        hidden: Mapping[str, Tensor] | None = None,
        visible: int | None = None,
        decode: bool = False,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return answers by head and, where asked for, rebuilt sources by name.

        Args:
            sources: (samples, *shape) by source.
            hidden: (samples, tokens) bool by source, what the encoder must not see; None: nothing.
            visible: how many tokens of each sample are not hidden, where that is one number: hidden ones are then left
                out; None: they are there and nobody attends to them.
            decode: whether to rebuild the sources.
        """
        parts = []
        for i, (name, embed) in enumerate(self.embed.items()):
            x = self.cuts[name].split(sources[name])
            parts.append(embed(x) + self._places[name].to(x) + self.source_token[i])
        x = torch.cat(parts, 1)
        seen = None
        if hidden:
            marks = torch.cat([hidden[name].expand(-1, self.tokens[name]) for name in self.embed], 1)
            if visible is None:
                seen = torch.cat([torch.ones_like(marks[:, :1]), ~marks], 1)
            else:
                places = marks.to(torch.int8).argsort(dim=1, stable=True)[:, :visible]
                x = x.gather(1, places.unsqueeze(-1).expand(*places.shape, x.shape[-1]))
        x = torch.cat([self.global_token.expand(len(x), 1, -1), x], 1)
        for block in self.blocks:
            x = block(x, seen)
        x = self.norm(x)
        pooled = self.pool(x, seen)
        answers = {name: head(pooled) for name, head in self.heads.items()}
        rebuilt: dict[str, Tensor] = {}
        if decode and self.decoders is not None:
            rebuilt = {name: decoder(x, seen) for name, decoder in self.decoders.items()}
        return answers, rebuilt


class Attention(nn.Module):
    """Attention with several heads, written out: measured faster than fused kernels for few tokens on a CPU.

    Args:
        width: of all tokens.
        heads: how many.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor | None = None, seen: Tensor | None = None) -> Tensor:
        """Attend from (samples, tokens, width) to `memory`, by default x; `seen`: (samples, memory) bool."""
        memory = x if memory is None else memory
        samples, tokens, width = x.shape
        query = self.query(x).view(samples, tokens, self.heads, -1).transpose(1, 2)
        pair = self.key_value(memory).view(samples, memory.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = query @ pair[0].transpose(-2, -1) * (width // self.heads) ** -0.5
        if seen is not None:
            scores = scores.masked_fill(~seen[:, None, None, :], float("-inf"))
        mixed = scores.softmax(-1) @ pair[1]
        answer: Tensor = self.out(mixed.transpose(1, 2).reshape(samples, tokens, width))
        return answer


class TransformerBlock(nn.Module):
    """Attention and a perceptron, each on normalised tokens and added to them.

    Args:
        width: of a token.
        heads: of the attention.
        mlp: hidden units of the perceptron, in widths.
    """

    def __init__(self, width: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.attend = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.think = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, mlp * width), nn.GELU(), nn.Linear(mlp * width, width))

    def forward(self, x: Tensor, seen: Tensor | None = None, memory: Tensor | None = None) -> Tensor:
        """Map tokens to tokens of the same shape."""
        x = x + self.attention(self.attend(x), memory, seen)
        answer: Tensor = x + self.mlp(self.think(x))
        return answer


class Decoder(nn.Module):
    """Rebuild a source: a query a patch, its place and one learned token, attends to what the encoder saw.

    Args:
        cut: how the source is cut.
        memory: width of the encoder's tokens.
        width: of its own.
        depth: blocks; the first one attends to the encoder's tokens.
        heads: of every attention.
        mlp: hidden units of a block's perceptron, in widths.
    """

    def __init__(self, cut: Patches, memory: int, width: int, depth: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.cut = cut
        self.mask_token = nn.Parameter(torch.empty(width))
        self.project = nn.Linear(memory, width)
        self.blocks = nn.ModuleList([TransformerBlock(width, heads, mlp) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, cut.numbers)
        self._places = positions(cut.grid, width)

    def forward(self, memory: Tensor, seen: Tensor | None = None) -> Tensor:
        """Map the encoder's tokens (samples, tokens, width) to the source (samples, *shape)."""
        projected = self.project(memory)
        x = (self.mask_token + self._places.to(memory)).expand(len(memory), -1, -1)
        first, *others = self.blocks
        x = first(x, seen, projected)
        for block in others:
            x = block(x)
        return self.cut.join(self.out(self.norm(x)))


class Pool(nn.Module):
    """The mean over the tokens of the sources, without the global one."""

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """Map (samples, 1 + tokens, width) to (samples, width); `seen`: (samples, 1 + tokens) bool."""
        if seen is None:
            return x[:, 1:].mean(1)
        marks = seen[:, 1:, None].to(x)
        return (x[:, 1:] * marks).sum(1) / marks.sum(1).clamp(min=1)


def positions(grid: Sequence[int], width: int) -> Tensor:
    """Return fixed sine and cosine codes of the places of a grid, (places, width), after Vaswani et al. (2017).

    Every axis has an equal part of the width; wave lengths go from 2 pi to 2 pi 10,000 places.

    Raises:
        ChiasmError: the width is too small for so many axes.
    """
    part = width // (2 * len(grid))
    if part < 1:
        raise ChiasmError(f"network: a width of {width} has no room for places of {len(grid)} axes; expected more")
    rates = torch.exp(-torch.arange(part) * (log(10000.0) / part))
    angles = [torch.arange(length).unsqueeze(1) * rates for length in grid]
    codes = [torch.cat([angle.sin(), angle.cos()], 1) for angle in angles]
    places = torch.zeros(*grid, width)
    at = 0
    for axis, code in enumerate(codes):
        shape = [1] * len(grid)
        shape[axis] = grid[axis]
        places[..., at : at + 2 * part] = code.view(*shape, 2 * part)
        at += 2 * part
    return places.flatten(0, -2)


def _init(module: nn.Module) -> None:
    for inner in module.modules():
        if isinstance(inner, nn.Linear):
            nn.init.xavier_uniform_(inner.weight)
            nn.init.zeros_(inner.bias)
    for name, p in module.named_parameters():
        if name.endswith("_token"):
            nn.init.normal_(p, std=0.02)
