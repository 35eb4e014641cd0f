"""Pairing: which samples of the sources stand together in a block, to be shown in combinations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.measuring.sampling.samples import Samples, each, take
from chiasm.measuring.sampling.variants import Variant, shifts_and_noise
from chiasm.randomness import generator

Pairing = Literal["product", "within_class", "local"]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Blocks of anchors: within a block, every source has `levels` samples that may meet those of the others.

    Attributes:
        sources: all samples by source.
        index: (blocks, levels) by source: which samples.
        seed: of the draw.
        weights: (blocks,) how much each block counts.
        variants: by source what makes each anchor of a block another variant of its sample; empty otherwise.
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
        held = take(source, self.sources[source], self.index[source][first:last].flatten(), device, dtype)
        if source not in self.variants:
            return held

        def varied(x: Any) -> Tensor:
            # A generator a block, so that how many blocks are drawn at once changes nothing.
            parts = []
            for n, some in enumerate(torch.split(x, self.levels)):
                try:
                    made = self.variants[source](some, generator(self.seed, f"variant {source}", step=first + n))
                except ChiasmError:
                    raise
                except Exception as error:  # whatever a user's function may raise
                    line = (str(error).strip().splitlines() or [""])[0]
                    raise ChiasmError(
                        f"the variant function of source '{source}' raised {type(error).__name__} ({line}); it is "
                        "called with (samples, generator) and must return one variant a sample"
                    ) from error
                if not isinstance(made, Tensor) or made.shape != some.shape:
                    told = tuple(made.shape) if isinstance(made, Tensor) else f"a {type(made).__name__}"
                    raise ChiasmError(
                        f"the variant function of source '{source}' made {told} of {tuple(some.shape)}; it must "
                        "return one variant a sample, a tensor of the same shape"
                    )
                parts.append(made.to(x.dtype))
            return torch.cat(parts)

        return each(held, varied)


def product(sources: Mapping[str, Samples], samples: int, blocks: int, levels: int, seed: int) -> Blocks:
    """Draw each source from all its samples, without replacement and independently of the other sources.

    A source's draw depends on the seed and its name alone, so that the order of the sources changes nothing but signs.
    """
    index = {
        name: torch.randperm(samples, generator=generator(seed, f"anchors {name}"))[: blocks * levels].view(blocks, -1)
        for name in sources
    }
    return Blocks(sources, index, seed, torch.ones(blocks))


def within_class(sources: Mapping[str, Samples], target: Tensor, wanted: int, levels: int, seed: int) -> Blocks:
    """Draw as `product` does, but all of a block from one class: what is measured is the variance within classes.

    Closer to the data than `product` where sources share a class; what classes differ in is taken out. Blocks are
    weighed so that each class counts by its share of the samples, whatever is left over by whole blocks of it.

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
    for c, some in enumerate(enough):
        whole = len(some) // levels * levels
        weights.append(torch.full((whole // levels,), len(some) / (whole // levels)))
        for name in sources:
            order = torch.randperm(len(some), generator=generator(seed, f"anchors {name}", epoch=c))[:whole]
            own[name].append(torch.from_numpy(some)[order].view(-1, levels))
    found = sum(len(part) for part in next(iter(own.values())))
    chosen = torch.randperm(found, generator=generator(seed, "blocks"))[: -(-wanted // levels)]
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
    """Draw true tuples of the data, and around each make variants of every source: sensitivity to what keeps the label.

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
