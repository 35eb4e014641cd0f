"""chiasm: a laboratory bench for critical learning periods in networks that fuse several sources.

Three verbs: `measure` which unit listens to which source, `run` a study of deficits, `report` what it found.
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
    from chiasm.errors import ChiasmError
    from chiasm.measuring import Combined, DependentSources, LayerMeasurement, Measurement, combine, measure
    from chiasm.measuring.information.decoding import decode
    from chiasm.measuring.information.fisher import Fisher, fisher
    from chiasm.measuring.information.rank import rank
    from chiasm.measuring.information.usable import Usable
    from chiasm.networks import FusionNetwork
    from chiasm.report import picture
    from chiasm.sources import Batch, Source
    from chiasm.study import Results, Study
    from chiasm.timeline import Timeline

_HOME = {
    "Batch": "chiasm.sources",
    "ChiasmError": "chiasm.errors",
    "Combined": "chiasm.measuring",
    "DependentSources": "chiasm.measuring",
    "Fisher": "chiasm.measuring.information.fisher",
    "FusionNetwork": "chiasm.networks",
    "Injection": "chiasm.adapters.injection",
    "LayerMeasurement": "chiasm.measuring",
    "Measurement": "chiasm.measuring",
    "Results": "chiasm.study",
    "Source": "chiasm.sources",
    "Study": "chiasm.study",
    "Timeline": "chiasm.timeline",
    "Usable": "chiasm.measuring.information.usable",
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
    "DependentSources",
    "Fisher",
    "FusionNetwork",
    "Injection",
    "LayerMeasurement",
    "Measurement",
    "Results",
    "Source",
    "Study",
    "Timeline",
    "Usable",
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


def __getattr__(name: str) -> Any:
    if name == "theory":
        return import_module("chiasm.theory")
    if name not in _HOME:
        raise AttributeError(f"module 'chiasm' has no attribute '{name}'")
    found = getattr(import_module(_HOME[name]), name)
    globals()[name] = found  # looked up once
    return found
