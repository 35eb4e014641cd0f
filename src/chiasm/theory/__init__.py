"""Exact dynamics of linear networks of several sources, batched over whole planes of deficits."""

from chiasm.theory.modes import Modes, half_rise, modes
from chiasm.theory.modes_curve import rise, strength
from chiasm.theory.modes_examples import PROPERTIES, TASKS, hierarchy
from chiasm.theory.modes_recovery import Recovery, recovery
from chiasm.theory.modes_study import LinearModes, ModesResult
from chiasm.theory.modes_task import LinearTask, task

__all__ = [
    "PROPERTIES",
    "TASKS",
    "LinearModes",
    "LinearTask",
    "Modes",
    "ModesResult",
    "Recovery",
    "half_rise",
    "hierarchy",
    "modes",
    "recovery",
    "rise",
    "strength",
    "task",
]
