"""chiasm: a laboratory bench for critical learning periods in networks that fuse several sources.

Three verbs: `measure` which unit listens to which source, `run` a study of deficits, `report` what it found.
Kinds of one's own derive from `Deficit`, `Task`, `Network`, `Objective`, `Measure`, `Question` or `Executor`.
Names are imported when they are first used, so that `import chiasm` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chiasm import theory
    from chiasm.adapters.injection import Injection, inject
    from chiasm.api import load, run
    from chiasm.deficits import Deficit
    from chiasm.errors import ChiasmError
    from chiasm.measuring import Combined, DependentSources, LayerMeasurement, Measurement, combine, measure
    from chiasm.measuring.information.decoding import decode
    from chiasm.measuring.information.fisher import Fisher, fisher
    from chiasm.measuring.information.rank import rank
    from chiasm.measuring.information.usable import Usable
    from chiasm.measuring.probe import Measure, ProbeInput, ProbeResult
    from chiasm.networks import FusionNetwork, Network
    from chiasm.objectives import Objective, Outcome
    from chiasm.quantity import Quantity
    from chiasm.report import Finding, picture
    from chiasm.report.evidence import Condition, Evidence
    from chiasm.report.questions import Question
    from chiasm.report.yardstick import Yardstick
    from chiasm.sources import Batch, Source
    from chiasm.study import Results, Study
    from chiasm.study.executors import Executor, Job
    from chiasm.tasks import Data, Description, Task
    from chiasm.timeline import Timeline

_HOME = {
    "Batch": "chiasm.sources",
    "ChiasmError": "chiasm.errors",
    "Combined": "chiasm.measuring",
    "Condition": "chiasm.report.evidence",
    "Data": "chiasm.tasks",
    "Deficit": "chiasm.deficits",
    "DependentSources": "chiasm.measuring",
    "Description": "chiasm.tasks",
    "Evidence": "chiasm.report.evidence",
    "Executor": "chiasm.study.executors",
    "Finding": "chiasm.report",
    "Fisher": "chiasm.measuring.information.fisher",
    "FusionNetwork": "chiasm.networks",
    "Injection": "chiasm.adapters.injection",
    "Job": "chiasm.study.executors",
    "LayerMeasurement": "chiasm.measuring",
    "Measure": "chiasm.measuring.probe",
    "Measurement": "chiasm.measuring",
    "Network": "chiasm.networks",
    "Objective": "chiasm.objectives",
    "Outcome": "chiasm.objectives",
    "ProbeInput": "chiasm.measuring.probe",
    "ProbeResult": "chiasm.measuring.probe",
    "Quantity": "chiasm.quantity",
    "Question": "chiasm.report.questions",
    "Results": "chiasm.study",
    "Source": "chiasm.sources",
    "Study": "chiasm.study",
    "Task": "chiasm.tasks",
    "Timeline": "chiasm.timeline",
    "Usable": "chiasm.measuring.information.usable",
    "Yardstick": "chiasm.report.yardstick",
    "combine": "chiasm.measuring",
    "decode": "chiasm.measuring.information.decoding",
    "fisher": "chiasm.measuring.information.fisher",
    "inject": "chiasm.adapters.injection",
    "load": "chiasm.api",
    "measure": "chiasm.measuring",
    "picture": "chiasm.report",
    "rank": "chiasm.measuring.information.rank",
    "run": "chiasm.api",
}

__version__ = version("chiasm")
__all__ = [
    "Batch",
    "ChiasmError",
    "Combined",
    "Condition",
    "Data",
    "Deficit",
    "DependentSources",
    "Description",
    "Evidence",
    "Executor",
    "Finding",
    "Fisher",
    "FusionNetwork",
    "Injection",
    "Job",
    "LayerMeasurement",
    "Measure",
    "Measurement",
    "Network",
    "Objective",
    "Outcome",
    "ProbeInput",
    "ProbeResult",
    "Quantity",
    "Question",
    "Results",
    "Source",
    "Study",
    "Task",
    "Timeline",
    "Usable",
    "Yardstick",
    "combine",
    "decode",
    "fisher",
    "inject",
    "load",
    "measure",
    "picture",
    "rank",
    "run",
    "theory",
]


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


def __getattr__(name: str) -> Any:
    if name == "theory":
        return import_module("chiasm.theory")
    if name not in _HOME:
        raise AttributeError(f"module 'chiasm' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # looked up once
    return value
