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

import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.networks import Stacked
from chiasm.objectives import Judged, read
from chiasm.optimiser import Optimiser, clipped
from chiasm.randomness import generator, seeded_globals
from chiasm.training.batches import epoch_data
from chiasm.training.judging import baselines, by_objective, hidden_of, judge
from chiasm.training.precision import channels_last, mixed
from chiasm.training.ranks import ALONE, Ranks
from chiasm.training.settings import Precision
from chiasm.training.state import Row, State, Trained


@dataclass
class Stack:
    """Rows that train together, a row axis in front of every tensor.

    `precision` is that of products in training, "auto" resolved; `channels_last` lays pictures out as convolutions like
    them best. A stackable network with one row left is padded by a copy of it, so that a row's bits never depend on its
    company. `ranks` are the processes that train these rows together.
    """

    network: Stacked
    precision: Precision = "float32"
    channels_last: bool = False
    ranks: Ranks = ALONE
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
            kept: dict[str, Tensor] = getattr(self, kind)
            names = list(kept) if keep else list(getattr(joining[0][1], kind)) if joining else []
            filled = {}
            for name in names:
                new = [getattr(state, kind)[name] for _, state in joining] * (1 + pad)
                parts = [kept[name].detach()[list(pick)]] if keep else []
                filled[name] = torch.cat([*parts, torch.stack(new)] if new else parts)
            setattr(self, kind, filled)
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
        data = epoch_data(rows, self.ranks)
        device, samples = data.device, data.samples
        order = torch.stack([_order(row, samples, device) for row in rows])
        rates = [row.leg.rate(row.training, row.epoch) for row in rows]
        optimiser = _optimiser(rows, rates, self.weights, device)
        batch = rows[0].training.batch
        totals = torch.zeros(2, len(rows), device=device)
        objectives = by_objective(rows)
        decode = any(row.leg.objective.decodes for row in rows)
        self.network.template.train()
        alone, forward = not self.network.stackable, self.ranks.purpose("forward")
        for step, chosen in enumerate(torch.split(order, batch, dim=1)[:limit]):
            own = self.ranks.part(chosen)
            shown = data.step(own, step)
            sources = channels_last(shown.sources) if self.channels_last else shown.sources
            weights = {name: w.requires_grad_() for name, w in self.weights.items()}
            hidden = hidden_of(rows, sources, self.network.tokens, step, self.ranks)
            with seeded_globals(rows[0].leg.seed, forward, rows[0].epoch, step) if alone else nullcontext():
                with mixed(self.precision, device):
                    answers, rebuilt = self._answers(rows, weights | self.buffers, sources, hidden, decode)
                answer = read(answers, shown.head, list(sources))
                answer = answer.float() if self.precision == "bfloat16" else answer
            loss, score = judge(objectives, Judged(answer, shown.target, sources, rebuilt, hidden, self.network.spread))
            grads = torch.autograd.grad(loss.sum(), list(weights.values()), allow_unused=True)
            means = self.ranks.mean(grads, own.shape[1] / chosen.shape[1])
            optimiser.update(self.weights, self.slots, clipped(weights, means, [row.training.clip for row in rows]))
            totals += torch.stack([loss.detach(), score]) * own.shape[1]
        losses, scores = (self.ranks.total(totals) / samples).tolist()
        records: list[Trained] = []
        for row, mean_loss, mean_score, rate in zip(self.rows, losses, scores, rates, strict=False):
            row.epoch += 1
            row.diverged = row.diverged or not isfinite(mean_loss)
            quantity = row.leg.objective.outcome().quantity.name
            records.append(Trained(row.epoch, mean_loss, quantity, mean_score, rate))
        return records

    def _answers(
        self,
        rows: Sequence[Row],
        weights: Mapping[str, Tensor],
        sources: Mapping[str, Tensor],
        hidden: Mapping[str, Tensor],
        decode: bool,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return answers by head and rebuilt sources; a row that hides parts apart is shown the whole as well."""
        baseline = baselines(rows) if hidden and not self.network.tokens else {}
        seen = self.network(weights, sources, (), decode, hidden, baseline)
        rebuilt = {name: x.reshape(sources[name].shape) for name, x in seen.rebuilt.items()}
        apart = [row.leg.objective.apart for row in rows]
        if not hidden or not any(apart):
            return seen.logits, rebuilt
        whole = self.network(weights, sources).logits
        marks = torch.tensor(apart, device=self.rows[0].data.target.device).view(-1, 1, 1)
        return {name: torch.where(marks, whole[name], x) for name, x in seen.logits.items()}, rebuilt


def _order(row: Row, samples: int, device: torch.device) -> Tensor:
    return torch.randperm(samples, generator=generator(row.leg.seed, "order", row.epoch)).to(device)


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
