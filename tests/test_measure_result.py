"""What a measurement says: indices, dead units, errors, tables, words."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.measuring import LayerMeasurement, Measurement
from chiasm.measuring.variance.components import Accumulator, Components
from chiasm.measuring.variance.designs import FactorialDesign
from chiasm.measuring.variance.indices import PART, dead_units


def layer_of(f: Tensor) -> LayerMeasurement:
    """Of answers (blocks, 8, 8, units)."""
    sums = Accumulator(FactorialDesign(2, 8), len(f), (f.shape[-1],))
    sums.add(0, f.flatten(1, 2))
    return LayerMeasurement("fusion", ("left", "right"), sums.result())


def ab(blocks: int = 32) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(blocks, 8, 1, generator=g), torch.randn(blocks, 1, 8, generator=g)


@pytest.fixture
def layer() -> LayerMeasurement:
    a, b = ab()
    still = torch.zeros(32, 8, 8)
    return layer_of(torch.stack([a + still, b + still, 2 * a + b, a * b, still + 3, 1e-5 * (a + b)], -1))


def test_poles_dead_units_and_ranges(layer: LayerMeasurement) -> None:
    assert layer.dead.tolist() == [False, False, False, False, True, True]
    rsv, synergy = layer.rsv(), layer.synergy()
    assert rsv[:2].tolist() == [1, -1]
    assert synergy[:2].tolist() == [0, 0]
    assert synergy[2] < 1e-12
    assert synergy[3] > 0.9
    assert np.isnan(rsv[4:]).all()
    assert np.isnan(synergy[4:]).all()
    assert np.isnan(layer.share()[:, 4:]).all()
    assert layer.variance()[5] > 0
    assert np.array_equal(layer.rsv("right", "left"), -rsv, equal_nan=True)
    for x in (layer.total(), layer.first(), layer.share()):
        assert x.shape == (2, 6)
        assert x.dtype == np.float64
        assert ((x >= 0) & (x <= 1))[:, :4].all()
    np.testing.assert_allclose(layer.share()[0], (1 + rsv) / 2)
    np.testing.assert_allclose(layer.share().sum(0)[:4], 1)
    assert len(layer) == 6
    assert layer.shape == (6,)


def test_summaries_are_over_live_units(layer: LayerMeasurement) -> None:
    rsv = layer.rsv()[:4]
    assert layer.mean_rsv() == pytest.approx(rsv.mean())
    assert layer.mean_synergy() == pytest.approx(layer.synergy()[:4].mean())
    assert layer.beyond(0.9) == 0.25
    assert layer.beyond(-0.9) == 0.25
    assert layer.beyond(0.9, "right", "left") == 0.25


def test_dead_units_where_most_are_dead() -> None:
    assert dead_units(np.array([0.0, 0, 0, 0, 1, 2])).tolist() == [True] * 4 + [False] * 2
    rounding = np.full(90, 1e-15)
    assert dead_units(np.concatenate([rounding, np.ones(10)])).sum() == 90
    assert dead_units(np.zeros(4)).all()
    assert not dead_units(np.full(4, 1e-30)).any()
    assert dead_units(np.array([])).shape == (0,)
    assert dead_units(np.array([1.0, 1.0, 0.99e-6])).tolist() == [False, False, True]


def test_a_dead_layer_says_so() -> None:
    layer = layer_of(torch.ones(4, 8, 8, 3))
    assert layer.dead.all()
    assert np.isnan(layer.mean_rsv())
    assert np.isnan(layer.interval("rsv")).all()
    assert layer.summary() == "fusion: 3 units, 3 dead"


def test_intervals_have_the_shape_of_their_quantity_and_stay_in_range(layer: LayerMeasurement) -> None:
    for quantity, shape in (("rsv", (6,)), ("synergy", (6,)), ("total", (2, 6)), ("share", (2, 6)), ("mean_rsv", ())):
        value = layer.value(quantity)
        low, high = layer.interval(quantity)
        assert low.shape == shape
        assert layer.standard_error(quantity).shape == shape
        known = ~np.isnan(value)
        assert (low[known] <= value[known] + 1e-12).all()
        assert (value[known] <= high[known] + 1e-12).all()
        assert np.isnan(low[~known]).all()
        narrow_low, narrow_high = layer.interval(quantity, level=0.5)
        assert ((narrow_high - narrow_low)[known] <= (high - low)[known]).all()
    low, high = layer.interval("rsv")
    assert low[0] == high[0] == 1
    low, high = layer.interval("rsv", i="right", j="left")
    assert low[0] == high[0] == -1
    assert layer.interval("beyond", cut=0.9).shape == (2,)
    assert (layer.interval("variance") >= 0).all()


def test_an_error_that_cannot_be_known_spans_the_range() -> None:
    # One block alone wakes the unit: without its group nothing is left to measure.
    f = torch.zeros(16, 8, 8, 2)
    f[..., 0] = ab(16)[0]
    f[5, 3, 4, 1] = 5
    layer = layer_of(f)
    assert np.isnan(layer.standard_error("rsv")[1])
    assert layer.interval("rsv")[:, 1].tolist() == [-1, 1]
    assert layer.interval("synergy")[:, 1].tolist() == [0, 1]


def test_a_part_s_interval_is_the_hull_of_two_scales_inside_its_range_and_plain_at_the_ends() -> None:
    value, margin = np.array([0.5, 0.1, 0.02, 1.0]), np.array([0.2, 0.08, 0.05, 0.0])
    low, high = PART.ends(value, margin)
    logit = np.log(0.1 / 0.9) + np.array([-1, 1]) * 0.08 / 0.09
    np.testing.assert_allclose([low[1], high[1]], [0.1 - 0.08, 1 / (1 + np.exp(-logit[1]))])
    assert low[0] == pytest.approx(0.3)  # the plain scale is the wider one in the middle
    assert (low[2], high[2]) == pytest.approx((-0.03, 0.07))
    assert low[3] == high[3] == 1


def test_pairs_of_three_sources() -> None:
    # Rows of a cube: mean squares of a, b, ab, c, ac, bc, abc; four cells share each main effect.
    rows = np.array([16.0, 4, 0, 0, 0, 0, 0])[None, :, None]
    layer = LayerMeasurement("f", ("x", "y", "z"), Components(FactorialDesign(3, 2).contrasts, rows, np.ones(1)))
    assert layer.rsv("x", "y")[0] == pytest.approx(0.6)
    assert layer.rsv("y", "z")[0] == 1
    assert layer.rsv(j="x")[0] == pytest.approx(-0.6)
    assert layer.share()[:, 0].tolist() == [0.8, 0.2, 0]
    assert layer.shapley()[:, 0].tolist() == [0.8, 0.2, 0]
    assert layer.variance() == 5
    assert layer.pairs() == [("x", "y"), ("x", "z"), ("y", "z")]


def test_mistakes_are_one_sentence(layer: LayerMeasurement) -> None:
    with pytest.raises(ChiasmError, match=r"unknown source 'lft'; known sources: left, right .did you mean 'left'"):
        layer.rsv("lft", "right")
    with pytest.raises(ChiasmError, match="'right' was given twice"):
        layer.rsv("right", "right")
    with pytest.raises(ChiasmError, match=r"unknown quantity 'synergi'; known quantities: .*did you mean 'synergy'"):
        layer.interval("synergi")
    with pytest.raises(ChiasmError, match="level = 95"):
        layer.interval("rsv", level=95)
    with pytest.raises(ChiasmError, match="pooling='per_anchor'"):
        layer.per_anchor_rsv()
    with pytest.raises(ChiasmError, match="one block of anchors alone"):
        layer_of(torch.rand(1, 8, 8, 1)).interval("rsv")


def test_a_measurement_is_a_mapping_a_table_and_words(layer: LayerMeasurement) -> None:
    m = Measurement(
        layers={"fusion": layer},
        sources=("left", "right"),
        anchors=256,
        wanted=4096,
        samples=256,
        blocks=32,
        estimator="grid",
        evaluations=2048,
    )
    assert list(m) == ["fusion"]
    assert m["fusion"] is layer
    assert "trunk" not in m
    assert m.get("trunk") is None
    with pytest.raises(ChiasmError, match=r"^unknown layer 'fusio'; known layers: fusion .did you mean 'fusion'.*$"):
        m["fusio"]
    frame = m.frame()
    assert frame.schema == {
        "layer": pl.String, "unit": pl.Int64, "quantity": pl.String, "source": pl.String, "value": pl.Float64
    }  # fmt: skip
    assert len(frame) == 6 * (1 + 1 + 4 * 2 + 1 + 1)
    rsv = frame.filter(quantity="rsv", source="left - right").sort("unit")["value"].to_numpy()
    assert np.array_equal(rsv, layer.rsv(), equal_nan=True)
    words = m.summary()
    for part in (
        "product pairing, 256 anchors of each source (4096 wanted, 256 samples there) in 32 blocks",
        "6 units, 2 dead",
        "(+1: left only, -1: right only)",
    ):
        assert part in words
    assert words in repr(m)


def test_the_anchors_that_a_precision_takes_are_those_that_reach_it() -> None:
    import chiasm

    torch.manual_seed(0)
    net = torch.nn.Linear(8, 6)

    class Sum(torch.nn.Module):
        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            out: Tensor = net(left + 0.5 * right)
            return out

    sources = {name: torch.randn(4096, 8) for name in ("left", "right")}
    few = chiasm.measure(Sum(), sources, [""], anchors=256, seed=0, check_dependence=False)
    wanted = few.anchors_for(0.03)
    assert few.anchors_for(0.06) == pytest.approx(wanted / 4, abs=1)  # errors fall as 1 / sqrt(anchors)
    more = chiasm.measure(Sum(), sources, [""], anchors=wanted, seed=1, check_dependence=False)
    reached = more[""].error_of_most()
    assert reached == pytest.approx(0.03, rel=0.4)  # an error of 32 blocks is itself known to a seventh, of both
    with pytest.raises(ChiasmError, match="precision = 0"):
        few.anchors_for(0)
