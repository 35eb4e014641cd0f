"""Image sets on disk: both layouts of CIFAR are one set, folders are what Pillow reads, mistakes are one sentence."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chiasm.errors import ChiasmError
from chiasm.tasks.images.image_dataset import SPLITS, ImageDataset, Split
from chiasm.tasks.images.opening import open_dataset
from tests.cifar_files import drawn, write_binary, write_folder, write_pickles


def pixels(dataset: ImageDataset, split: Split, size: int | None = None) -> np.ndarray[Any, Any]:
    return np.concatenate(list(dataset.pieces(split, size)))


@pytest.mark.parametrize("write", [write_binary, write_pickles])
def test_a_layout_of_cifar_gives_what_was_written(tmp_path: Path, write: Callable[..., Path]) -> None:
    sets = drawn()
    dataset = open_dataset(str(write(tmp_path, sets)), "auto", "")
    for split in SPLITS:
        assert np.array_equal(pixels(dataset, split), sets[split][0])
        assert np.array_equal(dataset.target[split], sets[split][1])
    assert dataset.classes[3] == "cat"
    assert dataset.shape == (3, 32, 32)


def test_both_layouts_are_one_set_and_the_key_follows_what_they_hold(tmp_path: Path) -> None:
    sets = drawn()
    keys = [open_dataset(str(write_binary(tmp_path, sets)), "cifar-bin", "").digest()]
    keys.append(open_dataset(str(write_pickles(tmp_path, sets)), "cifar-py", "").digest())
    assert keys[0] == keys[1]
    for place, change in ((0, 1), (3072, 1)):  # a label, a pixel
        path = tmp_path / "cifar-10-batches-bin" / "test_batch.bin"
        held = bytearray(path.read_bytes())
        held[3073 + place] = (held[3073 + place] + change) % 10
        path.write_bytes(held)
        os.utime(path, ns=(place, place))
        keys.append(open_dataset(str(tmp_path), "cifar-bin", "").digest())
    assert len(set(keys)) == 3


def test_cifar_100_is_read_by_its_fine_labels(tmp_path: Path) -> None:
    images, labels = drawn(train=200, test=100, classes=100)["train"]
    for layout in ("cifar-100-binary", "cifar-100-python"):
        (tmp_path / layout).mkdir()
    coarse = np.full((200, 1), 7, np.uint8)
    records = np.concatenate([coarse, labels[:, None].astype(np.uint8), images.reshape(-1, 3072)], 1)
    (tmp_path / "cifar-100-binary" / "fine_label_names.txt").write_text("\n".join(f"f{i}" for i in range(100)))
    content = {b"data": images.reshape(-1, 3072), b"fine_labels": labels.tolist(), b"coarse_labels": [7] * 200}
    names = {b"fine_label_names": [f"f{i}".encode() for i in range(100)]}
    (tmp_path / "cifar-100-python" / "meta").write_bytes(pickle.dumps(names, 2))
    for split in SPLITS:
        records.tofile(tmp_path / "cifar-100-binary" / f"{split}.bin")
        (tmp_path / "cifar-100-python" / split).write_bytes(pickle.dumps(content, 2))
    for dataset in (open_dataset(str(tmp_path), "cifar-bin", ""), open_dataset(str(tmp_path), "cifar-py", "")):
        assert np.array_equal(dataset.target["test"], labels)
        assert np.array_equal(pixels(dataset, "train"), images)
        assert (dataset.name, dataset.classes[99]) == ("CIFAR-100", "f99")


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_a_folder_gives_its_images_class_by_class(tmp_path: Path, mode: str, channels: int) -> None:
    sets = drawn(train=12, test=6, classes=3, side=5)
    dataset = open_dataset(str(write_folder(tmp_path, sets, mode)), "auto", "")
    (tmp_path / "train" / "c0" / ".hidden").write_text("no image")
    assert dataset.classes == ("c0", "c1", "c2")
    assert dataset.shape == (channels, 5, 5)
    for split in SPLITS:
        order = np.argsort(sets[split][1], kind="stable")
        assert np.array_equal(dataset.target[split], sets[split][1][order])
        assert np.array_equal(pixels(dataset, split), sets[split][0][order][:, :channels])


def test_images_of_unequal_size_are_squared_where_a_size_is_asked_for(tmp_path: Path) -> None:
    write_folder(tmp_path, drawn(train=4, test=4, classes=2, side=4))
    wide = np.zeros((4, 10, 3), np.uint8)
    wide[:, 3:7] = 200  # the centre square
    Image.fromarray(wide).save(tmp_path / "train" / "c0" / "9999.png")
    with pytest.raises(
        ChiasmError, match=r"9999\.png' is 10 x 4 pixels and '0000\.png' 4 x 4; expected images of one size"
    ):
        pixels(open_dataset(str(tmp_path), "auto", ""), "train")
    small = pixels(open_dataset(str(tmp_path), "auto", ""), "train", 2)
    assert small.shape == (5, 3, 2, 2)
    assert (small[2] == 200).all()


def test_averaging_down_is_the_mean_of_squares_of_pixels(tmp_path: Path) -> None:
    sets = drawn()
    dataset = open_dataset(str(write_pickles(tmp_path, sets)), "auto", "")
    means = sets["test"][0].reshape(-1, 3, 16, 2, 16, 2).astype(np.float64).mean((3, 5))
    assert np.array_equal(pixels(dataset, "test", 16), np.rint(means).astype(np.uint8))
    assert np.array_equal(pixels(dataset, "test", 32), sets["test"][0])
    assert pixels(dataset, "test", 10).shape == (40, 3, 10, 10)
    with pytest.raises(ChiasmError, match="size = 33: CIFAR-10 is 32 x 32 pixels; expected a size of 32 or less"):
        pixels(dataset, "test", 33)


def test_grey_among_colours_is_a_colour_and_colours_among_grey_a_mistake(tmp_path: Path) -> None:
    write_folder(tmp_path, drawn(train=4, test=4, classes=2, side=4))
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    Image.fromarray(grey).save(tmp_path / "train" / "c1" / "zz.png")
    found = pixels(open_dataset(str(tmp_path), "folder", ""), "train")[-1]
    assert all(np.array_equal(channel, grey) for channel in found)
    Image.fromarray(grey).save(tmp_path / "train" / "c0" / "0000.png")
    with pytest.raises(ChiasmError, match="has colours, and the first image of the set is grey"):
        pixels(open_dataset(str(tmp_path), "folder", ""), "train")
    Image.fromarray(grey.astype(np.uint16) * 256).save(tmp_path / "train" / "c0" / "0000.png")
    with pytest.raises(ChiasmError, match=r"0000\.png' has more than eight bits a channel"):
        open_dataset(str(tmp_path), "folder", "")


def broken_binary(change: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        write_binary(path, drawn())
        place = path / "cifar-10-batches-bin"
        one = place / "data_batch_3.bin"
        held = one.read_bytes()
        if change == "lost":
            one.unlink()
        elif change == "class":
            write = np.fromfile(place / "test_batch.bin", np.uint8).reshape(-1, 3073)
            write[write[:, 0] == 4, 0] = 5
            write.tofile(place / "test_batch.bin")
        else:
            one.write_bytes({"cut": held[:-1], "empty": b"", "label": b"\x0a" + held[1:]}[change])

    return spoil


def broken_pickle(content: dict[str, Any]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        write_pickles(path, drawn())
        (path / "cifar-10-batches-py" / "data_batch_3").write_bytes(pickle.dumps(content, 2))

    return spoil


def folders(*files: str, also: str = "") -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        for name in files:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4)).save(path / name)
        if also:
            (path / also).parent.mkdir(parents=True, exist_ok=True)
            (path / also).write_text("not a picture")

    return spoil


FOUR = ("train/a/0.png", "train/b/0.png", "test/a/0.png", "test/b/0.jpg")
ROWS = np.zeros((2, 3072), np.uint8)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (broken_binary("cut"), "data_batch_3.bin' holds 36875 bytes, which is no whole number of CIFAR-10's records"),
        (broken_binary("empty"), "data_batch_3.bin' holds 0 bytes"),
        (broken_binary("label"), "data_batch_3.bin': 10 is no label of 10 classes; expected 0 to 9"),
        (broken_binary("lost"), "lacks data_batch_3.bin of CIFAR-10; unpack the archive again"),
        (broken_binary("class"), "the class 'deer' has no images in test; every class needs one or more in both"),
        (broken_pickle({"data": ROWS}), "has no 'labels', so it is no batch of CIFAR-10's Python layout; it has: data"),
        (broken_pickle({"data": ROWS, "labels": [1]}), "'labels' is no list of 2 integers, one an image"),
        (broken_pickle({"data": ROWS, "labels": [1, 2.5]}), "'labels' is no list of 2 integers"),
        (broken_pickle({"data": ROWS, "labels": [1, -1]}), "-1 is no label of 10 classes"),
        (broken_pickle({"data": ROWS[:, :3000], "labels": [1, 2]}), "'data' is uint8 of shape (2, 3000); expected"),
        (broken_pickle({"data": "x", "labels": [1, 2]}), "'data' is str; expected uint8 of shape (images, 3072)"),
        (folders(*FOUR[:2]), "test' has no folders of images"),
        (folders(*FOUR[:3], "test/c/0.png"), "the class 'c' has no images in train"),
        (folders("train/a/0.png", "test/a/0.png"), "has 1 class; expected two or more"),
        (folders(*FOUR, also="train/a/notes.txt"), "notes.txt' is no image; expected files that end in .png, .jpg"),
        (folders(*FOUR, also="train/a/0.png"), "0.png' is no image that Pillow can read"),
        (folders(), "unpack cifar-10-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html there"),
    ],
)  # fmt: skip
def test_data_that_will_not_do_are_one_sentence(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    spoil(tmp_path)
    with pytest.raises(ChiasmError, match=re.escape(words)) as caught:
        pixels(open_dataset(str(tmp_path), "auto", ""), "train")
    assert "\n" not in str(caught.value)


def test_a_wrong_place_or_layout_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_binary(tmp_path, drawn())
    with pytest.raises(ChiasmError, match=r"no CIFAR-10 \(or CIFAR-100\) in the Python layout in .*: unpack cifar-10-"):
        open_dataset(str(tmp_path), "cifar-py", "")
    with pytest.raises(ChiasmError, match=r"no images in .*: put train/<class>/\*\.png and test/<class>/\*\.png there"):
        open_dataset(str(tmp_path), "folder", "")
    with pytest.raises(ChiasmError, match=r"test_batch\.bin' is a file; unpack it, and give the folder"):
        open_dataset(str(tmp_path / "cifar-10-batches-bin" / "test_batch.bin"), "auto", "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHIASM_DATA", raising=False)
    with pytest.raises(ChiasmError, match="in 'data': "):
        open_dataset("", "auto", "")
    monkeypatch.setenv("CHIASM_DATA", str(tmp_path / "cifar-10-batches-bin"))
    assert open_dataset("", "auto", "").name == "CIFAR-10"


class ClassLabel:
    names = ("cat", "dog")


class Rows:
    """What this reader asks of a split of the package `datasets`."""

    def __init__(self, images: list[Any], labels: list[int]) -> None:
        self.features = {"img": type("Image", (), {})(), "label": ClassLabel()}
        self.images, self.labels, self._fingerprint = images, labels, "f"

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: int | str) -> Any:
        return self.labels if key == "label" else {"img": self.images[int(key)]}


def hub(monkeypatch: pytest.MonkeyPatch, sets: dict[str, Rows] | Exception) -> None:
    def load_dataset(name: str) -> dict[str, Rows]:
        if isinstance(sets, Exception):
            raise sets
        return sets

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_a_set_of_the_hub_is_read_by_its_features(monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = drawn(train=4, test=2, side=4)["train"]
    pictures = [Image.fromarray(np.ascontiguousarray(x.transpose(1, 2, 0))) for x in images]
    hub(monkeypatch, {"train": Rows(pictures, [0, 1, 1, 0]), "validation": Rows(pictures[:2], [1, 0])})
    dataset = open_dataset("", "hf", "some/set")
    assert dataset.classes == ("cat", "dog")
    assert dataset.target["test"].tolist() == [1, 0]
    assert np.array_equal(pixels(dataset, "train"), images)
    hub(monkeypatch, {"train": Rows(pictures[:2], [0, 1]), "test": Rows(pictures[:2], [-1, -1])})
    with pytest.raises(ChiasmError, match="dataset = 'hidden', test: -1 is no label of 2 classes"):
        open_dataset("", "hf", "hidden")
    hub(monkeypatch, {"train": Rows(pictures[:2], [0, 1])})
    with pytest.raises(ChiasmError, match="dataset = 'single' has the splits train; train and one of"):
        open_dataset("", "hf", "single")
    hub(monkeypatch, ConnectionError("no network\nand more"))
    with pytest.raises(ChiasmError, match=r"dataset = 'far' cannot be had from the Hugging Face hub: no network$"):
        open_dataset("", "hf", "far")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ChiasmError, match="datasets, which is not installed; pip install datasets"):
        open_dataset("", "hf", "other")


def test_the_real_cifar_10_is_the_same_in_both_layouts(tmp_path: Path) -> None:
    held = os.environ.get("CHIASM_TEST_DATA")
    unpack = Path(held or "", "unpack_cifar10.py")
    if not held or not unpack.is_file():
        pytest.skip("needs CIFAR-10 in the folder that CHIASM_TEST_DATA names")
    datasets = []
    for layout in ("bin", "py"):
        order = [sys.executable, str(unpack), str(tmp_path), "--layout", layout]
        subprocess.run(order, check=True, capture_output=True)
        datasets.append(open_dataset(str(tmp_path), f"cifar-{layout}", ""))  # type: ignore[arg-type]
    assert datasets[0].digest() == datasets[1].digest()
    assert np.bincount(datasets[0].target["train"]).tolist() == [5000] * 10
    assert np.bincount(datasets[1].target["test"]).tolist() == [1000] * 10
