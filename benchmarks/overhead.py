"""A whole run at full width, from the study file to the results on disk, against its training steps alone.

Split-ResNet-18, batch 128, the right half blurred: twenty epochs of `cifar-blur` with all it counts divided by 128
(training and test samples, anchors, samples of the Fisher information), so that a step costs what it costs there and an
epoch holds as much measuring for its steps. The accuracies of the last epochs are left out: there they are 8 epochs'
in 360.

- step: chiasm's training, given one batch that lies ready.
- run:  `chiasm.run`: reading the pictures, planning, cropping, blurring, training, measuring, checkpoints, results.

Pictures are random bytes in CIFAR-10's binary layout, all 60,000 of them. Medians; each run stands between two timings
of the step, as machines slow down and recover.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

import chiasm
from chiasm.sources import Batch
from chiasm.study.spec import Study
from vision import REST, Ready, ours  # benchmarks/ is where this file lies

PART, EPOCHS, STEPS = 128, 20, 3
FILES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")


def study(data: Path, width: int) -> Study:
    """Return the shipped study's first epochs, a 128th of their size."""
    whole = Study.load("cifar-blur").sections
    probe = whole["probe"]
    return Study.from_dict(
        {
            "name": "overhead",
            "seeds": 1,
            "task": {**whole["task"], "path": str(data), "train": 128 * STEPS, "test": 10000 // PART},
            "network": {**whole["network"], "width": width},
            "training": {**whole["training"], "clock": "absolute"},
            "probe": {
                **probe,
                "tail": 1,
                "anchors": max(8, probe["anchors"] // PART),
                "fisher_samples": max(2, probe["fisher_samples"] // PART),
            },
            "arm": [{"name": "blur", "timeline": f"blur(right, 4) {EPOCHS}"}],
        }
    )


def pictures(folder: Path) -> Path:
    """Write CIFAR-10's files with random pictures."""
    held = folder / "cifar-10-batches-bin"
    held.mkdir()
    drawn = np.random.default_rng(0)
    for name in FILES:
        rows = drawn.integers(256, size=(10000, 3073), dtype=np.uint8)
        rows[:, 0] %= 10
        (held / f"{name}.bin").write_bytes(rows.tobytes())
    (held / "batches.meta.txt").write_text("\n".join(f"class-{i}" for i in range(10)))
    return folder


def timed(job: Callable[[], object]) -> float:
    """Seconds that a job takes on the wall."""
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def main() -> None:
    """Print seconds and one ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6, help="steps timed before and after each run")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    batch = Batch({name: torch.randn(128, *x.shape) for name, x in REST.items()}, torch.arange(128) % 10, REST)
    one_after_another = torch.zeros(128 * options.steps, dtype=torch.int64)  # as many samples as the timed steps need
    step = ours(options.width, Ready(batch, one_after_another, REST), options.steps, options.device, blurred=False)
    with tempfile.TemporaryDirectory() as scratch:
        made = study(pictures(Path(scratch)), options.width)
        steps = EPOCHS * STEPS
        step()
        ratios, runs, alone = [], [], []
        for n in range(options.repeats):
            before = timed(step)
            out = Path(scratch) / f"run-{n}"
            quiet = {"device": options.device, "report": False, "progress": False}
            runs.append(timed(partial(chiasm.run, made, out, workers=1, **quiet)))
            alone.append((before + timed(step)) / 2 / options.steps)
            ratios.append(runs[-1] / (steps * alone[-1]))
    print(f"width {options.width}, {steps} steps of 128 in {EPOCHS} epochs, {options.device}, 1 thread")
    print(f"  step {statistics.median(alone):8.3f} s")
    print(f"  run  {statistics.median(runs):8.1f} s")
    print(f"  run / its steps alone (wanted <= 1.1)   {statistics.median(ratios):.2f}   all: {ratios}")


if __name__ == "__main__":
    main()
