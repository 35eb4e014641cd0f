"""Training what a store lacks, by an executor where that pays."""

from __future__ import annotations

import torch

from chiasm.study.engine import Engine
from chiasm.study.executors.executor import EXECUTORS, Job
from chiasm.study.executors.sharing import default_workers, shares
from chiasm.study.progress import Silent
from chiasm.training import ALONE, Ranks


def train(job: Job, workers: int | None = None, executor: str = "local", ranks: Ranks = ALONE) -> Engine:
    """Train what the store lacks and return the engine that knows all nodes.

    Args:
        job: what is to be trained.
        workers: how many shares to train at once; None: one a processor that we may use, or one for a GPU.
        executor: the tag of who trains the shares, where there are several.
        ranks: the processes that torchrun has started: they train every row together instead.
    """
    missing = {key for key in job.plan.nodes if not job.store.path(key).exists()}
    parts = shares(job.plan, missing, workers or default_workers(job.device)) if ranks.size == 1 else []
    engine = Engine(job.plan, job.store, job.device, job.rows, job.watcher, ranks=ranks)
    before = torch.get_num_threads()
    try:
        if job.device.type == "cpu":
            torch.set_num_threads(job.threads)
        chosen = EXECUTORS[executor]()
        if len(parts) > 1 or (parts and missing and chosen.takes_all):
            chosen.execute(job, parts)
            job.store.flush()
            engine.watcher = Silent()  # what is left is to read what the executor wrote
        engine.run()
    finally:
        torch.set_num_threads(before)
    return engine
