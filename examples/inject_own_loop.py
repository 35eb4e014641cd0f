"""Your own training loop, with a deficit: the right eye is silent at first; does the network still learn to use it?

    python examples/inject_own_loop.py

One line goes around the loop, one line into it; the rest is plain torch. The data are made up; both eyes carry the
class.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import chiasm

EPOCHS, BATCH = 40, 32


class TwoEyes(nn.Module):
    """Two pathways that meet in a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(20, 32), nn.Linear(20, 32)
        self.fusion = nn.ReLU()
        self.head = nn.Linear(32, 4)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Map two times (samples, 20) to (samples, 4)."""
        logits: Tensor = self.head(self.fusion(self.left(left) + self.right(right)))
        return logits


def draw(samples: int, seed: int) -> Tensor:
    """Draw an eye's view of 4 classes, (samples, 20)."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randn(4, 20, generator=generator)
    return classes[torch.arange(samples) % 4] + 1.5 * torch.randn(samples, 20, generator=generator)


def train(timeline: str, seed: int) -> chiasm.Measurement:
    """Train under a timeline of deficits; return what the units listen to in the end."""
    torch.manual_seed(seed)
    net, label = TwoEyes(), torch.arange(1200) % 4
    left, right = draw(1200, 1), draw(1200, 2)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05)
    with chiasm.inject(net, timeline, baseline={"right": right[:800].mean(0)}, seed=seed) as injection:
        for _ in range(EPOCHS):
            injection.epoch()
            for some in torch.randperm(800).reshape(-1, BATCH):
                loss = nn.functional.cross_entropy(net(left[some], right[some]), label[some])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        print(injection)
    held_out = {"left": left[800:], "right": right[800:]}
    # Both eyes carry the class, so drawing them independently leaves the data; the network is what is asked about.
    return chiasm.measure(net, held_out, ["fusion", "head"], check_dependence=False)


if __name__ == "__main__":
    clean = train(f"clean {EPOCHS}", seed=0)
    impaired = train(f"silence(right) {EPOCHS // 2} | clean {EPOCHS // 2}", seed=0)
    for layer in ("fusion", "head"):
        before, after = (m[layer].mean_rsv("left", "right") for m in (clean, impaired))
        print(
            f"report of {layer}: RSV {before:+.2f} if both eyes saw, {after:+.2f} after early silence (+1: left only)"
        )
