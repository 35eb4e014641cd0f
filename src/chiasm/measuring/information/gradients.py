"""Per-sample gradients: squared norms of the gradients of log p(y | x), vectorised over samples where that works."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, final

import torch
from torch import Tensor
from torch.func import vjp, vmap

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.information.logits import logits_of
from chiasm.measuring.mistakes import first_line, model_errors
from chiasm.measuring.sampling.samples import Samples, check, describe, each
from chiasm.randomness import generator

Labels = Literal["sampled", "exact"]
Call = Callable[[dict[str, Tensor], dict[str, Samples]], Any]

# Bytes that gradients and saved activations of the samples of one vectorised pass may take: on a CPU 16 MB, as fresh
# memory beyond the processor's own costs more than sharing work saves; on another device 512 MB. And the fewest samples
# that must fit on a CPU: of fewer, one at a time is as fast or faster.
ROOM_CPU, ROOM_DEVICE, FEWEST = 2**24, 2**29, 8
# Largest relative difference of squared norms that rounding may explain: kernels differ, and GPUs multiply at 1e-3.
ROUNDING = 0.02


def traces(
    call: Call,
    parameters: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    sources: Mapping[str, Samples],
    parts: Mapping[str, Sequence[str]],
    *,
    labels: Labels = "sampled",
    draws: int = 1,
    seed: int = 0,
    chunk: int | None = None,
    report: Callable[[str], object] = str,
) -> Tensor:
    """Return squared norms (parts, samples), float64, on the CPU; their mean over samples is each part's trace.

    `call` maps weights, parameters and buffers by name, and sources to the output, in evaluation mode; no tensor is
    changed. All samples of the sources are used; they are on the device of the weights. `parts` are prefixes of
    parameter names by the part's name. `report` receives `Fisher.how`; other arguments are as in `fisher`. NaN where
    gradients are.

    >>> weights = {"w": torch.zeros(3, 2)}
    >>> traces(lambda w, x: x["a"] @ w["w"], weights, {}, {"a": torch.ones(2, 3)}, {"all": [""]}, labels="exact")
    tensor([[1.5000, 1.5000]], dtype=torch.float64)
    """
    members, samples = members_of(parts, list(parameters)), check(sources, least=1)
    wanted = {n: p.detach() for n, p in parameters.items() if any(n in own for own in members.values())}
    fixed = {n: p.detach() for n, p in parameters.items() if n not in wanted}
    gradients = _Gradients(call, wanted, fixed, buffers, labels == "exact")
    # One number in [0, 1) a label, drawn beforehand: neither chunks nor devices change which label it gives.
    chance = torch.rand(samples, draws, generator=generator(seed, "fisher labels"), dtype=torch.float64)
    chance = chance.to(next(iter(wanted.values())).device)
    with model_errors(lambda: f"one of {describe(sources)}"):
        first, weight = gradients.alone(_each(sources, itemgetter(0)), chance[0])
    fit = (ROOM_CPU if chance.device.type == "cpu" else ROOM_DEVICE) // max(1, weight)
    try:
        if chunk is None and fit < FEWEST and chance.device.type == "cpu":
            raise _OneByOne(f"gradients of one take {weight / 2**20:.1f} MB")
        squares = torch.cat([*gradients.vectorised(sources, chance, chunk or max(1, fit), first)])
        report("vectorised")
    except Exception as error:  # vmap fails in many ways; what it cannot take is taken one sample at a time
        others = (gradients.alone(_each(sources, itemgetter(i)), chance[i])[0] for i in range(1, samples))
        squares = torch.stack([first, *others])
        report(f"one sample at a time: {error if isinstance(error, _OneByOne) else _shortened(first_line(error))}")
    place = {name: k for k, name in enumerate(wanted)}
    return torch.stack([squares[:, [place[n] for n in own]].sum(1) for own in members.values()]).cpu()


class _OneByOne(Exception):  # noqa: N818 (a reason)
    """Why gradients are better taken one sample at a time."""


@final
@dataclass(frozen=True, slots=True)
class _Gradients:
    """Squared norms of the gradients of log p(y | x), parameter by parameter."""

    call: Call
    wanted: dict[str, Tensor]
    fixed: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    exact: bool

    def logits(self, wanted: dict[str, Tensor], sample: Mapping[str, Samples]) -> Tensor:
        """Return the logits (C,) of one sample; buffers are copies, so that no sample affects another through them."""
        weights = {**wanted, **self.fixed, **{name: x.detach().clone() for name, x in self.buffers.items()}}
        return logits_of(self.call(weights, _each(sample, lambda x: x.unsqueeze(0))), 1).squeeze(0)

    def alone(self, sample: Mapping[str, Samples], chance: Tensor) -> tuple[Tensor, int]:
        """Return the squared norms (parameters,) of one sample by plain autograd, and the bytes that it takes."""
        weights = {name: p.detach().requires_grad_() for name, p in self.wanted.items()}
        known = {p.untyped_storage().data_ptr() for p in weights.values()}
        saved: list[Tensor] = []

        def pack(x: Tensor) -> Tensor:
            saved.append(x)
            return x

        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            z = self.logits(weights, sample)
        total = torch.zeros(len(weights), dtype=torch.float64, device=z.device)
        for share, pull in self.labels(z.detach(), chance):
            if z.requires_grad:
                grads = torch.autograd.grad(z, [*weights.values()], pull, retain_graph=True, allow_unused=True)
                total += share * torch.stack([total.new_zeros(()) if g is None else _square(g) for g in grads])
        tensors = [*weights.values(), *(x for x in saved if x.untyped_storage().data_ptr() not in known)]
        return total, sum(x.nbytes for x in tensors)

    def vectorised(self, sources: Mapping[str, Samples], chance: Tensor, size: int, first: Tensor) -> Iterator[Tensor]:
        """Yield squared norms (size, parameters), `size` samples at a time; `first` is what sample 0 must give."""
        from torch.nn.attention import SDPBackend, sdpa_kernel

        def squared_norms(sample: Mapping[str, Samples], chance: Tensor) -> Tensor:
            z, pullback, *_ = vjp(lambda weights: self.logits(weights, sample), self.wanted)
            total = torch.zeros(len(self.wanted), dtype=torch.float64, device=z.device)
            for share, pull in self.labels(z, chance):
                (grads,) = pullback(pull)
                total = total + share * torch.stack([_square(grads[name]) for name in self.wanted])
            return total

        least = 1e-30 + 1e-6 * float(first.nan_to_num().sum())
        for start in range(0, len(chance), size):
            cut = slice(start, start + size)
            # Fused attention has no rule for vmap: it would be run a sample at a time, slower than plain products.
            with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
                warnings.filterwarnings("ignore", "There is a performance drop")
                squares = vmap(squared_norms)(_each(sources, itemgetter(cut)), chance[cut])
            if start == 0 and not torch.allclose(squares[0], first, ROUNDING, least, equal_nan=True):
                raise _OneByOne("vectorised gradients of the first sample differ from plain ones")
            yield squares

    def labels(self, z: Tensor, chance: Tensor) -> Iterator[tuple[Tensor | float, Tensor]]:
        """Yield, label by label, its share and the gradient (C,) of log p(y | x) in the logits."""
        p = z.double().softmax(0)  # where the model is sure, 1 - p of its label is a small difference
        classes = torch.arange(len(z), device=z.device)
        labels = classes if self.exact else (p.cumsum(0)[:-1] <= chance.unsqueeze(1)).sum(1)
        for k in range(len(labels)):
            yield p[k] if self.exact else 1 / len(labels), ((classes == labels[k]).double() - p).to(z.dtype)


def _square(g: Tensor) -> Tensor:
    """Return the squared norm of a gradient: rows by themselves, as a float32 norm of millions is off by 1e-3."""
    wide = torch.float32 if g.dtype in (torch.float16, torch.bfloat16) else None
    norms: Tensor = torch.linalg.vector_norm(g.reshape(g.shape[0] if g.dim() > 1 else 1, -1), dim=1, dtype=wide)
    return norms.double().square().sum()


def _each(sources: Mapping[str, Samples], change: Callable[[Any], Tensor]) -> dict[str, Samples]:
    return {name: each(x, change) for name, x in sources.items()}


def _shortened(text: str, most: int = 110) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def members_of(parts: Mapping[str, Sequence[str]], names: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of the parameters of each part."""
    if not parts:
        raise ChiasmError("parts is empty; give prefixes of parameter names by the part's name, or None")
    for part, prefixes in parts.items():
        if isinstance(prefixes, str) or not prefixes:
            raise ChiasmError(f"parts['{part}'] = {prefixes!r}; expected a list of prefixes of parameter names")
        for prefix in prefixes:
            if not any(within(name, prefix) for name in names):
                places = {".".join(name.split(".")[: 1 + prefix.count(".")]) for name in names}
                raise unknown("parameter", prefix, places, f"parts['{part}']")
    return {part: [n for n in names if any(within(n, prefix) for prefix in own)] for part, own in parts.items()}


def within(name: str, prefix: str) -> bool:
    """Whether a parameter belongs to a prefix: "" is all, "a.b" is "a.b" and "a.b.c", not "a.bc"."""
    return prefix in ("", name) or name.startswith(f"{prefix}.")
