"""An objective: what training asks of a network, and how its answers are scored."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.objectives.outcome import Outcome
from chiasm.registry import Registry, tag_of

Targets = Literal["classes", "numbers"]


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """What training asks of a network: a loss, and the outcome that tells how well it answers.

    A kind is a frozen struct with a tag; its fields are the keys of `[objective]`. Answers are (rows, samples,
    outputs), a row a run; targets (rows, samples) class labels or (rows, samples, *shape) numbers.

    Attributes:
        targets: "classes" or "numbers".
        answers: what it takes a network's answers for: "logits", which may be any numbers, or "distances", as
            `deep_linear` gives them.
    """

    targets: ClassVar[Targets] = "classes"
    answers: ClassVar[Literal["logits", "distances"]] = "logits"

    def outcome(self, chance: float | None = None) -> Outcome:
        """Return what is scored; `chance`: what the best constant answer scores on the task, where it is known."""
        raise NotImplementedError

    def outputs(self, classes: int, target: tuple[int, ...]) -> int:
        """Return how many numbers a network must answer with, for a task of so many classes or a target of this shape.

        Raises:
            ChiasmError: the task's targets are not what this objective is for.
        """
        if (self.targets == "classes") != (classes > 0):
            have = "classes" if classes else "numbers"
            raise ChiasmError(
                f"objective.kind = '{tag_of(self)}' is for targets that are {self.targets}; this task's are {have}"
            )
        return classes

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
