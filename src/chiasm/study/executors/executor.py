"""What every executor is: it trains the shares of a plan, somewhere, into the store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from chiasm.registry import Registry
from chiasm.study.engine import Watcher
from chiasm.study.plan import Plan
from chiasm.study.store import Store


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be trained, into what, with what.

    Attributes:
        plan: the tree.
        store: where nodes are kept; whatever is there when the executor returns counts as done.
        device: where to compute.
        rows: how many runs train at once in a process.
        threads: how many threads a process computes with.
        watcher: receives the progress.
    """

    plan: Plan
    store: Store
    device: torch.device
    rows: int
    threads: int
    watcher: Watcher


class Executor(ABC):
    """Trains the shares of a plan; a kind has a tag, and no state.

    Nodes are known by their keys, and whoever trains one writes the same bits. So an executor has nothing to hand back:
    what the store lacks when it returns, the calling process trains itself.

    Attributes:
        tag: how the command line and `chiasm.run` name it.
        takes_all: whether it is asked even where all work is one share, which the calling process else trains itself.
    """

    tag: ClassVar[str]
    takes_all: ClassVar[bool] = False

    @abstractmethod
    def execute(self, job: Job, shares: Sequence[Sequence[str]]) -> None:
        """Train every share, a list of keys of nodes, and return when all have ended.

        Args:
            job: what is to be trained.
            shares: what belongs together; roots stand in all of them.

        Raises:
            ChiasmError: a share failed; what was trained so far is in the store.
        """


EXECUTORS: Registry[Executor] = Registry("executor", Executor, "chiasm.study.executors")
