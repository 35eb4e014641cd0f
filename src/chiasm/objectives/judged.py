"""What an objective judges: a network's answers and reconstructions of some rows, beside what they were shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Judged:
    """One step of some rows, as an objective judges it.

    Attributes:
        answer: (rows, samples, outputs), each sample read by its head.
        target: (rows, samples) classes, or (rows, samples, *shape) numbers.
        sources: (rows, samples, *shape) by source, as the deficits left them and before anything was hidden.
        rebuilt: of the same shapes, what the network's decoders make of them; empty where nobody asks for it.
        hidden: what the network did not see, (rows, samples, parts) bool by source; empty where it saw everything.
        spread: from a source's name, marks of its parts and its tensor to marks of that tensor's shape.
    """

    answer: Tensor
    target: Tensor
    sources: Mapping[str, Tensor] = field(default_factory=dict)
    rebuilt: Mapping[str, Tensor] = field(default_factory=dict)
    hidden: Mapping[str, Tensor] = field(default_factory=dict)
    spread: Callable[[str, Tensor, Tensor], Tensor] = lambda _, marks, x: marks.expand_as(x)
