"""The stereogram sweep, stacked and shared, against the same runs one by one with a plain module and torch.optim.SGD.

Ten cells (durations 0 5 10 20 40 80; 40 epochs at onsets 10 20 40 80), three seeds, 60 clean epochs after release.
Also: what the bench adds to the training it does (planning, probing, storing, reporting).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import torch

ARMS = """
name = "sweep"
question = "How fast is the sweep?"
seeds = {seeds}
[task]
kind = "stereogram"
[network]
kind = "split_mlp"
[training]
lr = 0.05
momentum = 0.9
batch = 128
decay = 0.97
[probe]
layers = ["fusion"]
every = 20
[[arm]]
name = "duration"
role = "duration"
timeline = "silence(right) {{d}} | clean 60"
d = [0, 5, 10, 20, 40, 80]
[[arm]]
name = "onset"
role = "onset"
timeline = "clean {{t}} | silence(right) 40 | clean 60"
t = [10, 20, 40, 80]
"""


def plain(seeds: int) -> dict[str, float]:
    """Train every run alone, as a person would write it; returns the final test accuracy of each."""
    from chiasm.deficits import Silence
    from chiasm.randomness import generator, seeded_globals
    from chiasm.sources import Batch
    from chiasm.study.plan import make_plan
    from chiasm.study.spec import Study

    found = {}
    study = Study.from_toml(ARMS.format(seeds=seeds))
    data = {seed: study.cells()[0].settings.task.load(seed) for seed in range(seeds)}
    for run in make_plan(study).runs:
        settings = run.cell.settings
        about = settings.task.describe()
        with seeded_globals(run.seed, "init"):
            network = settings.network.build(about.sources, len(about.classes))
        optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
        train, test = data[run.seed].train, data[run.seed].test
        assert isinstance(train, Batch)
        silent = Silence("right")(train, torch.Generator())
        for epoch in range(run.cell.timeline.epochs):
            shown = silent if run.cell.timeline.at(epoch) else train
            optimiser.param_groups[0]["lr"] = 0.05 * 0.97**epoch
            order = torch.randperm(len(train), generator=generator(run.seed, "order", epoch))
            for chosen in torch.split(order, 128):
                batch = shown.take(chosen)
                loss = torch.nn.functional.cross_entropy(network(batch.sources)["both"], batch.target)
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
        with torch.no_grad():
            right = network(test.sources)["both"].argmax(1) == test.target
        found[run.name] = float(right.float().mean())
    return found


def bench(seeds: int, report: bool, workers: int | None) -> dict[str, float]:
    """Run the sweep as a study in a new folder; returns the final test accuracy of each run."""
    import chiasm
    from chiasm.study.spec import Study

    study = Study.from_toml(ARMS.format(seeds=seeds))
    with tempfile.TemporaryDirectory() as folder:
        results = chiasm.run(study, folder, report=report, progress=False, workers=workers)
        frame = results.frame().filter(final=True, quantity="accuracy", source="all")
        return dict(zip(frame["run"].to_list(), frame["value"].to_list(), strict=True))


def overhead(seeds: int) -> dict[str, float]:
    """Run the sweep in one process, and time the epochs of training apart from all the rest."""
    from chiasm.training import Stack

    inner = 0.0
    epoch = Stack.epoch

    def timed(self: Stack, limit: int | None = None) -> object:
        nonlocal inner
        began = time.perf_counter()
        said = epoch(self, limit)
        inner += time.perf_counter() - began
        return said

    Stack.epoch = timed  # type: ignore[method-assign,assignment]
    began = time.perf_counter()
    bench(seeds, report=True, workers=1)
    whole = time.perf_counter() - began
    return {"training": inner, "whole": whole, "overhead": (whole - inner) / inner}


def alone(what: str, seeds: int) -> tuple[float, dict[str, float]]:
    """Do one thing in a process of its own, imports not counted; returns its seconds and what it found."""
    command = [sys.executable, __file__, "--do", what, "--seeds", str(seeds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    told = json.loads(done.stdout.splitlines()[-1])
    return told["seconds"], told["found"]


def main() -> None:
    """Repeat, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--do", choices=["plain", "bench", "overhead"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.do:
        import chiasm.api  # noqa: F401  (imports are not what is timed here)

        began = time.perf_counter()
        do = {
            "plain": lambda: plain(options.seeds),
            "bench": lambda: bench(options.seeds, report=False, workers=None),
            "overhead": lambda: overhead(options.seeds),
        }
        told = do[options.do]()
        print(json.dumps({"seconds": time.perf_counter() - began, "found": told}))
        return
    times: dict[str, list[float]] = {"plain": [], "bench": []}
    shares = []
    found: dict[str, dict[str, float]] = {}
    for _ in range(options.repeats):
        for what in ("plain", "bench"):
            seconds, found[what] = alone(what, options.seeds)
            times[what].append(seconds)
        shares.append(alone("overhead", options.seeds)[1]["overhead"])
    ratios = [a / b for a, b in zip(times["plain"], times["bench"], strict=True)]
    gaps = [abs(found["plain"][run] - found["bench"][run]) for run in found["plain"]]
    means = [statistics.mean(found[what].values()) for what in ("plain", "bench")]
    print(f"sweep one by one, plain module and torch.optim.SGD   {statistics.median(times['plain']):6.1f} s")
    print(f"sweep by chiasm, stacked and shared                  {statistics.median(times['bench']):6.1f} s")
    print(f"ratio, median of {len(ratios)} (wanted >= 3)                     {statistics.median(ratios):6.2f}")
    print(f"mean accuracy, one by one and by chiasm              {means[0]:.4f} {means[1]:.4f}")
    print(f"gap of a run's accuracy, median and largest          {statistics.median(gaps):.4f} {max(gaps):.4f}")
    print(f"overhead on training, median (wanted <= 0.15)        {statistics.median(shares):6.2f}")


if __name__ == "__main__":
    main()
