"""Processes that train the same rows together, each on its part of every batch: data parallelism, under torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from chiasm.errors import ChiasmError


@dataclass(frozen=True, slots=True)
class Ranks:
    """One process among those that train together; alone by default, and then nothing is exchanged.

    Every process holds the same weights and takes the same steps. Batch statistics and the draws of deficits and
    augmentation are each process's own, so bits are those of so many processes, not those of one.

    Attributes:
        rank: which process this is, from 0; the first one measures and writes.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process measures and writes."""
        return self.rank == 0

    def purpose(self, name: str) -> str:
        """Return what a stream of random draws is called in this process."""
        return name if self.first else f"{name} of rank {self.rank}"

    def part(self, chosen: Tensor) -> Tensor:
        """Return this process's samples of a batch: (rows, k) -> (rows, about k / size)."""
        return chosen if self.size == 1 else chosen[:, self.rank :: self.size]

    def mean(self, grads: Sequence[Tensor | None], weight: float) -> list[Tensor | None]:
        """Return gradients of the whole batch's mean loss, from each process's own.

        Args:
            grads: of the mean loss of this process's part; None where the loss does not depend on a weight.
            weight: its samples as a share of the batch.
        """
        if self.size == 1:
            return list(grads)
        given = [g for g in grads if g is not None]
        flat = torch.cat([g.reshape(-1) for g in given]).mul_(weight)
        distributed.all_reduce(flat)
        pieces = iter(torch.split(flat, [g.numel() for g in given]))
        return [None if g is None else next(pieces).view_as(g) for g in grads]

    def total(self, x: Tensor) -> Tensor:
        """Return the sum over processes."""
        if self.size > 1:
            distributed.all_reduce(x)
        return x

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.size > 1:
            distributed.barrier()


ALONE = Ranks()


def under_torchrun() -> bool:
    """Whether torchrun has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def first_rank() -> bool:
    """Whether this process is alone or the first of those that torchrun has started: the one that speaks and writes."""
    return not under_torchrun() or os.environ["RANK"] == "0"


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Ranks, torch.device]]:
    """Join the processes that torchrun has started, if it has: which one this is, and the device that it takes.

    Raises:
        ChiasmError: there are more processes on this machine than GPUs, or they do not find each other.
    """
    if not under_torchrun():
        yield ALONE, device
        return
    if device.type == "cuda":
        own, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if own >= there:
            raise ChiasmError(f"torchrun started process {own} here, but there are {there} GPUs; expected one a GPU")
        device = torch.device("cuda", own)
        torch.cuda.set_device(device)
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise ChiasmError(f"the processes of torchrun do not find each other: {error}") from error
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size()), device
    finally:
        distributed.destroy_process_group()
