"""Crops, windows, colours, subsets and pixels: each against a slow, direct way to do the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch

from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.tasks.images.channel_statistics import channel_statistics
from chiasm.tasks.images.crop import crop_and_flip
from chiasm.tasks.images.pixels import Mapped, mapped, resident
from chiasm.tasks.images.subset import quotas, subset
from chiasm.tasks.images.window import Windows


@pytest.mark.parametrize(("pad", "high", "wide"), [(4, 32, 32), (0, 5, 7), (2, 6, 9)])
def test_crops_and_flips_are_those_of_a_loop_over_images(pad: int, high: int, wide: int) -> None:
    x = torch.randint(256, (40, 3, high, wide), generator=generator(0, "x"), dtype=torch.uint8)
    fill = torch.tensor([125, 123, 113], dtype=torch.uint8)
    found = crop_and_flip(x, fill, pad, generator(1, "augment"))
    draws = generator(1, "augment")
    rows, columns = torch.randint(2 * pad + 1, (2, 40, 1), generator=draws)
    flips = torch.randint(2, (40, 1), generator=draws)
    for i in range(40):
        padded = np.empty((3, high + 2 * pad, wide + 2 * pad), np.uint8)
        padded[:] = fill.numpy()[:, None, None]
        padded[:, pad : pad + high, pad : pad + wide] = x[i]
        top, left = int(rows[i]), int(columns[i])
        cut = padded[:, top : top + high, left : left + wide]
        assert np.array_equal(found[i], cut[:, :, ::-1] if flips[i] else cut)
    assert 0 < int(flips.sum()) < 40


def test_every_place_and_side_is_drawn_equally_often() -> None:
    x = torch.arange(9, dtype=torch.int64).view(1, 1, 3, 3).expand(18000, 1, 3, 3)
    found = crop_and_flip(x, torch.tensor([9]), 1, generator(0, "augment"))
    kinds = torch.unique(found.flatten(1), dim=0, return_counts=True)[1]
    assert len(kinds) == 3 * 3 * 2
    # 1000 of each expected, sd sqrt(18000 p (1 - p)) = 30.7: five of them are passed once in 100,000 seeds.
    assert (kinds - 1000).abs().max() < 5 * 30.7


@pytest.mark.parametrize("width", [14, 16, 18])
def test_windows_are_slices(width: int) -> None:
    x, y = (torch.randn(5, 3, 32, 32, generator=generator(0, name)) for name in "xy")
    cropped = Windows(width, "cropped")({"left": x, "right": y})
    assert torch.equal(cropped["left"], x[..., :width])
    assert torch.equal(cropped["right"], y[..., 32 - width :])
    placed = Windows(width, "in_place")({"left": x, "right": y})
    assert torch.equal(placed["left"][..., :width], x[..., :width])
    assert torch.equal(placed["right"][..., 32 - width :], y[..., 32 - width :])
    assert not placed["left"][..., width:].any()
    assert not placed["right"][..., : 32 - width].any()
    both = (placed["left"] != 0) & (placed["right"] != 0)
    assert both.any((0, 1, 2)).sum() == max(0, 2 * width - 32)  # 18: four shared columns
    for name in ("left", "right"):
        assert Windows(width, "cropped").shape((3, 32, 32)) == cropped[name].shape[1:]
        assert Windows(width, "in_place").shape((3, 32, 32)) == placed[name].shape[1:]


def test_channel_statistics_are_mean_and_deviation_however_the_images_are_cut() -> None:
    x = torch.randint(256, (50, 3, 6, 6), generator=generator(0, "x"), dtype=torch.uint8)
    x[:, 2] = 7
    found = channel_statistics([x])
    assert found == channel_statistics(torch.split(x, 7))
    pixels = x.double().movedim(1, 0).flatten(1) / 255
    # Both are float64 sums of 1800 numbers in [0, 1]: 1e-13 leaves room for their rounding.
    assert np.allclose(found.mean, pixels.mean(1), atol=1e-13)
    assert np.allclose(found.sd[:2], pixels.std(1, correction=0)[:2], atol=1e-13)
    assert found.sd[2] == 1
    assert found.fill[2] == 7


def test_quotas_are_the_most_equal_ones() -> None:
    for counts in ([3, 1, 4], [2, 2, 2], [0, 5, 1]):
        for total in range(sum(counts) + 1):
            ways = [w for w in product(*(range(n + 1) for n in counts)) if sum(w) == total]
            found = quotas(counts, total)
            assert tuple(found) in ways
            assert sum(n * n for n in found) == min(sum(n * n for n in w) for w in ways)


def test_smaller_subsets_are_parts_of_larger_ones_and_seeds_differ() -> None:
    target = torch.randint(4, (200,), generator=generator(0, "x"))
    drawn = [subset(target, 4, n, generator(3, "task split")) for n in (10, 50, 199)]
    for small, large in pairwise(drawn):
        assert set(small.tolist()) < set(large.tolist())
    assert torch.bincount(target[drawn[0]]).tolist() == [3, 3, 2, 2]
    assert not torch.equal(drawn[1], subset(target, 4, 50, generator(4, "task split")))
    assert torch.equal(subset(target, 4, None, generator(3, "task split")), torch.arange(200))


def test_pixels_in_a_file_are_the_pixels_in_memory(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (30, 3, 4, 4), np.uint8)
    held = resident(np.array_split(x, 4), x.shape)
    path = tmp_path / "made" / "x.u8"
    kept = mapped(np.array_split(x, 4), x.shape, path)
    index = torch.tensor([29, 0, 7, 7])
    assert torch.equal(held.take(index), kept.take(index))
    assert torch.equal(held.take(index), torch.from_numpy(x)[index])
    assert held.to("cpu") is held
    again = mapped(iter([np.zeros((1, 3, 4, 4), np.uint8)]), x.shape, path)  # there already: nothing is read
    assert torch.equal(again.take(index), kept.take(index))
    path.write_bytes(path.read_bytes()[:-1])  # cut: written anew
    assert isinstance(mapped([x], x.shape, path), Mapped)
    assert path.stat().st_size == x.size


SLOW = """
import sys
from pathlib import Path
import numpy as np
from chiasm.tasks.images.pixels import mapped
def pieces():
    yield np.ones((1, 1, 2, 2), np.uint8)
    print("begun", flush=True)
    sys.stdin.read()  # until it is killed, or the test is gone
mapped(pieces(), (2, 1, 2, 2), Path(sys.argv[1]))
"""


def test_a_killed_writer_leaves_no_file_and_its_part_is_cleared_away(tmp_path: Path) -> None:
    path = tmp_path / "x.u8"
    command = [sys.executable, "-c", SLOW, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"begun\n"
        assert not path.exists()
        both = mapped([np.full((2, 1, 2, 2), 5, np.uint8)], (2, 1, 2, 2), path)  # at the same time, undisturbed
        assert list(tmp_path.glob(f"x.u8.*{writer.pid}.part"))
        writer.send_signal(signal.SIGKILL)
    assert both.take(torch.tensor([1])).flatten().tolist() == [5] * 4
    path.unlink()
    mapped([np.full((2, 1, 2, 2), 6, np.uint8)], (2, 1, 2, 2), path)
    assert os.listdir(tmp_path) == ["x.u8"]


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        ChiasmError, match=r"which cannot be written .*; name another folder in the variable CHIASM_CAC"
    ):
        mapped([], (1, 1, 1, 1), tmp_path / "file" / "x.u8")
