"""A subset of a labelled set with as equal numbers of each class as can be."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def quotas(counts: Sequence[int], total: int) -> list[int]:
    """Share a number of samples among classes as equally as their sizes allow.

    Args:
        counts: how many samples each class has.
        total: how many to take, at most all.

    Returns:
        How many to take of each class; what cannot be shared equally goes to the first classes that have more. Taking
        more never takes less of a class.

    >>> quotas([9, 2, 9], 9)
    [4, 2, 3]
    """
    low, high = 0, max(counts)
    while low < high:  # the largest level that all classes may be filled to
        level = (low + high + 1) // 2
        low, high = (level, high) if sum(min(level, n) for n in counts) <= total else (low, level - 1)
    taken = [min(low, n) for n in counts]
    for i, n in enumerate(counts):
        if n > low and sum(taken) < total:
            taken[i] += 1
    return taken


def subset(target: Tensor, classes: int, total: int | None, generator: torch.Generator) -> Tensor:
    """Draw samples, class by class to its quota.

    Args:
        target: (samples,) classes in [0, classes).
        classes: how many there are.
        total: how many samples to draw; None: all, and nothing is drawn.
        generator: decides which; with equal generators a smaller subset is part of a larger one.

    Returns:
        (total,) indices in rising order.
    """
    if total is None or total == len(target):
        return torch.arange(len(target))
    order = torch.randperm(len(target), generator=generator)
    shuffled = target[order]
    wanted = quotas(torch.bincount(target, minlength=classes).tolist(), total)
    chosen = [order[shuffled == c][:n] for c, n in enumerate(wanted)]
    return torch.cat(chosen).sort().values
