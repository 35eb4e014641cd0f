"""A probe: what a study measures of every run while it trains, for many runs at once; it changes nothing."""

from chiasm.measuring.probe.look import Seen, look
from chiasm.measuring.probe.spec import Probe, check_layers
from chiasm.measuring.probe.units import summary

__all__ = ["Probe", "Seen", "check_layers", "look", "summary"]
