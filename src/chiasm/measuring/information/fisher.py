"""Fisher information: how much the parameters of each part of a model matter to its output."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import combinations
from math import inf, nan, sqrt
from typing import Any, NamedTuple, final, get_args

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.information.gradients import Labels, members_of, traces, within
from chiasm.measuring.instrument.untouched import untouched
from chiasm.measuring.mistakes import check_level, check_model, check_whole_number
from chiasm.measuring.passes import placement
from chiasm.measuring.sampling.samples import Samples, check, draw_samples, take
from chiasm.networks import FusionNetwork
from chiasm.networks.calling import Forward, forward_of, unwrapped
from chiasm.statistics import t_quantile


class Ratio(NamedTuple):
    """A ratio of two traces, with the low and the high end of its interval; NaN where undefined."""

    value: float
    low: float
    high: float


@final
@dataclass(frozen=True, eq=False, repr=False)
class Fisher:
    """The trace of the Fisher information matrix of each part of a model's parameters.

    Attributes:
        parts: their names.
        norms: (parts, samples) squared norms of the gradient of log p(y | x) in the part's parameters, averaged over
            the labels y of a sample; their mean over samples is the trace.
        parameters: how many numbers each part has.
        labels: "sampled" from the model, or "exact", weighted by the model's probabilities.
        draws: labels sampled for each sample, where they are.
        how: "vectorised", or "one sample at a time: " and why.

    >>> f = Fisher(("left", "right"), np.array([[2.0, 4.0, 6.0], [1.0, 2.0, 3.0]]), {"left": 10, "right": 10}, "exact")
    >>> f.trace, f.ratio("left", "right")
    ({'left': 4.0, 'right': 2.0}, Ratio(value=2.0, low=2.0, high=2.0))
    """

    parts: tuple[str, ...]
    norms: NDArray[np.float64]
    parameters: Mapping[str, int]
    labels: Labels = "sampled"
    draws: int = 1
    how: str = "vectorised"

    def __repr__(self) -> str:
        return f"<Fisher\n{self.summary()}>"

    @property
    def samples(self) -> int:
        """The number of samples that were evaluated."""
        return int(self.norms.shape[1])

    @property
    def trace(self) -> dict[str, float]:
        """The trace of each part, 0 or more, per sample: nats squared over the square of the parameters' unit."""
        return dict(zip(self.parts, self.norms.mean(1).tolist(), strict=True))

    @property
    def standard_error(self) -> dict[str, float]:
        """The standard error of each trace, over the draw of samples and of their labels."""
        error = self.norms.std(1, ddof=1) / sqrt(self.samples)
        return dict(zip(self.parts, error.tolist(), strict=True))

    def per_parameter(self) -> dict[str, float]:
        """Return the trace of each part over its number of parameters, to compare parts of unequal size."""
        return {part: trace / self.parameters[part] for part, trace in self.trace.items()}

    def ratio(self, i: str, j: str, level: float = 0.95) -> Ratio:
        """Return the trace of part i over that of part j, 0 or more, and an interval; "left" means "pathways.left" too.

        Student's t on the scale of the logarithm, by the delta method on each sample's pair of squared norms, so that
        what makes a sample matter to both parts cancels. It covers the draw of samples; networks (seeds) vary on top
        of that. It is too short where few samples carry the traces: on a trained network 95 % covered 95 % with exact
        labels and 92 % with one sampled for each. Raises a ChiasmError for an unknown part, or a level outside (0, 1).
        """
        check_level(level)
        a, b = self.norms[self._place(i)], self.norms[self._place(j)]
        top, bottom, n = float(a.mean()), float(b.mean()), self.samples
        if not (top > 0 and bottom > 0):
            return Ratio(0.0 if bottom > 0 else inf if top > 0 else nan, nan, nan)
        error = float((a / top - b / bottom).std(ddof=1)) / sqrt(n)
        margin = float(np.exp(t_quantile(level, n - 1) * error))
        return Ratio(top / bottom, top / bottom / margin, top / bottom * margin)

    def frame(self) -> pl.DataFrame:
        """Return a table with a row a part: part, parameters, trace, standard_error, per_parameter."""
        numbers = {"trace": self.trace, "standard_error": self.standard_error, "per_parameter": self.per_parameter()}
        columns = {"parameters": self.parameters, **numbers}
        return pl.DataFrame({"part": self.parts, **{k: [x[part] for part in self.parts] for k, x in columns.items()}})

    def summary(self) -> str:
        """Return the method and the results in words: a line for each part, and one for each pair of pathways."""
        drawn = f"{self.draws} sampled from the model for each" if self.labels == "sampled" else "all, by probability"
        lines = [f"Fisher trace, {self.samples} samples, labels {drawn}, {self.how}"]
        for part, parameters, trace, error, mean in self.frame().iter_rows():
            lines.append(f"{part}: {trace:.4g} ± {error:.2g}, {parameters:,} parameters, {mean:.2g} each")
        for i, j in combinations([part for part in self.parts if part.startswith("pathways.")], 2):
            value, low, high = self.ratio(i, j)
            lines.append(f"{i} / {j}: {value:.3g} (95 % interval {low:.3g} to {high:.3g})")
        return "\n".join(lines)

    def _place(self, part: str) -> int:
        for name in (part, f"pathways.{part}"):
            if name in self.parts:
                return self.parts.index(name)
        raise unknown("part", part, self.parts)


def fisher(
    model: nn.Module,
    sources: Mapping[str, Samples],
    *,
    parts: Mapping[str, Sequence[str]] | None = None,
    labels: Labels = "sampled",
    draws: int = 1,
    samples: int | None = 512,
    normalisation: bool = True,
    forward: Forward | None = None,
    seed: int = 0,
    chunk: int | None = None,
) -> Fisher:
    """Measure the trace of the Fisher information matrix of each part of a model's parameters.

    E_x E_{y ~ p(y | x)} |grad log p(y | x)|^2, p the softmax of the logits. Labels come from the model: with labels of
    the data it would be the "empirical Fisher", another quantity (Kunstner, Balles and Hennig 2019). Each sample is
    evaluated alone, as a batch of one, in evaluation mode. The model and every random stream are restored. Frozen
    parameters count like others: the trace is of what the network computes, not of how it is trained.

    Args:
        model: any classifier: logits (n, C), C >= 2, or a mapping with the head "both", or an output with `.logits`.
        sources: by name, tensors or arrays (samples, ...), or dicts and tuples of them.
        parts: prefixes of parameter names by the part's name, {"left": ["encoder.left", "embed.left"]}; "" is all, and
            parts may overlap. By default of a `FusionNetwork` `pathways.<source>`, "fusion", "trunk" and "heads" (the
            head "both", the only one that answers), of other models each child and each parameter of their own.
        labels: "sampled" from the model, or "exact": all C by their probabilities, at C backward passes a sample.
        draws: labels sampled for each sample.
        samples: how many are used, drawn without replacement, in their order; None, or more than there are: all.
        normalisation: whether parameters of normalisation layers (classes named `...Norm`, `...Norm2d`) count. They are
            parameters like others, so by default they do; the literature on pathways leaves them out.
        forward: (model, sources) -> output; by default inferred from the signature of `model.forward`.
        seed: of the draws of samples and of labels.
        chunk: samples in one vectorised pass; by default so many that gradients and activations take 16 MB (512 MB off
            the CPU). Changes no number beyond rounding.

    Returns:
        A `Fisher`. Its `how` says whether `torch.func.vmap` took the gradients of many samples at once, checked on the
        first sample against plain autograd, or one was taken at a time: for models that vmap cannot take (recurrent
        layers, branches on data, noise), after a failed check, and on a CPU where a sample's gradients are large.

    Raises:
        ChiasmError: in one sentence, what was given and what was expected.

    Tested against closed forms (logits W x + b have trace E[(|x|^2 + 1) sum_c p_c (1 - p_c)]) and plain autograd.

    >>> net = nn.Linear(3, 2)
    >>> _ = [nn.init.zeros_(p) for p in net.parameters()]  # p = 1/2 for both classes, whatever the input
    >>> f = fisher(net, {"x": torch.ones(4, 3)}, labels="exact")
    >>> round(f.trace["weight"], 6), round(f.trace["bias"], 6)
    (1.5, 0.5)
    """
    check_model(model)
    if labels not in get_args(Labels):
        raise ChiasmError(f"labels = {labels!r}; expected 'sampled' or 'exact': they are the model's, not the data's")
    check_whole_number("draws", draws, 1, optional=False)
    check_whole_number("samples", samples, 2)
    check_whole_number("chunk", chunk, 1)
    count, bare = check(sources, least=1), unwrapped(model)
    left_out = set() if normalisation else _of_norms(bare)
    names = [name for name, p in bare.named_parameters() if p.is_floating_point() and name not in left_out]
    if not names:
        raise ChiasmError("the model has no parameters that count" + ("" if normalisation else "; normalisation=False"))
    members = members_of(usual_parts(bare, names) if parts is None else parts, names)
    called = _Called(bare, forward or forward_of(model, sources))
    recurrent, how = any(isinstance(m, nn.RNNBase) for m in bare.modules()), list[str]()
    # cuDNN cannot differentiate recurrent layers in evaluation mode, torch's own kernels can.
    plain = torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext()
    with torch.inference_mode(False), untouched(model, seed), plain:  # tensors of inference mode have no gradients
        index = draw_samples(count, samples, seed, "fisher samples")
        data = {name: take(name, x, index, *placement(bare)) for name, x in sources.items()}
        weights = dict(bare.named_parameters()), dict(bare.named_buffers())
        norms = traces(
            called.answer,
            *weights,
            data,
            members,
            labels=labels,
            draws=draws,
            seed=seed,
            chunk=chunk,
            report=how.append,
        )
    bad = int((~norms.isfinite()).any(0).sum())
    if bad:
        raise ChiasmError(f"{bad} of {norms.shape[1]} samples gave gradients that are NaN or infinite")
    sizes = {part: sum(bare.get_parameter(name).numel() for name in own) for part, own in members.items()}
    return Fisher(tuple(members), norms.numpy(), sizes, labels, draws, how[0])


def usual_parts(model: nn.Module, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the default parts of a model, as prefixes of the names of its parameters."""
    if not isinstance(model, FusionNetwork):
        return {top: [top] for top in dict.fromkeys(name.split(".")[0] for name in names)}
    own = [*(f"pathways.{s}" for s in model.pathways), "fusion", "trunk", "heads.both"]
    return {"heads" if p == own[-1] else p: [p] for p in own if any(within(name, p) for name in names)}


def _of_norms(model: nn.Module) -> set[str]:
    """Return the names of the parameters of normalisation layers, recognised by the names of their classes."""
    norms = [(name, m) for name, m in model.named_modules() if re.search(r"Norm(Act)?(\dd)?$", type(m).__name__)]
    return {f"{name}.{p}".lstrip(".") for name, module in norms for p, _ in module.named_parameters(recurse=False)}


class _Called(nn.Module):
    """A model with its way of being called, as one module, so that its weights can be exchanged."""

    def __init__(self, model: nn.Module, call: Forward) -> None:
        super().__init__()
        self.model, self.call = model, call

    def forward(self, sources: Mapping[str, Any]) -> Any:
        return self.call(self.model, sources)

    def answer(self, weights: dict[str, Tensor], sources: dict[str, Samples]) -> Any:
        return functional_call(self, {f"model.{name}": x for name, x in weights.items()}, (sources,))
