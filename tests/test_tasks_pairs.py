"""Tasks of pairs and more: what each source alone tells, what only all tell, files that do not fit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chiasm.errors import ChiasmError
from chiasm.tasks import Motion, Sensors, SpokenDigits, VisualQuestion
from chiasm.tasks.motion import STEPS, rolled

REAL = os.environ.get("CHIASM_TEST_DATA")


def test_a_roll_is_numpys() -> None:
    x, shift = torch.randn(4, 6, 6), torch.tensor([[0, 0], [2, 1], [-1, 3], [7, -8]])
    for one, moved, (down, right) in zip(x, rolled(x, shift), shift.tolist(), strict=True):
        assert np.array_equal(np.roll(one.numpy(), (down, right), (0, 1)), moved.numpy())


@pytest.mark.parametrize("texture", ["noise", "dots"])
@pytest.mark.parametrize("directions", [4, 8])
def test_both_frames_determine_the_direction(directions: Any, texture: Any) -> None:
    """By the correlation of the second frame with the first one, moved in each direction."""
    task = Motion(directions=directions, shift=2, texture=texture, train=300, test=10)
    batch = task.load(0).train
    first, second = (batch.sources[name][:, 0] for name in ("first", "second"))
    ways = list(STEPS.values())[:directions]
    match = torch.stack([(rolled(first, torch.tensor([way] * 300) * 2) * second).sum((1, 2)) for way in ways], 1)
    assert torch.equal(match.argmax(1), batch.target)


def test_a_frame_alone_is_the_same_whatever_the_direction() -> None:
    """Frames of one stream under other directions are the first ones to the bit, and rolls of them."""
    one, other = (Motion(shift=shift, train=50, test=10).load(3).train for shift in (1, 2))
    assert torch.equal(one.sources["first"], other.sources["first"])
    for a, b in zip(one.sources["first"], one.sources["second"], strict=True):
        assert torch.equal(a.flatten().sort().values, b.flatten().sort().values)


def test_noise_has_variance_one_and_no_brightness() -> None:
    x = Motion(train=2000, test=10).load(0).train.sources["first"]
    assert abs(float(x.var()) - 1) < 0.05  # 2,000 pictures of some 12 independent waves each: sd of the mean .006
    assert x.mean((1, 2, 3)).abs().max() < 1e-5


def test_shapes_are_seen_in_either_frame() -> None:
    task = Motion(size=16, shapes=4, texture="dots", contrast=6.0, train=400, test=10)
    about, batch = task.describe(), task.load(0).train
    assert about.factors == {"shape": ("disc", "square", "ring", "cross"), "direction": ("up", "down", "left", "right")}
    for x in batch.sources.values():
        bright = (x > 3).float().mean((1, 2, 3))  # a shape's area, by which it is told here
        areas = [set(bright[batch.target // 4 == shape].tolist()) for shape in range(4)]
        assert [len(area) for area in areas] == [1, 1, 1, 1]
        assert len(set.union(*areas)) > 2  # of pixels on a grid two areas may agree
    # Areas of 400 samples' shapes move the mean by .01 from draw to draw, times the contrast.
    assert torch.allclose(batch.sources["first"].mean(), batch.baseline["first"].mean(), atol=0.1)


def test_words_alone_answer_most_questions_about_colours() -> None:
    task = VisualQuestion(usual=0.9, train=20_000, test=20_000)
    data = task.load(0)
    for batch, share in ((data.train, 0.9), (data.test, 0.25)):
        words, colours = batch.sources["words"], batch.sources["words"][:, 0, 0] == 1
        assert abs(float(colours.float().mean()) - 0.5) < 0.02
        guessed = words[colours][:, 2, 3:7].argmax(1) == batch.target[colours]
        assert abs(float(guessed.float().mean()) - share) < 0.015  # sd of a share of 10,000: .004
        places = batch.target[~colours]
        assert abs(places.bincount(minlength=8)[4:] / len(places) - 0.25).max() < 0.02
    for name, x in data.train.sources.items():
        assert (x.mean(0) - data.train.baseline[name]).abs().max() < 0.03


def test_the_picture_answers_every_question() -> None:
    batch = VisualQuestion(noise=0.0, train=500, test=10).load(0).train
    picture, asked = batch.sources["picture"], batch.sources["words"][:, 0, 1] == 1
    corner = picture.reshape(500, 3, 2, 4, 2, 4).abs().sum((1, 3, 5)).flatten(1).argmax(1)
    assert torch.equal(corner[asked] + 4, batch.target[asked])


def recordings(folder: Path, **changes: Any) -> Path:
    rng = np.random.default_rng(0)
    arrays = {
        "depth": rng.integers(256, size=(12, 8, 8, 8), dtype=np.uint8),
        "skeleton": rng.normal(size=(12, 8, 5, 3)).astype(np.float32),
        "inertial": rng.normal(size=(12, 16, 6)).astype(np.float32),
        "label": np.arange(12) % 3,
        "train": np.arange(12) % 2 == 0,
        "label_names": np.array(["wave", "clap", "sit"]),
    }
    np.savez(folder / "utd_mhad.npz", **{k: v for k, v in (arrays | changes).items() if v is not None})
    return folder


def test_sensors_are_reduced_by_means(tmp_path: Path) -> None:
    task = Sensors(path=str(recordings(tmp_path)), frames=2, pixels=4, steps=4, standardise="none")
    about, data = task.describe(), task.load(0)
    assert about.classes == ("wave", "clap", "sit")
    assert [(s.name, s.shape) for s in about.sources] == [
        ("depth", (2, 4, 4)), ("skeleton", (4, 15)), ("accelerometer", (4, 3)), ("gyroscope", (4, 3)),
    ]  # fmt: skip
    with np.load(tmp_path / "utd_mhad.npz") as arrays:
        rows = arrays["train"]
        depth = arrays["depth"][rows][:, [0, 7]].reshape(6, 2, 4, 2, 4, 2).mean((3, 5))
        np.testing.assert_allclose(data.train.sources["depth"], depth, rtol=1e-6)
        gyroscope = arrays["inertial"][rows][..., 3:].reshape(6, 4, 4, 3).mean(2)
        np.testing.assert_allclose(data.train.sources["gyroscope"], gyroscope, rtol=1e-5)
        skeleton = arrays["skeleton"][rows]
    moved = recordings(tmp_path, skeleton=None)  # where a person stands says nothing
    with np.load(moved / "utd_mhad.npz") as arrays:
        others = dict(arrays)
    whole = np.random.default_rng(0).normal(size=(12, 8, 5, 3)).astype(np.float32)
    whole[0::2] = skeleton
    np.savez(moved / "utd_mhad.npz", **others, skeleton=whole + np.array([5, -7, 2], np.float32))
    again = task.load(0).train.sources["skeleton"]
    np.testing.assert_allclose(again, data.train.sources["skeleton"], atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        ({"inertial": None}, {}, "array.*inertial"),
        ({"depth": np.zeros((11, 8, 8, 8), np.uint8)}, {}, "every sensor must have every sample.*depth 11"),
        ({}, {"steps": 5}, "no multiple of steps = 5"),
        ({}, {"frames": 9}, "expected at most as many frames"),
        ({"train": np.ones(12, bool)}, {}, "leaves a set empty"),
        ({"skeleton": np.full((12, 8, 5, 3), np.nan, np.float32)}, {}, "not finite"),
        ({}, {"sensors": ["depth", "depth"]}, "named twice"),
        ({}, {"sensors": ["nose"]}, "nose"),
    ],
)
def test_recordings_that_do_not_fit_are_one_sentence(
    tmp_path: Path, changes: dict[str, Any], options: dict[str, Any], sentence: str
) -> None:
    recordings(tmp_path, **changes)
    with pytest.raises(ChiasmError, match=sentence):
        Sensors(path=str(tmp_path), **{"frames": 2, "pixels": 4, "steps": 4, **options}).load(0)


def test_recordings_that_are_not_there_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ChiasmError, match=r"there is no '.*utd_mhad.npz'; expected"):
        Sensors(path=str(tmp_path)).describe()
    with pytest.raises(ChiasmError, match=r"has no fsdd.npz; expected a folder with fsdd.npz and mnist.npz"):
        SpokenDigits(path=str(tmp_path)).describe()


def digits(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    label = np.arange(200) % 10
    np.savez(
        folder / "fsdd.npz",
        logmel=rng.integers(256, size=(200, 4, 4), dtype=np.uint8) // 2 + 12 * label[:, None, None].astype(np.uint8),
        label=label,
        train=np.arange(200) % 4 > 0,
    )
    written = rng.integers(10, size=300)
    pictures = np.repeat(written, 9).reshape(300, 3, 3).astype(np.uint8)
    np.savez(
        folder / "mnist.npz",
        train_images=pictures[:200], train_labels=written[:200], test_images=pictures[200:], test_labels=written[200:],
    )  # fmt: skip
    return folder


def test_equal_digits_and_sums(tmp_path: Path) -> None:
    same = SpokenDigits(path=str(digits(tmp_path)), train=4000, test=1000).load(1)
    shown = same.train.sources["image"][:, 0, 0, 0]
    levels = [set(shown[same.train.target == digit].tolist()) for digit in range(10)]
    assert all(len(level) == 1 for level in levels)  # the picture shows the class
    summed = SpokenDigits(path=str(tmp_path), pairs="sum", train=20_000, test=1000).load(1)
    shown = summed.train.sources["image"][:, 0, 0, 0]
    for level in set(shown.tolist()):  # whatever the picture, each class is as frequent
        own = summed.train.target[shown == level].bincount(minlength=10).float()
        assert (own / own.sum() - 0.1).abs().max() < 0.05  # some 2,000 samples a digit: sd .007, of ten
    again = SpokenDigits(path=str(tmp_path), pairs="sum", train=20_000, test=1000).load(2)
    assert torch.equal(summed.test.target, again.test.target)
    assert not torch.equal(summed.train.target, again.train.target)


@pytest.mark.skipif(
    REAL is None or not (Path(REAL) / "utd_mhad.npz").exists(), reason="needs utd_mhad.npz in CHIASM_TEST_DATA"
)
def test_real_recordings_are_read() -> None:
    about, data = Sensors(path=str(REAL)).describe(), Sensors(path=str(REAL)).load(0)
    assert (about.train, about.test, len(about.classes)) == (431, 430, 27)
    assert all(abs(float(x.std()) - 1) < 1e-3 for x in data.train.sources.values())
