"""An objective: what training asks of a network, and how its answers are scored."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated, ClassVar, Literal

import msgspec
import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.objectives.judged import Judged
from chiasm.objectives.outcome import Outcome
from chiasm.registry import Registry, kind_digest, tag_of

Targets = Literal["classes", "numbers", "nothing"]


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """What training asks of a network: a loss, and the outcome that tells how well it answers.

    A kind is a frozen struct with a tag; its fields are the keys of `[objective]`. Answers are (rows, samples,
    outputs), a row a run; targets (rows, samples) class labels or (rows, samples, *shape) numbers.

    Attributes:
        fresh: parts of the network that are drawn anew where a phase with this objective begins and the one before it
            had another: "heads", or the name of any layer with all that lies inside.
        restart: whether the optimiser's memory is dropped there, and the clock begins anew.
        lr: the learning rate of phases with this objective; None: that of `[training]`.
        horizon: epochs over which their rate falls, where `[training]` says schedule = "cosine"; None: its horizon.
        targets: "classes", "numbers", or "nothing" where no label is touched.
        answers: what it takes a network's answers for: "logits", which may be any numbers, or "distances", as
            `deep_linear` gives them.
        decodes: whether it asks the network to rebuild its sources.
        hides: whether it hides parts of a batch from the network.
        apart: whether, where it hides parts of a batch, answers are those to the whole batch, in a pass of its own.
        later: fields that older studies do not have.
    """

    fresh: tuple[str, ...] = ()
    restart: bool = False
    lr: Annotated[float, msgspec.Meta(gt=0)] | None = None
    horizon: Annotated[int, msgspec.Meta(ge=1)] | None = None

    targets: ClassVar[Targets] = "classes"
    answers: ClassVar[Literal["logits", "distances"]] = "logits"
    decodes: ClassVar[bool] = False
    hides: ClassVar[bool] = False
    apart: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ("fresh", "restart", "lr", "horizon")

    def outcome(self, chance: float | None = None) -> Outcome:
        """Return what is scored; `chance`: what the best constant answer scores on the task, where it is known."""
        raise NotImplementedError

    def outputs(self, classes: int, target: tuple[int, ...]) -> int:
        """Return how many numbers a network must answer with, for a task of so many classes or a target of this shape.

        Raises:
            ChiasmError: the task's targets are not what this objective is for.
        """
        if self.targets == "nothing":
            return classes or prod(target)
        if (self.targets == "classes") != (classes > 0):
            have = "classes" if classes else "numbers"
            raise ChiasmError(
                f"objective.kind = '{tag_of(self)}' is for targets that are {self.targets}; this task's are {have}"
            )
        return classes

    def code_digest(self) -> str:
        """Return the hash of its code where that is not the package's own, for a run's identity."""
        return kind_digest(self)

    def check(self, tokens: Mapping[str, int]) -> None:
        """Refuse, with a ChiasmError, a network that it cannot train; `tokens`: into how many it cuts each source."""

    def hide(self, shown: Mapping[str, Tensor], tokens: Mapping[str, int], draws: torch.Generator) -> dict[str, Tensor]:
        """Return what of a batch the network is not to see, for one row; by default nothing.

        Args:
            shown: (samples, *shape) by source.
            tokens: into how many tokens the network cuts each source; empty for one that cuts none.
            draws: its stream, on the CPU.

        Returns:
            (samples, parts) bool by source: of one part, the source as a whole; of several, its tokens.
        """
        return {}

    def judge(self, step: Judged) -> tuple[Tensor, Tensor]:
        """Return the loss of each row, which training makes small, and its outcome: (rows,) both."""
        score = self.score(step.answer.detach(), step.target)
        return self.loss(step.answer, step.target), score.float().mean(1)

    def loss(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return what training makes small, the mean over the samples of each row: (rows,)."""
        raise NotImplementedError

    def held_out(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each sample as results hold it, without what serves training only: (rows, samples)."""
        raise NotImplementedError

    def score(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the outcome of each sample, whose mean is the outcome: (rows, samples)."""
        raise NotImplementedError


OBJECTIVES: Registry[Objective] = Registry("objective", Objective, "chiasm.objectives")
