"""In which numbers a network is trained: float32, or bfloat16 where the machine multiplies it faster."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from chiasm.networks import Network
from chiasm.training.settings import Precision


def resolved(asked: Precision, network: Network, device: str) -> Precision:
    """Return what "auto" means for a network on this machine: part of a run's identity, as it decides its bits.

    "auto" is bfloat16 for networks that call themselves large where the processor or GPU has
    instructions for it, and float32 for all others, whose steps it does not shorten.
    """
    if asked != "auto":
        return asked
    return "bfloat16" if network.large and _multiplies_bfloat16(device) else "float32"


def mixed(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return what a forward pass runs in: weights stay float32, products are taken in the precision asked for."""
    if precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def channels_last(sources: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Lay the pictures of one row, (1, samples, channels, height, width), with channels last in memory."""
    laid = {}
    for name, x in sources.items():
        picture = x.dim() == 5 and len(x) == 1
        laid[name] = x[0].contiguous(memory_format=torch.channels_last).unsqueeze(0) if picture else x
    return laid


def _multiplies_bfloat16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)
    # Private, but torch has no public word for it; where it is missing, float32 is never wrong.
    asks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(ask() for ask in asks if ask is not None)
