"""One phase of training: state -> state. The hot path.

    for every epoch of the leg, for every row at once:
        order      <- generator(seed, "order", epoch)
        for every step:
            batch  <- the row's samples, in that order
            batch  <- the phase's deficits, drawing from generator(seed, "deficit", epoch, step)
            loss   <- objective(network(batch))
            update <- optimiser, at the rate of the row's clock; frozen pathways keep their weights

Nothing else is drawn and nothing is remembered: an epoch is a pure function of the state before it. Rows are runs that
share an architecture, each with its own data, order, deficits and rate; they never touch one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import isfinite
from typing import Annotated, Literal

import msgspec
import torch
from torch import Tensor

from chiasm.deficits import Deficit
from chiasm.errors import ChiasmError
from chiasm.networks import Stacked
from chiasm.objectives import Objective, read
from chiasm.optimiser import Optimiser, empty_slots
from chiasm.randomness import generator, seeded_globals
from chiasm.sources import Batch
from chiasm.tasks import Task

Positive = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Clock = Literal["absolute", "since_release", "constant"]


class Training(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a study trains: the keys of [training].

    Attributes:
        optimiser: "sgd" (torch's form: momentum, no dampening) or "adamw" (decoupled decay).
        lr: learning rate at tick 0 of the clock, after warm-up.
        momentum: of SGD, in [0, 1).
        betas: of AdamW, each in [0, 1).
        weight_decay: L2 penalty of SGD, or decoupled decay of AdamW.
        batch: samples a step.
        decay: factor on the rate at every tick, in (0, 1].
        warmup: ticks over which the rate rises linearly to `lr`.
        clock: what ticks: "absolute" epochs, epochs "since_release" of the last deficit, or "constant" (no decay).
        momentum_at_switch: "keep" the optimiser's memory where one phase ends and another begins, or "drop" it.
        bn_reestimate: measure with BatchNorm statistics estimated anew on clean training data.
    """

    optimiser: Literal["sgd", "adamw"] = "sgd"
    lr: Positive = 0.05
    momentum: Share = 0.9
    betas: tuple[Share, Share] = (0.9, 0.999)
    weight_decay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    batch: Annotated[int, msgspec.Meta(ge=1)] = 128
    decay: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    warmup: Annotated[int, msgspec.Meta(ge=0)] = 0
    clock: Clock = "absolute"
    momentum_at_switch: Literal["keep", "drop"] = "keep"
    bn_reestimate: bool = False

    def rate(self, tick: int | None, epoch: int) -> float:
        """Return the learning rate at a tick of the clock (None: a constant clock, whose warm-up counts epochs)."""
        counted = epoch if tick is None else tick
        warm = min(1.0, (counted + 1) / self.warmup) if self.warmup else 1.0
        return self.lr * warm * (1.0 if tick is None else self.decay**tick)


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of one run under one set of deficits: an edge of the tree of phases.

    Attributes:
        seed: the replicate.
        start: epoch at which it begins; stop: epoch at which it ends.
        deficits: what is wrong with the data meanwhile; empty: clean.
        tick: what the clock shows at `start`; None for a constant clock.
        drop: whether the optimiser's memory is dropped at `start`.
    """

    seed: int
    start: int
    stop: int
    deficits: tuple[Deficit, ...]
    tick: int | None
    drop: bool = False

    def rate(self, training: Training, epoch: int) -> float:
        """Return the learning rate in force during an epoch of this leg."""
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
        data: its fixed training data.
        epoch: epochs completed.
        diverged: whether the loss became non-finite; such a row learns no more.
    """

    leg: Leg
    training: Training
    task: Task
    data: Batch
    epoch: int
    diverged: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """What one epoch said about one row: mean loss in nats, accuracy on the batches as shown, rate in force."""

    epoch: int
    loss: float
    accuracy: float
    rate: float


def initial_state(network: Stacked, training: Training) -> State:
    """Return the state of epoch 0: the template's weights, an optimiser without memory."""
    weights: dict[str, Tensor] = {}
    buffers = {name: b.detach().clone() for name, b in network.template.named_buffers()}
    for name, p in network.template.named_parameters():  # what the user froze is carried along, not trained
        (weights if p.requires_grad else buffers)[name] = p.detach().clone()
    return State(weights, buffers, empty_slots(weights, training.optimiser))


@dataclass
class Stack:
    """Rows that train together, a row axis in front of every tensor.

    A stackable network with one row left is padded by a copy of it, so that a row's bits never depend on its company.
    """

    network: Stacked
    objective: Objective
    rows: list[Row] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    buffers: dict[str, Tensor] = field(default_factory=dict)
    slots: dict[str, Tensor] = field(default_factory=dict)

    def refill(self, keep: Sequence[int], joining: Sequence[tuple[Row, State]]) -> None:
        """Keep the rows at these places, let others join behind them, and drop the rest."""
        rows = [self.rows[i] for i in keep] + [row for row, _ in joining]
        pick = [*keep, *(keep[:1] if self.network.stackable and len(rows) == 1 else [])]
        pad = 1 if self.network.stackable and len(rows) == 1 and not keep else 0
        for kind in ("weights", "buffers", "slots"):
            held: dict[str, Tensor] = getattr(self, kind)
            names = list(held) if keep else list(getattr(joining[0][1], kind)) if joining else []
            made = {}
            for name in names:
                new = [getattr(state, kind)[name] for _, state in joining] * (1 + pad)
                parts = [held[name].detach()[list(pick)]] if keep else []
                made[name] = torch.cat([*parts, torch.stack(new)] if new else parts)
            setattr(self, kind, made)
        self.rows = rows

    def state(self, i: int) -> State:
        """Return a copy of one row's state."""
        return State(
            {name: w[i].detach().clone() for name, w in self.weights.items()},
            {name: b[i].clone() for name, b in self.buffers.items()},
            {name: s[i].clone() for name, s in self.slots.items()},
        )

    def everything(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return weights and buffers of some rows, as `Stacked` takes them; a lone row is padded as in training."""
        index = list(rows) * (2 if self.network.stackable and len(rows) == 1 else 1)
        return {name: t.detach()[index] for name, t in (self.weights | self.buffers).items()}

    def epoch(self, limit: int | None = None) -> list[Trained]:
        """Train every row for one epoch and advance it; returns one record a row.

        `limit` stops after so many steps, for timing.
        """
        count = len(self.rows)
        rows = self.rows * 2 if self.network.stackable and count == 1 else self.rows
        pool, offsets = _pool(rows)
        device = pool.target.device
        samples = len(pool) // (max(offsets) + 1)
        order = torch.stack([_order(row, samples, device) + o * samples for row, o in zip(rows, offsets, strict=True)])
        rates = [row.leg.rate(row.training, row.epoch) for row in rows]
        optimiser = _optimiser(rows, rates, self.weights, device)
        batch = rows[0].training.batch
        seen = torch.zeros(2, len(rows), device=device)
        self.network.template.train()
        for step, chosen in enumerate(torch.split(order, batch, dim=1)[:limit]):
            sources, target, head = _batch(pool, rows, chosen, step)
            weights = {name: w.requires_grad_() for name, w in self.weights.items()}
            alone = not self.network.stackable
            with seeded_globals(rows[0].leg.seed, "forward", rows[0].epoch, step) if alone else nullcontext():
                logits = read(self.network(weights | self.buffers, sources).logits, head, list(sources))
            loss = self.objective.loss(logits, target)
            grads = torch.autograd.grad(loss.sum(), list(weights.values()), allow_unused=True)
            optimiser.update(self.weights, self.slots, grads)
            right = (logits.detach().argmax(-1) == target).float().mean(1)
            seen += torch.stack([loss.detach(), right]) * chosen.shape[1]
        loss_of, accuracy_of = (seen / samples).tolist()
        said: list[Trained] = []
        for row, loss_, accuracy, rate in zip(self.rows, loss_of, accuracy_of, rates, strict=False):
            row.epoch += 1
            row.diverged = row.diverged or not isfinite(loss_)
            said.append(Trained(row.epoch, loss_, accuracy, rate))
        return said


def _order(row: Row, samples: int, device: torch.device) -> Tensor:
    return torch.randperm(samples, generator=generator(row.leg.seed, "order", row.epoch)).to(device)


def _pool(rows: Sequence[Row]) -> tuple[Batch, list[int]]:
    """Lay the rows' training sets end to end: the pool, and each row's place in it.

    Deficits that treat every sample alike commute with drawing batches, so they are applied here, once an epoch.
    """
    sets: dict[tuple[str, str], Batch] = {}
    keys = []
    for row in rows:
        pointwise = [d for d in row.leg.deficits if d.pointwise] if _all_pointwise(row) else []
        fresh = row.task.fresh
        identity = repr((row.task, row.leg.seed, row.epoch)) if fresh else str(id(row.data))
        key = (identity, " + ".join(map(str, pointwise)))
        keys.append(key)
        if key in sets:
            continue
        device = row.data.target.device
        batch = row.task.draw(row.leg.seed, row.epoch).to(device) if fresh else row.data
        for deficit in pointwise:
            batch = deficit(batch, torch.Generator())
        sets[key] = batch
    first = next(iter(sets.values()))
    if len(sets) == 1:
        return first, [0] * len(rows)
    sources = {name: torch.cat([batch.sources[name] for batch in sets.values()]) for name in first}
    pool = Batch(sources, torch.cat([batch.target for batch in sets.values()]), first.rest)
    places = list(sets)
    return pool, [places.index(key) for key in keys]


def _all_pointwise(row: Row) -> bool:
    return all(deficit.pointwise for deficit in row.leg.deficits)


def _batch(
    pool: Batch, rows: Sequence[Row], chosen: Tensor, step: int
) -> tuple[dict[str, Tensor], Tensor, Tensor | None]:
    """Gather one batch a row and let each row's deficits act on it."""
    count, size = chosen.shape
    flat = chosen.reshape(-1)
    sources = {name: x.index_select(0, flat).view(count, size, *x.shape[1:]) for name, x in pool.sources.items()}
    target = pool.target.index_select(0, flat).view(count, size)
    head: Tensor | None = None
    for i, row in enumerate(rows):
        if not row.leg.deficits or _all_pointwise(row):
            continue
        batch = Batch({name: x[i] for name, x in sources.items()}, target[i], row.data.rest)
        draws = generator(row.leg.seed, "deficit", row.epoch, step, device=target.device)
        for deficit in row.leg.deficits:
            batch = deficit(batch, draws)
        for name, x in batch.sources.items():
            sources[name][i] = x
        target[i] = batch.target
        if batch.head is not None:
            head = torch.zeros_like(target) if head is None else head
            head[i] = batch.head
    return sources, target, head


def _optimiser(
    rows: Sequence[Row], rates: Sequence[float], weights: Mapping[str, Tensor], device: torch.device
) -> Optimiser:
    frozen: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        for name in _frozen(row, weights):
            frozen.setdefault(name, []).append(i)
    settings = [row.training for row in rows]
    return Optimiser(
        settings[0].optimiser,
        rates,
        [t.momentum for t in settings],
        [t.weight_decay for t in settings],
        [t.betas for t in settings],
        frozen,
        device,
    )


def _frozen(row: Row, weights: Mapping[str, Tensor]) -> list[str]:
    names = []
    for deficit in row.leg.deficits:
        for source in deficit.frozen:
            own = [name for name in weights if name.startswith(f"pathways.{source}.")]
            if not own:
                raise ChiasmError(
                    f"freeze({source}): the network has no parameters named 'pathways.{source}.*' to freeze"
                )
            names += own
    return names
