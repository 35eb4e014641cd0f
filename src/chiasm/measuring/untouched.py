"""A guest leaves a model, and every stream of random numbers, as it found them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from chiasm.randomness import stream_seed


@contextmanager
def untouched(model: nn.Module, seed: int = 0) -> Iterator[None]:
    """Inside the block the model is in evaluation mode, without gradients, and randomness is the block's own.

    After it, also after an error, each submodule has its own mode back, buffers hold the bits they held in the tensors
    they were held in, and the random streams of torch (CPU and the model's CUDA devices), numpy and Python stand where
    they stood. Parameters are not written to, as nothing in evaluation mode and without gradients does.

    Args:
        model: the model to be guest of.
        seed: seeds the block's streams, so that a model that draws in evaluation mode gives the same numbers each time.

    >>> net = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)).train()
    >>> with untouched(net):
    ...     print(net[0].training)
    False
    >>> net[0].training
    True
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, buffer.clone(), _version(buffer))
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    devices = sorted({x.device.index for x in (*model.parameters(), *model.buffers()) if x.is_cuda})
    with _own_streams(seed, devices), torch.no_grad():
        try:
            for module, _ in modes:
                module.training = False
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for module, name, buffer, before, version in buffers:
                if _version(buffer) != version:
                    buffer.copy_(before)
                module._buffers[name] = buffer


def _version(x: Tensor) -> int:
    # Tensors made in inference mode do not count their changes.
    return -1 if x.is_inference() else x._version


@contextmanager
def _own_streams(seed: int, devices: list[int]) -> Iterator[None]:
    # Generators are seeded one by one: torch.manual_seed would also seed devices whose state is not put back here.
    ours = stream_seed(seed, "measure")
    python, old_numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = [(device, torch.cuda.get_rng_state(device)) for device in devices]
    try:
        random.seed(ours)
        np.random.seed(ours % 2**32)
        torch.default_generator.manual_seed(ours)
        for device, _ in cuda:
            torch.cuda.default_generators[device].manual_seed(ours)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(old_numpy)
        torch.set_rng_state(cpu)
        for device, state in cuda:
            torch.cuda.set_rng_state(state, device)
