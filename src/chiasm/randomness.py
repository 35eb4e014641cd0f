"""Every random draw has an address: (seed, purpose, epoch, step). No stream depends on what was drawn before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def stream_seed(seed: int, purpose: str, epoch: int = 0, step: int = 0) -> int:
    """Hash an address into a seed.

    Args:
        seed: the replicate's seed.
        purpose: what is drawn ("order", "deficit 0", "init"); different purposes never share a stream.
        epoch: the epoch, from 0.
        step: the step within the epoch, from 0.

    Returns:
        An integer in [0, 2**63). torch's CPU generator keeps the low 32 bits, its CUDA generator all of them.
    """
    address = f"{seed}\x1f{purpose}\x1f{epoch}\x1f{step}".encode()
    return int.from_bytes(hashlib.blake2b(address, digest_size=8).digest(), "little") >> 1


def generator(
    seed: int, purpose: str, epoch: int = 0, step: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return a generator that stands at the beginning of the stream at this address (see `stream_seed`)."""
    return torch.Generator(device=device).manual_seed(stream_seed(seed, purpose, epoch, step))


@contextmanager
def seeded_globals(seed: int, purpose: str, epoch: int = 0, step: int = 0) -> Iterator[None]:
    """Seed torch's global generators inside the block and put them back as they were after it.

    For code that cannot be handed a generator: a module's own initialisation, dropout.
    """
    if torch.accelerator.is_available():
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, purpose, epoch, step))
            yield
        return
    # torch.manual_seed notes where it was called from, for devices that might come to be used: 2 ms that no CPU needs.
    before = torch.default_generator.get_state()
    try:
        torch.default_generator.manual_seed(stream_seed(seed, purpose, epoch, step))
        yield
    finally:
        torch.default_generator.set_state(before)
