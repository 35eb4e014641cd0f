"""The verb `measure`: which units of a model depend on which source, and which need several."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from numbers import Integral, Real
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring.gathering import gather
from chiasm.measuring.instrument.addresses import check_names
from chiasm.measuring.instrument.units import to_units
from chiasm.measuring.instrument.untouched import untouched, unwrapped
from chiasm.measuring.measurement import DependentSources, Measurement
from chiasm.measuring.mistakes import check_model, check_whole_number
from chiasm.measuring.passes import Passes
from chiasm.measuring.plan import Estimator, SamplingPlan, plan
from chiasm.measuring.result import LayerMeasurement, largest_error
from chiasm.measuring.sampling.blocks import Blocks, Pairing, local, product, within_class
from chiasm.measuring.sampling.dependence import Dependence, dependence
from chiasm.measuring.sampling.samples import Samples, as_tensor, check, leaves
from chiasm.measuring.sampling.variants import Variant
from chiasm.measuring.variance.designs import Design
from chiasm.networks import FusionNetwork
from chiasm.networks.calling import Forward, forward_of

Per = Literal["channel", "position"]
Pooling = Literal["ratio", "per_anchor"]

# Anchors of the pilot, from whose errors the number for a wanted precision follows: enough for errors known to a fifth.
PILOT = 512
# Rounds after the pilot at most, each with the anchors that the errors of the one before ask for; those are estimates.
ROUNDS = 4


def measure(
    model: nn.Module,
    sources: Mapping[str, Samples],
    layers: Sequence[str],
    *,
    anchors: int | None = None,
    precision: float | None = None,
    pairing: Pairing = "product",
    target: Sequence[Any] | Tensor | np.ndarray[Any, Any] | None = None,
    variant: Variant | Mapping[str, Variant] | None = None,
    estimator: Estimator | Literal["auto"] = "auto",
    block: int | None = None,
    per: Per = "channel",
    channel_axis: int | None = None,
    pooling: Pooling = "ratio",
    forward: Forward | None = None,
    chunk: int | None = None,
    seed: int = 0,
    check_dependence: bool = True,
    progress: bool = False,
) -> Measurement:
    """Measure what the units of a model of several sources depend on: each source alone, or several together.

    Samples of each source are drawn in blocks; within a block samples of the sources meet in combinations that the
    data may not hold, and an analysis of variance divides each unit's variance over them, without bias.
    Blocks share no sample, so they are independent, and their spread gives standard errors. The model is measured in
    evaluation mode; it and every random stream are restored exactly.

    Args:
        model: any module. Of a `FusionNetwork` each pathway runs once an anchor, and only what follows once a
            combination.
        sources: two or more by name: a tensor or array (samples, ...), or a dict or tuple of them (token ids with
            their mask), all with equally many samples.
        layers: names as in `model.named_modules()`; "" is the model's output (of a `FusionNetwork`: its head "both").
            "encoder:0" and "encoder:last_hidden_state" address parts of an output, "act#1" the second call of a
            module. Outputs (n, U) give U units, maps (n, C, ...) C, tokens (n, T, D) D.
        anchors: samples of each source to use, a few more or less to fill blocks; all where there are fewer. By
            default 4096 for two and three sources, fewer for more (16,384 answers). Not beside `precision`.
        precision: the standard error wanted of RSV (of three and more sources: of shares of total effects) for nine
            in ten live units of every layer; the number of anchors follows from the errors of a pilot.
        pairing: "product": each source drawn from all its samples, independently. "within_class": the same among
            samples of one class (needs `target`). "local": variants of each source around one sample of the data
            (`variant`).
        target: (samples,) class labels, for "within_class".
        variant: (x, generator) -> variants of the same shape, or one such function a source, for "local"; by default
            small shifts of pictures and a little noise.
        estimator: "grid": each anchor of a block with each of the others (default for two sources). "pick_freeze":
            two anchors a source and block, in all combinations up to five sources, and from six on in those where at
            most two sources differ (default for three and more). For a model without separate pathways it is the
            more precise for its cost, if there are samples enough.
        block: anchors of each source in a block of the grid; chosen so that all samples are used at a bounded cost.
        per: "channel" averages maps over their positions and tokens over T; "position" makes every place a unit.
        channel_axis: which axis of layer outputs holds channels; by default the last of (n, T, D), else the first
            after samples.
        pooling: "ratio", or "per_anchor" to keep the paper's per-anchor ratios as well (`per_anchor_rsv`; two
            sources, four blocks of 64 anchors by default).
        forward: (model, sources) -> anything; by default inferred from the signature of `model.forward`: sources by
            name, else in order, else in one mapping.
        chunk: answers in one forward pass; by default so many that the widest layer's output takes 32 MB (256 MB on a
            GPU). Changes no number beyond rounding.
        seed: of the draw of anchors.
        check_dependence: whether to test, for "product", how far the sources are from independent, and warn.
        progress: whether to show progress on standard error.

    Returns:
        A mapping from layer to `LayerMeasurement`.

    Raises:
        ChiasmError: in one sentence, what was given and what was expected.

    Warns:
        DependentSources: in one sentence, where "product" pairing shows pairs unlike the data.

    Tested against closed forms (linear units, sums, products, ReLU of a sum, polynomials of three sources) and against
    SALib's Sobol' indices.

    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fusion = nn.Identity()
    ...     def forward(self, left, right):
    ...         return self.fusion(torch.cat([left, left * right, right], dim=1))
    >>> samples = {name: torch.randn(500, 1, generator=torch.Generator().manual_seed(s))
    ...            for s, name in enumerate(["left", "right"])}
    >>> m = measure(Net(), samples, ["fusion"])
    >>> m["fusion"].rsv("left", "right").round(1) + 0  # left only; both; right only
    array([ 1.,  0., -1.])
    >>> m["fusion"].synergy().round(1)
    array([0., 1., 0.])
    """
    given = {"per": per, "pooling": pooling, "pairing": pairing}
    _check_arguments(model, layers, given, anchors, precision, chunk, channel_axis, seed, forward, variant)
    precision = None if precision is None else float(precision)
    samples = check(sources)
    labels = _labels(target, samples) if pairing == "within_class" else None
    sampling = plan(len(sources), samples, anchors, estimator, block, pooling, pairing)
    bare = unwrapped(model)
    call = forward_of(bare, sources) if forward is None else forward
    separable = isinstance(bare, FusionNetwork) and forward is None

    def keep(x: Tensor) -> Tensor:
        return to_units(x, per, channel_axis)

    def passes(design: Design) -> Passes:
        return Passes(bare, lambda x: call(bare, dict(x)), layers, keep, design, chunk, separable)

    def draw(sampling: SamplingPlan) -> Blocks:
        if pairing == "local":
            return local(sources, samples, sampling.blocks, sampling.levels, seed, variant)
        if pairing == "within_class":
            assert labels is not None
            return within_class(sources, labels, min(sampling.wanted, samples), sampling.levels, seed)
        return product(sources, samples, sampling.blocks, sampling.levels, seed)

    def evaluate(sampling: SamplingPlan) -> tuple[SamplingPlan, Blocks, Passes, dict[str, LayerMeasurement]]:
        blocks = draw(sampling)
        if blocks.levels != sampling.levels:  # a class of fewer samples than a block
            sampling = replace(sampling, levels=blocks.levels)
        run = passes(sampling.design)
        return sampling, blocks, run, gather(run, blocks, tuple(sources), pooling, progress)

    tested = _dependence(sources, seed) if check_dependence and pairing == "product" else ()
    with untouched(model, seed):
        if precision is not None:
            sampling = plan(len(sources), samples, PILOT, estimator, block, pooling, pairing)
        sampling, blocks, run, measured = evaluate(sampling)
        for _ in range(ROUNDS if precision is not None else 0):
            assert precision is not None
            used = len(blocks) * blocks.levels
            more = plan(len(sources), samples, _needed(measured, used, precision), estimator, block, pooling, pairing)
            if more.anchors <= used:
                break
            sampling, blocks, run, measured = evaluate(more)
    measurement = Measurement(
        layers=measured,
        sources=tuple(sources),
        anchors=len(blocks) * blocks.levels,
        wanted=sampling.wanted,
        samples=samples,
        blocks=len(blocks),
        estimator=sampling.estimator,
        evaluations=len(blocks) * len(sampling.design.points),
        pairing=pairing,
        pooling=pooling,
        per=per,
        seed=seed,
        precision=precision,
        dependence=tested,
        note="; ".join(filter(None, [blocks.note, *run.notes])),
    )
    far = [d for d in tested if d.far]
    if far:
        worst = max(far, key=lambda d: d.correlation)
        warnings.warn(worst.sentence(), DependentSources, stacklevel=2)
    return measurement


def _needed(layers: Mapping[str, LayerMeasurement], anchors: int, precision: float) -> int:
    """Return how many anchors bring nine in ten live units of every layer to a standard error; at least `anchors`."""
    worst = largest_error(layers)
    if not np.isfinite(worst) or worst <= precision:
        return anchors
    # A margin of a tenth, as the error itself was estimated from a few hundred anchors.
    return ceil(anchors * (worst / precision) ** 2 * 1.1)


def _dependence(sources: Mapping[str, Samples], seed: int) -> tuple[Dependence, ...]:
    """Test the sources of floating numbers; token ids have no distance from each other."""
    plain: dict[str, Tensor] = {}
    for name, x in sources.items():
        first = leaves(name, x)[0]
        leaf = first.detach() if isinstance(first, Tensor) else as_tensor(first)
        if leaf.is_floating_point():
            if not bool(leaf.isfinite().all()):
                raise ChiasmError(f"source '{name}' holds NaN or infinity; remove those samples")
            plain[name] = leaf if leaf.dim() > 1 else leaf.unsqueeze(1)
    return dependence(plain, seed) if len(plain) > 1 else ()


def _labels(target: Any, samples: int) -> Tensor:
    if target is None:
        raise ChiasmError("pairing='within_class' needs the classes: give target=(samples,) labels")
    try:
        labels = target.detach().cpu().numpy() if isinstance(target, Tensor) else np.asarray(target)
    except (ValueError, TypeError) as error:
        raise ChiasmError("target is ragged; give one label for each sample") from error
    if labels.ndim != 1 or len(labels) != samples:
        raise ChiasmError(f"target has the shape {tuple(labels.shape)}; one label for each of {samples} samples")
    return torch.from_numpy(np.unique(labels, return_inverse=True)[1])


def _check_arguments(
    model: Any,
    layers: Any,
    given: Mapping[str, Any],
    anchors: Any,
    precision: Any,
    chunk: Any,
    channel_axis: Any,
    seed: Any,
    forward: Any,
    variant: Any,
) -> None:
    """Raise a ChiasmError for arguments that cannot be used."""
    for name, known in (("per", Per), ("pooling", Pooling), ("pairing", Pairing)):
        if given[name] not in get_args(known):
            quoted = [f"'{x}'" for x in get_args(known)]
            raise ChiasmError(f"{name} = {given[name]!r}; expected {', '.join(quoted[:-1])} or {quoted[-1]}")
    check_whole_number("chunk", chunk, 1)
    for name, number in (("channel_axis", channel_axis), ("seed", seed)):
        if number is not None and not isinstance(number, Integral):
            raise ChiasmError(f"{name} = {number!r}; give a whole number")
    if precision is not None and not (isinstance(precision, Real) and 0 < float(precision) < 1):
        raise ChiasmError(f"precision = {precision!r}; give the standard error wanted of RSV, 0.05 for instance")
    if precision is not None and anchors is not None:
        raise ChiasmError("precision and anchors are given both; precision chooses the anchors: leave one out")
    if variant is not None and given["pairing"] != "local":
        raise ChiasmError(f"variant is for pairing='local'; the pairing here is '{given['pairing']}'")
    if forward is not None and not callable(forward):
        raise ChiasmError(f"forward is a {type(forward).__name__}; expected a function (model, sources) -> output")
    check_model(model)
    check_names(layers)
