"""The two halves of images: what each source shows, in every layout, and that nothing but the seed decides it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from chiasm.deficits import Blur, Dissociate, Silence
from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.sources import Batch
from chiasm.study.settings import settings_of
from chiasm.tasks import Feed, Halves
from chiasm.tasks.images.feed import ImageFeed
from chiasm.tasks.images.pixels import Mapped
from tests.cifar_files import Set, drawn, write_binary, write_folder, write_pickles

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
SD = torch.tensor([0.2023, 0.1994, 0.2010]).view(3, 1, 1)
# Bytes times a factor plus an offset, against ((x / 255) - mean) / sd: a few roundings of numbers up to 3.
ROUNDING = 2e-6


@pytest.fixture(scope="module")
def sets() -> dict[str, Set]:
    return drawn()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, sets: dict[str, Set]) -> str:
    folder = tmp_path_factory.mktemp("cifar")
    write_pickles(write_binary(folder, sets), sets)
    return str(folder)


def normal(x: Any) -> Tensor:
    return (torch.as_tensor(x).float() / 255 - MEAN) / SD


def step(feed: Feed, k: int = 16, seed: int = 0) -> tuple[Batch, Batch]:
    order = torch.randperm(len(feed), generator=generator(seed, "order"))[:k]
    whole = feed.draw(order, generator(seed, "augment"))
    return whole, feed.present(whole, generator(seed, "present"))


def feed_of(task: Halves, seed: int = 0) -> ImageFeed:
    feed = task.load(seed).train
    assert isinstance(feed, ImageFeed)
    return feed


def same(a: Batch, b: Batch) -> bool:
    return torch.equal(a.target, b.target) and all(torch.equal(a.sources[name], b.sources[name]) for name in a)


@pytest.mark.parametrize("layout", ["in_place", "cropped"])
@pytest.mark.parametrize("width", [14, 16, 18])
def test_sources_are_columns_of_the_normalised_image(place: str, sets: dict[str, Set], width: int, layout: str) -> None:
    task = Halves(path=place, width=width, layout=layout, augment=False)  # type: ignore[arg-type]
    data, described = task.load(0), task.describe()
    index = torch.tensor([3, 59, 0])
    shown = data.train.present(data.train.draw(index, torch.Generator()), torch.Generator())
    for batch, images in ((shown, sets["train"][0][index]), (data.test, sets["test"][0])):
        expected = {"left": normal(images), "right": normal(images)}
        if layout == "cropped":
            expected = {"left": expected["left"][..., :width], "right": expected["right"][..., 32 - width :]}
        else:
            expected["left"][..., width:] = 0
            expected["right"][..., : 32 - width] = 0
        for source in described.sources:
            x = batch.sources[source.name]
            assert torch.allclose(x, expected[source.name], rtol=0, atol=ROUNDING)
            assert x.shape[1:] == source.shape == batch.baseline[source.name].shape
            assert not batch.baseline[source.name].any()
            assert x.dtype == torch.float32
    assert torch.equal(shown.target, torch.from_numpy(sets["train"][1])[index])
    assert torch.equal(data.test.target, torch.from_numpy(sets["test"][1]))


def test_what_is_described_is_what_is_loaded(place: str) -> None:
    task = Halves(path=place, train=25, test=13, size=16, layout="cropped", width=5)
    described, data = task.describe(), task.load(1)
    assert (described.train, described.test) == (25, 13) == (len(data.train), len(data.test))
    assert [(s.name, s.shape, s.kind) for s in described.sources] == [
        ("left", (3, 16, 5), "image"),
        ("right", (3, 16, 5), "image"),
    ]
    counts = torch.bincount(data.test.target, minlength=10)
    assert described.chance == counts.max().item() / 13
    assert counts.max() - counts.min() <= 1
    train = torch.bincount(data.train.target, minlength=10)
    assert train.max() - train.min() <= 1
    assert Halves(path=place).describe().sources[0].shape == (3, 32, 32)


def test_equal_generators_give_equal_bits_and_other_ones_others(place: str) -> None:
    task = Halves(path=place, mask=0.3)
    first, again = task.load(0).train, task.load(0).train
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    assert same(step(first)[1], step(again)[1])
    assert torch.equal(before, torch.random.get_rng_state())
    index = torch.arange(16)
    assert not same(first.draw(index, generator(0, "augment")), first.draw(index, generator(0, "augment", 0, 1)))
    part = Halves(path=place, train=30, test=20)
    assert same(part.load(2).test, part.load(2).test)
    assert not torch.equal(part.load(2).test.sources["left"], part.load(3).test.sources["left"])
    assert same(part.load(2).test, Halves(path=place, train=40, test=20).load(2).test)


def test_both_sources_share_crop_and_flip_or_have_their_own(place: str, sets: dict[str, Set]) -> None:
    shared = Halves(path=place).load(0).train
    whole, shown = step(shared)
    assert torch.equal(whole.sources["left"], whole.sources["right"])
    assert torch.equal(shown.sources["left"] + shown.sources["right"], whole.sources["left"])  # halves of one image
    apart, _ = step(Halves(path=place, shared_augment=False).load(0).train)
    assert not torch.equal(apart.sources["left"], apart.sources["right"])
    assert torch.equal(apart.sources["left"], whole.sources["left"])  # the first draws are the shared ones
    alone, _ = step(Halves(path=place, augment=False, shared_augment=False).load(0).train)
    assert torch.equal(alone.sources["left"], alone.sources["right"])
    # A shift shows at the edge as the padding colour, which is nearly the mean.
    fill = normal(torch.tensor([125, 123, 113]).view(3, 1, 1).expand(3, 32, 32))
    corners = whole.sources["left"][:, :, [0, 0, 31, 31], [0, 31, 0, 31]]
    assert torch.isclose(corners, fill[None, :, 0, :1], atol=ROUNDING).all(1).any()
    assert fill.abs().max() < 0.03
    assert feed_of(Halves(path=place)).pad == 4
    assert feed_of(Halves(path=place, size=16)).pad == 2


def test_sources_are_blank_as_often_as_asked_and_never_both(place: str) -> None:
    feed = Halves(path=place, mask=0.2, layout="cropped").load(0).train
    index = torch.zeros(20000, dtype=torch.int64)
    shown = Halves(path=place, layout="cropped", augment=False, size=2, mask=0.2).load(0).train
    batch = shown.present(shown.draw(index, torch.Generator()), generator(0, "present"))
    blank = {name: ~x.flatten(1).any(1) for name, x in batch.sources.items()}
    assert not (blank["left"] & blank["right"]).any()
    for name in ("left", "right"):
        # A share of 20000 draws has sd sqrt(.2 * .8 / 20000) = .0028; five of them.
        assert abs(blank[name].float().mean().item() - 0.2) < 0.014
    whole, seen = step(feed, 60)
    cut = {"left": whole.sources["left"][..., :16], "right": whole.sources["right"][..., 16:]}
    for name, x in seen.sources.items():
        for one, full in zip(x, cut[name], strict=True):
            assert torch.equal(one, full) or not one.any()
    assert not any((~x.flatten(1).any(1)).any() for x in Halves(path=place, mask=0.4).load(0).test.sources.values())


def test_blur_acts_on_the_whole_image_before_the_cut(place: str) -> None:
    feed = Halves(path=place).load(0).train
    whole, _ = step(feed)
    shown = feed.present(Blur("right", 4)(whole, torch.Generator()), torch.Generator())
    assert torch.equal(shown.sources["left"], feed.present(whole, torch.Generator()).sources["left"])
    for x, found in zip(whole.sources["right"], shown.sources["right"], strict=True):
        for channel, blurred in zip(x, found, strict=True):
            image = Image.fromarray(channel.numpy())
            back = image.resize((8, 8), Image.Resampling.BILINEAR).resize((32, 32), Image.Resampling.BILINEAR)
            expected = np.asarray(back).copy()
            expected[:, :16] = 0
            # Pillow sums in float64 and rounds each pass to float32; values are below 3.
            assert np.allclose(blurred.numpy(), expected, rtol=0, atol=3e-6)


def test_other_deficits_act_on_what_is_drawn(place: str) -> None:
    feed = Halves(path=place).load(0).train
    whole, clean = step(feed)
    silent = feed.present(Silence("right")(whole, torch.Generator()), torch.Generator())
    assert not silent.sources["right"].any()
    assert torch.equal(silent.sources["left"], clean.sources["left"])
    apart = Dissociate()(whole, generator(0, "deficit"))
    shown = feed.present(apart, torch.Generator())
    assert torch.equal(shown.sources["right"][..., 16:], apart.sources["right"][..., 16:])
    assert shown.head is not None
    assert torch.equal(shown.target, apart.target)


def test_layouts_and_streams_give_the_bits_of_pixels_in_memory(
    place: str, sets: dict[str, Set], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHIASM_CACHE", str(tmp_path / "cache"))
    folder = write_folder(tmp_path / "folder", drawn(train=40, test=20, classes=3))
    for path, form, size in ((place, "cifar-bin", None), (place, "cifar-py", 8), (str(folder), "folder", 8)):
        task = Halves(path=path, format=form, size=size, train=20, test=9, mask=0.1)  # type: ignore[arg-type]
        ready = task.load(1)
        small = msgspec.structs.replace(task, limit=1000)
        streamed = small.load(1)
        assert isinstance(feed_of(small).pixels, Mapped)
        assert same(ready.test, streamed.test)
        for a, b in zip(step(ready.train), step(streamed.train), strict=True):
            assert same(a, b)
    assert len(list((tmp_path / "cache").iterdir())) == 6
    binary, pickled = (Halves(path=place, format=form) for form in ("cifar-bin", "cifar-py"))
    assert binary.content_key() == pickled.content_key() != Halves(path=str(folder)).content_key()
    assert same(binary.load(0).test, pickled.load(0).test)
    assert same(step(binary.load(0).train)[1], step(pickled.load(0).train)[1])


def test_seeds_share_one_copy_of_the_pixels(place: str) -> None:
    a, b = (feed_of(Halves(path=place, train=n), seed).to("cpu") for seed, n in ((0, 20), (1, 30)))
    assert a.pixels is b.pixels
    assert a.to("meta").pixels is b.to("meta").pixels
    assert Halves(path=place).load(0).test is Halves(path=place, train=3).load(7).test


def test_other_sets_are_normalised_by_their_training_images(tmp_path: Path) -> None:
    write_folder(tmp_path, drawn(train=30, test=12, classes=3, side=8), "L")
    task = Halves(path=str(tmp_path), augment=False, train=9)
    feed = Halves(path=str(tmp_path), augment=False).load(0).train
    x = feed.draw(torch.arange(30), torch.Generator()).sources["left"]
    assert x.shape == (30, 1, 8, 8)
    assert abs(x.mean().item()) < 1e-6
    assert abs(x.std(correction=0).item() - 1) < 1e-6
    whole = replace(feed_of(task), rows=torch.arange(30), target=torch.zeros(30, dtype=torch.int64))
    assert torch.equal(whole.draw(torch.arange(30), torch.Generator()).sources["left"], x)  # of all, not of nine


def test_a_folder_of_cifar_10_is_normalised_as_cifar_10(tmp_path: Path) -> None:
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    write_folder(tmp_path, drawn(train=10, test=10))
    for split in ("train", "test"):
        for i, name in enumerate(names):
            (tmp_path / split / f"c{i}").rename(tmp_path / split / name)
    data = Halves(path=str(tmp_path), augment=False, width=32).load(0)
    expected = normal(drawn(train=10, test=10)["test"][0])
    assert torch.allclose(data.test.sources["left"], expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 33}, "width = 33: the images have 32 columns; expected 1 to 32"),
        ({"size": 16, "width": 17}, "width = 17: the images have 16 columns"),
        ({"train": 61}, "train = 61: CIFAR-10 in "),
        ({"test": 41}, "has 40 images to test; expected that many or fewer"),
        ({"size": 64}, "size = 64: CIFAR-10 is 32 x 32 pixels"),
        ({"path": "nowhere"}, "there are no CIFAR-10 (or CIFAR-100) or images in 'nowhere': unpack cifar-10-python"),
        ({"mask": 0.5}, "mask = 0.5: expected `float` < 0.5"),
        ({"width": 0}, "width = 0: expected `int` >= 1"),
        ({"layout": "beside"}, "layout = 'beside': expected one of 'in_place', 'cropped'"),
        ({"format": "hf"}, "format = 'hf' and a dataset of the Hugging Face hub go together"),
        ({"dataset": "some/set"}, "dataset = 'some/set': format = 'hf' and a dataset"),
        ({"pad": -1}, "pad = -1: expected `int` >= 0"),
    ],
)
def test_settings_that_will_not_do_are_one_sentence(
    place: str, fields: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChiasmError, match=re.escape(words)) as caught:
        Halves(**{"path": place, **fields}).describe()
    assert "\n" not in str(caught.value)


def test_a_study_file_names_the_task_by_kind(place: str) -> None:
    sections: dict[str, dict[str, Any]] = {
        "task": {"kind": "halves", "path": place, "width": 18},
        "network": {"kind": "split_cnn"},
    }
    rest: dict[str, dict[str, Any]] = {"training": {}, "objective": {}, "probe": {}}
    whole = settings_of(sections | rest)
    assert whole.task == Halves(path=place, width=18)
    assert msgspec.json.decode(msgspec.json.encode(whole.task), type=Halves) == whole.task
    with pytest.raises(ChiasmError, match="fixed set"):
        Halves().draw(0, 0)
