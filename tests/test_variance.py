"""The analysis of variance: exact on given blocks, unbiased over draws, with errors that cover."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations, product
from math import factorial
from operator import attrgetter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from chiasm.measuring.per_anchor import per_anchor
from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.variance.components import Accumulator, Components, Effects
from chiasm.measuring.variance.designs import Design, FactorialDesign, PickFreeze

Array = NDArray[np.float64]


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def shown(
    design: Design, f: Callable[..., Tensor], blocks: int, seed: int = 0, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Answers (blocks, points, units) of f to standard normal sources."""
    z = normal(design.sources, blocks, design.levels, seed=seed, dtype=dtype)
    return f(*(z[j][:, design.points[:, j]] for j in range(design.sources)))


def gathered(design: Design, x: Tensor, groups: int = 16, step: int = 100) -> Components:
    sums = Accumulator(design, len(x), tuple(x.shape[2:]), groups=groups)
    for start in range(0, len(x), step):
        sums.add(start, x[start : start + step])
    return sums.result()


@settings(max_examples=30, deadline=None)
@given(sources=st.integers(2, 4), levels=st.integers(2, 4), seed=st.integers(0, 10**6))
def test_rows_are_the_mean_squares_of_any_anova_decomposition(sources: int, levels: int, seed: int) -> None:
    # f is built from known effects f_S that add to zero along every source of S, so each sum of squares is known.
    rng = np.random.default_rng(seed)
    f, squares = rng.normal(0, 100, (2,)) * np.ones((levels,) * sources + (2,)), {}
    for subset in range(1, 2**sources):
        effect = rng.normal(size=[levels if subset >> j & 1 else 1 for j in range(sources)] + [2])
        for j in range(sources):
            if subset >> j & 1:
                effect -= effect.mean(j, keepdims=True)
        f = f + effect
        freedom = (levels - 1) ** subset.bit_count()
        squares[subset] = levels ** (sources - subset.bit_count()) * (effect**2).sum(tuple(range(sources))) / freedom
    rows = FactorialDesign(sources, levels).rows(torch.from_numpy(f.reshape(1, -1, 2)))[0]
    np.testing.assert_allclose(rows.numpy(), np.stack([squares[s] for s in range(1, 2**sources)]), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("sources", "levels"), [(2, 2), (2, 5), (3, 2), (3, 3), (4, 2)])
def test_components_of_random_decompositions_are_unbiased(sources: int, levels: int) -> None:
    # Anchors drawn with replacement from 5 states of each source; true components are means over all states.
    rng = np.random.default_rng(sources * 10 + levels)
    states, blocks = 5, 4000
    f, true = np.zeros((states,) * sources), {}
    for subset in range(1, 2**sources):
        effect = rng.normal(size=[states if subset >> j & 1 else 1 for j in range(sources)])
        for j in range(sources):
            if subset >> j & 1:
                effect -= effect.mean(j, keepdims=True)
        f, true[subset] = f + effect, (effect**2).mean()
    design = FactorialDesign(sources, levels)
    drawn = [rng.integers(0, states, (blocks, levels))[:, design.points[:, j]] for j in range(sources)]
    x = torch.from_numpy(f[tuple(drawn)])[..., None]
    c = gathered(design, x, groups=blocks)
    wanted = {
        "variance": sum(true.values()),
        "synergy": sum(v for s, v in true.items() if s.bit_count() > 1),
        "first": [true[1 << j] for j in range(sources)],
        "total": [sum(v for s, v in true.items() if s >> j & 1) for j in range(sources)],
        "pairs": [
            sum(v for s, v in true.items() if s >> i & 1 and s >> j & 1) for i, j in combinations(range(sources), 2)
        ],
        "shapley": [sum(v / s.bit_count() for s, v in true.items() if s >> j & 1) for j in range(sources)],
    }
    for name, truth in wanted.items():
        each = np.stack([getattr(Effects(design.contrasts, c.sums[b]), name) for b in range(blocks)])[..., 0]
        # A mean of 4000 independent blocks stays within 4.5 of its standard errors (about 60 comparisons in all).
        assert (abs(each.mean(0) - truth) < 4.5 * each.std(0) / np.sqrt(blocks)).all(), name


def polynomial(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return torch.stack([a + b + c, a * b + c, a * b * c, 2 * a + b * c, a, a**2 + 3 * b], -1)


# Of standard normal sources; rows: variance; total of a, b, c; first of a, b, c; pairs ab, ac, bc.
POLYNOMIAL = np.array(
    [
        [3, 1, 1, 1, 1, 1, 1, 0, 0, 0],
        [2, 1, 1, 1, 0, 0, 1, 1, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 1, 1, 1],
        [5, 4, 1, 1, 4, 0, 0, 0, 0, 1],
        [1, 1, 0, 0, 1, 0, 0, 0, 0, 0],
        [11, 2, 9, 0, 2, 9, 0, 0, 0, 0],
    ],
    dtype=float,
)


@pytest.mark.parametrize(
    "design", [FactorialDesign(3, 2), FactorialDesign(3, 3), PickFreeze(3)], ids=["cube", "grid", "pick-freeze"]
)
def test_polynomials_of_three_sources(design: Design) -> None:
    c = gathered(design, shown(design, polynomial, 6000))
    e = c.whole
    found = np.concatenate([e.variance[None], e.total, e.first, e.pairs]).T
    errors = np.concatenate(
        [np.atleast_2d(c.spread(attrgetter(q))[0]) for q in ("variance", "total", "first", "pairs")]
    ).T
    # 60 numbers within 4.5 of their errors; each error is known to a fifth (15 degrees of freedom).
    assert (abs(found - POLYNOMIAL) <= 5.5 * errors + 1e-12).all(), (found - POLYNOMIAL) / errors
    assert (e.total[1:, 4] == 0).all()  # a unit of one source has nothing of the others, exactly
    assert e.total[2, 5] == 0
    np.testing.assert_allclose(e.synergy[[0, 4]], 0, atol=1e-12 if isinstance(design, FactorialDesign) else 0.1)


def test_shapley_effects_are_the_mean_over_orders() -> None:
    c = gathered(FactorialDesign(3, 2), shown(FactorialDesign(3, 2), polynomial, 200)).whole
    parts = np.linalg.lstsq(np.eye(7), c.rows, rcond=None)[0]
    del parts
    # The variance that a set of sources explains, from totals: closed(S) = V - total of all others together.
    design = FactorialDesign(3, 2)
    closed = {(): np.zeros(6), (0, 1, 2): c.variance}
    for j in range(3):
        closed[(j,)] = c.first[j]
        i, k = (x for x in range(3) if x != j)
        closed[(i, k)] = c.variance - c.total[j]
    mean = np.zeros((3, 6))
    for order in permutations(range(3)):
        for n, j in enumerate(order):
            mean[j] += closed[tuple(sorted(order[: n + 1]))] - closed[tuple(sorted(order[:n]))]
    assert c.shapley is not None
    np.testing.assert_allclose(c.shapley, mean / factorial(3), atol=1e-10)
    assert len(design.contrasts.first) == 3


@pytest.mark.parametrize("sources", [3, 6, 8])
def test_pick_freeze_agrees_with_all_corners(sources: int) -> None:
    def f(*x: Tensor) -> Tensor:
        return torch.stack([torch.stack(x).sum(0) + x[0] * x[1], x[-1] * x[-2] * x[0] + x[1], x[2] + 0 * x[0]], -1)

    some = PickFreeze(sources)
    assert len(some.points) == len(torch.unique(some.points, dim=0))
    c = gathered(some, shown(some, f, 3000))
    e = c.whole
    truth_total = np.zeros((sources, 3))
    truth_total[:, 0], truth_total[:2, 0] = 1, 2
    truth_total[[0, -1, -2], 1] = 1
    truth_total[1, 1] += 1
    truth_total[2, 2] = 1
    error = c.spread(lambda e: e.total)[0]
    assert (abs(e.total - truth_total) <= 5.5 * error).all()
    assert ((e.total == 0) == (truth_total == 0)).all()
    assert e.shapley is None
    variance = np.array([sources + 1, 2, 1.0])
    assert (abs(e.variance - variance) <= 5.5 * c.spread(lambda e: e.variance)[0]).all()


@pytest.mark.parametrize("step", [1, 7, 64])
def test_sums_do_not_depend_on_the_chunk_and_leaving_out_is_measuring_the_rest(step: int) -> None:
    design = FactorialDesign(2, 3)
    x = normal(37, 9, 4) * 2 + 5
    c = gathered(design, x, groups=5, step=step)
    rows = design.rows(x).numpy()
    np.testing.assert_allclose(c.whole.rows, rows.mean(0), rtol=1e-12)
    edges = [-(-g * 37 // 5) for g in range(6)]
    assert c.counts.tolist() == np.diff(edges).tolist()
    one_out = []
    for g in range(5):
        rest = np.delete(rows, slice(edges[g], edges[g + 1]), axis=0)
        np.testing.assert_allclose(c.without(g).rows, rest.mean(0), rtol=1e-12)
        one_out.append(Effects(design.contrasts, rest.mean(0)).total)
    error, freedom = c.spread(lambda e: e.total)
    np.testing.assert_allclose(error, np.sqrt(np.var(one_out, axis=0) * 4), rtol=1e-9)
    assert freedom == 4
    with pytest.raises(ValueError, match="two groups"):
        gathered(design, x[:1]).spread(lambda e: e.total)


def test_float32_with_a_large_offset_keeps_its_digits() -> None:
    # The offset costs float32 1000 x 6e-8 of an answer before it gets here; the sums must add nothing to that.
    x = (shown(FactorialDesign(2, 4), lambda a, b: (a + 0.5 * b + a * b)[..., None], 300) + 1000).float()
    single, double = gathered(FactorialDesign(2, 4), x).whole, gathered(FactorialDesign(2, 4), x.double()).whole
    np.testing.assert_allclose(single.total, double.total, rtol=2e-6)
    np.testing.assert_allclose(single.variance, double.variance, rtol=2e-6)
    half = shown(FactorialDesign(2, 4), lambda a, b: (a + b)[..., None], 50).half()
    np.testing.assert_array_equal(
        gathered(FactorialDesign(2, 4), half).sums, gathered(FactorialDesign(2, 4), half.float()).sums
    )


def test_a_diverged_row_of_a_stack_spoils_only_itself() -> None:
    x = normal(8, 4, 2, 3)
    x[5, 2, 1] = torch.nan
    c = gathered(FactorialDesign(2, 2), x)
    assert np.isfinite(c[0].whole.variance).all()
    assert np.isnan(c[1].whole.variance).all()
    assert c.flat().whole.total.shape == (2, 6)


def test_what_does_not_fit_is_refused() -> None:
    sums = Accumulator(FactorialDesign(2, 2), 4, (3,))
    with pytest.raises(ValueError, match="do not fit"):
        sums.add(0, torch.zeros(2, 5, 3))
    with pytest.raises(ValueError, match="do not fit"):
        sums.add(3, torch.zeros(2, 4, 3))
    sums.add(0, torch.zeros(2, 4, 3))
    with pytest.raises(ValueError, match="already added"):
        sums.add(1, torch.zeros(2, 4, 3))
    with pytest.raises(ValueError, match="2 of 4 blocks"):
        sums.result()


UNITS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "linear": lambda a, b: 0.95 * a + 0.3 * b,
    "sum and product": lambda a, b: a + 0.5 * b + 0.7 * a * b,
    "product": lambda a, b: a * b,
    "relu of a sum": lambda a, b: (a + b).relu(),
    "relu, 8 % of pairs": lambda a, b: ((a + b) / 2**0.5 - 1.405).relu(),
    "relu, 8 %, uneven": lambda a, b: (0.9 * a + 0.436 * b - 1.405).relu(),
    "relu, 2 % of pairs": lambda a, b: ((a + b) / 2**0.5 - 2.054).relu(),
}


def quadrature(f: Callable[[Tensor, Tensor], Tensor]) -> tuple[float, ...]:
    """True RSV, synergy, and total and first of a, for two standard normal sources."""
    x = torch.linspace(-8, 8, 1601, dtype=torch.float64)
    w = torch.exp(-(x**2) / 2)
    w /= w.sum()
    y = f(x[:, None], x[None])
    mean = w @ y @ w
    v = w @ (y - mean) ** 2 @ w
    va, vb = w @ (y @ w - mean) ** 2, (w @ y - mean) ** 2 @ w
    vab = v - va - vb
    return tuple(float(q) for q in ((va - vb) / (va + vb + 2 * vab), vab / v, (va + vab) / v, va / v))


def test_quadrature_on_closed_forms() -> None:
    a, b = 0.95**2, 0.3**2
    np.testing.assert_allclose(quadrature(UNITS["linear"]), ((a - b) / (a + b), 0, a / (a + b), a / (a + b)), atol=1e-6)
    np.testing.assert_allclose(quadrature(UNITS["product"]), (0, 1, 1, 0), atol=1e-6)
    v, ab = 1 + 0.25 + 0.49, 0.49
    wanted = (0.75 / (1.25 + 2 * ab), ab / v, (1 + ab) / v, 1 / v)
    np.testing.assert_allclose(quadrature(UNITS["sum and product"]), wanted, atol=1e-6)


@pytest.mark.parametrize("name", UNITS)
def test_intervals_cover_at_the_default_number_of_anchors(name: str) -> None:
    # 1000 measurements: a coverage of 95 % is seen with a standard error of 0.7 %, so 93 to 97 % wanted leaves 91 to
    # 99 %; a product's synergy, total and first lie at the end of their range, where an interval errs on one side only.
    f = UNITS[name]
    truth = quadrature(f)
    design, repeats = FactorialDesign(2, 4), 1000
    hits = np.zeros(4)
    for part in range(20):
        x = shown(design, f, 1024 * 50, seed=part, dtype=torch.float32).reshape(50, 1024, 16).permute(1, 2, 0)
        layer = LayerMeasurement("", ("a", "b"), gathered(design, x, step=1024))
        for n, (quantity, own) in enumerate((("rsv", None), ("synergy", None), ("total", 0), ("first", 0))):
            low, high = layer.interval(quantity) if own is None else layer.interval(quantity)[:, own]
            hits[n] += ((low <= truth[n] + 1e-4) & (truth[n] <= high + 1e-4)).sum()
    covered = hits / repeats
    if name == "linear":
        covered[1] = 0.95  # its synergy is zero, and so is its error: nothing to cover
    assert (covered > 0.91).all(), covered
    assert (covered < (1.0 if name == "product" else 0.99)).all(), covered


def test_per_anchor_ratios_are_those_of_plain_variances() -> None:
    f = normal(3, 6, 6, 4) + normal(3, 6, 1, 4, seed=1)
    found = per_anchor(f.reshape(3, 36, 4), 6).reshape(3, 6, 4)
    over_a, over_b = f.var(1), f.var(2)
    np.testing.assert_allclose(found, (over_a - over_b) / (over_a + over_b), atol=1e-12)
    a, b = normal(1, 7, 1, 1, seed=2).float(), normal(1, 1, 7, 1, seed=3).float()
    poles = per_anchor(torch.cat([a + 0 * b, 0 * a + b, 0 * a + 0 * b + 0.3], -1).reshape(1, 49, 3), 7)
    assert (poles[:, 0] == 1).all()
    assert (poles[:, 1] == -1).all()
    assert poles[:, 2].isnan().all()


def test_the_papers_synthetic_units() -> None:
    # z = w (x0 + na) + (1 - w)(x0 + nb): for any symmetric variances RSV = (2w - 1) / (w² + (1 - w)²); with w from
    # Beta(20, 20), half of the units with swapped weights, mean |RSV| is .240, 47.5 % are within .2, .1 % beyond .8.
    rng = np.random.default_rng(0)
    w = torch.from_numpy(rng.beta(20, 20, 4000))
    w[2000:] = 1 - w[2000:]
    design = FactorialDesign(2, 4)
    e = gathered(design, shown(design, lambda a, b: 2**0.5 * (w * a[..., None] + (1 - w) * b[..., None]), 1024)).whole
    layer = LayerMeasurement("", ("a", "b"), Components(design.contrasts, e.rows[None], np.ones(1)))
    exact = ((2 * w - 1) / (w**2 + (1 - w) ** 2)).numpy()
    # All units share their anchors, so their errors go together: 4 / sqrt(4096) at most.
    assert abs(layer.rsv() - exact).max() < 0.0625
    size = abs(layer.rsv())
    assert size.mean() == pytest.approx(0.240, abs=0.01)
    assert (size < 0.2).mean() == pytest.approx(0.475, abs=0.03)
    assert (size > 0.8).mean() < 0.004


def test_all_points_of_a_crossed_block() -> None:
    assert FactorialDesign(3, 2).points.tolist() == [list(p) for p in product((0, 1), repeat=3)]
