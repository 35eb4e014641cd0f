"""A source is one named input stream; a batch is several of them, in step, with a target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["vector", "sequence", "image", "video"]


@dataclass(frozen=True, slots=True)
class Source:
    """One named input stream.

    Attributes:
        name: how it is called everywhere ("left", "audio").
        shape: the shape of one sample, without the sample axis.
        kind: what the axes mean. "vector": anything flat; "sequence": time first; "image": (channels,) height, width
            last; "video": time first, height and width last.
    """

    name: str
    shape: tuple[int, ...]
    kind: Kind = "vector"


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of several sources, in step, with their targets.

    Attributes:
        sources: one tensor a source, each (samples, *shape), in the order of the task.
        target: (samples,) class labels, or (samples, *shape) numbers.
        baseline: what a silent source shows: one tensor a source, (*shape,), its mean over the training distribution.
        head: (samples,) which head reads each sample: 0 the head "both", j the head of the j-th source (from 1);
            None: all samples are read by "both".
    """

    sources: Mapping[str, Tensor]
    target: Tensor
    baseline: Mapping[str, Tensor]
    head: Tensor | None = None

    def __len__(self) -> int:
        return len(self.target)

    def __iter__(self) -> Iterator[str]:
        return iter(self.sources)

    def take(self, index: Tensor) -> Batch:
        """Return the samples that `index` names: (k,) integers in [0, samples)."""
        chosen = {name: x.index_select(0, index) for name, x in self.sources.items()}
        head = None if self.head is None else self.head.index_select(0, index)
        return Batch(chosen, self.target.index_select(0, index), self.baseline, head)

    def with_source(self, name: str, x: Tensor) -> Batch:
        """Return the batch with one source exchanged for `x`, of the same shape."""
        return replace(self, sources={**self.sources, name: x})

    def silenced(self, *names: str) -> Batch:
        """Return the batch with the named sources at their baseline (their mean) in every sample."""
        quiet = {name: self.baseline[name].expand_as(self.sources[name]) for name in names}
        return replace(self, sources={**self.sources, **quiet})

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on another device."""
        return Batch(
            {name: x.to(device) for name, x in self.sources.items()},
            self.target.to(device),
            {name: x.to(device) for name, x in self.baseline.items()},
            None if self.head is None else self.head.to(device),
        )
