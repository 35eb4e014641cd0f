"""`sum`: several objectives at once, their losses added."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, final

import msgspec
import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.objectives.judged import Judged
from chiasm.objectives.objective import OBJECTIVES, Objective, Targets
from chiasm.objectives.outcome import Outcome
from chiasm.structs import as_struct


@final
class Sum(Objective, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="sum"):
    """The sum of several objectives' losses; the outcome is that of the one that looks at targets.

    Attributes:
        terms: tables of objectives by names of one's own: `[objective.terms.rebuild] kind = "reconstruct"`.
        together: whether all terms judge one pass, so that what a term hides is hidden from the answers too, as when
            sources drop out; otherwise answers are to the whole batch, and what hides parts has a pass of its own.
    """

    terms: dict[str, dict[str, Any]]
    together: bool = False

    def __post_init__(self) -> None:
        if not self.terms:
            raise ChiasmError(
                "terms = {}: a sum needs objectives; expected tables, [objective.terms.answer] for instance"
            )
        hiding = [name for name, term in zip(self.terms, self.parts, strict=True) if term.hides]
        if len(hiding) > 1:
            raise ChiasmError(f"terms {', '.join(hiding)} all hide parts of a batch; expected one that does")
        answering = [name for name, term in zip(self.terms, self.parts, strict=True) if term.targets != "nothing"]
        if len(answering) > 1:
            raise ChiasmError(f"terms {', '.join(answering)} all score the answers; expected one that does")

    @property
    def parts(self) -> tuple[Objective, ...]:
        """The objectives, in order."""
        return _decoded(msgspec.json.encode(self.terms))

    @property
    def main(self) -> Objective:
        """The term whose outcome counts: the one that looks at targets, or the first."""
        return next((term for term in self.parts if term.targets != "nothing"), self.parts[0])

    @property
    def targets(self) -> Targets:  # type: ignore[override]
        return self.main.targets

    @property
    def answers(self) -> Literal["logits", "distances"]:  # type: ignore[override]
        return self.main.answers

    @property
    def decodes(self) -> bool:  # type: ignore[override]
        return any(term.decodes for term in self.parts)

    @property
    def hides(self) -> bool:  # type: ignore[override]
        return any(term.hides for term in self.parts)

    @property
    def apart(self) -> bool:  # type: ignore[override]
        return not self.together and self.targets != "nothing"

    def outcome(self, chance: float | None = None) -> Outcome:
        """Return the outcome of the main term."""
        return self.main.outcome(chance)

    def outputs(self, classes: int, target: tuple[int, ...]) -> int:
        """Return what the main term asks for."""
        return self.main.outputs(classes, target)

    def code_digest(self) -> str:
        """Return the hashes of all terms' code."""
        return "".join(term.code_digest() for term in self.parts)

    def check(self, tokens: Mapping[str, int]) -> None:
        """Let every term refuse."""
        for term in self.parts:
            term.check(tokens)

    def hide(self, shown: Mapping[str, Tensor], tokens: Mapping[str, int], draws: torch.Generator) -> dict[str, Tensor]:
        """Return what the one term hides that hides anything."""
        for term in self.parts:
            if term.hides:
                return term.hide(shown, tokens, draws)
        return {}

    def judge(self, step: Judged) -> tuple[Tensor, Tensor]:
        """Return the sum of the losses, and the main term's outcome."""
        losses, scores = zip(*(term.judge(step) for term in self.parts), strict=True)
        return torch.stack(losses).sum(0), scores[self.parts.index(self.main)]

    def loss(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the loss of the main term, as answers alone tell no other."""
        return self.main.loss(answer, target)

    def held_out(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the main term's."""
        return self.main.held_out(answer, target)

    def score(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the main term's."""
        return self.main.score(answer, target)


@cache
def _decoded(terms: bytes) -> tuple[Objective, ...]:
    tables = msgspec.json.decode(terms)
    return tuple(as_struct(table, OBJECTIVES, f"objective.terms.{name}") for name, table in tables.items())
