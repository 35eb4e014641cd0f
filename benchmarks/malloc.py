"""What a worker's settings of glibc's malloc give: the same training in processes with and without them, in turn.

Three studies on stereograms of 16 x 16 dots: small convolutional networks, which train a row at a time, a stack of
perceptrons, and a residual network. Told are processor seconds of the training steps, and pages that the system had
to hand over meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from chiasm.study.executors.local import MALLOC

NETWORKS = {
    "split_cnn, 8 rows": ('kind = "split_cnn"', 8, 6),
    "split_mlp, 16 rows": ('kind = "split_mlp"', 16, 40),
    "split_resnet, 1 row": ('kind = "split_resnet"\nwidth = 16', 1, 3),
}
STUDY = """
name = "malloc"
seeds = {rows}
[task]
kind = "stereogram"
dims = 2
size = 16
train = 512
test = 64
[network]
{network}
[training]
batch = 64
[probe]
layers = []
every = 100
[[arm]]
name = "silent"
timeline = "silence(right) {epochs}"
"""


def train(name: str) -> dict[str, float]:
    """Train one study in this process; returns seconds and pages of its steps."""
    import torch

    import chiasm
    from chiasm.study.spec import Study
    from chiasm.training import Stack

    torch.set_num_threads(1)
    epoch = Stack.epoch
    spent = {"seconds": 0.0, "pages": 0.0}

    def timed(self: Stack, limit: int | None = None) -> object:
        pages, began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time()
        trained = epoch(self, limit)
        spent["seconds"] += time.process_time() - began
        spent["pages"] += resource.getrusage(resource.RUSAGE_SELF).ru_minflt - pages
        return trained

    Stack.epoch = timed  # type: ignore[method-assign,assignment]
    network, rows, epochs = NETWORKS[name]
    with tempfile.TemporaryDirectory() as folder:
        study = Study.from_toml(STUDY.format(network=network, rows=rows, epochs=epochs))
        chiasm.run(study, folder, workers=1, report=False, progress=False)
    return spent


def measured(name: str, settings: dict[str, str]) -> dict[str, float]:
    """Train one study in a process of its own, with these settings and none of the caller's."""
    environment = {key: value for key, value in os.environ.items() if key not in MALLOC} | settings
    command = [sys.executable, __file__, "--train", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    spent: dict[str, float] = json.loads(done.stdout)
    return spent


def main() -> None:
    """Print, for each study, the ratio of seconds with the settings to seconds without."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", choices=list(NETWORKS))
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    if options.train:
        print(json.dumps(train(options.train)))
        return
    for name in NETWORKS:
        pairs = [(measured(name, {}), measured(name, MALLOC)) for _ in range(options.repeats)]
        ratios = sorted(after["seconds"] / before["seconds"] for before, after in pairs)
        spread = f"median of {len(ratios)}, least and most"
        print(
            f"{name}\n  with / without, {spread}   {statistics.median(ratios):.2f}   {ratios[0]:.2f} {ratios[-1]:.2f}"
        )
        for what, unit in (("seconds", "s"), ("pages", "pages")):
            before, after = (statistics.median(side[what] for side in sides) for sides in zip(*pairs, strict=True))
            print(f"  without, with   {before:9.1f} {after:9.1f} {unit}")


if __name__ == "__main__":
    main()
