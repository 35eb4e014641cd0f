"""What the study `stereogram` is expected to show: a critical period, and which confounds make it.

The thresholds were set before the study was run, from prototypes with other code and other seeds.
"""

from __future__ import annotations

from functools import partial

from chiasm.claims.claim import Claim, mean_over_seeds
from chiasm.study.results import Results

accuracy = partial(mean_over_seeds, quantity="accuracy")
rsv = partial(mean_over_seeds, quantity="rsv_mean", layer="fusion")
PAPER = {"training__clock": "absolute"}
DURATIONS = (0, 5, 10, 20, 40, 80)


def _late_minus_early(results: Results) -> float:
    return accuracy(results, arm="onset", t=80, **PAPER) - accuracy(results, arm="onset", t=0, **PAPER)


def _won_back(results: Results) -> float:
    """Share of the 80-epoch loss that a restart of the learning rate at release wins back; NaN where none was lost."""
    lost = accuracy(results, arm="duration", d=80, **PAPER)
    restarted = accuracy(results, arm="duration", d=80, training__clock="since_release")
    control = accuracy(results, arm="duration", d=0, **PAPER)
    return (restarted - lost) / (control - lost) if control > lost else float("nan")


CLAIMS = (
    Claim("the control learns to fuse", lambda r: accuracy(r, arm="duration", d=0, **PAPER), least=0.88),
    Claim(
        "80 silent epochs at the start are not made good",
        lambda r: accuracy(r, arm="duration", d=80, **PAPER),
        most=0.45,
    ),
    Claim("40 silent epochs cost more at the start than from epoch 80", _late_minus_early, least=0.30),
    Claim(
        "after 80 silent epochs units lean to the healthy eye",
        lambda r: rsv(r, arm="duration", d=80, **PAPER),
        least=0.5,
    ),
    Claim("in the control they lean to neither", lambda r: abs(rsv(r, arm="duration", d=0, **PAPER)), most=0.15),
    Claim("restarting the learning rate wins back half of the loss or more", _won_back, least=0.5),
    Claim(
        "with fresh data no duration leaves a mark",
        lambda r: min(accuracy(r, arm="fresh", d=d) for d in DURATIONS),
        least=0.95,
    ),
    Claim("one eye alone is at chance", lambda r: accuracy(r, arm="alone"), least=0.20, most=0.30),
)
