"""Which unit listens to which source, and which units truly combine them."""

from chiasm.measuring.grid import measure
from chiasm.measuring.measurement import Measurement
from chiasm.measuring.result import LayerMeasurement

__all__ = ["LayerMeasurement", "Measurement", "measure"]
