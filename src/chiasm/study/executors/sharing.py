"""Shares of a plan: parts of about equal work that can be trained apart."""

from __future__ import annotations

import os

import torch

from chiasm.study.effort import seconds_a_step
from chiasm.study.plan import Plan

WORTH_A_PROCESS = 5.0  # seconds of work: about twice what a new process takes to begin


def default_workers(device: torch.device) -> int:
    """Return how many processes to use: one a processor that we may use, or one for a GPU."""
    if device.type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shares(plan: Plan, missing: set[str], count: int) -> list[list[str]]:
    """Split the missing nodes into `count` shares of about equal work; what grows from one branch stays together.

    Returns:
        Keys of nodes by share, fewer shares where there are fewer branches. Roots are cheap and stand in all of them.
    """
    if count == 1:
        return [[key for key in plan.nodes if key in missing]]
    roots = [key for key, node in plan.nodes.items() if node.parent is None and key in missing]
    branch: dict[str, str] = {}
    work: dict[str, float] = {}
    cost: dict[str, float] = {}  # of an epoch, by what a stack has in common
    for key, node in plan.nodes.items():
        if node.parent is None or node.leg is None:
            continue
        branch[key] = branch.get(node.parent, key)
        if key in missing:
            root = node.path.root
            if root.signature not in cost:
                steps = -(-root.about.train // root.settings.training.batch)
                cost[root.signature] = steps * seconds_a_step(root)
            work[branch[key]] = work.get(branch[key], 0) + (node.leg.stop - node.leg.start) * cost[root.signature]
    count = min(count, max(1, len(work)), max(1, int(sum(work.values()) / WORTH_A_PROCESS)))
    loads = [0.0] * count
    owner: dict[str, int] = {}
    for key in sorted(work, key=lambda key: (-work[key], key)):
        least = loads.index(min(loads))
        owner[key] = least
        loads[least] += work[key]
    return [[*roots, *(k for k, b in branch.items() if k in missing and owner[b] == i)] for i in range(count)]
