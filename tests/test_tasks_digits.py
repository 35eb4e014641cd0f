"""Digits against the 1797 pictures that scikit-learn brings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from chiasm.sources import Batch
from chiasm.tasks import Data, Digits


@pytest.fixture(scope="module")
def data() -> Data:
    return Digits().load(0)


def whole(batch: Batch) -> torch.Tensor:
    return torch.cat([batch.sources["left"], batch.sources["right"]], dim=-1).double()


def test_the_two_sets_hold_every_picture_once_with_its_label(data: Data) -> None:
    bunch = load_digits()
    joined = torch.cat([whole(data.train), whole(data.test)])
    raw = torch.tensor(bunch.images)
    # Undo the standardisation by two known values: the darkest pixel is 0, the brightest 16.
    pixels = (joined - joined.min()) / (joined.max() - joined.min()) * 16
    assert torch.allclose(pixels, pixels.round(), atol=1e-4)
    target = torch.cat([data.train.target, data.test.target])
    found = sorted(zip(pixels.round().flatten(1).tolist(), target.tolist(), strict=True))
    assert found == sorted(zip(raw.flatten(1).tolist(), bunch.target.tolist(), strict=True))


def test_the_training_set_has_mean_zero_and_deviation_one_and_the_test_set_only_nearly(data: Data) -> None:
    train, test = whole(data.train), whole(data.test)
    assert abs(train.mean()) < 1e-6
    assert abs(train.std(correction=0) - 1) < 1e-6
    assert 1e-5 < abs(test.mean()) < 0.1


def test_rest_is_the_mean_of_each_training_pixel(data: Data) -> None:
    for name in ("left", "right"):
        mean = data.train.sources[name].double().mean(0)
        assert torch.allclose(data.train.baseline[name].double(), mean, atol=1e-6)
        assert torch.equal(data.test.baseline[name], data.train.baseline[name])
        assert data.train.baseline[name].abs().max() > 0.5  # pixels differ, so baseline is not a constant


def test_description_agrees_with_the_pictures() -> None:
    described = Digits().describe()
    assert (described.train, described.test) == (1280, 517)
    counts = np.bincount(load_digits().target)
    assert described.chance == counts.max() / counts.sum()
    assert [(s.name, s.shape, s.kind) for s in described.sources] == [
        ("left", (1, 8, 4), "image"),
        ("right", (1, 8, 4), "image"),
    ]


def test_sizes_may_be_chosen_and_smaller_sets_are_parts_of_larger_ones() -> None:
    data = Digits(train=100, test=50).load(0)
    assert (len(data.train), len(data.test)) == (100, 50)
    assert torch.equal(data.train.target, Digits().load(0).train.target[:100])
    assert len(Digits(train=1796).load(0).test) == 1


def test_the_version_of_scikit_learn_is_part_of_the_identity() -> None:
    import sklearn

    assert Digits().content_key() == f"scikit-learn {sklearn.__version__}"
