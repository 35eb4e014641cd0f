"""Forward passes over blocks of anchors, and the answers of named layers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring.instrument.capture import Capture, widest
from chiasm.measuring.instrument.untouched import untouched
from chiasm.measuring.mistakes import check_answers, model_errors
from chiasm.measuring.sampling.blocks import Blocks
from chiasm.measuring.sampling.samples import Samples, describe, pick, size
from chiasm.measuring.variance.designs import Design
from chiasm.networks import FusionNetwork

# Numbers in the widest layer's output of one forward pass, on a CPU (32 MB: near enough to the processor) and on
# another device (256 MB: enough to keep it busy); and the most answers in one pass.
WIDEST_CPU, WIDEST_DEVICE, MOST_ANSWERS = 2**23, 2**26, 2**14

# First block, and by layer (blocks, points, *units).
Answers = tuple[int, dict[str, Tensor]]
Keep = Callable[[Tensor], Tensor]
Evaluate = Callable[[Mapping[str, Samples]], Any]


@final
@dataclass(frozen=True, slots=True)
class Passes:
    """How a model is evaluated on blocks.

    Attributes:
        model: in evaluation mode, without gradients.
        evaluate: runs the model on samples of all sources.
        layers: the layers to capture.
        keep: reduces an output to units, (n, ...) -> (n, *units).
        design: which anchors of a block are combined.
        chunk: answers in one forward pass; None: as many as fit.
        separable: whether pathways may run once an anchor: a `FusionNetwork` without a `forward` of the user's.
        sizes: filled by the first pass: (*units,) by layer, the mean size of a unit's numbers before they are pooled.
        notes: remarks on the model beside its numbers; filled by the first passes.
    """

    model: nn.Module
    evaluate: Evaluate
    layers: Sequence[str]
    keep: Keep
    design: Design
    chunk: int | None
    separable: bool
    sizes: dict[str, Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def over(self, blocks: Blocks) -> Generator[Answers]:
        """Yield the answers of layers, a few blocks at a time, in order; layers that come together always do."""
        if not self.separable:
            yield from self._complete(blocks)
            return
        assert isinstance(self.model, FusionNetwork)
        yield from self._by_pathway(self.model, blocks)

    def _complete(self, blocks: Blocks) -> Generator[Answers]:
        """Run the complete model once a combination."""
        device, dtype = placement(self.model)
        two = {s: pick(blocks.values(s, 0, 1, device, dtype), torch.arange(2)) for s in blocks.index}
        shapes = self._inspect(two)
        with Capture(self.model, self.layers, self.keep) as capture:
            answers = self._answers_per_pass(two)
            early = self._may_stop(capture, two)
            step = max(1, answers // len(self.design.points))
            for start in range(0, len(blocks), step):
                stop = min(start + step, len(blocks))
                anchors = {s: blocks.values(s, start, stop, device, dtype) for s in blocks.index}
                combined = self._combine(capture, self.evaluate, anchors, stop - start, answers, early)
                for layer, units in combined.items():
                    if units.shape[2:] != shapes[layer][1:]:
                        raise ChiasmError(
                            f"layer '{layer}' gave answers of shape {tuple(shapes[layer])} to 2 samples and of "
                            f"{tuple(units.shape[2:])} each to {units.shape[0] * units.shape[1]}; a unit must be the "
                            "same however many samples are shown together: choose what is measured with "
                            "forward=(model, sources) -> output"
                        )
                yield start, combined

    def _inspect(self, two: Mapping[str, Samples]) -> dict[str, torch.Size]:
        """Evaluate two samples: the size of each unit's numbers, and whether the model repeats its answers.

        These passes are complete: only such a pass shows whether a layer is called twice.
        """

        def absolute(x: Tensor) -> Tensor:
            return self.keep(x if x.dtype == torch.bool else x.abs())

        outputs: list[dict[str, Tensor]] = []
        for keep in (absolute, self.keep, self.keep):
            with Capture(self.model, self.layers, keep) as capture, model_errors(lambda: describe(two)):
                outputs.append(capture.run(lambda: self.evaluate(two)))
        for layer, x in outputs[0].items():
            check_answers(layer, len(x), 2)
            self.sizes[layer] = x.double().mean(0)
        if not all(_alike(x, outputs[2][layer]) for layer, x in outputs[1].items()):
            self.notes.append("the model draws random numbers in evaluation mode, which count as synergy")
        return {layer: x.shape for layer, x in outputs[0].items()}

    def _may_stop(self, capture: Capture, two: Mapping[str, Samples]) -> bool:
        """Try whether passes may end once every layer was captured: not where a model keeps state between passes."""
        swapped = {s: pick(x, torch.tensor([1, 0])) for s, x in two.items()}
        outputs: list[dict[str, Tensor]] = []
        with untouched(self.model), model_errors(lambda: describe(two)):  # the trial's traces in the model are undone
            for x, stop in ((two, False), (swapped, True), (two, True)):
                outputs.append(capture.run(partial(self.evaluate, x), stop=stop))
        return all(_alike(x, outputs[2][layer]) for layer, x in outputs[0].items())

    def _by_pathway(self, model: FusionNetwork, blocks: Blocks) -> Generator[Answers]:
        """Run each pathway once an anchor, and what follows once a combination."""
        device, dtype = placement(model)
        sources = list(blocks.index)
        own = {s: [x for x in self.layers if x.startswith((f"pathways.{s}.", f"pathways.{s}#", f"pathways.{s}:"))
                   or x == f"pathways.{s}"] for s in sources}  # fmt: skip
        after = [x for x in self.layers if not any(x in layers for layers in own.values())]
        captures = {s: Capture(model, layers, self.keep) for s, layers in own.items() if layers}
        joined = Capture(model, after, self.keep) if after else None
        two = {s: pick(blocks.values(s, 0, 1, device, dtype), torch.arange(2)) for s in sources}
        self._inspect(two)
        answers = self._answers_per_pass(two)
        step = max(1, answers // len(self.design.points))
        for start in range(0, len(blocks), step):
            stop = min(start + step, len(blocks))
            encoded = {}
            for axis, s in enumerate(sources):
                x = blocks.values(s, start, stop, device, dtype)
                encoded[s], responses = self._encode(s, model.pathways[s], x, captures.get(s), answers)
                if responses:
                    index = self._anchor_index(stop - start, axis, _device(x))
                    repeated = {layer: response.index_select(0, index) for layer, response in responses.items()}
                    yield start, {s: x.reshape(stop - start, -1, *x.shape[1:]) for s, x in repeated.items()}
            if joined is not None:
                with joined:
                    combined = self._combine(joined, model.join, encoded, stop - start, answers, early=True)
                yield start, combined

    def _combine(
        self,
        capture: Capture,
        evaluate: Evaluate,
        anchors: Mapping[str, Samples],
        blocks: int,
        answers: int,
        early: bool,
    ) -> dict[str, Tensor]:
        """Evaluate all combinations of the design of some blocks, at most `answers` in a pass."""
        points = len(self.design.points)
        outputs: list[dict[str, Tensor]] = []
        for first in range(0, blocks * points, answers):
            cut = slice(first, first + answers)
            x = {
                s: pick(anchor, self._anchor_index(blocks, axis, _device(anchor))[cut])
                for axis, (s, anchor) in enumerate(anchors.items())
            }
            with model_errors(partial(describe, x)):
                outputs.append(capture.run(partial(evaluate, x), stop=early))
        combined = {}
        for layer in outputs[0]:
            units = outputs[0][layer] if len(outputs) == 1 else torch.cat([part[layer] for part in outputs])
            check_answers(layer, len(units), blocks * points)
            combined[layer] = units.reshape(blocks, points, *units.shape[1:])
        return combined

    def _anchor_index(self, blocks: int, axis: int, device: torch.device) -> Tensor:
        """Return the anchor of a source in each answer, counted over blocks: (blocks * points,)."""
        levels = self.design.levels
        starts = torch.arange(blocks, device=device).unsqueeze(1) * levels
        return (starts + self.design.points[:, axis].to(device)).flatten()

    def _answers_per_pass(self, two: Mapping[str, Samples]) -> int:
        """Return the number of answers in one forward pass: `chunk`, or as many as fit."""
        with model_errors(lambda: describe(two)):
            numbers = widest(self.model, lambda: self.evaluate(two), 2)
        return self.chunk or samples_per_pass(numbers, two, _device(next(iter(two.values()))))

    def _encode(
        self, source: str, pathway: nn.Module, x: Samples, capture: Capture | None, most: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Run a pathway on its anchors; return its output and the units of its layers, all (anchors, ...)."""
        outputs: list[Tensor] = []
        captured: list[dict[str, Tensor]] = []

        def run(piece: Samples) -> None:
            outputs.append(pathway(piece))

        for piece in torch.split(x, most) if isinstance(x, Tensor) else [x]:
            with model_errors(partial(describe, {source: piece})):
                if capture is None:
                    run(piece)
                else:
                    with capture:
                        captured.append(capture.run(partial(run, piece)))
        units = {layer: torch.cat([part[layer] for part in captured]) for layer in captured[0]} if captured else {}
        return (outputs[0] if len(outputs) == 1 else torch.cat(outputs)), units


def samples_per_pass(numbers: int, samples: Mapping[str, Samples], device: torch.device) -> int:
    """Return how many samples fit one forward pass.

    Args:
        numbers: elements a sample of the model's widest output.
        samples: the samples of each source, which may be wider.
        device: where the model is.
    """
    room = WIDEST_CPU if device.type == "cpu" else WIDEST_DEVICE
    return max(1, min(MOST_ANSWERS, room // max(numbers, *map(size, samples.values()), 1)))


def _alike(x: Tensor, y: Tensor) -> bool:
    """Whether two answers are equal up to rounding, whose order may change on a GPU."""
    if x.shape != y.shape:
        return False
    largest = float(x.abs().nan_to_num(0, 0, 0).max()) if x.numel() else 0.0
    return torch.allclose(x, y, rtol=1e-3, atol=1e-5 * largest, equal_nan=True)


def placement(model: nn.Module) -> tuple[torch.device | None, torch.dtype | None]:
    """Return the device of a model's parameters and buffers, and the floating dtype of the first that has one."""
    tensors = [*model.parameters(), *model.buffers()]
    floating = [x.dtype for x in tensors if x.is_floating_point()]
    return (tensors[0].device if tensors else None), (floating[0] if floating else None)


def _device(x: Samples) -> torch.device:
    leaf = x
    while not isinstance(leaf, Tensor):
        leaf = next(iter(leaf.values())) if isinstance(leaf, Mapping) else leaf[0]
    return leaf.device
