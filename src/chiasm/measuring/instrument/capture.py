"""Capturing the outputs of named layers in a forward pass, by hooks that never outlive it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, final
from weakref import ref

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from chiasm.errors import ChiasmError
from chiasm.measuring.instrument.addresses import Address, addressed, tensor_at, tensors_in


class _StopPass(BaseException):
    """Ends a pass that needs no more layers; not an Exception, so that a model that handles errors lets it through."""


@final
class Capture:
    """A context that captures the outputs of layers; on leaving it, also by an error, every hook is removed.

    Args:
        model: the module whose layers are captured; wrappers (`DataParallel`, `torch.compile`) are unwrapped.
        layers: addresses (see `addressed`): "fusion", "act#1" (the second call), "encoder:last_hidden_state" (a part of
            the output), "" (the model's output), ":logits" (a part of that).
        keep: what to keep of a layer's output, called inside the forward pass; by default all of it. What is kept is
            copied where it shares memory with the output, so that an in-place activation that follows cannot reach it.

    Raises:
        ChiasmError: no layer, a layer given twice, or one the model lacks.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True), nn.LSTM(3, 4))
    >>> with Capture(net, ["0", "", "2:1.0"]) as capture:
    ...     outputs = capture.run(lambda: net(torch.ones(5, 2))[0])
    >>> {name: tuple(x.shape) for name, x in outputs.items()}
    {'0': (5, 3), '': (5, 4), '2:1.0': (1, 4)}
    """

    def __init__(self, model: nn.Module, layers: Sequence[str], keep: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        self._addresses = addressed(model, layers)
        self._keep = keep
        self._handles: list[RemovableHandle] = []
        self._by_module: dict[nn.Module, list[Address]] = {}
        for address in self._addresses:
            if address.module is not None:
                self._by_module.setdefault(address.module, []).append(address)
        self._begin(stop=False)

    def _begin(self, stop: bool) -> None:
        self._stop = stop
        self._captured: dict[str, Tensor] = {}
        self._refused: dict[str, ChiasmError] = {}
        self._same: list[tuple[ref[Tensor], int, Tensor]] = []
        self._calls: dict[nn.Module, int] = dict.fromkeys(self._by_module, 0)

    def __enter__(self) -> Capture:
        for module in self._by_module:
            # The base class's method: a TorchScript module's own refuses, though it is heeded where Python calls it.
            self._handles.append(nn.Module.register_forward_hook(module, self._hook))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._begin(stop=False)

    def run(self, forward: Callable[[], Any], stop: bool = False) -> dict[str, Tensor]:
        """Run one forward pass and return what was kept of each layer, in the order of the layers.

        Args:
            forward: runs the pass; what it returns is the model's output, used only where "" or ":part" is asked for.
            stop: end the pass as soon as every layer was captured. Only a complete pass shows whether a layer is called
                twice, so the first one should be complete. Where the model's output is asked for, every pass is.

        Raises:
            ChiasmError: a layer was not called, or called several times without a choice of the call; or its output
                is not a tensor that can be measured.
        """
        outputs = [address for address in self._addresses if address.module is None]
        self._begin(stop)
        try:
            with suppress(_StopPass):
                output = forward()
                for address in outputs:
                    self._take(address, output)
            for address in self._addresses:
                self._check(address)
            return {address.text: self._captured[address.text] for address in self._addresses}
        finally:
            self._begin(stop=False)

    def _hook(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        call = self._calls[module]
        self._calls[module] = call + 1
        for address in self._by_module[module]:
            if call == (address.call or 0):
                self._take(address, output)
        if self._stop and len(self._captured) + len(self._refused) == len(self._addresses):
            raise _StopPass

    def _take(self, address: Address, output: Any) -> None:
        # An error is raised after the pass: only then is it known how often the layer is called.
        try:
            tensor = tensor_at(address, output)
            version = -1 if tensor.is_inference() else tensor._version
            for other, when, kept in self._same:
                # A module that hands its input on, a dropout in evaluation mode or a sequence's last layer.
                if other() is tensor and when == version >= 0:
                    self._captured[address.text] = kept
                    return
            x = tensor.detach()
            kept = self._keep(x)
        except ChiasmError as error:
            self._refused[address.text] = error
            return
        shared = kept.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
        self._captured[address.text] = kept.clone() if shared else kept
        self._same.append((ref(tensor), version, self._captured[address.text]))

    def _check(self, address: Address) -> None:
        module = address.module
        if module is not None:
            calls = self._calls[module]
            if calls == 0:
                raise ChiasmError(f"{address.subject} was not called in the forward pass; {_why_never(module)}")
            if address.call is not None and address.call >= calls:
                raise ChiasmError(
                    f"layer '{address.text}': '{address.name}' is called {_times(calls)} in one forward pass, and "
                    f"calls are counted from 0; the last is '{address.at(calls - 1, address.part)}'"
                )
            # With `stop` the pass may have ended after the first call, and what comes later is not known.
            if address.call is None and calls > 1:
                raise ChiasmError(
                    f"{address.subject} is called {calls} times in one forward pass; name one call: "
                    f"'{address.at(0, address.part)}' ... '{address.at(calls - 1, address.part)}'"
                )
        if address.text in self._refused:
            raise self._refused[address.text]


def _times(calls: int) -> str:
    return "once" if calls == 1 else f"{calls} times"


def _why_never(module: nn.Module) -> str:
    if isinstance(module, torch.jit.ScriptModule):
        return "what TorchScript runs inside itself cannot be caught; name the whole scripted module, or ''"
    if isinstance(module, nn.ModuleList | nn.ModuleDict):
        return f"a {type(module).__name__} only holds layers; name one of those"
    return "a layer whose parent uses its weights without calling it is never called; name one that is"


def widest(model: nn.Module, forward: Callable[[], Any], samples: int) -> int:
    """Return the size per sample of the largest output of any module of `model` in one forward pass.

    Args:
        model: the module; tensors in tuples, mappings and dataclasses count.
        forward: runs the pass.
        samples: the number of samples in that pass.

    >>> net = nn.Sequential(nn.Linear(3, 40), nn.Linear(40, 2))
    >>> widest(net, lambda: net(torch.ones(5, 3)), 5)
    40
    """
    largest = 1

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal largest
        for _, x in tensors_in(output):
            largest = max(largest, -(-x.numel() // samples))

    handles = [nn.Module.register_forward_hook(module, hook) for module in model.modules()]
    try:
        forward()
    finally:
        for handle in handles:
            handle.remove()
    return largest
