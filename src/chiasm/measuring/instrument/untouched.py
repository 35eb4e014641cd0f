"""A context that restores a model, and every stream of random numbers, to the state before it."""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy

from chiasm.errors import ChiasmError
from chiasm.networks.calling import unwrapped
from chiasm.randomness import stream_seed

__all__ = ["untouched", "unwrapped"]

# Bytes of parameters up to which a copy is taken, so that a model that writes to them as it runs (a weight clamped or
# normalised in place) gets them back. Beyond it a second set of weights may not fit the device.
MOST_COPIED = 2**30


@contextmanager
def untouched(model: nn.Module, seed: int = 0) -> Iterator[None]:
    """Inside the block the model is in evaluation mode, without gradients, and randomness is the block's own.

    After it, also after an error, everything is restored: each submodule's mode, its attributes, the contents of its
    lists and dicts, and the state of its random generators; the bits of parameters (of all together up to 1 GiB; beyond
    that a model must not write to them itself), buffers and other tensors, in the same tensors; gradients, and which
    parameters require them; and the random streams of torch (CPU, CUDA, MPS), numpy and Python. Hooks of the user stay
    active.

    Inside, nothing stands between hooks and layers, nor between the numbers and the model: what is compiled runs
    eagerly, attention takes no path that skips its layers, a parallel wrapper stays on one device, and `torch.autocast`
    around the block is off, so that the model runs in its own precision. (A model that needs autocast can be given a
    `forward` that switches it on.)

    Args:
        model: the model that is measured inside the block.
        seed: seeds the block's streams, so that a model that draws in evaluation mode gives the same numbers each time.

    Raises:
        ChiasmError: the model has lazy parameters without a shape yet.

    >>> net = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)).train()
    >>> with untouched(net):
    ...     print(net[0].training)
    False
    >>> net[0].training
    True
    """
    if any(is_lazy(x) for x in (*model.parameters(), *model.buffers())):
        raise ChiasmError("the model has lazy layers that have no shape yet; run one batch through it first")
    with ExitStack() as stack:
        stack.enter_context(_own_streams(seed))
        stack.enter_context(torch.no_grad())
        stack.enter_context(_eager_layers())
        state = _ModelState(model)
        stack.callback(state.restore)
        for parameter in model.parameters():
            parameter.grad = None
        for module in list(model.modules()):
            module.training = False
            if isinstance(module, DataParallel):
                module.device_ids = []
            elif isinstance(module, DistributedDataParallel):
                module.require_forward_param_sync = False  # other processes do not measure along
        yield


@contextmanager
def _eager_layers() -> Iterator[None]:
    """Run the layers of models as they are written: no compiler, no fused attention, no autocast."""
    with ExitStack() as stack:
        # Nothing was compiled where torch's compiler was never imported, and importing it takes a second or more.
        if "torch._dynamo.eval_frame" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        for device in ("cpu", "cuda", "mps", "xpu"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        fast = torch.backends.mha.get_fastpath_enabled()
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        yield


@final
class _ModelState:
    """The state of a model: what its modules contain, and the bits of its tensors."""

    def __init__(self, model: nn.Module) -> None:
        self._modes = [(module, module.training) for module in model.modules()]
        self._contents = [_Contents(vars(module)) for module in model.modules()]
        for module in model.modules():
            self._contents += [_Contents(v) for v in vars(module).values() if type(v) in CONTAINERS]
        # A TorchScript module keeps its buffers out of Python's sight.
        self._scripted = [
            (module, dict(module.named_buffers(recurse=False)))
            for module in model.modules()
            if isinstance(module, torch.jit.ScriptModule)
        ]
        parameters = list(model.parameters())
        self._parameters = [(p, p.requires_grad, p.grad) for p in parameters]
        others = [x for contents in self._contents for x in contents.values() if isinstance(x, Tensor)]
        self._streams = [
            back for contents in self._contents for x in contents.values() if (back := _stream(x)) is not None
        ]
        others += [x for _, buffers in self._scripted for x in buffers.values()]
        copied = sum(p.numel() * p.element_size() for p in parameters) <= MOST_COPIED
        parameter_ids = {id(p) for p in parameters}
        tensors = {id(x): x for x in (*parameters, *others)}
        self._tensors = [_TensorState(x, copied or id(x) not in parameter_ids) for x in tensors.values()]

    def restore(self) -> None:
        for contents in self._contents:
            contents.restore()
        for module, mode in self._modes:
            module.training = mode
        for module, buffers in self._scripted:
            for name, buffer in buffers.items():
                if getattr(module, name) is not buffer:
                    setattr(module, name, buffer)
        for tensor in self._tensors:
            tensor.restore()
        for restore_stream in self._streams:
            restore_stream()
        for parameter, requires_grad, grad in self._parameters:
            if parameter.requires_grad != requires_grad:
                parameter.requires_grad_(requires_grad)
            if parameter.grad is not grad:
                parameter.grad = grad


CONTAINERS = (dict, OrderedDict, defaultdict, list, set, deque)


@final
class _Contents:
    """The contents of a dict, list, set or deque."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self._items = list(container.items()) if isinstance(container, dict) else list(container)

    def values(self) -> Iterator[Any]:
        return (v for _, v in self._items) if isinstance(self._container, dict) else iter(self._items)

    def restore(self) -> None:
        container, items = self._container, self._items
        if isinstance(container, dict):
            before = dict(items)
            for key in [key for key in container if key not in before]:
                del container[key]
            for key, value in items:
                if key not in container or container[key] is not value:
                    container[key] = value
        elif len(container) != len(items) or any(a is not b for a, b in zip(container, items, strict=True)):
            container.clear()
            (container.update if isinstance(container, set) else container.extend)(items)


def _stream(x: Any) -> Callable[[], object] | None:
    """Return a function that restores the present state of a random generator; None: x is no generator."""
    if isinstance(x, torch.Generator):
        return partial(x.set_state, x.get_state())
    if isinstance(x, np.random.Generator):
        return partial(setattr, x.bit_generator, "state", x.bit_generator.state)
    if isinstance(x, np.random.RandomState):
        return partial(x.set_state, x.get_state())
    return partial(x.setstate, x.getstate()) if type(x) is random.Random else None


@final
class _TensorState:
    """The bits of a tensor, and the memory that contains them."""

    def __init__(self, x: Tensor, copied: bool) -> None:
        plain = type(x) in (Tensor, nn.Parameter) and x.layout is torch.strided and not (x.is_meta or x.is_nested)
        self._tensor = x
        # Another tensor on the same memory: it stays there when a model replaces `x.data`.
        self._data = x.data if plain else None
        self._before = _memory(x).clone() if plain and copied else None

    def restore(self) -> None:
        if self._data is None:
            return
        x, data = self._tensor, self._data
        where = (x.data_ptr(), x.shape, x.stride(), x.dtype, x.device)
        if where != (data.data_ptr(), data.shape, data.stride(), data.dtype, data.device):
            x.data = data
        if self._before is not None and not torch.equal(now := _memory(data), self._before):
            now.copy_(self._before)


def _memory(x: Tensor) -> Tensor:
    """Return the whole memory under a tensor as whole numbers, whatever the tensor's own shape, strides and type."""
    memory = torch.empty(0, dtype=torch.uint8, device=x.device).set_(x.untyped_storage())
    # Compared eight bytes at a time, five times as fast as one at a time.
    return memory.view(torch.int64) if len(memory) % 8 == 0 else memory


@contextmanager
def _own_streams(seed: int) -> Iterator[None]:
    # Generators are seeded one by one: torch.manual_seed would also seed devices whose state is not restored here.
    ours = stream_seed(seed, "measure")
    generators = list(_generators())
    states = [each.get_state() for each in generators]
    python, old_numpy = random.getstate(), np.random.get_state()
    try:
        random.seed(ours)
        np.random.seed(ours % 2**32)
        for each in generators:
            each.manual_seed(ours)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(old_numpy)
        for each, state in zip(generators, states, strict=True):
            each.set_state(state)


def _generators() -> Iterator[torch.Generator]:
    """Yield torch's global generators: the CPU's, and those of the devices that have been started."""
    yield torch.default_generator
    yield from torch.cuda.default_generators  # none before the first use of a device, which has drawn nothing then
    if torch.backends.mps.is_available():
        yield torch.mps._get_default_mps_generator()
