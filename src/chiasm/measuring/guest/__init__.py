"""How a measurement is guest of a model: layers addressed, outputs caught, everything left as found."""

from chiasm.measuring.guest.addresses import Address, addressed
from chiasm.measuring.guest.capture import Capture, widest
from chiasm.measuring.guest.units import to_units
from chiasm.measuring.guest.untouched import untouched, unwrapped

__all__ = ["Address", "Capture", "addressed", "to_units", "untouched", "unwrapped", "widest"]
