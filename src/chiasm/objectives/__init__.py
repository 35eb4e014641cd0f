"""Objectives: what training asks of a network, and the outcome that tells how well it answers."""

from chiasm.objectives.classify import Classify
from chiasm.objectives.heads import read
from chiasm.objectives.judged import Judged
from chiasm.objectives.objective import OBJECTIVES, Objective
from chiasm.objectives.outcome import Outcome
from chiasm.objectives.reconstruct import Reconstruct
from chiasm.objectives.regress import Regress
from chiasm.objectives.squares import Squares
from chiasm.objectives.sum import Sum

__all__ = [
    "OBJECTIVES",
    "Classify",
    "Judged",
    "Objective",
    "Outcome",
    "Reconstruct",
    "Regress",
    "Squares",
    "Sum",
    "read",
]
