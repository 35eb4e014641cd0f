"""The verb `measure`: which units of a model depend on which source, and which need several."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from math import ceil, prod
from typing import Any, Literal, final, get_args

import numpy as np
import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring.dependence import Dependence, dependence
from chiasm.measuring.guest.units import to_units
from chiasm.measuring.guest.untouched import untouched, unwrapped
from chiasm.measuring.measurement import DependentSources, Measurement
from chiasm.measuring.pairing import Blocks, Pairing, local, product, within_class
from chiasm.measuring.passes import Passes
from chiasm.measuring.per_anchor import per_anchor
from chiasm.measuring.plan import Estimator, Plan, plan
from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.samples import Samples, check, leaves
from chiasm.measuring.variance.components import Accumulator
from chiasm.measuring.variance.designs import Design
from chiasm.measuring.variants import Variant
from chiasm.networks import FusionNetwork
from chiasm.networks.calling import Forward, forward_of

Per = Literal["channel", "position"]
Pooling = Literal["ratio", "per_anchor"]

# Anchors of the first look that tells how many a wanted precision needs: enough for errors known to a fifth.
PILOT = 512


def measure(
    model: nn.Module,
    sources: Mapping[str, Samples],
    layers: Sequence[str],
    *,
    anchors: int | None = None,
    precision: float | None = None,
    pairing: Pairing = "product",
    target: Sequence[int] | Tensor | np.ndarray[Any, Any] | None = None,
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
    data may not hold, and each unit's variance over them is taken apart by an analysis of variance, without bias.
    Blocks share no sample, so they are independent, and their spread gives standard errors. The model is left exactly
    as it was found, and so is every random stream; it is measured in evaluation mode.

    Args:
        model: any module. Of a `FusionNetwork` each pathway runs once an anchor, and only what follows once a
            combination.
        sources: two or more by name: a tensor or array (samples, ...), or a dict or tuple of them (token ids with
            their mask), all with equally many samples.
        layers: names as in `model.named_modules()`; "" is the model's output (of a `FusionNetwork`: its head "both").
            "encoder:0" and "encoder:last_hidden_state" address parts of an output, "act#1" the second call of a
            module. Outputs (n, U) give U units, maps (n, C, ...) C, tokens (n, T, D) D.
        anchors: samples of each source to use, a few more or less to fill blocks; all where there are fewer. By
            default 4096 for two and three sources, fewer for more (16,384 answers).
        precision: the standard error wanted of RSV (of three and more sources: of shares of total effects) for nine
            in ten live units of every layer; a first look tells how many anchors that takes.
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
        ChiasmError: in one sentence, what was given and what would do.

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
    _refuse(model, layers, per, pooling, pairing, chunk, precision)
    samples = check(sources)
    labels = _labels(target, samples) if pairing == "within_class" else None
    how = plan(len(sources), samples, anchors, estimator, block, pooling, pairing)
    bare = unwrapped(model)
    call = forward_of(bare, sources) if forward is None else forward
    apart = isinstance(bare, FusionNetwork) and forward is None

    def keep(x: Tensor) -> Tensor:
        return to_units(x, per, channel_axis)

    def passes(design: Design) -> Passes:
        return Passes(bare, partial(call, bare), layers, keep, design, chunk, apart)

    def drawn(how: Plan) -> Blocks:
        if pairing == "local":
            return local(sources, samples, how.blocks, how.levels, seed, variant)
        if pairing == "within_class":
            assert labels is not None
            return within_class(sources, labels, how.blocks, how.levels, seed)
        return product(sources, samples, how.blocks, how.levels, seed)

    with untouched(model, seed):
        if precision is not None:
            first = plan(len(sources), samples, PILOT, estimator, block, pooling, pairing)
            look = _measured(passes(first.design), drawn(first), tuple(sources), "ratio", False)
            needed = _needed(look, first.anchors, precision)
            how = plan(len(sources), samples, needed, estimator, block, pooling, pairing)
        blocks = drawn(how)
        if blocks.levels != how.levels:  # a class of fewer samples than a block
            how = how.with_levels(blocks.levels)
        found = _measured(passes(how.design), blocks, tuple(sources), pooling, progress)
    tested = _dependence(sources, seed) if check_dependence and pairing == "product" else ()
    made = Measurement(
        layers=found,
        sources=tuple(sources),
        anchors=len(blocks) * blocks.levels,
        wanted=how.wanted,
        samples=samples,
        blocks=len(blocks),
        estimator=how.estimator,
        evaluations=len(blocks) * len(how.design.points),
        pairing=pairing,
        pooling=pooling,
        per=per,
        seed=seed,
        precision=precision,
        dependence=tested,
        note=blocks.note,
    )
    far = [d for d in tested if d.far]
    if far:
        worst = max(far, key=lambda d: d.correlation)
        warnings.warn(worst.sentence(), DependentSources, stacklevel=2)
    return made


@final
@dataclass(slots=True)
class _Together:
    """What is gathered of layers that are caught together, side by side: one analysis for all of their units."""

    design: Design
    blocks: int
    pooling: str
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    sums: Accumulator | None = None
    ratios: list[np.ndarray[Any, Any]] = field(default_factory=list)

    def add(self, start: int, answers: Mapping[str, Tensor]) -> None:
        flat = [x.flatten(2) if x.dim() > 2 else x.unsqueeze(2) for x in answers.values()]
        side = flat[0] if len(flat) == 1 else torch.cat(flat, 2)
        if self.sums is None:
            self.shapes = {layer: tuple(x.shape[2:]) for layer, x in answers.items()}
            self.sums = Accumulator(self.design, self.blocks, (side.shape[2],), side.device)
        self.sums.add(start, side)
        if self.pooling == "per_anchor":
            self.ratios.append(per_anchor(side, self.design.levels).double().cpu().numpy())

    def results(self, sources: tuple[str, ...]) -> Iterator[LayerMeasurement]:
        assert self.sums is not None
        components = self.sums.result()
        ratios = np.concatenate(self.ratios) if self.ratios else None
        first = 0
        for layer, shape in self.shapes.items():
            own = slice(first, first + prod(shape))
            first = own.stop
            part = components.part(own)
            variance = part.whole.variance
            bad = int((~np.isfinite(variance)).sum())
            if bad:
                raise ChiasmError(f"layer '{layer}': {bad} of {variance.size} units gave NaN or infinity")
            yield LayerMeasurement(layer, sources, part, shape, None if ratios is None else ratios[:, own])


def _measured(
    passes: Passes, blocks: Blocks, sources: tuple[str, ...], pooling: str, progress: bool
) -> dict[str, LayerMeasurement]:
    gathered: dict[tuple[str, ...], _Together] = {}
    with closing(_Bar(len(blocks) * len(passes.layers), progress)) as bar, closing(passes.over(blocks)) as answers:
        for start, some in answers:
            together = gathered.setdefault(tuple(some), _Together(passes.design, len(blocks), pooling))
            together.add(start, some)
            bar.advance(sum(len(x) for x in some.values()))
    found = {layer.name: layer for together in gathered.values() for layer in together.results(sources)}
    return {name: found[name] for name in passes.layers}


@final
class _Bar:
    """Progress on standard error, where that is a terminal, or nothing."""

    def __init__(self, total: int, shown: bool) -> None:
        self._bar: Any = None
        self._total, self._shown = total, shown

    def advance(self, blocks: int) -> None:
        if self._shown and self._bar is None:  # begun with the first answers, so that no mistake is told below it
            from rich.console import Console
            from rich.progress import Progress

            console = Console(stderr=True)
            self._bar = Progress(console=console, transient=True, disable=not console.is_terminal)
            self._bar.start()
            self._task = self._bar.add_task("measuring", total=self._total)
        if self._bar is not None:
            self._bar.advance(self._task, blocks)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def _needed(look: Mapping[str, LayerMeasurement], anchors: int, precision: float) -> int:
    """Return how many anchors bring nine in ten live units of every layer to a standard error."""
    worst = max((layer.error_of_most() for layer in look.values()), default=0.0)
    # A margin of a tenth, as the error itself was estimated from a few hundred anchors.
    return max(4, ceil(anchors * (worst / precision) ** 2 * 1.1)) if np.isfinite(worst) else anchors


def _dependence(sources: Mapping[str, Samples], seed: int) -> tuple[Dependence, ...]:
    """Test sources that are made of numbers; token ids have no distance from each other."""
    plain: dict[str, Tensor] = {}
    for name, x in sources.items():
        first = leaves(name, x)[0]
        leaf = first.detach() if isinstance(first, Tensor) else torch.from_numpy(np.ascontiguousarray(first))
        if leaf.is_floating_point() and leaf.dim() > 1:
            plain[name] = leaf
    return dependence(plain, seed) if len(plain) > 1 else ()


def _labels(target: Any, samples: int) -> Tensor:
    if target is None:
        raise ChiasmError("pairing='within_class' needs the classes: give target=(samples,) labels")
    labels = torch.as_tensor(np.asarray(target))
    if labels.dim() != 1 or len(labels) != samples:
        raise ChiasmError(f"target has the shape {tuple(labels.shape)}; one label for each of {samples} samples")
    return labels


def _refuse(
    model: Any, layers: Any, per: str, pooling: str, pairing: str, chunk: int | None, precision: float | None
) -> None:
    """Raise a ChiasmError for what cannot be meant."""
    for name, given, known in (("per", per, Per), ("pooling", pooling, Pooling), ("pairing", pairing, Pairing)):
        if given not in get_args(known):
            told = [f"'{x}'" for x in get_args(known)]
            raise ChiasmError(f"{name} = {given!r}; {', '.join(told[:-1])} or {told[-1]} would do")
    if chunk is not None and (not isinstance(chunk, int) or chunk < 1):
        raise ChiasmError(f"chunk = {chunk}; give 1 or more answers in a forward pass, or None")
    if precision is not None and not (isinstance(precision, float) and 0 < precision < 1):
        raise ChiasmError(f"precision = {precision}; give the standard error wanted of RSV, 0.05 for instance")
    if not isinstance(model, nn.Module):
        raise ChiasmError(f"model is a {type(model).__name__}; a torch nn.Module would do")
    if isinstance(layers, str):
        raise ChiasmError(f"layers = '{layers}' is one name; give a list of names: ['{layers}']")
    if not all(isinstance(layer, str) for layer in layers):
        raise ChiasmError("layers are names, as model.named_modules() gives them, not the modules themselves")
