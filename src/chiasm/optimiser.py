"""SGD and AdamW for rows that train together, each at its own rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad


class Optimiser:
    """The update of every row at its own rate, in place.

    SGD is torch's (momentum without dampening, L2 penalty); AdamW has decoupled decay. A frozen parameter keeps its
    value and its memory.

    Args:
        kind: "sgd" or "adamw".
        rates: learning rate of each row.
        momenta: momentum of each row (SGD).
        decays: weight decay of each row.
        betas: both betas of each row (AdamW).
        frozen: for a parameter's name, the rows in which it must stay as it is.
        device: where the weights are.
    """

    def __init__(
        self,
        kind: str,
        rates: Sequence[float],
        momenta: Sequence[float],
        decays: Sequence[float],
        betas: Sequence[tuple[float, float]],
        frozen: Mapping[str, Sequence[int]],
        device: torch.device,
    ) -> None:
        self.sgd = kind == "sgd"
        self.rate = torch.tensor(rates, device=device)
        self.momentum = torch.tensor(momenta, device=device)
        self.decay = torch.tensor(decays, device=device)
        self.decays = any(decays)
        self.betas = torch.tensor(betas, device=device).T
        self.frozen = frozen

    @torch.no_grad()
    def update(
        self, weights: Mapping[str, Tensor], slots: Mapping[str, Tensor], grads: Sequence[Tensor | None]
    ) -> None:
        """Step every row.

        Args:
            weights: (rows, ...) by name; changed in place, no longer requiring a gradient.
            slots: the optimiser's memory as `empty_slots` lays it out, with a row axis; changed in place.
            grads: one a weight, in order; None where the loss does not depend on it.
        """
        for (name, w), grad in zip(weights.items(), grads, strict=True):
            w.requires_grad_(False)
            g = torch.zeros_like(w) if grad is None else grad
            frozen = self._saved(name, w, slots)
            if self.sgd:
                self._sgd(w, g, slots[f"momentum:{name}"])
            else:
                self._adamw(w, g, slots[f"mean:{name}"], slots[f"square:{name}"], slots[f"steps:{name}"])
            for tensor, index, old in frozen:
                tensor[index] = old

    def _sgd(self, w: Tensor, g: Tensor, buffer: Tensor) -> None:
        if self.decays:
            g = g + _as(self.decay, w) * w
        buffer.mul_(_as(self.momentum, w)).add_(g)
        w.addcmul_(buffer, _as(-self.rate, w))

    def _adamw(self, w: Tensor, g: Tensor, mean: Tensor, square: Tensor, count: Tensor) -> None:
        first, second = (_as(beta, w) for beta in self.betas)
        count.add_(1)
        rate = _as(self.rate, w)
        bias = [_as(1 - _power(beta, count), w) for beta in self.betas]
        w.mul_(1 - rate * _as(self.decay, w))
        mean.mul_(first).add_(g * (1 - first))
        square.mul_(second).add_(g * g * (1 - second))
        scale = (square / bias[1]).sqrt_().add_(1e-8)  # torch.optim.AdamW's default eps
        w.sub_(rate * (mean / bias[0]) / scale)

    def _saved(self, name: str, w: Tensor, slots: Mapping[str, Tensor]) -> list[tuple[Tensor, list[int], Tensor]]:
        """Remember what a frozen parameter must still be after the update, its memory included."""
        if name not in self.frozen:
            return []
        index = list(self.frozen[name])
        kept = [w, *(slot for key, slot in slots.items() if key.endswith(f":{name}"))]
        return [(tensor, index, tensor[index].clone()) for tensor in kept]


def empty_slots(weights: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Return the memory of an optimiser ("sgd" or "adamw") that remembers nothing: tensors by "<slot>:<parameter>"."""
    slots = ("momentum",) if kind == "sgd" else ("mean", "square")
    empty = {f"{slot}:{name}": torch.zeros_like(w) for slot in slots for name, w in weights.items()}
    if kind == "adamw":  # a count a parameter: a frozen one's does not go on
        empty |= {f"steps:{name}": torch.zeros((), device=w.device) for name, w in weights.items()}
    return empty


def _power(base: Tensor, exponent: Tensor) -> Tensor:
    """Return (rows,) powers whose bits do not hang on a row's place: each fills a whole vector of the processor.

    The last few numbers of a tensor, which fill none, are raised by other code than the rest.
    """
    return torch.pow(*(x.unsqueeze(1).expand(-1, 16).contiguous() for x in (base, exponent)))[:, 0]


def _as(row_values: Tensor, like: Tensor) -> Tensor:
    """Shape one value a row so that it multiplies a tensor with a row axis in front."""
    return row_values.view(-1, *[1] * (like.dim() - 1))


def clipped(
    weights: Mapping[str, Tensor], grads: Sequence[Tensor | None], largest: Sequence[float | None]
) -> Sequence[Tensor | None]:
    """Scale each row's gradient down to its largest norm, that of all weights together; None leaves it as it is."""
    if not any(largest):
        return grads
    every = {n: torch.zeros_like(w) if g is None else g for (n, w), g in zip(weights.items(), grads, strict=True)}
    flat = torch.cat([g.flatten(1) for _, g in sorted(every.items())], 1)  # read back, they come in another order
    flat = pad(flat, (0, -flat.shape[1] % 16))
    # As a batched product, whose bits do not hang on a row's company; those of a sum do.
    norm = torch.bmm(flat.unsqueeze(1), flat.unsqueeze(2)).flatten().sqrt()
    limit = torch.tensor([most or float("inf") for most in largest], device=norm.device)
    scale = (limit / norm.clamp_min(torch.finfo(norm.dtype).tiny)).clamp(max=1.0)
    return [None if g is None else g * _as(scale, g) for g in grads]
