"""A pickle can carry code: what it asks for is refused before anything of it runs."""

from __future__ import annotations

import builtins
import os
import pickle
import re
import subprocess
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chiasm.errors import ChiasmError
from chiasm.tasks.images.unpickle import read_pickle


class Payload:
    """Pickles as a call of anything with anything."""

    def __init__(self, call: Any, *given: Any) -> None:
        self.call, self.given = call, given

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.given


def written(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([1, -2], ">i4"),
        np.array([True, False]),
        np.zeros((0, 3), np.float32),
    ],
    ids=["bytes", "by column", "big-endian", "booleans", "empty"],
)
def test_what_numpy_pickles_comes_back(tmp_path: Path, array: np.ndarray[Any, Any], protocol: int) -> None:
    content = {"data": array, b"labels": [1, 2], "more": {"a": (1.5, "b", None)}}
    found = read_pickle(written(tmp_path / "p", content, protocol))
    assert found["data"].dtype == array.dtype
    assert np.array_equal(found["data"], array)
    assert found["data"].shape == array.shape
    assert found["labels"] == [1, 2]
    assert set(found) == {"data", "labels", "more"}


def attacks(mark: Path) -> dict[str, bytes]:
    system = Payload(os.system, f"touch {mark}")
    evaluated = Payload(builtins.eval, f"__import__('os').mkdir({str(mark)!r})")
    deep: Any = evaluated
    for _ in range(20):
        deep = {"a": [deep], "data": np.arange(3)}
    objects = np.empty(1, object)
    objects[0] = system
    name = str(mark).encode()
    return {
        "os.system": pickle.dumps(system),
        "os.system, protocol 0": pickle.dumps(system, 0),
        "builtins.eval": pickle.dumps({"data": evaluated}),
        "nested": pickle.dumps(deep),
        "inside an array of objects": pickle.dumps({"data": objects}),
        "numpy's own loader": pickle.dumps(Payload(np.load, name)),
        "a subprocess": pickle.dumps(Payload(subprocess.call, ["touch", name])),
        "behind a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0fctypeslib.ctypes\x93.",
        "an instance": b"(S'touch " + name + b"'\nios\nsystem\n.",
        "persistent": b"P" + name + b"\n.",
        "an extension": b"\x82\x01.",
        # What is allowed is a stand-in: neither what it stands for nor its attributes can be got at.
        "an attribute of what is allowed": b"\x80\x02cnumpy\ndtype\n}U\x05_makecnumpy\nndarray\nsb.",
        "another codec": b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00aX\x06\x00\x00\x00base64tR.",
    }


@pytest.mark.parametrize("which", list(attacks(Path("x"))))
def test_what_could_run_code_is_refused_and_does_not_run(tmp_path: Path, which: str) -> None:
    mark = tmp_path / "ran"
    path = written(tmp_path / "p", attacks(mark)[which])
    with pytest.raises(ChiasmError) as caught:
        read_pickle(path)
    assert not mark.exists()
    assert "\n" not in str(caught.value)
    if which in ("os.system", "builtins.eval", "nested", "numpy's own loader"):
        assert re.search(r"'(posix\.system|builtins\.eval|numpy.*\.load)', which is refused", str(caught.value))


def test_the_attacks_are_real(tmp_path: Path) -> None:
    for which in ("os.system", "nested", "inside an array of objects", "an instance"):
        mark = tmp_path / which.replace(" ", "-")
        pickle.loads(attacks(mark)[which])
        assert mark.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps({"data": np.arange(1000)})[:-500], "cut short, damaged or no pickle"),
        (b"", "cut short, damaged or no pickle"),
        (b"PK\x03\x04", "cut short, damaged or no pickle"),
        (pickle.dumps([1, 2]), "holds a list; expected a mapping of names"),
        (pickle.dumps({"data": np.array(["a"])}), "an array of 'U1', which is refused"),
        (pickle.dumps({"data": OrderedDict()}), "'collections.OrderedDict', which is refused"),
        (pickle.dumps({"data": np.arange(3)}, 2).replace(b"K\x03\x85", b"K\x04\x85"), "cut short, damaged"),
    ],
)
def test_what_is_no_mapping_of_arrays_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(ChiasmError, match=re.escape(words)):
        read_pickle(written(tmp_path / "p", content))
    with pytest.raises(ChiasmError, match="cannot be read: No such file"):
        read_pickle(tmp_path / "none")
