"""Measure a model on a grid: every anchor of one source with every anchor of the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Literal, final, get_args

import numpy as np
import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring.anchors import Samples, draw
from chiasm.measuring.calling import Forward, forward_of
from chiasm.measuring.hooks import Capture, modules_named, to_units, widest
from chiasm.measuring.measurement import Measurement
from chiasm.measuring.per_anchor import PerAnchor
from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.untouched import untouched
from chiasm.measuring.variance import TwoWay
from chiasm.networks import FusionNetwork

Per = Literal["channel", "position"]
Pooling = Literal["ratio", "per_anchor"]

# Groups of anchors a source for standard errors. Twice as many narrow an interval by a tenth (at worst: Student's t of
# 15 in place of 7 degrees of freedom) and double the memory of a layer.
GROUPS = 8
# Numbers that the widest layer may give in one forward pass, on a CPU (32 MB: near enough to the processor) and on
# another device (256 MB: enough to keep it busy); and the most pairs in one pass, the whole default grid.
WIDEST_CPU, WIDEST_DEVICE, MOST_PAIRS = 2**23, 2**26, 128 * 128


def measure(
    model: nn.Module,
    sources: Mapping[str, Samples],
    layers: Sequence[str],
    *,
    anchors: int | tuple[int, int] = 128,
    seed: int = 0,
    chunk: int | None = None,
    per: Per = "channel",
    pooling: Pooling = "ratio",
    forward: Forward | None = None,
) -> Measurement:
    """Measure what the units of a model of two sources depend on: each alone, or both together.

    K samples of the first source are shown with M samples of the second in all K x M pairs (product pairing), and each
    unit's variance over the grid is taken apart by a two-way analysis of variance (`TwoWay`). The model is left exactly
    as it was found, and so is every random stream; it is measured in evaluation mode.

    Args:
        model: any module. Of a `FusionNetwork` each pathway runs once an anchor, and only what follows once a pair.
        sources: two tensors or arrays by name, (samples, ...), equally many samples.
        layers: names as in `model.named_modules()`; "" is the model's output (of a `FusionNetwork`: its head "both").
            Outputs (n, U) give U units, maps (n, C, ...) C, tokens (n, T, D) D.
        anchors: K and M, or one number for both; all samples are used where there are fewer. The sampling error of
            an RSV near 0 is about 1 / sqrt(anchors): 0.09 at 128.
        seed: of the draw of anchors.
        chunk: pairs in one forward pass; by default so many that the widest layer's output takes 32 MB (256 MB on a
            GPU). Changes no number beyond rounding.
        per: "channel" averages maps over their positions and tokens over T; "position" makes every place a unit.
        pooling: "ratio", or "per_anchor" to keep the paper's per-anchor ratios as well (`per_anchor_rsv`).
        forward: (model, sources) -> anything; by default inferred from the signature of `model.forward`: sources by
            name, else in order, else in one mapping.

    Returns:
        A mapping from layer to `LayerMeasurement`.

    Raises:
        ChiasmError: in one sentence, what was given and what would do.

    Tested against closed forms (linear units, sums, products, ReLU of a sum) and against SALib's Sobol' indices.

    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fusion = nn.Identity()
    ...     def forward(self, left, right):
    ...         return self.fusion(torch.cat([left, left * right, right], dim=1))
    >>> samples = {name: torch.randn(500, 1, generator=torch.Generator().manual_seed(s))
    ...            for s, name in enumerate(["left", "right"])}
    >>> m = measure(Net(), samples, ["fusion"])
    >>> m["fusion"].rsv("left", "right").round(1) + 0  # left only; both; right only
    array([ 1.,  0., -1.])
    >>> m["fusion"].synergy().round(1)
    array([0., 1., 0.])
    """
    if per not in get_args(Per):
        raise ChiasmError(f"per = {per!r}; 'channel' or 'position' would do")
    if pooling not in get_args(Pooling):
        raise ChiasmError(f"pooling = {pooling!r}; 'ratio' or 'per_anchor' would do")
    if chunk is not None and (not isinstance(chunk, int) or chunk < 1):
        raise ChiasmError(f"chunk = {chunk}; give 1 or more pairs, or None")
    if not isinstance(sources, Mapping):
        raise ChiasmError(f"sources is a {type(sources).__name__}; a mapping from names to tensors would do")
    if not isinstance(model, nn.Module):
        raise ChiasmError(f"model is a {type(model).__name__}; a torch nn.Module would do")
    if not isinstance(layers, str) and not all(isinstance(layer, str) for layer in layers):
        raise ChiasmError("layers are names, as model.named_modules() gives them, not the modules themselves")
    if isinstance(layers, str):
        raise ChiasmError(f"layers = '{layers}' is one name; give a list of names: ['{layers}']")
    modules = modules_named(model, layers)
    drawn = draw(model, sources, anchors, seed)
    call = forward if forward is not None else forward_of(model, list(sources))
    grids = {name: _Grid(name, drawn.counts, pooling) for name in layers}

    def keep(x: Tensor) -> Tensor:
        return to_units(x, per)

    with untouched(model, seed):
        if isinstance(model, FusionNetwork) and forward is None:
            parts = _apart(model, drawn.values, modules, keep, chunk)
        else:
            parts = _pairs(partial(call, model), model, drawn.values, Capture(modules, keep), chunk)
        # Closed here whatever happens, so that no hook waits for the garbage collector.
        with closing(parts):
            for name, start, block in parts:
                grids[name].add(start, block)
    return Measurement(
        {name: grid.result(tuple(sources)) for name, grid in grids.items()},
        tuple(sources),
        drawn.counts,
        drawn.wanted,
        drawn.samples,
        pooling=pooling,
        per=per,
        seed=seed,
    )


Block = tuple[str, int, Tensor]
Keep = Callable[[Tensor], Tensor]


@final
@dataclass(slots=True)
class _Grid:
    """The accumulators of one layer, made when its first block shows how many units it has."""

    name: str
    anchors: tuple[int, int]
    pooling: str
    two_way: TwoWay | None = None
    per_anchor: PerAnchor | None = None

    def add(self, start: int, block: Tensor) -> None:
        if self.two_way is None:
            shape, least = tuple(block.shape[2:]), min(self.anchors)
            groups = min(GROUPS, least) if least >= 4 else 0
            self.two_way = TwoWay(self.anchors, shape, groups, block.device)
            if self.pooling == "per_anchor":
                self.per_anchor = PerAnchor(self.anchors, shape, block.device)
        self.two_way.add(start, block)
        if self.per_anchor is not None:
            self.per_anchor.add(start, block)

    def result(self, sources: tuple[str, ...]) -> LayerMeasurement:
        assert self.two_way is not None
        shape = self.two_way.shape
        components = self.two_way.result().flat()
        ratios = None if self.per_anchor is None else self.per_anchor.result().reshape(min(self.anchors), -1)
        bad = int((~np.isfinite(components.variance)).sum())
        if bad:
            raise ChiasmError(f"layer '{self.name}': {bad} of {components.variance.size} units gave NaN or infinity")
        return LayerMeasurement(self.name, sources, components, shape, ratios)


def _apart(
    model: FusionNetwork, anchors: Mapping[str, Tensor], modules: Mapping[str, nn.Module], keep: Keep, chunk: int | None
) -> Generator[Block]:
    """Yield blocks of a network with separate pathways: each pathway runs once an anchor, the rest once a pair."""
    K, M = (len(x) for x in anchors.values())
    encoded = {}
    for axis, (source, x) in enumerate(anchors.items()):
        own = {n: m for n, m in modules.items() if n == f"pathways.{source}" or n.startswith(f"pathways.{source}.")}
        encoded[source], responses = _encode(model.pathways[source], x, Capture(own, keep), chunk)
        for name, response in responses.items():
            # The same response to whatever the other source shows.
            alike = response.unsqueeze(1 - axis)
            yield name, 0, alike.expand(K, M, *alike.shape[2:])
    rest = {n: model.heads["both"] if n == "" else m for n, m in modules.items() if not n.startswith("pathways.")}
    if rest:
        yield from _pairs(model.join, model, encoded, Capture(rest, keep), chunk)


def _encode(pathway: nn.Module, x: Tensor, capture: Capture, chunk: int | None) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a pathway on its anchors; return its output and what was kept of its layers, all (anchors, ...)."""
    outputs: list[Tensor] = []

    def run(piece: Tensor) -> dict[str, Tensor]:
        return capture.run(lambda: outputs.append(pathway(piece)))

    with capture:
        size = chunk or _chunk(widest(pathway, lambda: run(x[:2]), 2), [x])
        outputs.clear()
        seen = [run(piece) for piece in torch.split(x, size)]
    return torch.cat(outputs), {name: torch.cat([part[name] for part in seen]) for name in seen[0]}


def _pairs(
    call: Callable[[dict[str, Tensor]], object],
    model: nn.Module,
    anchors: Mapping[str, Tensor],
    capture: Capture,
    chunk: int | None,
) -> Generator[Block]:
    """Yield (layer, first a-anchor, (k, M, *units)) over all pairs, in forward passes of at most `chunk` pairs."""
    (left, a), (right, b) = anchors.items()
    M = len(b)
    with capture:
        # Two pairs through the whole model: finds a layer that is called twice or never, and how wide the model is.
        two = {left: a[:2], right: b[:2]}
        size = chunk or _chunk(widest(model, lambda: capture.run(partial(call, two)), 2), [a, b])
        step = max(1, size // M)
        for start in range(0, len(a), step):
            some = a[start : start + step]
            pairs = {left: some.repeat_interleave(M, 0), right: b.repeat(len(some), *[1] * (b.dim() - 1))}
            seen = []
            for first in range(0, len(some) * M, size):
                piece = {source: x[first : first + size] for source, x in pairs.items()}
                seen.append(capture.run(partial(call, piece), stop=True))
            for name in seen[0]:
                units = seen[0][name] if len(seen) == 1 else torch.cat([part[name] for part in seen])
                if len(units) != len(some) * M:
                    raise ChiasmError(
                        f"layer '{name}' gave {len(units)} answers to {len(some) * M} samples; the first axis of its "
                        "output must be the samples"
                    )
                yield name, start, units.reshape(len(some), M, *units.shape[1:])


def _chunk(widest_layer: int, anchors: Sequence[Tensor]) -> int:
    """Return how many samples or pairs fit one forward pass, from the most numbers a sample has anywhere."""
    numbers = WIDEST_CPU if anchors[0].device.type == "cpu" else WIDEST_DEVICE
    return max(1, min(MOST_PAIRS, numbers // max(widest_layer, *(x[0].numel() for x in anchors), 1)))
