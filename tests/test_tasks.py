"""What holds for every task: purity, kinds of tensors, the file's keys, and sentences for mistakes."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import msgspec
import pytest
import torch

from chiasm.errors import ChiasmError
from chiasm.sources import Batch
from chiasm.tasks import Arrays, Data, Digits, Stereogram, Task, write_arrays

NAMES = ["stereogram", "stereogram 2-D", "stereogram with noise", "fresh stereogram", "digits", "arrays"]


@pytest.fixture(params=NAMES)
def task(request: pytest.FixtureRequest, tmp_path: Path) -> Task:
    stream = torch.Generator().manual_seed(0)
    rows = {
        "a": torch.randn(50, 3, generator=stream),
        "b": torch.randint(256, (50, 4, 5), generator=stream, dtype=torch.uint8),
        "label": torch.arange(50) % 3,
    }
    tasks: dict[str, Task] = {
        "stereogram": Stereogram(train=100, test=50),
        "stereogram 2-D": Stereogram(dims=2, size=6, train=100, test=50),
        "stereogram with noise": Stereogram(noise=0.1, train=100, test=50),
        "fresh stereogram": Stereogram(fresh=True, train=100, test=50),
        "digits": Digits(),
        "arrays": write_arrays(rows, tmp_path / "mine.npz"),
    }
    return tasks[request.param]


def loaded(task: Task, seed: int) -> Data:
    data = task.load(seed)
    assert isinstance(data, Data)
    return data


def same(a: Batch, b: Batch) -> bool:
    return torch.equal(a.target, b.target) and all(torch.equal(a.sources[name], b.sources[name]) for name in a)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(task: Task) -> None:
    first, global_state = loaded(task, 3), torch.random.get_rng_state()
    torch.manual_seed(99)
    again, other = loaded(task, 3), loaded(task, 4)
    assert same(first.train, again.train)
    assert same(first.test, again.test)
    assert all(torch.equal(first.train.baseline[name], again.train.baseline[name]) for name in first.train)
    assert not same(first.train, other.train)
    assert not torch.equal(first.test.target, other.test.target)
    torch.random.set_rng_state(global_state)


def test_loading_leaves_the_global_stream_alone_and_owns_its_tensors(task: Task) -> None:
    before = torch.random.get_rng_state()
    data = loaded(task, 0)
    assert torch.equal(before, torch.random.get_rng_state())
    for x in (*data.train.sources.values(), *data.test.sources.values(), *data.train.baseline.values()):
        x.fill_(7)
    data.train.target.fill_(0)
    assert not same(data.train, loaded(task, 0).train)


def test_data_are_as_described(task: Task) -> None:
    described, data = task.describe(), loaded(task, 1)
    assert (len(data.train), len(data.test)) == (described.train, described.test)
    for batch in (data.train, data.test):
        assert list(batch) == list(batch.baseline) == [source.name for source in described.sources]
        assert batch.target.dtype == torch.int64
        assert batch.head is None
        assert batch.target.min() >= 0
        assert batch.target.max() < len(described.classes)
        for source in described.sources:
            x, baseline = batch.sources[source.name], batch.baseline[source.name]
            assert x.dtype == baseline.dtype == torch.float32
            assert x.shape == (len(batch), *source.shape)
            assert baseline.shape == source.shape
            assert x.device.type == "cpu"
    assert described.note.endswith(".")
    assert described.note.count(". ") == 0


def test_new_epochs_are_drawn_or_refused_in_a_sentence(task: Task) -> None:
    if isinstance(task, Stereogram):
        assert len(task.draw(0, 5)) == task.describe().train
    else:
        assert not task.draws()
        with pytest.raises(ChiasmError, match="fixed set"):
            task.draw(0, 5)


def test_a_study_file_names_the_task_by_kind_and_returns_it(task: Task) -> None:
    union = Stereogram | Digits | Arrays
    assert msgspec.json.decode(msgspec.json.encode(task), type=union) == task
    text = b'kind = "stereogram"\nsize = 12\ndisparities = [-1, 1]\nnoise = 0'
    assert msgspec.toml.decode(text, type=union) == Stereogram(size=12, disparities=(-1, 1))


def test_python_and_file_give_one_identity() -> None:
    python = Stereogram(disparities=[-1, 1], noise=0)  # type: ignore[arg-type]
    assert isinstance(python.disparities, tuple)
    assert isinstance(python.noise, float)
    assert msgspec.json.encode(python) == msgspec.json.encode(Stereogram(disparities=(-1, 1), noise=0.0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('kind = "stereogram"\nsise = 3', "unknown field `sise`"),
        ('kind = "stereogram"\nsize = 1', "`int` >= 2"),
        ('kind = "stereogram"\nsize = "16"', "Expected `int`, got `str`"),
        ('kind = "stereogram"\ndims = 3', "dims"),
        ('kind = "stereogram"\ndisparities = [1]', "length >= 2"),
        ('kind = "stereogram"\ndisparities = [-2, 14]', "-2 and 14 are the same shift of 16 dots"),
        ('kind = "stereogram"\nnoise = 0.6', "<= 0.5"),
        ('kind = "digits"\ntrain = 1797', "there are 1797 digits"),
        ('kind = "arrays"', "path"),
        ('kind = "arrays"\npath = "x.npz"\ntest_share = 1', "< 1"),
        ('kind = "arrays"\npath = "x.npz"\nkinds = {a = "picture"}', "'picture'"),
    ],
)
def test_a_mistake_in_a_file_names_the_key(text: str, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.toml.decode(text.encode(), type=Stereogram | Digits | Arrays)
    assert words in str(caught.value)


def test_a_mistake_in_python_names_the_field_the_value_and_what_would_do() -> None:
    with pytest.raises(ChiasmError, match=r"^size = 1: expected `int` >= 2$"):
        Stereogram(size=1)
    with pytest.raises(ChiasmError, match=r"^dims = 3: expected one of 1, 2$"):
        Stereogram(dims=3)  # type: ignore[arg-type]
    with pytest.raises(ChiasmError, match=r"^disparities: 1 and 1 are the same shift"):
        Stereogram(disparities=(1, 1))
    with pytest.raises(ChiasmError, match="expected one of 'global', 'feature', 'none'"):
        Arrays(path="x.npz", standardise="both")  # type: ignore[arg-type]
    with pytest.raises(ChiasmError, match="train = 1700 and test = 98: there are 1797 digits"):
        Digits(train=1700, test=98)


@pytest.mark.parametrize("module", ["archive", "arrays", "digits", "scaling", "stereogram", "table", "task"])
def test_the_examples_in_the_docstrings_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"chiasm.tasks.{module}")).failed == 0
