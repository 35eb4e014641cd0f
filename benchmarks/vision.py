"""A training step of Split-ResNet-18 against matrix products of as much work, and against the loops it stands in for.

Batch 128 of CIFAR-10's shape (random bytes), halves in place, the right one blurred; SGD with momentum and decay.

- matmul: the step's operations at the rate of a 2048 x 2048 x 2048 product in the numbers that the step is trained in.
- step:   chiasm's training, given one batch that lies ready: forward, backward, update.
- fed:    the same with its data: gathered, cropped, flipped, normalised, blurred, cut.
- plain:  a plain float32 module and torch.optim.SGD, given the batch that lies ready.
- usual:  plain, fed by per-image Pillow transforms in a DataLoader with two workers; and, for every step, its share of
          the pass in train mode that the original code adds to each epoch for BatchNorm's sake.

All take turns in one process, and a ratio is the median of one a round. One thread, as in every worker of a study:
of two, each waits for the other wherever a neighbour holds it up, and a busy machine then makes any ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from chiasm.deficits import Blur
from chiasm.networks import FusionNetwork, SplitResNet, Stacked
from chiasm.sources import Batch, Source
from chiasm.tasks import Feed, Halves
from chiasm.tasks.images.channel_statistics import CIFAR10_STATISTICS
from chiasm.tasks.images.feed import Colours, ImageFeed
from chiasm.tasks.images.pixels import Resident
from chiasm.tasks.images.window import Windows
from chiasm.training import Leg, Row, Stack, Training, initial_state
from chiasm.training.precision import resolved

BATCH, IMAGES, SIDE, PAD = 128, 8192, 32, 4
SOURCES = (Source("left", (3, SIDE, SIDE), "image"), Source("right", (3, SIDE, SIDE), "image"))
REST = {source.name: torch.zeros(source.shape) for source in SOURCES}
TRAINING = Training(lr=0.05, momentum=0.9, weight_decay=5e-4, batch=BATCH)
Images = Mapping[str, Tensor]


@dataclass(frozen=True)
class Ready:
    """A feed that shows one batch again and again: what a step costs when its data cost nothing."""

    batch: Batch
    target: Tensor
    baseline: Images

    def __len__(self) -> int:
        return len(self.target)

    def to(self, device: torch.device | str) -> Ready:
        baseline = {name: x.to(device) for name, x in self.baseline.items()}
        return Ready(self.batch.to(device), self.target.to(device), baseline)

    def draw(self, index: Tensor, generator: torch.Generator) -> Batch:
        return self.batch

    def present(self, batch: Batch, generator: torch.Generator) -> Batch:
        return batch


class Pictures(Dataset[tuple[dict[str, Tensor], int]]):
    """CIFAR-10 as people load it: one image at a time, by Pillow and numpy."""

    def __init__(self, pixels: NDArray[np.uint8], target: Tensor) -> None:
        self.pixels, self.target = pixels, target.tolist()
        self.mean, self.sd = (np.array(x, np.float32) for x in (CIFAR10_STATISTICS.mean, CIFAR10_STATISTICS.sd))

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, i: int) -> tuple[dict[str, Tensor], int]:
        image = ImageOps.expand(Image.fromarray(self.pixels[i]), PAD, CIFAR10_STATISTICS.fill)
        top, left, flip = (int(torch.randint(n, ())) for n in (2 * PAD + 1, 2 * PAD + 1, 2))
        image = image.crop((left, top, left + SIDE, top + SIDE))
        if flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        coarse = (SIDE // 4, SIDE // 4)
        blurred = image.resize(coarse, Image.Resampling.BILINEAR).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        shown = {"left": self._tensor(image), "right": self._tensor(blurred)}
        shown["left"][:, :, SIDE // 2 :] = 0
        shown["right"][:, :, : SIDE // 2] = 0
        return shown, self.target[i]

    def _tensor(self, image: Image.Image) -> Tensor:
        x = (np.asarray(image, np.float32) / 255 - self.mean) / self.sd
        return torch.from_numpy(x).permute(2, 0, 1).contiguous()


@dataclass
class Clocked:
    """Seconds a step of one contestant in each round, on the wall and of this process's threads."""

    job: Callable[[], int]  # does some steps, says how many
    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def round(self, wait: Callable[[], None], threads: int, count: bool) -> None:
        time.sleep(1)  # what the loader still makes ready must not fall into another's turn
        began = time.perf_counter(), time.process_time()
        steps = self.job()
        wait()
        if count:
            self.wall.append((time.perf_counter() - began[0]) / steps)
            self.processor.append((time.process_time() - began[1]) / steps / threads)


def network(width: int) -> FusionNetwork:
    """Return the published network, narrower by `width` / 64, with the same weights at every call."""
    torch.manual_seed(0)
    return SplitResNet(width=width).build(SOURCES, 10)


def work(width: int) -> int:
    """Operations of a step, two a multiplication and addition, counted by torch on a batch of two."""
    model = network(width)
    with FlopCounterMode(display=False) as counter:
        loss = model({source.name: torch.zeros(2, *source.shape) for source in SOURCES})["both"].sum()
        torch.autograd.backward(loss)
    return int(counter.get_total_flops()) * BATCH // 2


def ours(width: int, feed: Feed, steps: int, device: str, blurred: bool) -> Callable[[], int]:
    """Return a job: some steps of chiasm's training."""
    template = Stacked(network(width).to(device))
    precision = resolved(TRAINING.precision, SplitResNet(width=width), device)
    stack = Stack(template, precision, channels_last=True)
    leg = Leg(0, 0, 10**6, (Blur("right", 4),) if blurred else (), None)
    row = Row(leg, TRAINING, Halves(), feed.to(device), 0)
    stack.refill([], [(row, initial_state(template, TRAINING))])

    def job() -> int:
        stack.epoch(limit=steps)
        return steps

    return job


def taught(width: int, device: str) -> Callable[[Images, Tensor, bool], None]:
    """Return what a plain loop does with a batch: a step of SGD, or only a forward pass in train mode."""
    model = network(width).to(device)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)

    def see(shown: Images, target: Tensor, learn: bool) -> None:
        shown = {name: x.to(device, non_blocking=True) for name, x in shown.items()}
        with torch.set_grad_enabled(learn):
            loss = cross_entropy(model(shown)["both"], target.to(device, non_blocking=True))
        if learn:
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()

    return see


def plain(width: int, batch: Batch, device: str) -> Callable[[], int]:
    """Return a job: one step of a plain loop on a batch that lies ready."""
    see, here = taught(width, device), batch.to(device)

    def job() -> int:
        see(here.sources, here.target, True)
        return 1

    return job


def usual(width: int, pictures: Pictures, steps: int, device: str) -> Callable[[], int]:
    """Return a job: some steps of a loop with a loader, and as many forward passes for BatchNorm."""
    see = taught(width, device)
    loader = DataLoader(pictures, BATCH, shuffle=True, num_workers=2, drop_last=True, pin_memory=device != "cpu")

    def endless() -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        while True:
            yield from loader

    stream = endless()

    def job() -> int:
        for learn in (True, False):
            for _ in range(steps):
                shown, target = next(stream)
                see(shown, target, learn)
        return steps

    return job


def products(flops: int, precision: torch.dtype, device: str) -> Callable[[], int]:
    """Return a job: products of 2048 x 2048 matrices; it says how many steps' work they were, times 1000."""
    a, b = (torch.randn(2048, 2048, device=device).to(precision) for _ in range(2))
    out = torch.empty_like(a)
    count = 16 if device == "cpu" else 2000

    def job() -> int:
        for _ in range(count):
            torch.mm(a, b.T, out=out)
        return round(1000 * count * 2 * 2048**3 / flops)

    return job


def race(width: int, options: argparse.Namespace) -> None:
    """Time all of them at one width, in turns, and print medians and ratios."""
    device, threads = options.device, torch.get_num_threads()
    pixels = torch.randint(256, (IMAGES, 3, SIDE, SIDE), dtype=torch.uint8)
    target = torch.randint(10, (IMAGES,))
    colours, windows = Colours.of(CIFAR10_STATISTICS), Windows(SIDE // 2, "in_place")
    feed = ImageFeed(Resident(pixels), torch.arange(IMAGES), target, REST, colours, windows, PAD, shared=True, mask=0)
    stream = torch.Generator()
    batch = feed.present(feed.draw(torch.arange(BATCH), stream), stream)
    precision = resolved(TRAINING.precision, SplitResNet(width=width), device)
    flops = work(width)
    steps = options.steps or (1 if width > 32 and device == "cpu" else 4)
    pictures = Pictures(pixels.permute(0, 2, 3, 1).contiguous().numpy(), target)
    entries = {
        "matmul": Clocked(products(flops, getattr(torch, precision), device)),
        "step": Clocked(ours(width, Ready(batch, target, REST), steps, device, blurred=False)),
        "fed": Clocked(ours(width, feed, steps, device, blurred=True)),
        "plain": Clocked(plain(width, batch, device)),
        "usual": Clocked(usual(width, pictures, steps, device)),
    }

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    for n in range(options.repeats + 1):
        for entry in entries.values():
            entry.round(wait, threads, count=n > 0)  # the first round warms up
    matmul = entries["matmul"]
    matmul.wall, matmul.processor = ([1000 * s for s in seconds] for seconds in (matmul.wall, matmul.processor))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"width {width}, {flops / 1e9:.1f} GFLOP a step, {precision}, {device}, {threads} thread(s), load {load:.1f}")
    for name, entry in entries.items():
        print(f"  {name:7} {statistics.median(entry.wall):8.4f} s a step")

    def ratio(over: str, under: str) -> float:
        return _ratio(entries[over].wall, entries[under].wall)

    processor = _ratio(entries["step"].processor, matmul.processor)

    wanted = " (wanted <= 1.2)" if width == 64 and device == "cpu" else ""
    told = {
        f"step / matmul{wanted}": ratio("step", "matmul"),
        **({"the same, processor time": processor} if device == "cpu" else {}),
        "fed / step (wanted <= 1.1)": ratio("fed", "step"),
        "plain / step": ratio("plain", "step"),
        "usual / fed": ratio("usual", "fed"),
    }
    for what, value in told.items():
        print(f"  {what:33} {value:6.2f}")


def _ratio(over: Sequence[float], under: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def main() -> None:
    """Race at full and at quarter width."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, nargs="+", default=[64, 16])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, help="steps of a turn; by default 1 at full width on a CPU, else 4")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads; more only on a quiet machine")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for width in options.width:
        race(width, options)


if __name__ == "__main__":
    main()
