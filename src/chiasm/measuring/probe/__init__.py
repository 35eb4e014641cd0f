"""A probe: what a study measures of every run while it trains, for many runs at once; it changes nothing."""

from chiasm.measuring.probe.check import check_measures, check_probe
from chiasm.measuring.probe.evaluate import evaluate
from chiasm.measuring.probe.measure import MEASURES, Measure, ProbeInput, ProbeResult
from chiasm.measuring.probe.spec import Probe

__all__ = ["MEASURES", "Measure", "Probe", "ProbeInput", "ProbeResult", "check_measures", "check_probe", "evaluate"]
