"""Decoding: how well a model predicts labels from its sources together, alone and missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, repeat
from math import log
from typing import Any, Literal, final, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.information.logits import logits_of
from chiasm.measuring.information.shapley import subsets as every_subset
from chiasm.measuring.information.usable import STANDS, Usable
from chiasm.measuring.instrument.capture import widest
from chiasm.measuring.instrument.untouched import untouched
from chiasm.measuring.mistakes import check_model, check_whole_number, model_errors
from chiasm.measuring.passes import placement, samples_per_pass
from chiasm.measuring.sampling.samples import Samples, check, describe, draw_samples, each, take
from chiasm.networks import FusionNetwork
from chiasm.networks.calling import Forward, forward_of, unwrapped
from chiasm.randomness import generator

Which = Literal["auto", "all", "few"]
ALL_UP_TO, MOST = 5, 12  # sources: 32 and 4096 passes over the data


def decode(
    model: nn.Module,
    sources: Mapping[str, Samples],
    target: Any,
    *,
    replace: Any = "mean",
    forward: Forward | None = None,
    subsets: Which = "auto",
    seed: int = 0,
    samples: int | None = None,
    chunk: int | None = None,
) -> Usable:
    """Measure how well a model decodes the labels from its sources: all of them, each alone, each missing, none.

    A missing source is replaced, which the model may never have met in training, so what replaces it is part of the
    result. The model is evaluated in evaluation mode; it and every random stream are restored exactly.

    Args:
        model: any module that returns logits (n, classes), or contains them as "both", "logits" or `.logits`. Of a
            `FusionNetwork` each pathway runs once a sample and once a stand-in, and only what follows for every subset.
        sources: by name, a tensor or array (n, ...), or a dict or tuple of them; 2 samples or more.
        target: (n,) integer labels in [0, classes).
        replace: what stands in for a missing source, part by part. "mean": the mean of the samples; "zero"; "shuffle":
            another sample's, drawn for each source by itself, each used once; a function (x, generator) -> x of all
            samples (n, *shape); or a mapping from each source to one of these or to a value (*shape,).
        forward: (model, sources) -> logits; by default inferred from the signature of `model.forward`.
        subsets: "all" 2**N (N up to 12); "few": all, each missing, each alone, none; "auto": 2**N for up to 5 sources.
        seed: of the draw of samples and stand-ins.
        samples: how many to use, drawn without replacement; by default, and where there are fewer, all.
        chunk: samples in one forward pass; by default the widest layer's output takes 32 MB (256 MB on a GPU).

    Raises:
        ChiasmError: in one sentence, what was given and what was expected.

    Usable information: Xu et al. (2020), Kleinman et al. (2021), here of one model; Shapley values of accuracy: Hu, Li
    and Zhou (2022). Tested against closed forms (XOR, a copy, a noisy channel) and scikit-learn.

    >>> class Xor(nn.Module):  # p(y | a, b) of y = a XOR b; near 1/2 between -1 and 1
    ...     def forward(self, a, b):
    ...         return torch.cat([20 * a * b, -20 * a * b], dim=1)
    >>> a, b = torch.tensor([[-1.0, -1], [-1, 1], [1, -1], [1, 1]]).split(1, dim=1)
    >>> decoded = decode(Xor(), {"a": a, "b": b}, torch.tensor([0, 1, 1, 0]))
    >>> decoded.bits(), decoded.alone("bits"), decoded.shapley("accuracy")
    (1.0, {'a': 0.0, 'b': 0.0}, {'a': 0.25, 'b': 0.25})
    """
    check_model(model)
    check_whole_number("chunk", chunk, 1)
    check_whole_number("samples", samples, 2)
    labels = _labels(target, check(sources, least=1))
    index = draw_samples(len(labels), samples, seed, "decode")
    labels = labels[index]
    names = tuple(sources)
    hows = dict(replace) if isinstance(replace, Mapping) else dict.fromkeys(names, replace)
    if set(hows) != set(names):
        raise ChiasmError(f"replace names {', '.join(map(str, hows)) or 'no source'}; name each of {', '.join(names)}")
    present = tuple(tuple(names[j] for j in subset) for subset in _which(subsets, len(names)))
    bare = unwrapped(model)
    call = forward_of(bare, sources) if forward is None else forward
    # A lone source is joined with nothing: there is nothing to save.
    separable = isinstance(bare, FusionNetwork) and forward is None and len(names) > 1
    data = {name: (x, index) for name, x in sources.items()}
    information = np.empty((len(present), len(index)), dtype=np.float32)
    correct = np.empty(information.shape, dtype=np.bool_)
    with untouched(model, seed):
        stands = {name: _stand_in(name, x, hows[name], index, seed) for name, x in sources.items()}
        passes = _Passes(bare, None if separable else call, data, stands, present)
        classes, fits = passes.inspect()
        if labels.min() < 0 or labels.max() >= classes:
            raise ChiasmError(
                f"target contains {labels.min()} to {labels.max()}; the model's {classes} logits are for labels 0 to "
                f"{classes - 1}"
            )
        surprise = (len(labels) / labels.bincount().double()).log2()[labels]
        for row, cut, output in passes.over(chunk or fits, len(index)):
            loss, right = _decoded(logits_of(output, len(labels[cut])), labels[cut], present[row])
            information[row, cut], correct[row, cut] = (surprise[cut] - loss).numpy(), right.numpy()
    words = {name: how if isinstance(how, str) else "value" for name, how in hows.items()}
    words |= {name: getattr(how, "__name__", type(how).__name__) for name, how in hows.items() if callable(how)}
    replaced = ", ".join(f"{name}: {words[name]}" for name in names) if len({*words.values()}) > 1 else words[names[0]]
    return Usable(names, classes, float(surprise.mean()), replaced, present, information, correct)


# Samples, and which of them in which order; a single one stands in for all.
Selection = tuple[Samples, Tensor]


@final
@dataclass(frozen=True, slots=True)
class _Passes:
    """Passes over subsets of sources; `call` is None for a `FusionNetwork`, whose pathways run once for all of them."""

    model: nn.Module
    call: Forward | None
    data: Mapping[str, Selection]
    stands: Mapping[str, Selection]
    present: Sequence[tuple[str, ...]]

    def over(self, chunk: int, samples: int) -> Iterator[tuple[int, slice, Any]]:
        """Yield the row of the subset, the slice of samples, and the model's output."""
        fixed = {name: self._encode(name, x, slice(1)) for name, x in self.stands.items() if len(x[1]) == 1}
        for start in range(0, samples, chunk):
            cut = slice(start, min(start + chunk, samples))
            encoded = {name: self._encode(name, x, cut) for name, x in self.data.items()}
            stands = {name: self._encode(name, x, cut) for name, x in self.stands.items() if name not in fixed} | fixed
            for row, present in enumerate(self.present):
                mixed = {name: x if name in present else stands[name] for name, x in encoded.items()}
                yield row, cut, self._answer(mixed, cut.stop - start)

    def inspect(self) -> tuple[int, int]:
        """Evaluate two samples of every subset; return the number of classes, and how many samples fit one pass."""
        outputs: list[tuple[int, slice, Any]] = []
        data = {name: x for name, (x, _) in self.data.items()}
        with model_errors(lambda: f"2 samples of {describe(data)} or their stand-ins", "logits"):
            numbers = widest(self.model, lambda: outputs.extend(self.over(2, 2)), 2)
        device = placement(self.model)[0] or torch.device("cpu")
        return logits_of(outputs[0][2], 2).shape[1], samples_per_pass(numbers, data, device)

    def _encode(self, name: str, selection: Selection, cut: slice) -> Any:
        samples, index = selection
        x = take(name, samples, index[cut], *placement(self.model))
        return x if self.call is not None else self.model.get_submodule(f"pathways.{name}")(x)

    def _answer(self, mixed: Mapping[str, Any], samples: int) -> Any:
        def expanded(leaf: Any) -> Tensor:
            x: Tensor = leaf.expand(samples, *leaf.shape[1:])
            # Copies, as a model may work in place, and the next subset uses the same samples.
            return x if self.call is None else x.clone()

        inputs = {name: each(x, expanded) for name, x in mixed.items()}
        if self.call is not None:
            return self.call(self.model, inputs)
        assert isinstance(self.model, FusionNetwork)
        return self.model.join(inputs)


def _decoded(logits: Tensor, labels: Tensor, present: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return the loss of each sample in bits, and whether its label has the largest logit."""
    labels = labels.to(logits.device)
    wide = logits if logits.dtype == torch.float64 else logits.float()
    loss = (cross_entropy(wide, labels, reduction="none") / log(2)).cpu().double()
    if bad := int((~loss.isfinite()).sum()):
        what = "NaN or infinity" if loss.isnan().any() else "the true label a logit of -inf"
        raise ChiasmError(f"the model gives {what} to {bad} samples with {' and '.join(present) or 'no source'} shown")
    return loss, (logits.argmax(1) == labels).cpu()


def _labels(target: Any, samples: int) -> Tensor:
    labels = np.asarray(target.detach().cpu() if isinstance(target, Tensor) else target)
    if labels.dtype.kind not in "iub" or labels.shape != (samples,):
        raise ChiasmError(f"target is {labels.dtype} {labels.shape}; expected an integer for each of {samples} samples")
    return torch.from_numpy(labels.astype(np.int64))


def _which(subsets: str, n: int) -> list[tuple[int, ...]]:
    """Return the subsets to evaluate, the largest first."""
    if subsets not in get_args(Which):
        raise ChiasmError(f"subsets = {subsets!r}; expected 'auto', 'all' or 'few'")
    if subsets == "few" or (subsets == "auto" and n > ALL_UP_TO):
        full = tuple(range(n))
        return list(dict.fromkeys([full, *combinations(full, n - 1), *combinations(full, 1), ()]))
    if n > MOST:
        raise ChiasmError(f"subsets='all' of {n} sources are {2**n}; {MOST} sources at most, or subsets='few'")
    return sorted(every_subset(n), key=len, reverse=True)


def _stand_in(name: str, x: Samples, how: Any, index: Tensor, seed: int) -> Selection:
    """Return the stand-in of a source where it is missing: one sample for all, or one for each."""
    drawn = generator(seed, f"replace {name}")
    if isinstance(how, str) and how not in STANDS:
        raise unknown("stand-in", how, STANDS, "replace")
    if isinstance(how, str) and how == "shuffle":
        # Each gets the one before it in a random circle: never its own, and none twice.
        circle = torch.randperm(len(index), generator=drawn)
        return x, index[torch.empty_like(circle).scatter_(0, circle, circle.roll(1))]
    hows: Iterator[Any] = repeat(how)
    if isinstance(x, Mapping | tuple | list) and not (isinstance(how, str) or callable(how)):
        parts = list(x) if isinstance(x, Mapping) else list(range(len(x)))
        try:
            hows = iter([how[part] for part in parts])
        except (TypeError, LookupError):
            raise ChiasmError(f"replace: source '{name}' has parts; give a value for each of {parts}") from None
    stand_in = each(x, lambda leaf: _part(name, leaf, next(hows), index, drawn))
    return stand_in, torch.arange(len(index)) if callable(how) else torch.zeros(1, dtype=torch.long)


def _part(name: str, leaf: Samples, how: Any, index: Tensor, drawn: torch.Generator) -> Tensor:
    like: Tensor = take(name, leaf, index if callable(how) else index[:1], None, None)
    expected = tuple(like.shape) if callable(how) else tuple(like.shape[1:])
    if isinstance(how, str) and how == "mean":
        if not like.is_floating_point():
            raise ChiasmError(
                f"source '{name}' is {like.dtype}; replace not by 'mean' but 'zero', 'shuffle' or a value"
            )
        total: Tensor = sum(
            take(name, leaf, part, None, torch.float64).sum(0, keepdim=True) for part in torch.split(index, 4096)
        )
        return (total / len(index)).to(like.dtype)
    new = how(like, drawn) if callable(how) else 0 if isinstance(how, str) else how
    try:
        value = new if isinstance(new, Tensor) else torch.from_numpy(np.array(new))
        fits = like.is_floating_point() or not value.is_floating_point()
        if fits and value.isfinite().all() and (tuple(value.shape) == expected or not callable(how)):
            return value.to(like).expand(like.shape)
    except (TypeError, RuntimeError):
        pass
    given = f"{type(new).__name__} {tuple(np.shape(new))}"
    raise ChiasmError(f"replace: source '{name}' needs {like.dtype} {expected}, finite; given: {given}")
