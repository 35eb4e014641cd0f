"""Which unit listens to which source, and which units truly combine them."""

from chiasm.measure.grid import measure
from chiasm.measure.measurement import Measurement
from chiasm.measure.result import LayerMeasurement

__all__ = ["LayerMeasurement", "Measurement", "measure"]
