"""Logits: where they are in the output of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from chiasm.errors import ChiasmError


def logits_of(output: Any, samples: int) -> Tensor:
    """Return the logits (samples, classes) in a model's output.

    Args:
        output: logits; a mapping that contains them as "both" (a `FusionNetwork`) or "logits"; or an object with
            `.logits`.
        samples: the number of samples in the pass.

    Raises:
        ChiasmError: no floating point tensor of that shape and two classes or more.

    >>> import torch
    >>> logits_of({"logits": torch.zeros(4, 3)}, 4).shape
    torch.Size([4, 3])
    """
    for key in ("both", "logits"):
        output = output[key] if isinstance(output, Mapping) and key in output else output
    x = getattr(output, "logits", output)
    if isinstance(x, Tensor) and x.is_floating_point() and x.dim() == 2 and len(x) == samples and x.shape[1] >= 2:
        return x
    given = f"a tensor {tuple(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
    raise ChiasmError(
        f"the model answers {samples} sample{'' if samples == 1 else 's'} with {given}; expected logits (samples, "
        "classes) of two classes or more, or an output that contains them as 'both' or 'logits', or "
        "forward=(model, sources) -> logits"
    )
