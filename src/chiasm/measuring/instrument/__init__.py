"""The instrument that reads a model: it addresses layers, captures their outputs and restores the model's state."""

from chiasm.measuring.instrument.addresses import Address, addressed
from chiasm.measuring.instrument.capture import Capture, widest
from chiasm.measuring.instrument.units import to_units
from chiasm.measuring.instrument.untouched import untouched, unwrapped

__all__ = ["Address", "Capture", "addressed", "to_units", "untouched", "unwrapped", "widest"]
