"""Which head reads each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from chiasm.errors import ChiasmError


def read(logits: Mapping[str, Tensor], head: Tensor | None, sources: Sequence[str]) -> Tensor:
    """Pick each sample's head.

    Args:
        logits: (rows, samples, outputs) by head: "both", and one a source where the network has them.
        head: (rows, samples) 0 for "both", j for the j-th source; ignored where "both" is the only head.
        sources: the names of the sources, in order.

    Raises:
        ChiasmError: the network has heads for some sources but not for all.

    Returns:
        (rows, samples, outputs).
    """
    if head is None or len(logits) == 1:
        return logits["both"]
    missing = [name for name in sources if name not in logits]
    if missing:
        raise ChiasmError(f"the network has no head for {', '.join(missing)}; expected one a source, or only 'both'")
    every = torch.stack([logits[name] for name in ("both", *sources)])  # (heads, rows, samples, outputs)
    index = head[None, :, :, None].expand(1, *every.shape[1:])
    return every.gather(0, index)[0]
