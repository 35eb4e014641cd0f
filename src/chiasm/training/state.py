"""What is trained and what training carries along: legs, rows, states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from msgspec.structs import replace
from torch import Tensor

from chiasm.deficits import Deficit
from chiasm.networks import Stacked
from chiasm.objectives import Classify, Objective
from chiasm.optimiser import empty_slots
from chiasm.sources import Batch
from chiasm.tasks import Feed, Task
from chiasm.training.settings import Training

CLASSIFY = Classify()


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of one run under one set of deficits: an edge of the tree of phases.

    Attributes:
        seed: the replicate.
        start: epoch at which it begins; stop: epoch at which it ends.
        deficits: what is wrong with the data meanwhile; empty: clean.
        tick: what the clock shows at `start`; None for a constant clock.
        objective: what it trains for.
        named: whether that objective is another than the study's own.
        drop: whether the optimiser's memory is dropped at `start`.
        fresh: parts of the network that are drawn anew at `start`.
    """

    seed: int
    start: int
    stop: int
    deficits: tuple[Deficit, ...]
    tick: int | None
    drop: bool = False
    objective: Objective = CLASSIFY
    named: bool = False
    fresh: tuple[str, ...] = ()

    def rate(self, training: Training, epoch: int) -> float:
        """Return the learning rate in force during an epoch of this leg."""
        own = self.objective
        if own.lr is not None or own.horizon is not None:
            training = replace(training, lr=own.lr or training.lr, horizon=own.horizon or training.horizon)
        return training.rate(None if self.tick is None else self.tick + epoch - self.start, epoch)


@dataclass(frozen=True, slots=True)
class State:
    """All that training carries from one epoch to the next, for one run.

    Attributes:
        weights: parameters by name.
        buffers: buffers by name (BatchNorm statistics).
        slots: the optimiser's memory, by "<slot>:<parameter>"; "steps" counts AdamW's steps.
    """

    weights: dict[str, Tensor]
    buffers: dict[str, Tensor]
    slots: dict[str, Tensor]

    def to(self, device: torch.device | str) -> State:
        """Return the state on another device."""
        kinds = (self.weights, self.buffers, self.slots)
        return State(*({name: t.to(device) for name, t in kind.items()} for kind in kinds))


@dataclass(slots=True)
class Row:
    """One run inside a stack.

    Attributes:
        leg: what it trains.
        training: its hyper-parameters; optimiser and batch agree across a stack.
        task: where fresh data come from.
        data: its fixed training data, or what feeds it batch by batch.
        epoch: epochs completed.
        diverged: whether the loss became non-finite; such a row learns no more.
    """

    leg: Leg
    training: Training
    task: Task
    data: Batch | Feed
    epoch: int
    diverged: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """The training record of one row and epoch.

    Attributes:
        epoch: epochs completed.
        loss: mean loss of the leg's objective.
        quantity: the name of the objective's outcome.
        score: that outcome, the mean over the batches as they were shown.
        rate: the learning rate in force.
    """

    epoch: int
    loss: float
    quantity: str
    score: float
    rate: float


def initial_state(network: Stacked, training: Training) -> State:
    """Return the state of epoch 0: the template's weights, an optimiser without memory."""
    weights: dict[str, Tensor] = {}
    buffers = {name: b.detach().clone() for name, b in network.template.named_buffers()}
    for name, p in network.template.named_parameters():  # what the user froze is carried along, not trained
        (weights if p.requires_grad else buffers)[name] = p.detach().clone()
    return State(weights, buffers, empty_slots(weights, training.optimiser))


def renewed(state: State, network: Stacked, parts: Sequence[str]) -> State:
    """Return a state whose weights and memory of some parts are those of a network drawn anew.

    Args:
        state: of one run.
        network: freshly drawn, of the same architecture.
        parts: names of layers; all that lies inside of them is meant.
    """
    drawn = {**dict(network.template.named_parameters()), **dict(network.template.named_buffers())}
    inside = tuple(f"{part}." for part in parts)

    def new(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {n: drawn[n].detach().clone().to(t) if n.startswith(inside) else t for n, t in tensors.items()}

    slots = {n: torch.zeros_like(t) if n.partition(":")[2].startswith(inside) else t for n, t in state.slots.items()}
    return State(new(state.weights), new(state.buffers), slots)
