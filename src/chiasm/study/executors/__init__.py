"""Executors: who trains the shares of a plan; the store is where their results meet."""

from chiasm.study.executors.executor import EXECUTORS, Executor, Job
from chiasm.study.executors.shares import default_workers, shares
from chiasm.study.executors.train import train

__all__ = ["EXECUTORS", "Executor", "Job", "default_workers", "shares", "train"]
