"""Pairing: which samples of the sources share a block, within which a design combines them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.measuring.mistakes import first_line
from chiasm.measuring.sampling.samples import Samples, each, take
from chiasm.measuring.sampling.variants import Variant, shifts_and_noise
from chiasm.randomness import generator

Pairing = Literal["product", "within_class", "local"]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Blocks of anchors: within a block, `levels` samples of every source are combined with those of the others.

    Attributes:
        sources: all samples by source.
        index: (blocks, levels) by source: which samples.
        seed: of the draw.
        weights: (blocks,) the weight of each block.
        variants: by source the function that makes each anchor of a block another variant of its sample; empty without.
        note: what was left out, in words; empty if nothing.
    """

    sources: Mapping[str, Samples]
    index: Mapping[str, Tensor]
    seed: int
    weights: Tensor
    variants: Mapping[str, Variant] = field(default_factory=dict)
    note: str = ""

    def __len__(self) -> int:
        return len(next(iter(self.index.values())))

    @property
    def levels(self) -> int:
        """Anchors of each source in a block."""
        return int(next(iter(self.index.values())).shape[1])

    def values(
        self, source: str, first: int, last: int, device: torch.device | None, dtype: torch.dtype | None
    ) -> Samples:
        """Return the anchors of a source in blocks [first, last): leaves of (blocks * levels, *shape)."""
        anchors = take(source, self.sources[source], self.index[source][first:last].flatten(), device, dtype)
        if source not in self.variants:
            return anchors

        def varied(x: Any) -> Tensor:
            # A generator a block, so that how many blocks are drawn at once changes nothing.
            parts = []
            for n, block in enumerate(torch.split(x, self.levels)):
                try:
                    variants = self.variants[source](block, generator(self.seed, f"variant {source}", step=first + n))
                except ChiasmError:
                    raise
                except Exception as error:  # whatever a user's function may raise
                    raise ChiasmError(
                        f"the variant function of source '{source}' raised {first_line(error)}; it is called with "
                        "(samples, generator) and must return one variant a sample"
                    ) from error
                if not isinstance(variants, Tensor) or variants.shape != block.shape:
                    given = tuple(variants.shape) if isinstance(variants, Tensor) else f"a {type(variants).__name__}"
                    raise ChiasmError(
                        f"the variant function of source '{source}' made {given} of {tuple(block.shape)}; it must "
                        "return one variant a sample, a tensor of the same shape"
                    )
                parts.append(variants.to(x.dtype))
            return torch.cat(parts)

        return each(anchors, varied)


def product(sources: Mapping[str, Samples], samples: int, blocks: int, levels: int, seed: int) -> Blocks:
    """Draw each source from all its samples, without replacement and independently of the other sources.

    A source's draw depends on the seed and its name alone, so that the order of the sources changes only signs.
    """
    index = {
        name: torch.randperm(samples, generator=generator(seed, f"anchors {name}"))[: blocks * levels].view(blocks, -1)
        for name in sources
    }
    return Blocks(sources, index, seed, torch.ones(blocks))


def within_class(sources: Mapping[str, Samples], target: Tensor, wanted: int, levels: int, seed: int) -> Blocks:
    """Draw as `product` does, but each block from one class: what is measured is the variance within classes.

    Closer to the data than `product` where sources share a class; differences between classes do not count. Blocks are
    weighted so that each class counts by its share of the samples, whatever its complete blocks leave over.

    Args:
        sources: all samples.
        target: (samples,) integer classes.
        wanted: anchors of each source.
        levels: anchors of each source in a block; fewer where the smallest class has fewer.
        seed: of the draw.

    Raises:
        ChiasmError: no class has two samples, or labels do not fit the samples.
    """
    labels = np.asarray(target)
    members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    enough = [m for m in members if len(m) >= 2]
    if not enough:
        raise ChiasmError("pairing='within_class' needs classes of 2 samples or more; every class here has one")
    levels = min(levels, *(len(m) for m in enough))
    own: dict[str, list[Tensor]] = {name: [] for name in sources}
    weights = []
    for c, of_class in enumerate(enough):
        complete = len(of_class) // levels
        weights.append(torch.full((complete,), len(of_class) / complete))
        for name in sources:
            order = torch.randperm(len(of_class), generator=generator(seed, f"anchors {name}", epoch=c))
            own[name].append(torch.from_numpy(of_class)[order[: complete * levels]].view(-1, levels))
    blocks = sum(map(len, weights))
    chosen = torch.randperm(blocks, generator=generator(seed, "blocks"))[: -(-wanted // levels)]
    weight = torch.cat(weights)[chosen]
    lone = len(members) - len(enough)
    note = f"{lone} class{'es' * (lone > 1)} of one sample left out" if lone else ""
    index = {name: torch.cat(parts)[chosen] for name, parts in own.items()}
    return Blocks(sources, index, seed, weight / weight.mean(), note=note)


def local(
    sources: Mapping[str, Samples],
    samples: int,
    blocks: int,
    levels: int,
    seed: int,
    variant: Variant | Mapping[str, Variant] | None,
) -> Blocks:
    """Draw tuples of the data, and variants of each source around them: the sensitivity to what keeps the label.

    Raises:
        ChiasmError: a mapping of variant functions that lacks a source.
    """
    base = torch.randperm(samples, generator=generator(seed, "anchors"))[:blocks]
    if variant is None:
        variant = shifts_and_noise()
    variants = dict(variant) if isinstance(variant, Mapping) else dict.fromkeys(sources, variant)
    missing = [name for name in sources if name not in variants]
    if missing or not all(isinstance(v, Callable) for v in variants.values()):  # type: ignore[arg-type]
        raise ChiasmError(
            f"variant must be a function (samples, generator) -> samples, or one for each source; missing: "
            f"{', '.join(missing) or 'none'}"
        )
    same = base.unsqueeze(1).expand(-1, levels)
    return Blocks(sources, dict.fromkeys(sources, same), seed, torch.ones(len(base)), variants)
