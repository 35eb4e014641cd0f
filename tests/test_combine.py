"""Networks combined: intervals against linear networks whose mean RSV is known, with anchors shared and not."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chiasm.measuring import Measurement, combine, measure
from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.variance.components import Accumulator, Components
from chiasm.measuring.variance.designs import FactorialDesign
from chiasm.statistics import t_margin, t_quantile

Floats = NDArray[np.float64]
BLOCKS, LEVELS = 64, 4
ANCHORS = BLOCKS * LEVELS
DESIGN = FactorialDesign(2, LEVELS)


def components(left: Floats, right: Floats, weight: Floats) -> Components:
    """What a measurement keeps of the units left + weight * right, each of anchors of its own.

    Args:
        left: (studies, BLOCKS, LEVELS) anchors.
        right: likewise.
        weight: (studies,) of the network in each study.
    """
    points = np.array(DESIGN.points.tolist())
    answers = left[:, :, points[:, 0]] + weight[:, None, None] * right[:, :, points[:, 1]]
    sums = Accumulator(DESIGN, BLOCKS, (len(weight),))
    sums.add(0, torch.from_numpy(np.ascontiguousarray(answers.transpose(1, 2, 0))))
    return sums.result()


def measurement(units: Components, study: int, seed: int, samples: int) -> Measurement:
    layer = LayerMeasurement("", ("left", "right"), units.part(slice(study, study + 1)))
    return Measurement(
        layers={"": layer}, sources=("left", "right"), anchors=ANCHORS, wanted=ANCHORS, samples=samples, blocks=BLOCKS,
        estimator="grid", evaluations=BLOCKS * LEVELS**2, seed=seed,
    )  # fmt: skip


Anchors = Literal["the same", "their own", "half in common"]


def coverage(networks: int, spread: float, anchors: Anchors, studies: int) -> tuple[float, float]:
    """The share of studies whose interval of 95 % holds the mean RSV over all networks, and its mean width.

    The network left + exp(-u) right has RSV tanh(u) under sources of equal variance; u is normal with mean .5, so the
    mean RSV is an integral over u that Gauss and Hermite's quadrature gives to all digits.
    """
    rng = np.random.default_rng([networks, round(100 * spread), len(anchors)])
    u = rng.normal(0.5, spread, (networks, studies))
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    truth = float((np.tanh(0.5 + spread * nodes) * weights).sum() / weights.sum())
    shape, samples = (2, studies, BLOCKS, LEVELS), 10**6
    if anchors == "the same":
        drawn = [rng.standard_normal(shape)] * networks
    elif anchors == "their own":
        drawn = [rng.standard_normal(shape) for _ in range(networks)]
    else:
        samples = 2 * ANCHORS
        pool = rng.standard_normal((2, studies, samples))
        drawn = [rng.permuted(pool, axis=2)[:, :, :ANCHORS].reshape(shape) for _ in range(networks)]
    units = [components(drawn[k][0], drawn[k][1], np.exp(-u[k])) for k in range(networks)]
    ends = np.array(
        [
            combine(
                [measurement(units[k], n, 0 if anchors == "the same" else k, samples) for k in range(networks)]
            ).interval("", "mean_rsv")
            for n in range(studies)
        ]
    )
    return float(np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1]))), float(np.mean(ends[:, 1] - ends[:, 0]))


# Networks differ by .3 (the spread between them is most of the error), .1, and .02 (the anchors are nearly all of it:
# the error of one RSV is .05 here).
@pytest.mark.parametrize(
    ("networks", "spread", "anchors"),
    [
        (2, 0.3, "the same"), (3, 0.3, "the same"), (3, 0.02, "the same"), (5, 0.1, "the same"),
        (3, 0.3, "their own"), (3, 0.02, "their own"), (3, 0.1, "half in common"), (5, 0.02, "half in common"),
    ],
)  # fmt: skip
def test_intervals_over_networks_cover(networks: int, spread: float, anchors: Anchors) -> None:
    # 500 studies; nominal at least 95 %, accepted from 91.1: four standard errors of .97 points.
    share, _ = coverage(networks, spread, anchors, 500)
    assert share > 0.95 - 4 * math.sqrt(0.95 * 0.05 / 500)


def test_shared_anchors_have_degrees_of_freedom_of_their_own() -> None:
    # Three networks that are nearly one, .504, .494 and .475, shown the same anchors: what they share has 15 degrees of
    # freedom and not 2, which would make the interval twice as wide.
    left, right = np.random.default_rng(0).standard_normal((2, 1, BLOCKS, LEVELS))
    weights = [np.array([math.sqrt((1 - rsv) / (1 + rsv))]) for rsv in (0.504, 0.494, 0.475)]
    both = combine([measurement(components(left, right, w), 0, 0, 10**6) for w in weights])
    (between, within), shared = both.spread("", "mean_rsv"), both.shared("", "mean_rsv")
    assert float(shared) == pytest.approx(float(within) ** 2, rel=0.02)  # their errors are one and the same
    low, high = both.interval("", "mean_rsv")
    half = float(t_margin(0.95, [(float(between) ** 2 / 3, 2), (float(shared), 15)]))
    assert high - low == pytest.approx(2 * half)
    assert half < 0.65 * t_quantile(0.95, 2) * math.sqrt(float(between) ** 2 / 3 + float(shared))


def test_what_is_shared_is_what_networks_have_in_common() -> None:
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal((2, 1, BLOCKS, LEVELS)) for _ in range(2))
    one, same = components(x[0], x[1], np.ones(1)), components(x[0], x[1], np.full(1, 1.1))
    other = components(y[0], y[1], np.ones(1))
    within = combine([measurement(one, 0, 0, 10**6)] * 2).spread("", "mean_rsv")[1]

    def shared(*networks: Measurement) -> float:
        return float(combine(networks).shared("", "mean_rsv"))

    many = 10**6
    alike = shared(measurement(one, 0, 0, many), measurement(same, 0, 0, many))
    assert alike == pytest.approx(float(within) ** 2, rel=0.05)
    # Equal seeds of other samples: their groups have nothing in common, and the jackknife sees it.
    assert shared(measurement(one, 0, 0, many), measurement(other, 0, 0, many)) < 0.6 * alike
    # Seeds of their own, and 256 anchors of as many samples, of 512 or of a million.
    full, half, little = (
        shared(measurement(one, 0, 0, n), measurement(same, 0, 1, n)) for n in (ANCHORS, 2 * ANCHORS, many)
    )
    assert full == pytest.approx(alike, rel=0.05)
    assert half == pytest.approx(full / 2)
    assert little == pytest.approx(full * ANCHORS / many)
    # Two that share a seed and one that does not: a pair in three.
    mixed = shared(measurement(one, 0, 0, many), measurement(same, 0, 0, many), measurement(other, 0, 1, many))
    assert mixed == pytest.approx(alike / 3, rel=0.01)


def test_networks_that_answer_apart_share_little_of_the_same_anchors() -> None:
    class Of(nn.Module):
        def __init__(self, column: int) -> None:
            super().__init__()
            self.column = column

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return left[:, [self.column]] + right[:, [self.column]]

    g = torch.Generator().manual_seed(0)
    x = {name: torch.randn(4000, 4, generator=g) for name in ("left", "right")}
    apart = combine([measure(Of(n), x, [""], check_dependence=False) for n in range(4)])
    alike = combine([measure(Of(0), x, [""], check_dependence=False) for n in range(4)])
    assert float(apart.shared("", "mean_rsv")) < 0.3 * float(alike.shared("", "mean_rsv"))
    assert float(alike.shared("", "mean_rsv")) == pytest.approx(float(alike.spread("", "mean_rsv")[1]) ** 2)
    low, high = alike.interval("", "mean_rsv")  # one network in truth: its own interval, of its anchors
    assert high - low == pytest.approx(2 * t_quantile(0.95, 15) * float(alike.spread("", "mean_rsv")[1]))


def test_one_block_of_anchors_gives_no_interval() -> None:
    x = {name: torch.randn(4, 1, generator=torch.Generator().manual_seed(n)) for n, name in enumerate(("a", "b"))}
    some = [measure(nn.Identity(), x, [""], anchors=4, block=4, forward=lambda _, s: s["a"] + s["b"]) for _ in range(2)]
    both = combine(some)
    assert np.isnan(both.interval("", "mean_share")).all()
    assert both.interval("", "mean_share").shape == (2, 2)
    assert np.isnan(both.shared("", "mean_rsv"))
