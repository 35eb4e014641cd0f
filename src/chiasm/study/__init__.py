"""Studies: the file, the tree of phases, the store, the engine, the results."""

from chiasm.study.results import Results, Units
from chiasm.study.run import run_study
from chiasm.study.spec import Arm, Cell, Settings, Study, shipped

__all__ = ["Arm", "Cell", "Results", "Settings", "Study", "Units", "run_study", "shipped"]
