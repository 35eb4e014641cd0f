"""Studies: the file, the tree of phases, the store, the engine, the results."""

from chiasm.study.arm import Arm
from chiasm.study.results import Results, Units
from chiasm.study.run import run_study
from chiasm.study.settings import Settings
from chiasm.study.spec import Cell, Study, shipped

__all__ = ["Arm", "Cell", "Results", "Settings", "Study", "Units", "run_study", "shipped"]
