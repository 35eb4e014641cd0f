"""Files and arrays that will not do: one sentence each, that says what was given, and nothing on disk runs."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chiasm.errors import ChiasmError
from chiasm.tasks import Arrays, write_arrays

GOOD: dict[str, Any] = {"ear": np.arange(12.0).reshape(6, 2), "eye": np.ones((6, 3)), "label": np.arange(6) % 2}
SPLIT = np.array([True, True, True, True, False, False])


def changed(array: Any, *where_value: Any) -> Any:
    array = array.copy()
    for where, value in where_value:
        array[where] = value
    return array


@pytest.mark.parametrize(
    ("change", "fields", "words"),
    [
        ({"eye": np.ones((5, 3))}, {}, "'eye' has 5 rows and 'label' 6"),
        ({"train": SPLIT[:5]}, {}, "'train' has 5 rows and 'label' 6"),
        ({"ear": changed(GOOD["ear"], (0, np.nan), ((3, 1), np.inf))}, {}, "'ear' holds 3 values that are NaN or inf"),
        ({"ear": np.full((6, 1), 1e300)}, {}, "'ear' holds 6 values"),
        ({"names": np.array(["a", "b"])}, {}, "'names' holds <U1, not real numbers; name the sources to use"),
        ({"eye": np.ones((6, 3)) * 1j}, {}, "'eye' holds complex128, not real numbers"),
        ({"rate": np.array(8000)}, {}, "'rate' is a single number"),
        ({"eye": np.ones((6, 0))}, {}, "'eye' has shape (6, 0), which holds no numbers"),
        ({"label": np.ones((6, 2), int)}, {}, "label 'label' has shape (6, 2); give one label a sample"),
        ({"label": np.ones(6) * 1j}, {}, "label 'label' holds complex128; give integers, strings or floats"),
        ({"label": changed(np.ones((6, 2)), (0, np.nan))}, {}, "label 'label' holds 2 values that are NaN or infinite"),
        ({"label": changed(np.ones(6), (5, -np.inf))}, {}, "label 'label' holds 1 value that is NaN or infinite"),
        ({"label": np.full(6, 1e39)}, {}, "label 'label' holds 6 values that are NaN or infinite"),
        ({"label": np.ones((5, 3))}, {}, "'ear' has 6 rows and 'label' 5"),
        ({"label": np.array(0.5)}, {}, "label 'label' has shape (); give a number a sample"),
        ({"label": np.ones((6, 0))}, {}, "label 'label' has shape (6, 0); give a number a sample"),
        ({"label": np.ones(6), "train": SPLIT[:5]}, {}, "'train' has 5 rows and 'label' 6"),
        ({"label": np.ones(6), "train": SPLIT | True}, {}, "leaves the test set empty"),
        ({"label": np.zeros(6, int)}, {}, "label 'label' has 1 class; give two or more"),
        ({"label": np.zeros(0, int)}, {}, "label 'label' has 0 classes; give two or more"),
        ({"train": SPLIT.astype(int)}, {}, "the split 'train' is int64 of shape (6,); give booleans"),
        ({"train": SPLIT | True}, {}, "leaves the test set empty"),
        ({"train": SPLIT & False}, {}, "leaves the training set empty"),
        ({"train": GOOD["label"] == 0}, {}, "leaves one class in the training set"),
        ({}, {"label": "lable"}, "unknown name 'lable'; known names: ear, eye, label (did you mean 'label'?)"),
        ({}, {"train": "official"}, "unknown name 'official'; known names: ear, eye, label"),
        ({}, {"sources": ("ear", "eys")}, "unknown source 'eys'; known sources: ear, eye (did you mean 'eye'?)"),
        ({}, {"sources": ("ear", "label")}, "sources: 'label' is the label, not a source"),
        ({"train": SPLIT}, {"sources": ("train",)}, "sources: 'train' is the split, not a source"),
        ({}, {"sources": ("ear", "ear")}, "'ear' is named twice"),
        ({}, {"kinds": {"era": "image"}}, "kinds: unknown source 'era'; known sources: ear, eye"),
        ({}, {"kinds": {"ear": "video"}}, "video needs samples of at least 3 axes, and those of 'ear' have shape (2,)"),
        ({}, {"test_share": 0.01}, "test_share = 0.01 of 6 samples leaves the test set empty"),
        ({}, {"test_share": 0.99}, "test_share = 0.99 of 6 samples leaves the training set empty"),
        ({"eye": None}, {}, "'eye' is an array of Python objects"),
        ({"label": np.array(["a", 1, "a", 1, 2, 2], object)}, {}, "'label' is an array of Python objects"),
    ],
)
def test_arrays_that_will_not_do(tmp_path: Path, change: Any, fields: Any, words: str) -> None:
    arrays = {**GOOD, **{name: np.array([{}] * 6) if x is None else x for name, x in change.items()}}
    with pytest.raises(ChiasmError, match=re.escape(words)) as written:
        write_arrays(arrays, tmp_path / "a.npz", **fields)
    assert not list(tmp_path.iterdir())
    np.savez(tmp_path / "a.npz", **arrays)
    task = Arrays(path=str(tmp_path / "a.npz"), **fields)
    for verb in (task.describe, lambda: task.load(0)):
        with pytest.raises(ChiasmError, match=re.escape(words)) as read:
            verb()
        assert str(read.value) == str(written.value)
    assert "\n" not in str(written.value)


def test_no_source_beside_the_label_is_told(tmp_path: Path) -> None:
    with pytest.raises(ChiasmError, match="holds no source, only label"):
        write_arrays({"label": np.arange(4)}, tmp_path / "a.npz")


def test_arrays_not_in_use_are_not_looked_at(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **GOOD, names=np.array(["a"]), loose=np.array([{}] * 6))
    assert len(Arrays(path=str(tmp_path / "a.npz"), sources=("ear", "eye")).load(0).train) == 5


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ChiasmError, match="there is no folder"):
        write_arrays(GOOD, tmp_path / "none" / "a.npz")
    with pytest.raises(ChiasmError, match="it is a folder"):
        write_arrays(GOOD, tmp_path)


def test_an_unknown_field_is_told(tmp_path: Path) -> None:
    with pytest.raises(ChiasmError, match=r"unknown field 'standardize'.*did you mean 'standardise'"):
        write_arrays(GOOD, tmp_path / "a.npz", standardize="global")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no file or folder"),
        (b"", "is not an npz file"),
        (b"ear,eye,label\n1,2,0\n", "is not an npz file"),
        (pickle.dumps(GOOD), "is not an npz file"),
        ("npy", "is a single array"),
        ("cut", "is cut short or damaged"),
        ("bent", "is cut short or damaged"),
        ("text inside", "'label' is not a numpy array"),
        ("empty zip", "holds no arrays"),
        ("empty folder", "holds no arrays"),
    ],
)
def test_files_that_will_not_do(tmp_path: Path, content: bytes | str | None, words: str) -> None:
    path = tmp_path / "a.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "npy":
        with path.open("wb") as file:
            np.save(file, GOOD["ear"])
    elif content in ("cut", "bent"):
        write_arrays(GOOD, path)
        whole = path.read_bytes()
        at = whole.index(GOOD["ear"].tobytes())
        path.write_bytes(whole[: len(whole) // 2] if content == "cut" else whole[:at] + b"\xff" + whole[at + 1 :])
    elif content == "empty folder":
        path.mkdir()
    elif content is not None:
        import zipfile

        with zipfile.ZipFile(path, "w") as members:
            if content == "text inside":
                members.writestr("label.npy", "zero, one, two")
    with pytest.raises(ChiasmError, match=words) as caught:
        Arrays(path=str(path)).load(0)
    assert str(path) in str(caught.value)


def test_a_file_cut_at_any_place_is_never_read_as_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_arrays(GOOD, path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ChiasmError, match="npz"):
            Arrays(path=str(path)).load(0)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["npz", "folder"])
def test_no_pickle_is_ever_opened(tmp_path: Path, form: str) -> None:
    trace = tmp_path / "it ran"
    loaded = np.array([Bomb(trace)] * 6, object)
    path = tmp_path / form
    if form == "npz":
        with path.open("wb") as file:
            np.savez(file, **{**GOOD, "eye": loaded})
    else:
        path.mkdir()
        for name, x in {**GOOD, "eye": loaded}.items():
            np.save(path / f"{name}.npy", x)
    with pytest.raises(ChiasmError, match="Python objects, which is never read because it could run code"):
        Arrays(path=str(path)).load(0)
    assert not trace.exists()
    with path.open("rb") if form == "npz" else (path / "eye.npy").open("rb") as file:
        opened = np.load(file, allow_pickle=True)
        if form == "npz":
            opened["eye"]
    assert trace.exists()  # the bomb was live
