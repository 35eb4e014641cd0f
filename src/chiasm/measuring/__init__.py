"""Which unit listens to which source, and which units truly combine them."""

from chiasm.measuring.combine import Combined, combine
from chiasm.measuring.measure import measure
from chiasm.measuring.measurement import DependentSources, Measurement
from chiasm.measuring.result import LayerMeasurement

__all__ = ["Combined", "DependentSources", "LayerMeasurement", "Measurement", "combine", "measure"]
