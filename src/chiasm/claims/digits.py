"""What the study `digits` is expected to show: a network that fails silently."""

from __future__ import annotations

from functools import partial

from chiasm.claims.claim import Claim, mean_over_seeds
from chiasm.study.results import Results

accuracy = partial(mean_over_seeds, quantity="accuracy", arm="duration", training__clock="constant")
rsv = partial(mean_over_seeds, quantity="rsv_mean", arm="duration", layer="fusion", training__clock="constant")


def _shift(results: Results) -> float:
    return rsv(results, d=80) - rsv(results, d=0)


def _drop(results: Results) -> float:
    return accuracy(results, d=0) - accuracy(results, d=80)


CLAIMS = (
    Claim("80 silent epochs shift RSV toward the healthy half", _shift, least=0.3),
    Claim("and accuracy hardly shows it", _drop, most=0.03),
)
