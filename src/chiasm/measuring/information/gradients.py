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
from chiasm.measuring.sampling.samples import Samples, check, each, told
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
    tell: Callable[[str], object] = str,
) -> Tensor:
    """Return squared norms (parts, samples), float64, on the CPU; their mean over samples is each part's trace.

    `call` maps weights, parameters and buffers by name, and sources to the output, in evaluation mode; no tensor is
    changed. All samples of the sources are shown; they are where the weights are. `parts` are prefixes of parameter
    names by the part's name. `tell` is told `Fisher.how`; the rest is as in `fisher`. NaN where gradients are.

    >>> weights = {"w": torch.zeros(3, 2)}
    >>> traces(lambda w, x: x["a"] @ w["w"], weights, {}, {"a": torch.ones(2, 3)}, {"all": [""]}, labels="exact")
    tensor([[1.5000, 1.5000]], dtype=torch.float64)
    """
    members, samples = members_of(parts, list(parameters)), check(sources, least=1)
    wanted = {n: p.detach() for n, p in parameters.items() if any(n in held for held in members.values())}
    others = {n: p.detach() for n, p in parameters.items() if n not in wanted}
    gradients = _Gradients(call, wanted, others, buffers, labels == "exact")
    # One number in [0, 1) a label, drawn beforehand: neither chunks nor devices change which label it makes.
    chance = torch.rand(samples, draws, generator=generator(seed, "fisher labels"), dtype=torch.float64)
    chance = chance.to(next(iter(wanted.values())).device)
    try:
        first, weight = gradients.alone(_each(sources, itemgetter(0)), chance[0])
    except (ChiasmError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever a user's forward may raise
        would = "give them as the model wants them, or forward=(model, sources) -> output"
        raise ChiasmError(f"the model raised {_line(error)} when shown one of {told(sources)}; {would}") from error
    fit = (ROOM_CPU if chance.device.type == "cpu" else ROOM_DEVICE) // max(1, weight)
    try:
        if chunk is None and fit < FEWEST and chance.device.type == "cpu":
            raise _OneByOne(f"gradients of one take {weight / 2**20:.1f} MB")
        squares = torch.cat([*gradients.together(sources, chance, chunk or max(1, fit), first)])
        tell("vectorised")
    except Exception as error:  # vmap fails in many ways; what it cannot take is taken one sample at a time
        rest = (gradients.alone(_each(sources, itemgetter(i)), chance[i])[0] for i in range(1, samples))
        squares = torch.stack([first, *rest])
        tell(f"one sample at a time: {error if isinstance(error, _OneByOne) else _line(error)}")
    place = {name: k for k, name in enumerate(wanted)}
    return torch.stack([squares[:, [place[n] for n in held]].sum(1) for held in members.values()]).cpu()


class _OneByOne(Exception):  # noqa: N818 (a reason)
    """Why gradients are better taken one sample at a time."""


@final
@dataclass(frozen=True, slots=True)
class _Gradients:
    """Squared norms of the gradients of log p(y | x), parameter by parameter."""

    call: Call
    wanted: dict[str, Tensor]
    others: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    exact: bool

    def logits(self, wanted: dict[str, Tensor], sample: Mapping[str, Samples]) -> Tensor:
        """Return the logits (C,) of one sample; buffers are copies, so that no sample sees what another left there."""
        weights = {**wanted, **self.others, **{name: x.detach().clone() for name, x in self.buffers.items()}}
        return _logits(self.call(weights, _each(sample, lambda x: x.unsqueeze(0))))

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
        held = [*weights.values(), *(x for x in saved if x.untyped_storage().data_ptr() not in known)]
        return total, sum(x.nbytes for x in held)

    def together(self, sources: Mapping[str, Samples], chance: Tensor, size: int, first: Tensor) -> Iterator[Tensor]:
        """Yield squared norms (some, parameters), `size` samples at a time; `first` is what sample 0 must give."""
        from torch.nn.attention import SDPBackend, sdpa_kernel

        def one(sample: Mapping[str, Samples], chance: Tensor) -> Tensor:
            z, pullback, *_ = vjp(lambda weights: self.logits(weights, sample), self.wanted)
            total = torch.zeros(len(self.wanted), dtype=torch.float64, device=z.device)
            for share, pull in self.labels(z, chance):
                (grads,) = pullback(pull)
                total = total + share * torch.stack([_square(grads[name]) for name in self.wanted])
            return total

        least = 1e-30 + 1e-6 * float(first.nan_to_num().sum())
        for start in range(0, len(chance), size):
            some = slice(start, start + size)
            # Fused attention has no rule for vmap: it would be run a sample at a time, slower than plain products.
            with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
                warnings.filterwarnings("ignore", "There is a performance drop")
                found = vmap(one)(_each(sources, itemgetter(some)), chance[some])
            if start == 0 and not torch.allclose(found[0], first, ROUNDING, least, equal_nan=True):
                raise _OneByOne("vectorised gradients of the first sample differ from plain ones")
            yield found

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


def _logits(output: Any) -> Tensor:
    for key in ("both", "logits"):
        output = output[key] if isinstance(output, Mapping) and key in output else output
    z = getattr(output, "logits", output)
    if isinstance(z, Tensor) and z.dim() == 2 and len(z) == 1 and z.shape[1] >= 2:
        return z.squeeze(0)
    given = f"{tuple(z.shape)} for one sample" if isinstance(z, Tensor) else f"a {type(z).__name__}"
    would = "logits (samples, classes) of 2 classes or more would do, or a mapping with them as 'both' or 'logits'"
    raise ChiasmError(f"the model returns {given}; {would}")


def _each(sources: Mapping[str, Samples], change: Callable[[Any], Tensor]) -> dict[str, Samples]:
    return {name: each(x, change) for name, x in sources.items()}


def _line(error: Exception) -> str:
    line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__} ({line if len(line) <= 90 else line[:87] + '...'})"


def members_of(parts: Mapping[str, Sequence[str]], names: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of the parameters of each part."""
    if not parts:
        raise ChiasmError("parts is empty; give prefixes of parameter names by the part's name, or None")
    for part, prefixes in parts.items():
        if isinstance(prefixes, str) or not prefixes:
            raise ChiasmError(f"parts['{part}'] = {prefixes!r}; a list of prefixes of parameter names would do")
        for prefix in prefixes:
            if not any(within(name, prefix) for name in names):
                places = {".".join(name.split(".")[: 1 + prefix.count(".")]) for name in names}
                raise unknown("parameter", prefix, places, f"parts['{part}']")
    return {part: [n for n in names if any(within(n, prefix) for prefix in own)] for part, own in parts.items()}


def within(name: str, prefix: str) -> bool:
    return prefix in ("", name) or name.startswith(f"{prefix}.")
