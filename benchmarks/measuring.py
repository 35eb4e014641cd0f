"""What a measurement costs: against bare forward passes, against whole passes, against SALib, and in memory.

Run alone it checks and times everything and prints one table; medians of several runs, ratios within one run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import chiasm
from chiasm.measuring.plan import plan
from chiasm.networks import FusionNetwork, SplitCNN
from chiasm.sources import Source

REPEATS = 3
SAMPLES = 1024  # of each source; 64 blocks of 16, so 16,384 pairs
CHUNK = 512  # answers in one forward pass, of ours and of the baseline


def times(*jobs: Callable[[], object]) -> list[list[float]]:
    """Seconds of each job in each of several rounds; the jobs take turns, so that a noisy minute hits all alike."""
    taken: list[list[float]] = [[] for _ in jobs]
    for n in range(REPEATS + 1):
        for job, seconds in zip(jobs, taken, strict=True):
            began = time.perf_counter()
            job()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if n:  # the first round warms up
                seconds.append(time.perf_counter() - began)
    return taken


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median over rounds of theirs / ours."""
    return median(b / a for a, b in zip(ours, theirs, strict=True))


class TwoTowers(nn.Module):
    """A small transformer over the tokens of two sources."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(16, 128), nn.Linear(16, 128)
        self.place = nn.Parameter(torch.randn(1, 16, 128) / 8)
        self.encoder = nn.Sequential(
            *(nn.TransformerEncoderLayer(128, 4, 512, batch_first=True, norm_first=True) for _ in range(2))
        )
        self.head = nn.Linear(128, 10)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        tokens = torch.cat([self.left(left), self.right(right)], 1) + self.place
        out: Tensor = self.head(self.encoder(tokens).mean(1))
        return out


def every_layer(model: nn.Module) -> list[str]:
    """All modules that are called in a pass, and the model's output."""
    never = (nn.ModuleDict, nn.modules.linear.NonDynamicallyQuantizableLinear)  # attention reads the latter's weights
    return [name for name, m in model.named_modules() if name and not isinstance(m, never)] + [""]


def cnn(device: str, channels: tuple[int, ...] = (16, 32)) -> tuple[FusionNetwork, dict[str, Tensor]]:
    """Two pathways of convolutions, and two more after their fusion."""
    torch.manual_seed(0)
    sources = [Source(name, (3, 16, 16), "image") for name in ("left", "right")]
    network = (
        SplitCNN(channels=channels, trunk=(64, 64) if len(channels) < 3 else (32,), norm="batch")
        .build(sources, 10)
        .eval()
        .to(device)
    )
    return network, {s.name: torch.randn(SAMPLES, *s.shape, device=device) for s in sources}


def overhead_cnn(device: str) -> float:
    """Measuring every unit of every layer of a split CNN, over the passes it needs: pathways an anchor, rest a pair."""
    model, x = cnn(device)
    sampling = plan(2, SAMPLES, None, "auto", None, "ratio", "product")
    anchors, pairs = sampling.anchors, sampling.blocks * len(sampling.design.points)

    @torch.no_grad()
    def bare() -> None:
        encoded = {}
        for name, pathway in model.pathways.items():
            encoded[name] = torch.cat([pathway(part) for part in torch.split(x[name][:anchors], CHUNK)])
        first, second = encoded.values()
        for start in range(0, pairs, CHUNK):
            at = start % (anchors - CHUNK + 1)
            model.join({"left": first[at : at + CHUNK], "right": second[at : at + CHUNK]})

    def ours() -> None:
        chiasm.measure(model, x, every_layer(model), check_dependence=False, chunk=CHUNK)

    mine, theirs = times(ours, bare)
    return 1 / ratio(mine, theirs)


def overhead_transformer(device: str) -> float:
    """The same of a small transformer without separate pathways: every pair is a whole pass."""
    torch.manual_seed(0)
    model = TwoTowers().eval().to(device)
    x = {name: torch.randn(4 * SAMPLES, 8, 16, device=device) for name in ("left", "right")}
    sampling = plan(2, 4 * SAMPLES, 2048, "auto", 4, "ratio", "product")
    pairs = sampling.blocks * len(sampling.design.points)

    @torch.no_grad()
    def bare() -> None:
        was = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # the fused kernel hides the layers inside from any hook
        for start in range(0, pairs, CHUNK):
            at = start % SAMPLES
            model(x["left"][at : at + CHUNK], x["right"][at : at + CHUNK])
        torch.backends.mha.set_fastpath_enabled(was)

    def ours() -> None:
        chiasm.measure(model, x, every_layer(model), anchors=2048, block=4, check_dependence=False, chunk=CHUNK)

    mine, theirs = times(ours, bare)
    return 1 / ratio(mine, theirs)


def separable(device: str) -> float:
    """Whole passes a pair, over pathways once an anchor, where three of four convolutions are before the fusion."""
    model, x = cnn(device, (32, 64, 32))
    layers = ["fusion", "trunk", ""]
    results: dict[str, Any] = {}

    def ours() -> None:
        results["ours"] = chiasm.measure(model, x, layers, anchors=512, check_dependence=False)

    def whole() -> None:
        results["whole"] = chiasm.measure(
            model, x, layers, anchors=512, check_dependence=False, forward=lambda net, s: net(s)
        )

    mine, theirs = times(ours, whole)
    for layer in layers:
        np.testing.assert_allclose(results["ours"][layer].rsv(), results["whole"][layer].rsv(), atol=1e-3)
    return ratio(mine, theirs)


def salib(device: str) -> tuple[float, float, float]:
    """A loop over 512 units of a layer with SALib, against ours: times at equal precision, and both errors of totals.

    Sources are 2,048 samples of 8 numbers; SALib, which knows numbers only, draws the places of samples. Truth is the
    whole grid of 2,048 x 2,048 pairs. SALib's loop is timed on 64 of the units, and errors fall as 1 / sqrt(answers).
    """
    from SALib.analyze import sobol as analyze
    from SALib.sample import sobol as sample

    units, timed, size = 512, 64, 2048
    torch.manual_seed(0)
    x = torch.randn(2, size, 8, device=device)
    heard = [x[j] @ torch.randn(8, units, device=device) for j in range(2)]

    rows, columns, squares = [], torch.zeros(size, units, dtype=torch.float64, device=device), torch.zeros(units)
    squares = squares.double().to(device)
    for some in torch.split(heard[0], 8):
        y = (some[:, None] + heard[1]).relu_()
        rows.append(y.mean(1).double())
        columns += y.sum(0)
        squares += y.square_().sum((0, 1))
    mean_a, mean_b = torch.cat(rows), columns / size
    v = squares / size**2 - mean_a.mean(0) ** 2
    truth = torch.stack([1 - mean_b.var(0, unbiased=False) / v, 1 - mean_a.var(0, unbiased=False) / v]).cpu().numpy()

    problem = {"num_vars": 2, "names": ["left", "right"], "bounds": [[0.0, 1.0], [0.0, 1.0]]}
    design = sample.sample(problem, 4096, calc_second_order=False, seed=1)
    places = [torch.from_numpy((design[:, j] * size).astype(np.int64)).to(device) for j in range(2)]
    results: dict[str, Any] = {}

    def theirs() -> None:
        y = (heard[0][places[0]] + heard[1][places[1]]).relu().cpu().numpy()
        indices = [analyze.analyze(problem, y[:, u], calc_second_order=False, seed=2) for u in range(timed)]
        results["theirs"] = np.array([index["ST"] for index in indices]).T

    def ours() -> None:
        m = chiasm.measure(
            nn.Identity(), {"left": heard[0], "right": heard[1]}, [""], check_dependence=False,
            forward=lambda _, s: (s["left"] + s["right"]).relu(),
        )  # fmt: skip
        m[""].interval("total")
        results["ours"] = m[""].total()

    mine, others = times(ours, theirs)
    error = {n: float(np.sqrt(np.mean((t - truth[:, : t.shape[1]]) ** 2))) for n, t in results.items()}
    at_equal = ratio(mine, others) * units / timed * (error["theirs"] / error["ours"]) ** 2
    return at_equal, error["theirs"], error["ours"]


MEMORY = """
import json, sys, torch, chiasm
from torch import nn
units, anchors = int(sys.argv[1]), int(sys.argv[2])
torch.manual_seed(0)
wide = nn.Linear(8, units)
x = {"left": torch.randn(anchors, 4), "right": torch.randn(anchors, 4)}
m = chiasm.measure(wide, x, [""], forward=lambda net, s: net(torch.cat([s["left"], s["right"]], 1)).relu(),
                   anchors=anchors, block=128 * 128 // anchors if anchors <= 4096 else 4, check_dependence=False)
m[""].rsv()
m[""].interval("rsv")
# Of this process alone: getrusage would also count what the process that started it once took.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"peak": peak / 2**20, "pairs": m.evaluations}))
"""


def memory(units: int, anchors: int) -> dict[str, float]:
    """Peak memory (GiB) of a process that measures a wide layer."""
    out = subprocess.run(
        [sys.executable, "-c", MEMORY, str(units), str(anchors)], capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(out.stdout)
    return result


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"device {device} ({name}), torch {torch.__version__}, medians of {REPEATS} rounds", flush=True)
    rows = [
        ("split CNN, all units of all layers: time over bare forward passes", f"{overhead_cnn(device):.2f}"),
        ("small transformer, the same", f"{overhead_transformer(device):.2f}"),
        ("pathways once an anchor: times faster than whole passes a pair", f"{separable(device):.1f}"),
    ]
    speed, theirs, ours = salib(device)
    rows += [
        ("512 units: times faster than a loop with SALib at equal precision", f"{speed:.0f}"),
        ("  errors of total indices, theirs (16,384 answers) and ours (16,384)", f"{theirs:.4f} {ours:.4f}"),
    ]
    for units, anchors in ((100_000, 1024), (100_000, 4096), (100_000, 16384)):
        peak = memory(units, anchors)
        rows.append((f"{units} units, {peak['pairs']} pairs of {anchors} anchors: peak GiB", f"{peak['peak']:.2f}"))
    for what, figure in rows:
        print(f"{what:72} {figure}")


if __name__ == "__main__":
    main()
