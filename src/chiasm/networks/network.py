"""What every network of a study is: settings that build a module for a task's sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec
from torch import nn

from chiasm.errors import ChiasmError
from chiasm.registry import Registry, kind_digest, tag_of
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

    def decoders(self, network: nn.Module, sources: Sequence[Source]) -> dict[str, nn.Module]:
        """Make one module a source that rebuilds it, for objectives that ask for that; weights as in `build`.

        Args:
            network: what `build` made.
            sources: those of the task.

        Raises:
            ChiasmError: this kind has none.
        """
        have = sorted(tag for tag in NETWORKS if NETWORKS[tag].decoders is not Network.decoders)
        raise ChiasmError(
            f"network.kind = '{tag_of(self)}' cannot rebuild its sources, as objective 'reconstruct' asks; expected "
            f"one of {', '.join(have)}"
        )

    def code_digest(self) -> str:
        """Return the hash of the code that builds it where that is not the package's own, for a run's identity."""
        return kind_digest(self)


NETWORKS: Registry[Network] = Registry("network", Network, "chiasm.networks")
