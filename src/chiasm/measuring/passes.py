"""Forward passes over blocks of anchors, and what named layers answer."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring.instrument.capture import Capture, widest
from chiasm.measuring.instrument.untouched import untouched
from chiasm.measuring.sampling.blocks import Blocks
from chiasm.measuring.sampling.samples import Samples, pick, size, told
from chiasm.measuring.variance.designs import Design
from chiasm.networks import FusionNetwork

# Numbers that the widest layer may give in one forward pass, on a CPU (32 MB: near enough to the processor) and on
# another device (256 MB: enough to keep it busy); and the most answers in one pass.
WIDEST_CPU, WIDEST_DEVICE, MOST_ANSWERS = 2**23, 2**26, 2**14

# First block, and by layer (blocks, points, *units).
Answers = tuple[int, dict[str, Tensor]]
Keep = Callable[[Tensor], Tensor]
Show = Callable[[Mapping[str, Samples]], Any]


@final
@dataclass(frozen=True, slots=True)
class Passes:
    """How a model is shown blocks.

    Attributes:
        model: in evaluation mode, without gradients.
        show: runs the whole model on sources in step.
        layers: what to catch.
        keep: what to keep of an output, (n, ...) -> (n, *units).
        design: which anchors of a block meet.
        chunk: answers in one forward pass; None: as many as fit.
        apart: whether pathways may run once an anchor, for a `FusionNetwork` that nobody calls in a way of their own.
        sizes: filled by the first pass: (*units,) by layer, how large a unit's numbers are before they are pooled.
        notes: what to say of the model beside its numbers; filled by the first passes.
    """

    model: nn.Module
    show: Show
    layers: Sequence[str]
    keep: Keep
    design: Design
    chunk: int | None
    apart: bool
    sizes: dict[str, Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def over(self, blocks: Blocks) -> Generator[Answers]:
        """Yield what layers answer, a few blocks at a time, in order; layers that come together always do."""
        if not self.apart:
            yield from self._whole(blocks)
            return
        assert isinstance(self.model, FusionNetwork)
        yield from self._apart(self.model, blocks)

    def _whole(self, blocks: Blocks) -> Generator[Answers]:
        device, dtype = home(self.model)
        two = {s: pick(blocks.values(s, 0, 1, device, dtype), torch.arange(2)) for s in blocks.index}
        shapes = self._look(two)
        with Capture(self.model, self.layers, self.keep) as capture:
            answers = self._size(lambda: self._try(lambda: self.show(two), two), two)
            early = self._may_stop(capture, two)
            step = max(1, answers // len(self.design.points))
            for start in range(0, len(blocks), step):
                stop = min(start + step, len(blocks))
                anchors = {s: blocks.values(s, start, stop, device, dtype) for s in blocks.index}
                met = self._met(capture, self.show, anchors, stop - start, answers, early)
                for layer, units in met.items():
                    if units.shape[2:] != shapes[layer][1:]:
                        raise ChiasmError(
                            f"layer '{layer}' gave answers of shape {tuple(shapes[layer])} to 2 samples and of "
                            f"{tuple(units.shape[2:])} each to {units.shape[0] * units.shape[1]}; a unit must be the "
                            "same however many samples are shown together: choose what is measured with "
                            "forward=(model, sources) -> output"
                        )
                yield start, met

    def _look(self, two: Mapping[str, Samples]) -> dict[str, torch.Size]:
        """Show two samples: learn how large each unit's numbers are, and whether the model answers alike twice.

        The first pass is whole: only that can tell whether a layer is called twice.
        """

        def large(x: Tensor) -> Tensor:
            return self.keep(x if x.dtype == torch.bool else x.abs())

        seen: list[dict[str, Tensor]] = []
        for keep in (large, self.keep, self.keep):
            with Capture(self.model, self.layers, keep) as capture:
                self._try(lambda c=capture: seen.append(c.run(lambda: self.show(two))), two)  # type: ignore[misc]
        for layer, x in seen[0].items():
            if len(x) != 2:
                raise _wrong(layer, len(x), 2)
            self.sizes[layer] = x.double().mean(0)
        if not all(_alike(x, seen[2][layer]) for layer, x in seen[1].items()):
            self.notes.append("the model draws random numbers in evaluation mode, which count as synergy")
        return {layer: x.shape for layer, x in seen[0].items()}

    def _may_stop(self, capture: Capture, two: Mapping[str, Samples]) -> bool:
        """Try whether passes may end once every layer was seen: not where a model keeps something from pass to pass."""
        turned = {s: pick(x, torch.tensor([1, 0])) for s, x in two.items()}
        seen: list[dict[str, Tensor]] = []
        with untouched(self.model):  # what the trial leaves in the model is taken back
            for shown, stop in ((two, False), (turned, True), (two, True)):
                self._try(
                    lambda x=shown, s=stop: seen.append(capture.run(lambda: self.show(x), stop=s)),  # type: ignore[misc]
                    two,
                )
        return all(_alike(x, seen[2][layer]) for layer, x in seen[0].items())

    def _apart(self, model: FusionNetwork, blocks: Blocks) -> Generator[Answers]:
        """Each pathway runs once an anchor, what follows once a combination."""
        device, dtype = home(model)
        sources = list(blocks.index)
        own = {s: [x for x in self.layers if x.startswith((f"pathways.{s}.", f"pathways.{s}#", f"pathways.{s}:"))
                   or x == f"pathways.{s}"] for s in sources}  # fmt: skip
        rest = [x for x in self.layers if not any(x in some for some in own.values())]
        captures = {s: Capture(model, layers, self.keep) for s, layers in own.items() if layers}
        met = Capture(model, rest, self.keep) if rest else None
        two = {s: pick(blocks.values(s, 0, 1, device, dtype), torch.arange(2)) for s in sources}
        self._look(two)
        answers = self._size(lambda: self._try(lambda: self.show(two), two), two)
        step = max(1, answers // len(self.design.points))
        for start in range(0, len(blocks), step):
            stop = min(start + step, len(blocks))
            encoded = {}
            for axis, s in enumerate(sources):
                x = blocks.values(s, start, stop, device, dtype)
                encoded[s], seen = self._encode(s, model.pathways[s], x, captures.get(s), answers)
                if seen:
                    places = self._places(stop - start, axis, _device(x))
                    alike = {layer: response.index_select(0, places) for layer, response in seen.items()}
                    yield start, {s: x.reshape(stop - start, -1, *x.shape[1:]) for s, x in alike.items()}
            if met is not None:
                with met:
                    joined = self._met(met, model.join, encoded, stop - start, answers, early=True)
                yield start, joined

    def _met(
        self, capture: Capture, show: Show, anchors: Mapping[str, Samples], blocks: int, answers: int, early: bool
    ) -> dict[str, Tensor]:
        """Show all combinations of the design of some blocks, at most `answers` in a pass."""
        points = len(self.design.points)
        seen: list[dict[str, Tensor]] = []
        for first in range(0, blocks * points, answers):
            some = slice(first, first + answers)
            shown = {
                s: pick(x, self._places(blocks, axis, _device(x))[some]) for axis, (s, x) in enumerate(anchors.items())
            }
            self._try(
                lambda x=shown: seen.append(capture.run(lambda: show(x), stop=early)),  # type: ignore[misc]
                shown,
            )
        met = {}
        for layer in seen[0]:
            units = seen[0][layer] if len(seen) == 1 else torch.cat([part[layer] for part in seen])
            if len(units) != blocks * points:
                raise _wrong(layer, len(units), blocks * points)
            met[layer] = units.reshape(blocks, points, *units.shape[1:])
        return met

    def _places(self, blocks: int, axis: int, device: torch.device) -> Tensor:
        """Return which anchor, counted over blocks, stands for a source in each answer: (blocks * points,)."""
        levels = self.design.levels
        starts = torch.arange(blocks, device=device).unsqueeze(1) * levels
        return (starts + self.design.points[:, axis].to(device)).flatten()

    def _size(self, run: Callable[[], Any], two: Mapping[str, Samples]) -> int:
        """Return how many answers fit one forward pass, from the most numbers a sample has anywhere."""
        numbers = max(widest(self.model, run, 2), *(size(x) for x in two.values()), 1)
        if self.chunk is not None:
            return self.chunk
        room = WIDEST_CPU if _device(next(iter(two.values()))).type == "cpu" else WIDEST_DEVICE
        return max(1, min(MOST_ANSWERS, room // numbers))

    def _encode(
        self, source: str, pathway: nn.Module, x: Samples, capture: Capture | None, most: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Run a pathway on its anchors; return its output and what was kept of its layers, all (anchors, ...)."""
        outputs: list[Tensor] = []
        seen: list[dict[str, Tensor]] = []

        def run(piece: Samples) -> None:
            if capture is None:
                outputs.append(pathway(piece))
                return
            with capture:
                seen.append(capture.run(lambda: outputs.append(pathway(piece))))

        for piece in torch.split(x, most) if isinstance(x, Tensor) else [x]:
            self._try(lambda some=piece: run(some), {source: piece})  # type: ignore[misc]
        kept = {layer: torch.cat([part[layer] for part in seen]) for layer in seen[0]} if seen else {}
        return (outputs[0] if len(outputs) == 1 else torch.cat(outputs)), kept

    def _try(self, run: Callable[[], Any], two: Mapping[str, Samples]) -> None:
        """Run a pass; what the model raises becomes one sentence."""
        try:
            run()
        except (ChiasmError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever a user's forward may raise
            if "allocate" in str(error):
                raise
            line = (str(error).strip().splitlines() or [""])[0]
            raise ChiasmError(
                f"the model raised {type(error).__name__} ({line}) when shown {told(two)}; give the sources as the "
                "model wants them, or forward=(model, sources) -> output"
            ) from error


def _wrong(layer: str, answers: int, samples: int) -> ChiasmError:
    return ChiasmError(
        f"layer '{layer}' gave {answers} answers to {samples} samples; the first axis of its output must be the samples"
    )


def _alike(x: Tensor, y: Tensor) -> bool:
    """Whether two answers are the same but for rounding, whose order may change on a GPU."""
    if x.shape != y.shape:
        return False
    largest = float(x.abs().nan_to_num(0, 0, 0).max()) if x.numel() else 0.0
    return torch.allclose(x, y, rtol=1e-3, atol=1e-5 * largest, equal_nan=True)


def home(model: nn.Module) -> tuple[torch.device | None, torch.dtype | None]:
    """Return where the model's parameters and buffers are, and the floating dtype of the first of them that has one."""
    held = [*model.parameters(), *model.buffers()]
    floating = [x.dtype for x in held if x.is_floating_point()]
    return (held[0].device if held else None), (floating[0] if floating else None)


def _device(x: Samples) -> torch.device:
    leaf = x
    while not isinstance(leaf, Tensor):
        leaf = next(iter(leaf.values())) if isinstance(leaf, Mapping) else leaf[0]
    return leaf.device
