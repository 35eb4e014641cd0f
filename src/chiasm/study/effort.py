"""How long a step of a run takes, roughly, by counting: enough to share work out, no more."""

from __future__ import annotations

from contextlib import suppress

import torch

from chiasm.networks import Stacked
from chiasm.randomness import seeded_globals
from chiasm.study.plan import Root

RATE = 40e9  # operations a second of one thread, on convolutions of a middling size
STACKED, ALONE = 0.25e-3, 5e-3  # seconds a row and step that no network falls below, in a stack of 32 and by itself


def seconds_a_step(root: Root) -> float:
    """Return about how many seconds one thread takes for a training step of one row under these settings."""
    with seeded_globals(0, "template"):
        network = root.network()
        forward = _of_linear_layers(network) if network.stackable else _counted(network, root)
    forward_and_backward = 3 * forward * min(root.settings.training.batch, root.about.train)
    return max(forward_and_backward / RATE, STACKED if network.stackable else ALONE)


def _of_linear_layers(network: Stacked) -> int:
    """Return the operations of a forward pass of one sample, where linear layers do nearly all of them."""
    tokens = sum(network.tokens.values()) or 1
    return 2 * tokens * sum(p.numel() for p in network.template.parameters() if p.dim() == 2)


def _counted(network: Stacked, root: Root) -> int:
    """Return the operations of a forward pass of one sample, as torch counts them."""
    # Here, as its first use imports torch's compiler, which takes longer than many a small study.
    from torch.utils.flop_counter import FlopCounterMode

    template = network.template.eval()
    tensors = (*template.named_parameters(), *template.named_buffers())
    weights = {name: t.detach().unsqueeze(0) for name, t in tensors}
    sources = {source.name: torch.zeros(1, 1, *source.shape) for source in root.about.sources}
    # A forward that fails says so where it is needed; here it only counts as a small one.
    with suppress(Exception), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(weights, sources)
    return int(counter.get_total_flops())
