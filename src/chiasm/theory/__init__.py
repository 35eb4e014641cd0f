"""Exact dynamics of linear networks of several sources, batched over whole planes of deficits."""

from chiasm.theory.modes import Modes, half_rise, modes
from chiasm.theory.modes_curve import rise, strength
from chiasm.theory.modes_examples import PROPERTIES, TASKS, hierarchy
from chiasm.theory.modes_recovery import Recovery, recovery
from chiasm.theory.modes_study import LinearModes, ModesResult
from chiasm.theory.modes_task import LinearTask, task
from chiasm.theory.pathways import Pathways, pathways
from chiasm.theory.pathways_allocation import settle, settle_after
from chiasm.theory.pathways_deficit import PathwayDeficit
from chiasm.theory.pathways_descent import PathwayDescent, pathway_descent
from chiasm.theory.pathways_edge import edge_share, edge_steps, sharpness
from chiasm.theory.pathways_flow import PathwayFlow, dominance, pathway_flow
from chiasm.theory.pathways_matrices import MatrixDescent, matrix_descent
from chiasm.theory.pathways_study import LinearPathways
from chiasm.theory.pathways_window import PathwayWindow, pathway_window

__all__ = [
    "PROPERTIES",
    "TASKS",
    "LinearModes",
    "LinearPathways",
    "LinearTask",
    "MatrixDescent",
    "Modes",
    "ModesResult",
    "PathwayDeficit",
    "PathwayDescent",
    "PathwayFlow",
    "PathwayWindow",
    "Pathways",
    "Recovery",
    "dominance",
    "edge_share",
    "edge_steps",
    "half_rise",
    "hierarchy",
    "matrix_descent",
    "modes",
    "pathway_descent",
    "pathway_flow",
    "pathway_window",
    "pathways",
    "recovery",
    "rise",
    "settle",
    "settle_after",
    "sharpness",
    "strength",
    "task",
]
