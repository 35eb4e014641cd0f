"""Rank: in how many directions a layer's units vary together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import nan
from typing import Literal, final

import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring.instrument.capture import Capture
from chiasm.measuring.instrument.units import to_units
from chiasm.measuring.instrument.untouched import untouched
from chiasm.measuring.mistakes import check_answers, check_finite, check_model, check_whole_number, model_errors
from chiasm.measuring.passes import placement
from chiasm.measuring.sampling.samples import Samples, check, describe, draw_samples, take
from chiasm.measuring.variance.indices import dead_units
from chiasm.networks.calling import Forward, forward_of

# What float32 does not distinguish from zero: a unit varies above this fraction of its mean, a direction counts above
# this fraction of the strongest (singular values). Rounding is 6e-8 of a value; the rest is room for sums.
LEAST = 1e-6
# Samples in one forward pass: what a step of training shows.
CHUNK = 256


@final
@dataclass(frozen=True, slots=True)
class Rank:
    """The number of directions in which the units of one layer vary.

    Attributes:
        effective_rank: in [1, units]; see `effective_rank`; NaN in a layer that does not vary.
        participation: in [1, units]; see `participation_ratio`; NaN in a layer that does not vary.
        dead: how many units have a variance below 1e-6 of the median of those that vary at all.
        units: the number of units.
        samples: the number of samples that were evaluated.
    """

    effective_rank: float
    participation: float
    dead: int
    units: int
    samples: int


def effective_rank(x: Tensor) -> float:
    """Return the effective rank of activations: exp(-sum_i p_i log p_i), p_i = s_i / sum(s).

    The s_i are the singular values of the centred activations, not their squares, the eigenvalues of the covariance,
    which other code takes and which give less (Roy and Vetterli 2007, definition 1). Those below 1e-6 of the largest
    are rounding and left out. Units are taken in their own scale: a loud one counts for more.

    It is slightly too small where samples are few: of n samples of U units that are independent and normal it finds
    .996 U for n = 32 U, .97 U for n = 4 U, .81 U for n = U. Compare layers and networks at equal n.

    Args:
        x: (n, units), any real dtype; worked on in float64.

    Returns:
        A number in [1, min(n - 1, units)]; k where k directions vary equally; NaN where nothing varies.

    Raises:
        ChiasmError: not two axes, or NaN or infinity.

    >>> round(effective_rank(torch.tensor([[1.0, 0, 5], [-1, 0, 5], [0, 1, 5], [0, -1, 5]])), 6)
    2.0
    """
    return _entropic(torch.linalg.svdvals(_centred(_matrix(x))))


def participation_ratio(x: Tensor) -> float:
    """Return the participation ratio of activations, (sum L)^2 / sum(L^2), L the eigenvalues of their covariance.

    It counts strong directions where `effective_rank` counts weak ones too. With few samples it is too small: of n
    samples of normal units with ratio R it finds about 1 / (1 / R + 1 / n). Compare layers and networks at equal n.

    Args:
        x: (n, units), any real dtype; worked on in float64.

    Returns:
        A number in [1, min(n - 1, units)]; k where k directions vary equally; NaN where nothing varies.

    Raises:
        ChiasmError: not two axes, or NaN or infinity.

    >>> round(participation_ratio(torch.tensor([[1.0, 0, 5], [-1, 0, 5], [0, 1, 5], [0, -1, 5]])), 6)
    2.0
    """
    return _participation(torch.linalg.svdvals(_centred(_matrix(x))))


def rank(
    model: nn.Module,
    sources: Mapping[str, Samples],
    layers: Sequence[str],
    *,
    samples: int | None = 2048,
    per: Literal["channel", "position"] = "channel",
    forward: Forward | None = None,
    seed: int = 0,
) -> dict[str, Rank]:
    """Measure in how many directions the units of layers vary on the data as they are, sources in their true tuples.

    The model is measured in evaluation mode; it and every random stream are restored. A layer with no more units than
    samples costs a matrix (units, units) in float64, another its activations and a matrix (samples, samples).

    Args:
        model: any module.
        sources: by name, tensors or arrays (samples, ...), or dicts and tuples of them.
        layers: names as in `model.named_modules()`, calls and parts of outputs as in `chiasm.measure`.
        samples: how many are used, drawn without replacement; None, or more than there are: all.
        per: "channel" averages maps and tokens over positions, "position" makes every place a unit.
        forward: (model, sources) -> anything; by default inferred from the signature of `model.forward`.
        seed: of the draw of samples.

    Returns:
        A `Rank` a layer, in the order asked for.

    Raises:
        ChiasmError: in one sentence, what was given and what was expected.

    >>> net = nn.Sequential(nn.Linear(2, 8, bias=False))  # eight units, two directions
    >>> result = rank(net, {"x": torch.randn(500, 2)}, ["0"])["0"]
    >>> result.effective_rank < 2.000001, result.units
    (True, 8)
    """
    check_model(model)
    check_whole_number("samples", samples, 2)
    count = check(sources, least=1)
    call = forward or forward_of(model, sources)
    index = draw_samples(count, samples, seed, "rank samples")
    capture = Capture(model, layers, lambda x: to_units(x, per).flatten(1))
    spreads = {layer: Spread(layer, len(index)) for layer in layers}
    with untouched(model, seed), capture:
        for chunk in torch.split(index, CHUNK):
            data = {name: take(name, x, chunk, *placement(model)) for name, x in sources.items()}
            with model_errors(partial(describe, data)):
                units = capture.run(partial(call, model, data))
            for layer, x in units.items():
                spreads[layer].add(x, len(chunk))
        return {layer: spread.result() for layer, spread in spreads.items()}


@final
@dataclass(slots=True)
class Spread:
    """The singular values of a layer's centred activations, from blocks of samples."""

    layer: str
    samples: int
    blocks: list[Tensor] = field(default_factory=list)
    shift: Tensor | None = None
    total: Tensor | None = None
    squares: Tensor | None = None

    def add(self, x: Tensor, samples: int) -> None:
        """Add the units (n, units) of some samples."""
        check_answers(self.layer, len(x), samples)
        check_finite(self.layer, x.isfinite().all(0))
        if x.device.type == "mps":  # knows no float64
            x = x.cpu()
        if x.shape[1] > self.samples:
            self.blocks.append(x)
            return
        x = x.double()
        if self.shift is None or self.total is None or self.squares is None:
            # Sums of squares about a value near the mean: about 0 they would lose a spread that is small beside it.
            self.shift = x.mean(0)
            self.total, self.squares = torch.zeros_like(self.shift), x.new_zeros(x.shape[1], x.shape[1])
        x -= self.shift
        self.total += x.sum(0)
        self.squares += x.T @ x

    def result(self) -> Rank:
        """Return the rank of all samples that were added."""
        if self.blocks:
            x = _centred(torch.cat(self.blocks))
            variance, product = x.square().sum(0) / self.samples, x @ x.T
        else:
            assert self.shift is not None and self.total is not None and self.squares is not None  # noqa: PT018
            off = self.total / self.samples
            product = self.squares - torch.outer(off, off) * self.samples
            variance = product.diagonal() / self.samples
            varies = variance > (LEAST * (self.shift + off)).square()
            product, variance = product * varies * varies.unsqueeze(1), variance * varies
        values = torch.linalg.eigvalsh(product).clamp(min=0).sqrt()
        dead = int(dead_units(variance.cpu().numpy()).sum())
        return Rank(_entropic(values), _participation(values), dead, len(variance), self.samples)


def _matrix(x: Tensor) -> Tensor:
    if x.dim() != 2:
        raise ChiasmError(f"activations have the shape {tuple(x.shape)}; expected (samples, units)")
    if not x.isfinite().all():
        raise ChiasmError("activations contain NaN or infinity")
    return x.detach()


def _centred(x: Tensor) -> Tensor:
    """Return activations less their means, in float64; 0 in units that are constant up to rounding."""
    mean = x.double().mean(0)
    x = x.double() - mean
    return x * (x.square().mean(0) > (LEAST * mean).square())


def _entropic(s: Tensor) -> float:
    """Return exp of the entropy of singular values, normalised; NaN where there is none."""
    s = s[s > LEAST * s.max()] if s.numel() else s
    if not s.numel():
        return nan
    p = s / s.sum()
    return float((-(p * p.log()).sum()).exp())


def _participation(s: Tensor) -> float:
    """Return (sum s^2)^2 / sum s^4 of singular values; NaN where there is none."""
    power = s.square()
    return float(power.sum().square() / power.square().sum())
