"""Stereograms against enumeration: one eye knows nothing, exactly; both know all but the symmetric patterns."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.sources import Batch
from chiasm.tasks import Stereogram


def everything(task: Stereogram) -> tuple[Tensor, Tensor, Tensor]:
    """Each pattern with each label once, which is the distribution the task draws from: left, right, target."""
    shape = task.describe().sources[0].shape
    dots = task.size**task.dims
    patterns = torch.tensor(list(product([-1.0, 1.0], repeat=dots))).view(-1, *shape)
    classes = len(task.disparities)
    left = patterns.repeat_interleave(classes, 0)
    target = torch.arange(classes).repeat(len(patterns))
    return left, task.right_eye(left, target), target


def keys(x: Tensor) -> list[tuple[float, ...]]:
    return [tuple(row) for row in x.flatten(1).tolist()]


SMALL = [Stereogram(size=6), Stereogram(size=7, disparities=(0, 3)), Stereogram(dims=2, size=3, disparities=(-1, 0, 1))]


@pytest.mark.parametrize("task", SMALL)
@pytest.mark.parametrize("eye", ["left", "right"])
def test_one_eye_and_the_label_are_exactly_independent(task: Stereogram, eye: str) -> None:
    left, right, target = everything(task)
    joint = Counter(zip(keys({"left": left, "right": right}[eye]), target.tolist(), strict=True))
    # A product of two uniform distributions: each of the 2**dots pictures with each label, equally often.
    assert len(joint) == 2 ** (task.size**task.dims) * len(task.disparities)
    assert set(joint.values()) == {1}


@pytest.mark.parametrize("task", SMALL)
def test_both_eyes_know_the_label_save_for_patterns_equal_to_a_roll_of_themselves(task: Stereogram) -> None:
    left, right, target = everything(task)
    labels: dict[tuple[float, ...], set[int]] = {}
    for pair, label in zip(keys(torch.cat([left.flatten(1), right.flatten(1)], 1)), target.tolist(), strict=True):
        labels.setdefault(pair, set()).add(label)
    ambiguous = {pair[: len(pair) // 2] for pair, known in labels.items() if len(known) > 1}
    gaps = {a - b for a, b in product(task.disparities, repeat=2) if a != b}
    symmetric = {
        key
        for gap in gaps
        for key, x, rolled in zip(keys(left), left, left.roll(gap, -1), strict=True)
        if torch.equal(x, rolled)
    }
    assert ambiguous == symmetric
    assert len(ambiguous) < 0.5 * 2 ** (task.size**task.dims)


def test_the_right_eye_is_the_left_rolled_by_the_disparity() -> None:
    for task in (Stereogram(train=64, test=8), Stereogram(dims=2, size=5, train=64, test=8)):
        batch = task.draw(0, 0)
        for left, right, target in zip(batch.sources["left"], batch.sources["right"], batch.target, strict=True):
            assert torch.equal(right, left.roll(task.disparities[int(target)], -1))
            assert set(left.flatten().tolist()) <= {-1.0, 1.0}


def correlation_answer(task: Stereogram, batch: Batch) -> Tensor:
    """The best answer under independent flips: the disparity at which the two eyes agree most."""
    left, right = batch.sources["left"], batch.sources["right"]
    agreement = [(left.roll(disparity, -1) * right).flatten(1).sum(1) for disparity in task.disparities]
    return torch.stack(agreement, 1).argmax(1)


def test_correlating_both_eyes_solves_the_test_set_and_an_unrelated_eye_does_not() -> None:
    task = Stereogram(dims=2, size=8)
    test = task.load(0).test
    assert torch.equal(correlation_answer(task, test), test.target)
    unrelated = test.with_source("right", test.sources["right"].roll(1, 0))
    accuracy = (correlation_answer(task, unrelated) == test.target).float().mean().item()
    assert abs(accuracy - 0.25) < 4 * (0.25 * 0.75 / len(test)) ** 0.5


def test_labels_and_dots_are_uniform_within_four_standard_errors() -> None:
    samples = 40_000
    batch = Stereogram(train=samples).draw(0, 0)
    counts = torch.bincount(batch.target, minlength=4)
    assert (counts - samples / 4).abs().max() < 4 * (samples * 3 / 16) ** 0.5
    for x in batch.sources.values():
        assert x.mean(0).abs().max() < 4.5 * samples**-0.5
        assert (x.T @ x / samples - torch.eye(16)).abs().max() < 4.5 * samples**-0.5


def test_rest_is_the_exact_mean_zero() -> None:
    left, right, _ = everything(SMALL[0])
    baseline = SMALL[0].draw(0, 0).baseline
    assert torch.equal(baseline["left"], left.mean(0))
    assert torch.equal(baseline["right"], right.mean(0))


def test_noise_flips_its_share_independently_and_leaves_dots_and_labels() -> None:
    clean, noisy = (Stereogram(train=20_000, noise=noise).draw(0, 0) for noise in (0.0, 0.2))
    assert torch.equal(clean.target, noisy.target)
    flips = [(clean.sources[eye] != noisy.sources[eye]).double() for eye in ("left", "right")]
    error = (0.2 * 0.8 / flips[0].numel()) ** 0.5
    for flip in flips:
        assert abs(flip.mean() - 0.2) < 4 * error
    # Flipped in both eyes at once: 0.2**2, wherever the dot has moved to.
    for x in (flips[1], flips[1].roll(1, 1)):
        assert abs((flips[0] * x).mean() - 0.04) < 4 * error
    assert set(noisy.sources["left"].flatten().tolist()) == {-1.0, 1.0}


def pairs(batch: Batch) -> set[tuple[float, ...]]:
    return set(keys(torch.cat(list(batch.sources.values()), 1)))


def test_no_training_sample_is_tested_and_the_rejected_ones_are_counted() -> None:
    task = Stereogram()
    rejected = 0
    for seed in range(20):
        data = task.load(seed)
        trained = pairs(data.train)
        assert not trained & pairs(data.test)
        rejected += task.rejected(seed)
        plain = Stereogram(fresh=True).load(seed)
        changed = (plain.test.sources["left"] != data.test.sources["left"]).any(1)
        known = torch.tensor([pair in trained for pair in keys(torch.cat(list(plain.test.sources.values()), 1))])
        assert torch.equal(changed, known)  # only what training has was drawn again
        drawn, first = data.test.sources["left"][changed], plain.test.sources["left"][: int(changed.sum())]
        assert not torch.equal(drawn, first)  # and from a stream of its own
    # 2**16 patterns of four labels: 1024 samples meet one of about 2048 training pairs 8 times a seed.
    assert abs(rejected - 160) < 4 * 160**0.5


def test_fresh_epochs_differ_and_the_first_is_the_fixed_training_set() -> None:
    task = Stereogram(fresh=True)
    assert torch.equal(task.draw(0, 0).sources["left"], Stereogram().load(0).train.sources["left"])
    assert len(pairs(task.draw(0, 0)) & pairs(task.draw(0, 1))) < 60  # 16 expected by chance
    assert torch.equal(task.draw(0, 7).target, task.draw(0, 7).target)
    assert not torch.equal(task.draw(0, 7).target, task.draw(1, 7).target)
    assert task.rejected(0) == 0


def test_too_few_patterns_for_a_disjoint_test_set_are_told() -> None:
    with pytest.raises(ChiasmError, match=r"^size = 4: nearly every pair .* or fresh = true$"):
        Stereogram(size=4, disparities=(0, 1)).load(0)
    assert len(Stereogram(size=4, disparities=(0, 1), fresh=True).load(0).test) == 1024
