"""Exact dynamics of linear networks of several sources, batched over whole planes of deficits."""

from chiasm.theory.completion.equations import spectral_rates
from chiasm.theory.completion.plane import CompletionDraw, CompletionPlane, complete
from chiasm.theory.completion.study import MatrixCompletion
from chiasm.theory.completion.task import CompletionTask, block_mask, low_rank, random_mask
from chiasm.theory.fusion.landscape import Landscape, penalty
from chiasm.theory.fusion.network import FusionLayers
from chiasm.theory.fusion.plane import FusionPlane, fuse
from chiasm.theory.fusion.problem import FusionProblem
from chiasm.theory.fusion.steps import FusionSteps, fuse_by_steps
from chiasm.theory.fusion.study import LinearFusion
from chiasm.theory.mode.curve import rise, strength
from chiasm.theory.mode.descent import ModeDescent, mode_descent
from chiasm.theory.mode.examples import PROPERTIES, TASKS, hierarchy
from chiasm.theory.mode.modes import Modes, half_rise, modes
from chiasm.theory.mode.recovery import Recovery, recovery
from chiasm.theory.mode.study import LinearModes, ModesResult
from chiasm.theory.mode.task import LinearTask, task
from chiasm.theory.pathway.allocation import settle, settle_after
from chiasm.theory.pathway.deficit import PathwayDeficit
from chiasm.theory.pathway.descent import PathwayDescent, pathway_descent
from chiasm.theory.pathway.edge import edge_share, edge_steps, sharpness
from chiasm.theory.pathway.flow import PathwayFlow, dominance, pathway_flow
from chiasm.theory.pathway.matrices import MatrixDescent, matrix_descent
from chiasm.theory.pathway.pathways import Pathways, pathways
from chiasm.theory.pathway.study import LinearPathways
from chiasm.theory.pathway.window import PathwayWindow, pathway_window

__all__ = [
    "PROPERTIES", "TASKS", "CompletionDraw", "CompletionPlane", "CompletionTask", "FusionLayers", "FusionPlane",
    "FusionProblem", "FusionSteps", "Landscape", "LinearFusion", "LinearModes", "LinearPathways", "LinearTask",
    "MatrixCompletion", "MatrixDescent", "ModeDescent", "Modes", "ModesResult", "PathwayDeficit", "PathwayDescent",
    "PathwayFlow", "PathwayWindow", "Pathways", "Recovery", "block_mask", "complete", "dominance", "edge_share",
    "edge_steps", "fuse", "fuse_by_steps", "half_rise", "hierarchy", "low_rank", "matrix_descent", "mode_descent",
    "modes", "pathway_descent", "pathway_flow", "pathway_window", "pathways", "penalty", "random_mask", "recovery",
    "rise", "settle", "settle_after", "sharpness", "spectral_rates", "strength", "task",
]  # fmt: skip
