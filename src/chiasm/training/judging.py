"""How rows of one stack are judged, each by the objective of its phase, and what is hidden from the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from chiasm.objectives import Judged, Objective
from chiasm.randomness import generator
from chiasm.training.ranks import Ranks
from chiasm.training.state import Row


def by_objective(rows: Sequence[Row]) -> list[tuple[Objective, list[int]]]:
    """Group the places of rows by what they train for; rows of one stack may be in phases of different objectives."""
    places: dict[str, tuple[Objective, list[int]]] = {}
    for i, row in enumerate(rows):
        places.setdefault(repr(row.leg.objective), (row.leg.objective, []))[1].append(i)
    return list(places.values())


def judge(objectives: Sequence[tuple[Objective, list[int]]], step: Judged) -> tuple[Tensor, Tensor]:
    """Return each row's mean loss and mean outcome, (rows,) each, by the objective of its leg."""
    if len(objectives) == 1:
        return objectives[0][0].judge(step)
    loss, score = (step.answer.new_zeros(len(step.answer)) for _ in range(2))
    for objective, places in objectives:
        index = torch.tensor(places, device=step.answer.device)
        # A lone row is padded, as a sum over one row has other bits than the same over one of several.
        padded = index if len(places) > 1 else index.repeat(2)
        own_loss, own_score = (x[: len(places)] for x in objective.judge(_rows(step, padded)))
        loss, score = loss.index_add(0, index, own_loss), score.index_add(0, index, own_score)
    return loss, score


def hidden_of(
    rows: Sequence[Row], sources: Mapping[str, Tensor], tokens: Mapping[str, int], step: int, ranks: Ranks
) -> dict[str, Tensor]:
    """Draw what each row's objective hides of a batch: (rows, samples, parts) bool by source; empty where none does."""
    drawn = [
        row.leg.objective.hide(
            {name: x[i] for name, x in sources.items()},
            tokens,
            generator(row.leg.seed, ranks.purpose("hide"), row.epoch, step),
        )
        for i, row in enumerate(rows)
    ]
    if not any(drawn):
        return {}
    like = next(marks for marks in drawn if marks)
    shown = {name: torch.zeros_like(marks) for name, marks in like.items()}
    return {name: torch.stack([marks.get(name, shown[name]) for marks in drawn]) for name in like}


def baselines(rows: Sequence[Row]) -> dict[str, Tensor]:
    """Return what hidden sources show, (rows, 1, *shape) by source."""
    names = rows[0].data.baseline
    return {name: torch.stack([row.data.baseline[name] for row in rows]).unsqueeze(1) for name in names}


def _rows(step: Judged, index: Tensor) -> Judged:
    """Return some rows of a step."""

    def some(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: x.index_select(0, index) for name, x in tensors.items()}

    return replace(
        step,
        answer=step.answer.index_select(0, index),
        target=step.target.index_select(0, index),
        sources=some(step.sources),
        rebuilt=some(step.rebuilt),
        hidden=some(step.hidden),
    )
