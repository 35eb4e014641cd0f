"""Training steps of the transformer `multiview`, at the size of the studies of two frames (12 x 12, batch 64).

- plain:   the same encoder of torch.nn's own blocks, torch.optim.AdamW, no chiasm around it.
- alone:   one run of a study, by itself.
- stacked: so many runs at once, a run's share of the step.
- masked:  runs that rebuild hidden tokens, by how many of all tokens they see.

Medians of as many steps, in turn, one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from chiasm.networks import MultiView, Stacked
from chiasm.networks.multiview import MultiViewTransformer
from chiasm.objectives import Classify, Objective, Reconstruct
from chiasm.tasks import Motion
from chiasm.training import Leg, Row, Stack, Training, initial_state

BATCH = 64
TASK, KIND = Motion(train=4 * BATCH, test=16), MultiView()
TRAINING = Training(optimiser="adamw", lr=0.002, betas=(0.9, 0.98), weight_decay=0.05, batch=BATCH, clip=1.0)


class Plain(nn.Module):
    """The encoder of torch's blocks: patches of both frames, a global token, a pooled head."""

    def __init__(self, like: MultiViewTransformer) -> None:
        super().__init__()
        self.cuts = list(like.cuts.values())
        self.embed = nn.ModuleList(nn.Linear(cut.numbers, KIND.width) for cut in self.cuts)
        tokens = sum(like.tokens.values())
        self.places = torch.randn(tokens, KIND.width)
        self.first = nn.Parameter(torch.randn(KIND.width))
        layer = nn.TransformerEncoderLayer(
            KIND.width,
            KIND.attention_heads,
            KIND.mlp * KIND.width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.blocks = nn.TransformerEncoder(layer, KIND.depth, nn.LayerNorm(KIND.width), enable_nested_tensor=False)
        self.head = nn.Linear(KIND.width, 4)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map two frames to four numbers."""
        parts = [e(cut.split(x)) for e, cut, x in zip(self.embed, self.cuts, (first, second), strict=True)]
        x = torch.cat([self.first.expand(len(first), 1, -1), torch.cat(parts, 1) + self.places], 1)
        answer: Tensor = self.head(self.blocks(x)[:, 1:].mean(1))
        return answer


def network(decodes: bool) -> MultiViewTransformer:
    """Build the network, with decoders where they are asked for."""
    torch.manual_seed(0)
    built = KIND.build(TASK.describe().sources, 4)
    if decodes:
        built.decoders = nn.ModuleDict(KIND.decoders(built, TASK.describe().sources))
    return built


def plain() -> Callable[[], None]:
    """Return a job of four steps."""
    model = Plain(network(decodes=False))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.002, betas=(0.9, 0.98), weight_decay=0.05)
    data = TASK.load(0).train

    def job() -> None:
        for chosen in torch.split(torch.randperm(len(data)), BATCH):
            batch = data.take(chosen)
            loss = nn.functional.cross_entropy(model(*batch.sources.values()), batch.target)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()

    return job


def stack(rows: int, objective: Objective) -> Callable[[], None]:
    """Return a job of four steps of so many rows."""
    built = Stacked(network(objective.decodes))
    whole = Stack(built)
    data = TASK.load(0).train
    legs = [Leg(seed, 0, 10**6, (), 0, objective=objective) for seed in range(rows)]
    whole.refill([], [(Row(leg, TRAINING, TASK, data, 0), initial_state(built, TRAINING)) for leg in legs])

    def job() -> None:
        whole.epoch()

    return job


def main() -> None:
    """Print milliseconds a run and step, and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = options.rows
    half, quarter = (Reconstruct(mask="tokens", ratio=ratio) for ratio in (0.5, 0.75))
    jobs = {
        "plain": (plain(), 1),
        "alone": (stack(1, Classify()), 1),
        "stacked": (stack(rows, Classify()), rows),
        "sees half": (stack(rows, half), rows),
        "sees a quarter": (stack(rows, quarter), rows),
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for repeat in range(options.repeats + 1):
        for name, (job, runs) in jobs.items():
            began = time.perf_counter()
            job()
            if repeat:
                times[name].append((time.perf_counter() - began) / 4 / runs * 1e3)
    median = {name: statistics.median(found) for name, found in times.items()}
    for name, value in median.items():
        print(f"{name:16} {value:6.1f} ms a run and step")
    print(f"stacked, {rows} rows / plain (wanted <= 1.25)   {median['stacked'] / median['plain']:.2f}")
    print(f"plain / stacked                         {median['plain'] / median['stacked']:.2f}")
    print(f"alone / stacked (wanted >= 2)           {median['alone'] / median['stacked']:.2f}")
    print(f"seeing half / stacked                   {median['sees half'] / median['stacked']:.2f}")
    print(f"seeing a quarter / stacked              {median['sees a quarter'] / median['stacked']:.2f}")


if __name__ == "__main__":
    main()
