"""Executors: who trains the shares of a plan; the store is where their results meet."""

from chiasm.study.executors.dispatch import train
from chiasm.study.executors.executor import EXECUTORS, Executor, Job
from chiasm.study.executors.sharing import default_workers, shares

__all__ = ["EXECUTORS", "Executor", "Job", "default_workers", "shares", "train"]
