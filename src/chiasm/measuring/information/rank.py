"""Rank: in how many directions a layer's units vary together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Literal, final

import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring.instrument.capture import Capture
from chiasm.measuring.instrument.units import to_units
from chiasm.measuring.instrument.untouched import untouched
from chiasm.measuring.passes import home
from chiasm.measuring.sampling.samples import Samples, check, take, told
from chiasm.measuring.variance.indices import dead_units
from chiasm.networks.calling import Forward, forward_of
from chiasm.randomness import generator

# What float32 cannot tell from nothing: a unit varies above this fraction of its mean, a direction counts above this
# fraction of the strongest (singular values). Rounding is 6e-8 of a value; the rest is room for sums.
LEAST = 1e-6
# Samples in one forward pass: what a step of training shows.
CHUNK = 256


@final
@dataclass(frozen=True, slots=True)
class Rank:
    """In how many directions the units of one layer vary.

    Attributes:
        effective_rank: in [1, units]; see `effective_rank`; NaN in a layer that does not vary.
        participation: in [1, units]; see `participation_ratio`; NaN in a layer that does not vary.
        dead: how many units have a variance below 1e-6 of the median of those that vary at all.
        units: how many there are.
        samples: how many were shown.
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

    The model is left as it was found, and so is every random stream; it is measured in evaluation mode. A layer with no
    more units than samples costs a matrix (units, units) in float64, another its activations and a matrix (samples,
    samples).

    Args:
        model: any module.
        sources: by name, tensors or arrays (samples, ...), or dicts and tuples of them.
        layers: names as in `model.named_modules()`, calls and parts of outputs as in `chiasm.measure`.
        samples: how many are shown, drawn without replacement; None, or more than there are: all.
        per: "channel" averages maps and tokens over positions, "position" makes every place a unit.
        forward: (model, sources) -> anything; by default inferred from the signature of `model.forward`.
        seed: of the draw of samples.

    Returns:
        A `Rank` a layer, in the order asked for.

    Raises:
        ChiasmError: in one sentence, what was given and what would do.

    >>> net = nn.Sequential(nn.Linear(2, 8, bias=False))  # eight units, two directions
    >>> found = rank(net, {"x": torch.randn(500, 2)}, ["0"])["0"]
    >>> found.effective_rank < 2.000001, found.units
    (True, 8)
    """
    if not isinstance(model, nn.Module):
        raise ChiasmError(f"model is a {type(model).__name__}; a torch nn.Module would do")
    if samples is not None and (type(samples) is not int or samples < 2):
        raise ChiasmError(f"samples = {samples!r}; a whole number of 2 or more, or None, would do")
    count = check(sources, least=1)
    call = forward or forward_of(model, sources)
    index = torch.randperm(count, generator=generator(seed, "rank samples"))[:samples].sort().values
    capture = Capture(model, layers, lambda x: to_units(x, per).flatten(1))
    spreads = {layer: Spread(layer, len(index)) for layer in layers}
    with untouched(model, seed), capture:
        for some in torch.split(index, CHUNK):
            shown = {name: take(name, x, some, *home(model)) for name, x in sources.items()}
            for layer, units in _seen(capture, call, model, shown).items():
                spreads[layer].add(units, len(some))
        return {layer: spread.result() for layer, spread in spreads.items()}


def _seen(capture: Capture, call: Forward, model: nn.Module, shown: Mapping[str, Samples]) -> dict[str, Tensor]:
    try:
        return capture.run(lambda: call(model, shown))
    except (ChiasmError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever a user's forward may raise
        line = (str(error).strip().splitlines() or [""])[0]
        raise ChiasmError(
            f"the model raised {type(error).__name__} ({line}) when shown {told(shown)}; give the sources as the model "
            "wants them, or forward=(model, sources) -> output"
        ) from error


@final
@dataclass(slots=True)
class Spread:
    """The singular values of a layer's centred activations, from blocks of samples."""

    layer: str
    samples: int
    held: list[Tensor] = field(default_factory=list)
    shift: Tensor | None = None
    total: Tensor | None = None
    squares: Tensor | None = None

    def add(self, x: Tensor, samples: int) -> None:
        """Take in units (n, units) of so many samples."""
        if len(x) != samples:
            raise ChiasmError(
                f"layer '{self.layer}' gave {len(x)} answers to {samples} samples; the first axis of its output must "
                "be the samples"
            )
        bad = int((~x.isfinite()).any(0).sum())
        if bad:
            raise ChiasmError(f"layer '{self.layer}': {bad} of {x.shape[1]} units gave NaN or infinity")
        if x.device.type == "mps":  # knows no float64
            x = x.cpu()
        if x.shape[1] > self.samples:
            self.held.append(x)
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
        """Return the rank of what was taken in."""
        if self.held:
            x = _centred(torch.cat(self.held))
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
        raise ChiasmError(f"activations have the shape {tuple(x.shape)}; (samples, units) would do")
    if not x.isfinite().all():
        raise ChiasmError("activations hold NaN or infinity")
    return x.detach()


def _centred(x: Tensor) -> Tensor:
    """Return activations less their means, in float64; 0 in units that stand still but for rounding."""
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
