"""What every network of a study is: settings that build a module for a task's sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec
from torch import nn

from chiasm.registry import Registry, kind_digest
from chiasm.sources import Source


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a network; a kind is a frozen struct with a tag, and its fields are the keys of `[network]`.

    Attributes:
        large: whether it is worth bfloat16, and pictures with channels last in memory.
        answers: what its outputs are: "logits", or minus half squared "distances" to the answers of the classes; "any"
            where that is the user's affair.
    """

    large: ClassVar[bool] = False
    answers: ClassVar[Literal["logits", "distances", "any"]] = "logits"

    def build(self, sources: Sequence[Source], outputs: int) -> nn.Module:
        """Make the module, its weights drawn from torch's global generator, which the caller seeds.

        Args:
            sources: those of the task, in order.
            outputs: how many numbers it answers with for each sample, one a class where the task has classes.

        Raises:
            ChiasmError: settings that do not fit the sources.
        """
        raise NotImplementedError

    def code_digest(self) -> str:
        """Return the hash of the code that builds it where that is not the package's own, for a run's identity."""
        return kind_digest(self)


NETWORKS: Registry[Network] = Registry("network", Network, "chiasm.networks")
