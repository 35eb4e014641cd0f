"""A user's arrays: what comes out is what went in, split and standardised by the training samples only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from chiasm.sources import Batch
from chiasm.tasks import Arrays, write_arrays

Rows = dict[str, NDArray[Any]]


@pytest.fixture
def rows() -> Rows:
    draw = np.random.default_rng(0)
    return {
        "sound": draw.normal(5, 3, (40, 6)),
        "picture": draw.integers(0, 256, (40, 4, 3), dtype=np.uint8),
        "weight": draw.normal(100, 1, 40).astype(np.float32),
        "label": draw.integers(0, 3, 40) * 10 - 10,
        "train": np.arange(40) % 4 != 0,
    }


def test_sources_come_in_file_order_with_shapes_kinds_and_sorted_classes(rows: Rows, tmp_path: Path) -> None:
    task = write_arrays(rows, tmp_path / "a.npz", kinds={"picture": "image"})
    described = task.describe()
    assert [(s.name, s.shape, s.kind) for s in described.sources] == [
        ("sound", (6,), "vector"),
        ("picture", (4, 3), "image"),
        ("weight", (1,), "vector"),
    ]
    assert described.classes == ("-10", "0", "10")
    assert described.chance == np.unique(rows["label"], return_counts=True)[1].max() / 40
    assert [s.name for s in write_arrays(rows, tmp_path / "b.npz", sources=["weight", "sound"]).describe().sources] == [
        "weight",
        "sound",
    ]


def test_the_official_split_is_kept_in_order_for_every_seed(rows: Rows, tmp_path: Path) -> None:
    task = write_arrays(rows, tmp_path / "a.npz", standardise="none")
    for seed in (0, 1):
        data = task.load(seed)
        for batch, which in ((data.train, rows["train"]), (data.test, ~rows["train"])):
            assert np.array_equal(batch.sources["picture"].numpy(), rows["picture"][which].astype(np.float32))
            assert np.array_equal(batch.sources["weight"].numpy(), rows["weight"][which, None])
            assert np.array_equal(batch.target.numpy() * 10 - 10, rows["label"][which])


@pytest.mark.parametrize("standardise", ["global", "feature", "none"])
def test_standardising_and_rest_look_at_training_samples_only(rows: Rows, tmp_path: Path, standardise: str) -> None:
    rows["sound"][~rows["train"]] += 1000  # must not move anything
    data = write_arrays(rows, tmp_path / "a.npz", standardise=standardise).load(0)
    for name in ("sound", "picture"):
        raw = rows[name].astype(np.float64)
        axis = 0 if standardise == "feature" else None
        mean, deviation = raw[rows["train"]].mean(axis), raw[rows["train"]].std(axis)
        expected = raw if standardise == "none" else (raw - mean) / deviation
        for batch, which in ((data.train, rows["train"]), (data.test, ~rows["train"])):
            assert np.allclose(batch.sources[name].numpy(), expected[which], rtol=1e-5, atol=1e-5)
            assert np.allclose(batch.baseline[name].numpy(), expected[rows["train"]].mean(0), rtol=1e-5, atol=1e-5)


def test_a_constant_element_becomes_zero_and_stays_finite(rows: Rows, tmp_path: Path) -> None:
    rows["sound"][:, 2] = 0.1  # 0.1 is no binary number: a naive variance of it is not 0
    rows["weight"] = np.full(40, 0.1)
    rows["sound"][~rows["train"], 2] = 0.6
    feature = write_arrays(rows, tmp_path / "a.npz", standardise="feature").load(0)
    assert feature.train.sources["sound"][:, 2].abs().max() == 0
    assert torch.allclose(feature.test.sources["sound"][:, 2], torch.tensor(0.5))
    globally = write_arrays(rows, tmp_path / "a.npz").load(0)
    assert globally.train.sources["weight"].abs().max() == 0


def test_large_sources_are_standardised_in_pieces_alike(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = write_arrays(rows, tmp_path / "a.npz", standardise="feature")
    whole = task.load(0)
    monkeypatch.setattr("chiasm.tasks.scaling.PIECE", 7)
    pieces = task.load(0)
    for name in whole.train:
        assert torch.allclose(whole.test.sources[name], pieces.test.sources[name], rtol=1e-6, atol=1e-6)


def test_a_random_split_has_the_share_covers_all_and_depends_on_the_seed(rows: Rows, tmp_path: Path) -> None:
    rows["weight"] = np.arange(40)
    del rows["train"]
    task = write_arrays(rows, tmp_path / "a.npz", test_share=0.3, standardise="none")
    tests = set()
    for seed in range(5):
        data = task.load(seed)
        known, asked = (batch.sources["weight"].flatten().int().tolist() for batch in (data.train, data.test))
        assert (len(known), len(asked)) == (28, 12) == (task.describe().train, task.describe().test)
        assert sorted(known + asked) == list(range(40))
        assert np.array_equal(data.test.target.numpy() * 10 - 10, rows["label"][asked])
        tests.add(tuple(asked))
    assert len(tests) == 5


def test_labels_of_any_integers_or_strings_are_classes_in_sorted_order(rows: Rows, tmp_path: Path) -> None:
    for labels in (np.array(["b", "a", "cd", "a"] * 10), np.array([2**40, -7, 2**41, -7] * 10)):
        task = write_arrays({**rows, "label": labels}, tmp_path / "a.npz")
        values = sorted(set(labels.tolist()))
        assert task.describe().classes == tuple(str(value) for value in values)
        assert [values[t] for t in task.load(0).test.target] == labels[~rows["train"]].tolist()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_floating_labels_are_numbers_in_the_users_units(
    rows: Rows, tmp_path: Path, shape: tuple[int, ...], kind: type[np.floating[Any]]
) -> None:
    numbers = np.random.default_rng(1).normal(50, 20, (40, *shape)).astype(kind)
    task = write_arrays({**rows, "label": numbers}, tmp_path / "a.npz")
    described, data = task.describe(), task.load(0)
    assert (described.classes, described.target) == ((), shape)
    assert described.chance == pytest.approx(numbers.astype(np.float64).var(axis=0).mean(), rel=1e-6)
    for batch, which in ((data.train, rows["train"]), (data.test, ~rows["train"])):
        assert batch.target.dtype == torch.float32
        assert np.array_equal(batch.target.numpy(), numbers[which].astype(np.float32))


def test_numbers_change_nothing_about_sources_and_split(rows: Rows, tmp_path: Path) -> None:
    del rows["train"]
    classes = write_arrays(rows, tmp_path / "a.npz")
    numbers = write_arrays({**rows, "label": rows["label"].astype(np.float64)}, tmp_path / "b.npz")
    assert classes.describe().target == ()
    for seed in range(3):
        for mine, theirs in zip(_sets(classes, seed), _sets(numbers, seed), strict=True):
            assert torch.equal(mine.target * 10 - 10, theirs.target)
            for name in mine:
                assert torch.equal(mine.sources[name], theirs.sources[name])
                assert torch.equal(mine.baseline[name], theirs.baseline[name])
    assert classes.content_key() != numbers.content_key()


def _sets(task: Arrays, seed: int) -> tuple[Batch, Batch]:
    data = task.load(seed)
    return data.train, data.test


def test_a_constant_number_is_a_target_like_any_other(rows: Rows, tmp_path: Path) -> None:
    data = write_arrays({**rows, "label": np.full(40, 2.5)}, tmp_path / "a.npz").load(0)
    assert set(data.train.target.tolist()) == {2.5}


def test_a_folder_of_npy_files_holds_the_same_task(rows: Rows, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, x in rows.items():
        np.save(tmp_path / "folder" / f"{name}.npy", x)
    (tmp_path / "folder" / "notes.txt").write_text("recorded on a Monday")
    names = ("sound", "picture", "weight")
    folder = Arrays(path=str(tmp_path / "folder"), sources=names)
    file = write_arrays(rows, tmp_path / "a.npz", sources=names)
    assert folder.content_key() == file.content_key()
    assert [s.name for s in Arrays(path=folder.path).describe().sources] == ["picture", "sound", "weight"]
    for a, b in zip(folder.load(0).test.sources.values(), file.load(0).test.sources.values(), strict=True):
        assert torch.equal(a, b)


def test_the_identity_is_the_content_and_not_the_place(rows: Any, tmp_path: Path) -> None:
    task = write_arrays(rows, tmp_path / "a.npz")
    key = task.content_key()
    assert len(key) == 64
    np.savez_compressed(tmp_path / "b.npz", **rows)
    assert Arrays(path=str(tmp_path / "b.npz")).content_key() == key
    touched = rows["sound"].copy()
    touched[3, 3] = np.nextafter(touched[3, 3], 9)
    others = [
        {**rows, "sound": touched},
        {**rows, "label": rows["label"][::-1]},
        {**rows, "train": ~rows["train"]},
        {**rows, "picture": rows["picture"].astype(np.uint16)},
        {**rows, "picture": rows["picture"].reshape(40, 3, 4)},
        {("noise" if name == "sound" else name): x for name, x in rows.items()},
    ]
    keys = {write_arrays(other, tmp_path / "c.npz").content_key() for other in others}
    assert len(keys | {key}) == len(others) + 1


def test_one_source_or_many_torch_tensors_and_awkward_names_will_do(tmp_path: Path) -> None:
    many: dict[str, Any] = {
        name: torch.randn(10, 2, requires_grad=True) for name in ("file", "x y", "µ", "allow_pickle")
    }
    many["label"] = [0, 1] * 5
    task = write_arrays(many, tmp_path / "exact name")
    assert [s.name for s in task.describe().sources] == ["file", "x y", "µ", "allow_pickle"]
    assert os.listdir(tmp_path) == ["exact name"]
    assert list(write_arrays({"only": np.eye(10), "y": many["label"]}, tmp_path / "b", label="y").load(0).train) == [
        "only"
    ]


def test_equal_arrays_are_equal_files_and_a_wrong_one_does_not_replace_a_good_one(rows: Rows, tmp_path: Path) -> None:
    write_arrays(rows, tmp_path / "a.npz")
    good = (tmp_path / "a.npz").read_bytes()
    with pytest.raises(ValueError, match="NaN"):
        write_arrays({**rows, "sound": rows["sound"] * np.nan}, tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == good
    assert write_arrays(rows, tmp_path / "b.npz") != write_arrays(rows, tmp_path / "a.npz")
    assert (tmp_path / "b.npz").read_bytes() == good


def test_real_features_of_handwritten_digits_in_six_sources() -> None:
    folder = os.environ.get("CHIASM_TEST_DATA")
    if not folder:
        pytest.skip("CHIASM_TEST_DATA is not set")
    path = Path(folder) / "mfeat.npz"
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    task = Arrays(path=str(path), standardise="feature")
    described, data = task.describe(), task.load(0)
    assert [(s.name, s.shape) for s in described.sources] == [
        ("fou", (76,)),
        ("fac", (216,)),
        ("kar", (64,)),
        ("pix", (240,)),
        ("zer", (47,)),
        ("mor", (6,)),
    ]
    assert described.classes == tuple("0123456789")
    assert described.chance == 0.1
    assert described.train + described.test == 2000
    for x in data.train.sources.values():
        deviation = x.double().std(0, correction=0)
        assert x.double().mean(0).abs().max() < 1e-5
        assert ((deviation - 1).abs() < 1e-5).logical_or(deviation == 0).all()
    # Nearest class mean over all sources: far above chance, so rows and labels are in step.
    train, test = (torch.cat(list(batch.sources.values()), 1) for batch in (data.train, data.test))
    means = torch.stack([train[data.train.target == digit].mean(0) for digit in range(10)])
    accuracy = (torch.cdist(test, means).argmin(1) == data.test.target).float().mean()
    assert accuracy > 0.85
    assert len(task.content_key()) == 64
    assert msgspec.json.decode(msgspec.json.encode(task), type=Arrays) == task
