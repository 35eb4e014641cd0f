"""How long a step of a run takes, roughly, by counting: enough to share work out, no more."""

from __future__ import annotations

from contextlib import suppress

import torch
from torch.utils.flop_counter import FlopCounterMode

from chiasm.randomness import seeded_globals
from chiasm.study.plan import Root

RATE = 40e9  # operations a second of one thread, on convolutions of a middling size
STACKED, ALONE = 0.25e-3, 5e-3  # seconds a row and step that no network falls below, in a stack of 32 and by itself


def seconds_a_step(root: Root) -> float:
    """Return about how many seconds one thread takes for a training step of one row under these settings."""
    about, training = root.about, root.settings.training
    with seeded_globals(0, "template"):
        network = root.network()
        template = network.template.eval()
        tensors = (*template.named_parameters(), *template.named_buffers())
        weights = {name: t.detach().unsqueeze(0) for name, t in tensors}
        shown = {source.name: torch.zeros(1, 1, *source.shape) for source in about.sources}
        # A forward that fails says so where it is needed; here it only counts as a small one.
        with suppress(Exception), torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(weights, shown)
    forward_and_backward = 3 * int(counter.get_total_flops()) * min(training.batch, about.train)
    return max(forward_and_backward / RATE, STACKED if network.stackable else ALONE)
