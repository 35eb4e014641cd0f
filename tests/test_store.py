"""Nodes on disk: whole or not there, and never trusted unread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from chiasm.errors import ChiasmError
from chiasm.files import write_whole
from chiasm.study.store import Store, Stored
from chiasm.training import State

KEY = "ab" + "0" * 62


def node() -> Stored:
    state = State({"w": torch.arange(6.0).view(2, 3)}, {"n": torch.tensor(3)}, {"momentum:w": torch.full((2, 3), 0.1)})
    units = {"4/fusion/rsv": np.array([0.1, np.nan], dtype=np.float32), "4/fusion/dead": np.array([False, True])}
    records = [(4, "accuracy", None, "all", 0.1 + 0.2), (4, "rsv_mean", "fusion", None, float("nan"))]
    return Stored(KEY, "p" * 64, 4, 2, False, list(records), dict(units), state)


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Store, list[str]]:
    said: list[str] = []
    store = Store(tmp_path, say=said.append)
    store.put(node())
    store.flush()
    return store, said


def test_a_node_comes_back_bit_for_bit(filled: tuple[Store, list[str]]) -> None:
    store, _ = filled
    back, sent = store.get(KEY, state=True), node()
    assert back is not None
    assert back.state is not None
    assert sent.state is not None
    assert (back.key, back.parent, back.epoch, back.start, back.diverged) == (KEY, "p" * 64, 4, 2, False)
    assert back.records[0] == sent.records[0]
    assert np.isnan(back.records[1][4])
    for kind in ("weights", "buffers", "slots"):
        for name, tensor in getattr(sent.state, kind).items():
            assert torch.equal(getattr(back.state, kind)[name], tensor)
    for name, array in sent.units.items():
        np.testing.assert_array_equal(back.units[name], array)
        assert back.units[name].dtype == array.dtype
    numbers_only = store.get(KEY)
    assert numbers_only is not None
    assert numbers_only.state is None


def test_every_flipped_byte_is_found(filled: tuple[Store, list[str]]) -> None:
    store, said = filled
    path = store.path(KEY)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(whole), 60, replace=False):
        broken = bytearray(whole)
        broken[place] ^= 0x40
        path.write_bytes(broken)
        found = store.get(KEY, state=True)
        if found is not None:  # a change that JSON does not mind (white space, a key's case of no meaning) is no change
            assert found.records[0] == node().records[0]
            pytest.fail(f"byte {place} was changed and nobody noticed")
        assert "damaged" in said[-1]
        assert path.with_suffix(".damaged").read_bytes() == bytes(broken)  # set aside, not lost


@pytest.mark.parametrize("length", [0, 1, 7, 8, 100, -1])
def test_a_truncated_file_is_found(filled: tuple[Store, list[str]], length: int) -> None:
    store, said = filled
    path = store.path(KEY)
    path.write_bytes(path.read_bytes()[:length])
    assert store.get(KEY) is None
    assert said


def test_a_node_under_another_key_is_refused(filled: tuple[Store, list[str]]) -> None:
    store, said = filled
    other = "ab" + "1" * 62
    store.path(KEY).rename(store.path(other))
    assert store.get(other) is None
    assert "another key" in said[0]


def test_a_failed_write_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "ab").write_text("a file where the folder should be")
    store = Store(tmp_path)
    store.put(node())
    with pytest.raises(ChiasmError, match="cannot be written"):
        store.flush()
    assert [p.name for p in tmp_path.iterdir()] == ["ab"]


def test_an_old_file_survives_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.parquet"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ChiasmError, match="No space left on device; nothing that was there is lost"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
