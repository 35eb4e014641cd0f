"""Gathering: from forward passes to the measurement of each layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from math import prod
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from chiasm.measuring.mistakes import check_finite
from chiasm.measuring.passes import Passes
from chiasm.measuring.per_anchor import per_anchor
from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.sampling.blocks import Blocks
from chiasm.measuring.variance.components import Accumulator
from chiasm.measuring.variance.designs import Design
from chiasm.progress_bar import ProgressBar


@final
@dataclass(slots=True)
class LayerGroup:
    """Layers that are captured in the same passes; their units are analysed side by side, as those of one layer."""

    design: Design
    blocks: int
    pooling: str
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    sums: Accumulator | None = None
    ratios: list[np.ndarray[Any, Any]] = field(default_factory=list)

    def add(self, start: int, answers: Mapping[str, Tensor], weights: Tensor) -> None:
        flat = [x.flatten(2) if x.dim() > 2 else x.unsqueeze(2) for x in answers.values()]
        side = flat[0] if len(flat) == 1 else torch.cat(flat, 2)
        if self.sums is None:
            self.shapes = {layer: tuple(x.shape[2:]) for layer, x in answers.items()}
            self.sums = Accumulator(self.design, self.blocks, (side.shape[2],), side.device)
        self.sums.add(start, side, weights[start : start + len(side)])
        if self.pooling == "per_anchor":
            self.ratios.append(per_anchor(side, self.design.levels).double().cpu().numpy())

    def results(self, sources: tuple[str, ...], sizes: Mapping[str, Tensor]) -> Iterator[LayerMeasurement]:
        assert self.sums is not None
        components = self.sums.result()
        ratios = np.concatenate(self.ratios) if self.ratios else None
        first = 0
        for layer, shape in self.shapes.items():
            own = slice(first, first + prod(shape))
            first = own.stop
            part = components.part(own)
            check_finite(layer, np.isfinite(part.whole.variance))
            size = sizes[layer].flatten().cpu().numpy()
            yield LayerMeasurement(layer, sources, part, shape, None if ratios is None else ratios[:, own], size)


def gather(
    passes: Passes, blocks: Blocks, sources: tuple[str, ...], pooling: str, progress: bool
) -> dict[str, LayerMeasurement]:
    """Evaluate a model on all blocks and return the measurement of each layer, in the order of the layers."""
    groups: dict[tuple[str, ...], LayerGroup] = {}
    total = len(blocks) * len(passes.layers)
    with closing(ProgressBar("measuring", total, enabled=progress)) as shown, closing(passes.over(blocks)) as answers:
        for start, by_layer in answers:
            group = groups.setdefault(tuple(by_layer), LayerGroup(passes.design, len(blocks), pooling))
            group.add(start, by_layer, blocks.weights)
            shown.advance(sum(len(x) for x in by_layer.values()))
    measured = {layer.name: layer for group in groups.values() for layer in group.results(sources, passes.sizes)}
    return {name: measured[name] for name in passes.layers}
