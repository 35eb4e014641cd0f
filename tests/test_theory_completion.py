"""Deep matrix factorisations whose task is switched: autograd, the equations of their singular values, and mistakes."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.stats import t as student

from chiasm.errors import ChiasmError
from chiasm.theory.completion.equations import draw_layers, spectral_rates
from chiasm.theory.completion.plane import CompletionDraw, CompletionPlane, complete
from chiasm.theory.completion.study import MatrixCompletion
from chiasm.theory.completion.task import CompletionTask, block_mask, low_rank, random_mask, thin

Floats = NDArray[np.float64]


def draws(seeds: int, size: int = 6, observed: int = 24) -> list[CompletionDraw]:
    """Two earlier tasks each: another matrix, and noisy entries."""
    made = []
    for seed in range(seeds):
        truth, mask = low_rank(size, 2, seed), random_mask(size, observed, seed)
        other = CompletionTask.of(low_rank(size, 2, seed, "other"), mask)
        noisy = CompletionTask.of(truth, mask, 0.5, seed)
        made.append(CompletionDraw(seed, CompletionTask.of(truth, mask), (other, noisy)))
    return made


def descended(draw: CompletionDraw, depth: int, window: tuple[int, int, int], earlier: int, init: str) -> Floats:
    """Plain gradient descent on half the mean squared error by autograd."""
    layers = [w.clone().requires_grad_(True) for w in draw_layers(draw.final.size, depth, 0.5, draw.seed, init)]
    for at in range(window[2]):
        task = draw.earlier[earlier] if window[0] <= at < window[1] else draw.final
        mask = torch.tensor(task.mask)
        loss = 0.5 * (product(layers) - torch.tensor(task.shown))[mask].square().mean()
        for w, gradient in zip(layers, torch.autograd.grad(loss, layers), strict=True):
            w.data -= 0.3 * gradient
    return product(layers).detach().numpy()


def product(layers: list[torch.Tensor]) -> torch.Tensor:
    made = layers[0]
    for layer in layers[1:]:
        made = layer @ made
    return made


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("init", ["gaussian", "balanced"])
def test_a_plane_is_what_autograd_descends_to_cell_by_cell(depth: int, init: Any) -> None:
    made = draws(2)
    windows = [(0, 0, 20), (0, 8, 20), (5, 12, 25), (0, 8, 15)]
    onset, release, steps = np.array(windows).T[:, :, None, None]
    plane = complete(
        made, depth=depth, onset=onset, release=release, steps=steps, draw=np.arange(2)[:, None], earlier=np.arange(2),
        scale=0.5, step=0.3, init=init, every=5,
    )  # fmt: skip
    for i, window in enumerate(windows):
        for d in range(2):
            for earlier in range(2):
                rival = descended(made[d], depth, window, earlier, init)
                # Rounding of a few dozen products.
                np.testing.assert_allclose(plane.products[i, d, earlier], rival, atol=1e-12)
                final = made[d].final
                hidden = ~final.mask
                error = ((rival - final.truth)[hidden] ** 2).sum() / (final.truth[hidden] ** 2).sum()
                assert plane.error[i, d, earlier] == pytest.approx(error, rel=1e-9)


def test_many_rows_descend_as_they_do_alone() -> None:
    made = draws(30, size=40, observed=500)
    plane = complete(made, depth=2, steps=5, draw=np.arange(30), scale=0.5)
    for d in (0, 19, 20, 29):
        alone = complete(made[d : d + 1], depth=2, steps=5, scale=0.5)
        np.testing.assert_allclose(plane.products[d], alone.products, atol=1e-14)


# ---------------------------------------------------------------- the equations of the singular values


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_the_equation_is_the_derivative_of_gradient_flow_on_balanced_layers(depth: int) -> None:
    # Flow of all layers by scipy, from balanced ones, and the singular values a little before and after.
    draw = draws(1)[0]
    mask, shown = draw.final.mask / draw.final.observed, np.where(draw.final.mask, draw.final.shown, 0.0)
    start = np.stack([w.numpy() for w in draw_layers(6, depth, 0.5, 0, "balanced")])

    def fall(_: float, y: Floats) -> Floats:
        layers = [torch.tensor(w, requires_grad=True) for w in y.reshape(start.shape)]
        loss = 0.5 * ((product(layers) - torch.tensor(shown)).square() * torch.tensor(mask)).sum()
        return -np.concatenate([g.numpy().ravel() for g in torch.autograd.grad(loss, layers)])

    times = np.array([19.99, 20.0, 20.01])
    y = solve_ivp(fall, (0, 20.01), start.ravel(), "DOP853", t_eval=times, rtol=1e-11, atol=1e-13).y
    w = np.stack([product([torch.tensor(x) for x in column.reshape(start.shape)]).numpy() for column in y.T])
    sigma, rate = spectral_rates(w[1], mask * (w[1] - shown), depth)
    around = np.linalg.svd(w, compute_uv=False)
    measured = (around[2] - around[0]) / 0.02
    # Central differences err by 0.01^2 / 6 of the third derivative.
    np.testing.assert_allclose(rate, measured, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(sigma, around[1], rtol=1e-12)


@pytest.mark.parametrize("depth", [2, 3])
def test_along_descent_the_equation_errs_by_the_length_of_a_step(depth: int) -> None:
    made = draws(2, size=10, observed=60)
    away = []
    for step in (0.1, 0.2):
        scaled = round(400 / step)
        plane = complete(
            made, depth=depth, release=scaled, steps=2 * scaled, draw=np.arange(2), scale=1e-2, step=step,
            init="balanced", every=scaled // 40, top=3,
        )  # fmt: skip
        away.append(plane.mismatch())
    assert away[1].max() < 0.02
    np.testing.assert_allclose(away[1] / away[0], 2, rtol=0.15)


def test_gaussian_layers_from_a_small_start_are_nearly_balanced() -> None:
    made = draws(2, size=10, observed=60)
    plane = complete(made, depth=3, release=2000, steps=4000, draw=np.arange(2), step=0.1, every=50, top=3)
    # The imbalance stays what it was, scale^(2/3) = 0.05 of layers that grow to some 2.
    assert plane.mismatch().max() < 0.05
    # A broken equation is seen: that of depth 2 on the same records.
    wrong = plane.equation_path * (2 / 3) * np.nan_to_num(plane.values_path) ** (1 - 4 / 3)
    paths = {name: getattr(plane, name) for name in plane.__dataclass_fields__}
    assert CompletionPlane(**{**paths, "equation_path": wrong}).mismatch().min() > 0.2


# ---------------------------------------------------------------- tasks


def test_matrices_have_their_rank_and_norm_and_streams_of_their_own() -> None:
    matrix = low_rank(12, 3, seed=4)
    values = np.linalg.svd(matrix, compute_uv=False)
    assert (values > 1e-9).sum() == 3
    assert np.mean(matrix**2) == pytest.approx(1)
    assert np.abs(matrix - low_rank(12, 3, seed=4, purpose="other")).max() > 0.1


def test_masks_show_what_they_say() -> None:
    assert random_mask(7, 20, seed=1).sum() == 20
    blocks = block_mask(7, 3)
    assert (blocks == blocks.T).all()
    assert np.linalg.matrix_rank(blocks) == 3
    few = thin(blocks, 9, seed=0)
    assert few.sum() == 9
    assert (few <= blocks).all()


def test_noise_is_on_what_is_shown_and_errors_on_what_is_hidden() -> None:
    truth, mask = low_rank(30, 2, seed=0), random_mask(30, 600, seed=0)
    task = CompletionTask.of(truth, mask, noise=0.5, seed=0)
    # 600 draws: a standard deviation is off by 3 % in the mean.
    assert (task.shown - truth)[mask].std() == pytest.approx(0.5, rel=0.1)
    wrong = truth.copy()
    wrong[mask] += 100
    assert task.error(wrong) == 0
    assert task.error(np.zeros((30, 30))) == pytest.approx(1)


# ---------------------------------------------------------------- what the study claims


def test_depth_one_never_learns_a_hidden_entry_and_never_forgets_one() -> None:
    truth, mask = low_rank(8, 2, seed=0), random_mask(8, 40, seed=0)
    shown_before = CompletionTask.of(low_rank(8, 2, 0, "other"), ~mask)
    draw = CompletionDraw(0, CompletionTask.of(truth, mask), (shown_before,))
    plane = complete([draw], depth=1, release=[0, 3000], steps=[3000, 6000], step=0.4, every=3000)
    start = draw_layers(8, 1, 1e-2, 0, "gaussian")[0].numpy()
    np.testing.assert_array_equal(plane.products[0][~mask], start[~mask])
    before = plane.error_path[1, plane.times == 3000]
    assert plane.error[1] == pytest.approx(before.item(), rel=1e-12)
    # ... nor do steps of another task on the same entries leave a trace: 3000 of (1 - 0.4 / 40).
    again = CompletionDraw(0, draw.final, (CompletionTask.of(low_rank(8, 2, 0, "other"), mask),))
    same = complete([again], depth=1, release=[0, 3000], steps=[3000, 6000], step=0.4, every=3000)
    np.testing.assert_allclose(same.products[1], same.products[0], atol=1e-10)


# Means of an earlier, independent experiment of three seeds; deficits of 0, 500, 2000 and 6000 steps. How many entries
# were few and how strong the noise was is not known; 120 and 1 were chosen here because they come nearest.
EARLIER = {
    (2, "matrix"): [0.082, 0.231, 0.254, 0.264],
    (2, "observations"): [0.082, 0.144, 0.156, 0.157],
    (2, "noise"): [0.079, 0.267, 0.270, 0.270],
    (3, "observations"): [0.010, 0.008, 0.008, 0.008],
}


@pytest.mark.slow
def test_an_earlier_table_is_reproduced_within_the_spread_of_its_seeds() -> None:
    seeds = 20
    result = MatrixCompletion(depths=(1, 2, 3), durations=(0, 500, 2000, 6000), seeds=seeds, every=2000).run()
    errors: dict[tuple[int, str], Floats] = {
        (plane.depth, switch): plane.error[k]
        for plane in result.planes
        for k, switch in enumerate(result.settings.switches)
    }
    for (depth, switch), means in EARLIER.items():
        found = errors[depth, switch]
        # The difference of a mean of three seeds and one of ours.
        half = student.ppf(0.995, seeds - 1) * found.std(1, ddof=1) * np.sqrt(1 / 3 + 1 / seeds)
        np.testing.assert_array_less(np.abs(found.mean(1) - means), half, err_msg=f"depth {depth}, {switch}")
    for switch in ("matrix", "observations", "noise"):
        np.testing.assert_allclose(errors[1, switch], 1, atol=1e-3)
    # Reproduced: noise hurts depth 3 most in the end. Not reproduced: that another matrix leaves depth 3 as it was
    # (most seeds keep a third singular value), and that noise hurts it within 500 steps as much as in 6000.
    noise, control = errors[3, "noise"][3], errors[3, "noise"][0]
    assert (noise > control + 0.1).mean() > 0.8
    assert noise.mean() > errors[2, "noise"][3].mean()
    assert (errors[3, "matrix"][3] > 0.1).mean() > 0.5
    assert errors[3, "noise"][1].mean() < 0.5 * noise.mean()


@pytest.mark.slow
def test_what_a_switch_leaves_is_permanent() -> None:
    study = MatrixCompletion(seeds=5)
    made = [study.draw(seed) for seed in range(5)]
    plane = complete(
        made, depth=3, release=2000, steps=[[6000], [42_000]], draw=np.arange(5), earlier=2, step=0.4, every=42_000
    )
    # Ten times as long: what is left of the slow end of learning.
    assert (plane.error[1] > 0.1).all()
    np.testing.assert_allclose(plane.error[1], plane.error[0], atol=0.06)


@pytest.mark.slow
def test_at_full_size_fewer_entries_first_hurt_the_deeper_more_and_a_short_while_helps_it() -> None:
    # The published experiment, one seed: 100 x 100, rank 5, 1000 entries and then 1500 for 30,000 steps.
    full = MatrixCompletion(
        size=100, rank=5, observed=1500, few=1000, switches=("observations",), depths=(2, 3),
        durations=(0, 1000, 20_000), after=30_000, seeds=1, step=0.2, scale=1e-3, every=10_000,
    )  # fmt: skip
    two, three = (plane.error.ravel() for plane in full.run().planes)
    assert three[0] < 0.1 * two[0], "depth 3 starts best"
    assert 1.3 < two[2] / two[0] < 3, "depth 2 is damaged moderately"
    assert three[2] / three[0] > 5, "depth 3 is damaged most"
    assert three[1] < three[0], "a short while helps depth 3"


# ---------------------------------------------------------------- results, settings, mistakes


def tiny(**changes: Any) -> MatrixCompletion:
    settings: dict[str, Any] = {
        "size": 8, "observed": 40, "few": 20, "durations": (0, 100), "after": 200, "seeds": 3, "depths": (1, 2),
        "every": 20, "top": 3,
    }  # fmt: skip
    return MatrixCompletion(**{**settings, **changes})


def test_a_study_runs_reports_its_progress_and_tells_tidy_tables() -> None:
    from chiasm.theory.completion.page import findings, panels

    told: list[float] = []
    result = tiny().run(told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    table, means = result.frame(), result.summary()
    assert table.shape[0] == 2 * 4 * 2 * 3
    chosen = table.filter(depth=2, switch="noise", duration=100)["error"].to_numpy()
    (row,) = means.filter(depth=2, switch="noise", duration=100).to_dicts()
    assert row["mean"] == pytest.approx(chosen.mean())
    low, high = student.interval(0.95, 2, chosen.mean(), chosen.std(ddof=1) / 3**0.5)
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    with pytest.raises(ChiasmError, match="level = 1"):
        result.summary(1)
    np.testing.assert_allclose(chosen, result.planes[1].error[2, 1])
    names = [panel.name for panel in panels(result)]
    assert names == [
        "completion-matrix", "completion-observations", "completion-noise", "completion-pattern",
        "completion-values-2", "completion-equation",
    ]  # fmt: skip
    said = findings(result)
    assert all(text.endswith(".") for text in said)
    assert not [text for text in said if "nan" in text]


def test_tiny_starts_and_tiny_steps_have_a_mismatch_too() -> None:
    # Speeds of 1e-200 and of 1e200 have no squares.
    for small in ({"scale": 1e-200, "depth": 3}, {"step": 1e-300, "depth": 2}):
        assert np.isfinite(complete(draws(1), steps=200, **small).mismatch()).all()  # type: ignore[arg-type]


def test_cells_of_one_draw_share_the_control_whatever_the_switch() -> None:
    result = tiny(depths=(2,)).run()
    control = result.planes[0].error[:, 0]
    assert (control == control[0]).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"pattern": "blocks", "blocks": 2, "switches": ("pattern",)},
        {"pattern": "given", "mask": tuple((1, 0, 1, 1, 0, 1, 1, 1) for _ in range(8)), "few": 30, "observed": 1},
        {"first_rank": 4, "switches": ("matrix",), "init": "balanced"},
    ],
)
def test_patterns_ranks_and_starts_can_be_chosen(changes: dict[str, Any]) -> None:
    study = tiny(**changes, depths=(2,))
    result = study.run()
    assert np.isfinite(result.planes[0].error).all()
    draw = result.draws[0]
    if study.pattern == "given":
        assert draw.final.mask.tolist() == [[bool(x) for x in row] for row in study.mask]
    if study.pattern == "blocks":
        assert draw.final.mask.tolist() == block_mask(8, 2).tolist()
    if study.first_rank:
        assert np.linalg.matrix_rank(draw.earlier[0].truth) == 4


def test_settings_come_from_a_file_and_refuse_what_they_do_not_know() -> None:
    text = b'{"kind": "matrix-completion", "switches": ["noise"], "rank": 3}'
    assert msgspec.json.decode(text, type=MatrixCompletion).rank == 3
    with pytest.raises(msgspec.ValidationError, match="ranks"):
        msgspec.json.decode(b'{"kind": "matrix-completion", "ranks": 3}', type=MatrixCompletion)


def nan_matrix() -> Floats:
    made = np.ones((4, 4))
    made[1, 2] = np.nan
    return made


ONE = draws(1)
MISTAKES: list[tuple[Any, str]] = [
    (lambda: CompletionTask.of(nan_matrix(), np.ones((4, 4))), "NaN or infinite"),
    (lambda: CompletionTask.of(np.ones((4, 3)), np.ones((4, 3))), "square matrix"),
    (lambda: CompletionTask.of(np.ones((4, 4)), np.ones((3, 3))), "mask: its shape (3, 3)"),
    (lambda: CompletionTask.of(np.ones((4, 4)), np.zeros((4, 4))), "no entry is shown"),
    (lambda: CompletionTask.of(np.ones((4, 4)), np.ones((4, 4)), noise=-1), "noise = -1"),
    (lambda: CompletionDraw(0, ONE[0].final, draws(1, 5, 10)[0].earlier), "sizes [5, 6]"),
    (lambda: low_rank(4, 5, 0), "rank = 5"),
    (lambda: random_mask(4, 17, 0), "observed = 17"),
    (lambda: block_mask(4, 5), "blocks = 5"),
    (lambda: thin(block_mask(4, 2), 9, 0), "few = 9"),
    (lambda: complete([]), "no draw"),
    (lambda: complete([ONE[0], *draws(1, 5, 10)]), "differ in size"),
    (lambda: complete(ONE, depth=0), "depth = 0"),
    (lambda: complete(ONE, step=-0.1), "step = -0.1"),
    (lambda: complete(ONE, step=float("nan")), "step = nan"),
    (lambda: complete(ONE, scale=0.0), "scale = 0"),
    (lambda: complete(ONE, every=0), "every = 0"),
    (lambda: complete(ONE, top=0), "top = 0"),
    (lambda: complete(ONE, init="identity"), "unknown init 'identity'"),  # type: ignore[arg-type]
    (lambda: complete(ONE, release=5, steps=4), "onset <= release <= steps"),
    (lambda: complete(ONE, steps=0), "steps = 0"),
    (lambda: complete(ONE, onset=-1), "onset = -1"),
    (lambda: complete(ONE, steps=2.5), "steps = 2.5; expected a whole number"),
    (lambda: complete(ONE, draw=1), "not among the 1 draws"),
    (lambda: complete(ONE, release=2, earlier=2), "earlier task 2 of draw 0"),
    (lambda: complete(ONE, draw=[0, 0], steps=[1, 2, 3]), "do not broadcast"),
    (lambda: complete(ONE, depth=3, step=400.0, steps=400), "diverge"),
    # One layer swings out by 5 % a step, and does not overflow within 4000.
    (lambda: complete(ONE, depth=1, step=49.2, steps=4000), "diverge"),
    (lambda: complete(ONE, depth=1.5), "depth = 1.5"),  # type: ignore[arg-type]
    (lambda: complete(ONE, every=1.5), "every = 1.5"),  # type: ignore[arg-type]
    (lambda: CompletionTask.of("x", [[1]]), "truth = 'x'"),
    (lambda: CompletionTask.of(np.eye(2), [[2, 0], [0, 1]]), "of 1 and 0"),
    (lambda: CompletionTask.of(np.eye(2), np.diag([np.nan, 1])), "of 1 and 0"),
    (lambda: spectral_rates(np.eye(2), np.eye(2), 0), "depth = 0"),
    (lambda: spectral_rates(np.eye(2), np.eye(3), 2), "one shape"),
    (lambda: spectral_rates(np.eye(2) * np.nan, np.eye(2), 2), "finite"),
    (lambda: tiny(first_rank=0).draw(0), "rank = 0"),
    (lambda: tiny(observed=64).draw(0), "nothing is left to complete"),
    (lambda: tiny(pattern="given", mask=((2,) * 8,) * 8).run(), "0 or 1"),
    (lambda: tiny(depths=()), "depths is empty"),
    (lambda: tiny(seeds=0), "seeds = 0"),
    (lambda: tiny(durations=(-5,)), "durations"),
    (lambda: tiny(pattern="given", mask=((1,),)).run(), "needs 8 rows of 8"),
]


@pytest.mark.parametrize(("make", "said"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_a_mistake_is_one_clear_sentence(make: Any, said: str) -> None:
    with pytest.raises(ChiasmError) as caught:
        make()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
