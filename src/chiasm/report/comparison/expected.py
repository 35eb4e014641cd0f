"""What the theory of linear pathways predicts that the bench will record, run by run.

A mode of the target has one strength K = p^D in each pathway of D matrices, and no mode knows of another. In a step of
gradient descent, or in the gradient flow that it follows, the weight p_j of every pathway j that learns moves by

    (rate / items) p_j^(D-1) (s - sum of K over the pathways that are not silent)

A frozen pathway counts but does not learn, a silent one does neither. The strengths give the map of each pathway, and
the bench's own probe predicts from these maps what it records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from chiasm.deficits import Deficit, Freeze, Silence
from chiasm.measuring.probe import evaluate
from chiasm.networks import DeepLinear, Stacked
from chiasm.networks.deep_linear import modes, strengths, target_matrix
from chiasm.objectives import Squares
from chiasm.randomness import seeded_globals
from chiasm.study.plan import Run, make_plan
from chiasm.study.settings import Settings
from chiasm.tasks import Linear
from chiasm.theory.pathway.coordinates import drive, output, weight
from chiasm.theory.pathway.deficit import PathwayDeficit
from chiasm.theory.pathway.flow import pathway_flow
from chiasm.theory.pathway.pathways import pathways

if TYPE_CHECKING:
    from chiasm.study.results import Results

Floats = NDArray[np.float64]
TrainingTheory = Literal["steps", "flow"]

#: Measures that say something of the map from sources to outputs, whatever layers it is made of.
OF_THE_MAP = ("outcome", "units", "usable", "rank")
#: Layers whose units are the map's outputs, where nothing follows the fusion but the distances to the answers.
OUTPUTS = ("fusion", "trunk", "")
#: Rows that the probe looks at together: enough to be quick, few enough for their answers to fit beside a browser.
ROWS = 128

SCHEMA: dict[str, Any] = {
    "run": pl.String,
    "epoch": pl.Int64,
    "layer": pl.String,
    "source": pl.String,
    "quantity": pl.String,
    "predicted": pl.Float64,
}


@dataclass(frozen=True)
class Expected:
    """What the theory says of a study."""

    # a row per run, epoch, layer or source ("" where none applies), and quantity, with the predicted value
    table: pl.DataFrame
    # RSV of every output at the end of each run, by the name of the run, (outputs,)
    rsv: Mapping[str, NDArray[np.float32]]
    left: Mapping[str, str]  # by the name of each run of which the theory says nothing, why


def expect(results: Results, theory: TrainingTheory = "steps", ends: bool = False) -> Expected:
    """Predict what the bench recorded, from the initial weights and the timeline of each run alone.

    Args:
        results: of any study.
        theory: "steps": gradient descent with the study's learning rate, exact up to rounding; "flow": the gradient
            flow, which gradient descent leaves by a term in the learning rate.
        ends: whether to say what the probe sees only at the end of each run, which takes less time.
    """
    left: dict[str, str] = {}
    groups: dict[str, list[Run]] = {}
    for run in make_plan(results.study).runs:
        why = beyond(run.cell.settings, [d for leg in run.path.legs for d in leg.deficits])
        if why:
            left[run.name] = why
        else:
            settings = run.cell.settings
            groups.setdefault(repr((settings.task, settings.network, settings.probe)), []).append(run)
    tables = [pl.DataFrame(schema=SCHEMA)]
    rsv: dict[str, NDArray[np.float32]] = {}
    for runs in groups.values():
        outputs = _trajectories(runs, theory)
        tables.append(_train_loss(runs, outputs))
        for frame, last in _probed(runs, outputs, ends):
            tables.append(frame)
            rsv |= last
    return Expected(pl.concat(tables), rsv, left)


def beyond(settings: Settings, deficits: Iterable[Deficit]) -> str:
    """Return why the theory says nothing of a run, in words; "" where it says all.

    Args:
        settings: what it trains with.
        deficits: all that its timeline holds.
    """
    network, task, training = settings.network, settings.task, settings.training
    if not isinstance(network, DeepLinear) or not isinstance(task, Linear):
        return "the theory is of network.kind = 'deep_linear' on task.kind = 'linear'"
    samples = 2 * task.items
    needed = {
        "objective.kind = 'squares'": isinstance(settings.objective, Squares),
        "network.init = 'balanced'": network.init == "balanced",
        "network.shared = 0": network.shared == 0,
        "training.optimiser = 'sgd'": training.optimiser == "sgd",
        "training.momentum = 0": training.momentum == 0,
        "training.weight_decay = 0": training.weight_decay == 0,
        f"training.batch = {samples}, all samples in one step,": training.batch >= samples,
    }
    for key, holds in needed.items():
        if not holds:
            return f"the theory needs {key}"
    unknown = [str(d) for d in deficits if not isinstance(d, Freeze | Silence)]
    return f"the theory knows of freeze and silence, not of {unknown[0]}" if unknown else ""


def _network(runs: Sequence[Run]) -> DeepLinear:
    network = runs[0].cell.settings.network
    assert isinstance(network, DeepLinear)  # as `beyond` has difference
    return network


def _trajectories(runs: Sequence[Run], theory: TrainingTheory) -> Floats:
    """Follow all runs of one network at once; return strengths K, (epochs + 1, runs, sources, modes)."""
    network = _network(runs)
    s = modes(network.target)[1].numpy()
    return (_descend if theory == "steps" else _flow)(runs, _begin(runs, network), s, network.depth)


def _descend(runs: Sequence[Run], begin: Floats, s: Floats, layers: int) -> Floats:
    """Take the bench's own steps, whatever its clock."""
    depth = np.array(layers)
    p = weight(begin, depth, 0.0)
    outputs = [begin]
    for step, learns, speaks in zip(*_schedule(runs), strict=True):
        residual = s - (outputs[-1] * speaks).sum(1, keepdims=True)
        p = p + step * drive(p, depth, 0.0) * residual * learns
        outputs.append(output(p, depth, 0.0))
    return np.stack(outputs)


def _flow(runs: Sequence[Run], begin: Floats, s: Floats, layers: int) -> Floats:
    """Follow gradient flow, whose time is the sum of the steps; runs of equal rates share their times."""
    steps = _schedule(runs)[0][:, :, 0, 0]  # (epochs, runs)
    outputs = np.empty((len(steps) + 1, *begin.shape))
    alike: dict[bytes, list[int]] = {}
    for r, run in enumerate(runs):
        last = run.cell.timeline.epochs
        steps[last:, r] = steps[last - 1, r] if last else 0.0
        alike.setdefault(steps[:, r].tobytes(), []).append(r)
    for same in alike.values():
        times = np.concatenate([[0.0], np.cumsum(steps[:, same[0]])])
        starts = tuple(begin[same].swapaxes(0, 1))  # (runs, modes) a source
        system = pathways(np.tile(s, (len(same), 1)), layers, output=starts, count=len(starts))
        flow = pathway_flow(system, _windows([runs[r] for r in same], times), times)
        outputs[:, same] = flow.outputs.transpose(2, 0, 3, 1)  # (runs, modes, epochs, sources)
    return outputs


def _windows(runs: Sequence[Run], times: Floats) -> list[PathwayDeficit]:
    """Return the deficits of several runs, the k-th of each source and kind together; (runs, 1) windows in time.

    Of a run that has fewer, the window is empty.
    """
    names = [source.name for source in runs[0].path.root.about.sources]
    windows: dict[tuple[str, str], list[list[tuple[float, float]]]] = {}
    for r, run in enumerate(runs):
        for leg in run.path.legs:
            for deficit in leg.deficits:
                for source in deficit.touches:
                    rows = windows.setdefault((source, deficit.tag), [[] for _ in runs])
                    rows[r].append((float(times[leg.start]), float(times[leg.stop])))
    deficits = []
    for (source, kind), rows in windows.items():
        for k in range(max(map(len, rows))):
            ends = np.array([row[k] if k < len(row) else (0.0, 0.0) for row in rows])
            named: Literal["freeze", "silence"] = "freeze" if kind == Freeze.tag else "silence"
            deficits.append(PathwayDeficit(names.index(source), ends[:, :1], ends[:, 1:], named))
    return deficits


def _begin(runs: Sequence[Run], network: DeepLinear) -> Floats:
    """Return the strengths that the networks of the runs were made with, (runs, sources, modes)."""
    drawn: dict[int, Floats] = {}
    for run in runs:
        if run.seed not in drawn:
            about = run.path.root.about
            with seeded_globals(run.seed, "init"):
                built = network.build(about.sources, len(about.classes))
            carried = strengths(built, network.target)
            drawn[run.seed] = np.stack([carried[source.name].numpy() for source in about.sources])
    return np.stack([drawn[run.seed] for run in runs])


def _schedule(runs: Sequence[Run]) -> tuple[Floats, Floats, Floats]:
    """Return the step of each epoch, (epochs, runs, 1, 1), and which sources learn and count, 0 or 1.

    Of a run that has ended the step is 0. The last two are (epochs, runs, sources, 1).
    """
    about = runs[0].path.root.about
    names = [source.name for source in about.sources]
    epochs = max(run.cell.timeline.epochs for run in runs)
    rates = np.zeros((epochs, len(runs), 1, 1))
    learns = np.ones((epochs, len(runs), len(names), 1))
    speaks = np.ones_like(learns)
    items = about.sources[0].shape[0]
    for r, run in enumerate(runs):
        for leg in run.path.legs:
            for epoch in range(leg.start, leg.stop):
                rates[epoch, r] = leg.rate(run.cell.settings.training, epoch) / items
            for deficit in leg.deficits:
                place = [names.index(name) for name in deficit.touches]
                learns[leg.start : leg.stop, r, place] = 0
                if isinstance(deficit, Silence):
                    speaks[leg.start : leg.stop, r, place] = 0
    return rates, learns, speaks


def _train_loss(runs: Sequence[Run], outputs: Floats) -> pl.DataFrame:
    """Predict the loss of each epoch before its step, on the sources that count in it."""
    target = _network(runs).target
    missing = modes(target)[1].numpy() - (outputs[:-1] * _schedule(runs)[2]).sum(2)  # (epochs, runs, modes)
    losses = (missing**2).sum(2) / (2 * target_matrix(target).shape[1])
    rows = [
        (run.name, epoch + 1, "", "", "train_loss", loss)
        for run, own in zip(runs, losses.T.tolist(), strict=True)
        for epoch, loss in enumerate(own[: run.cell.timeline.epochs])
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _probed(
    runs: Sequence[Run], outputs: Floats, only_ends: bool
) -> Iterable[tuple[pl.DataFrame, dict[str, NDArray[np.float32]]]]:
    """Probe the maps that the theory predicts, at the epochs at which the study was probed."""
    settings = runs[0].cell.settings
    network, probe, about = _network(runs), settings.probe, runs[0].path.root.about
    layers = tuple(layer for layer in probe.layers if layer in OUTPUTS)
    measures = [m for m in probe.measures if m in OF_THE_MAP and (layers or m != "rank")]
    asked = msgspec.structs.replace(probe, layers=layers, measures=tuple(measures))
    shallow = msgspec.structs.replace(network, depth=1)
    with seeded_globals(0, "template"):
        template = shallow.build(about.sources, len(about.classes))
    stacked = Stacked(template)
    test = settings.task.load(0).test  # a linear task is the same for all seeds
    answers = template.get_buffer("heads.both.answers")
    # Runs with equal beginnings share their states, as they do in the bench.
    places: dict[str, list[tuple[int, int]]] = {}
    for r, run in enumerate(runs):
        last = run.cell.timeline.epochs
        for epoch in range(last + 1):
            if epoch == last or (not only_ends and (epoch % probe.every == 0 or epoch in run.boundaries)):
                places.setdefault(run.path.key(epoch), []).append((r, epoch))
    u, _, v = (x.numpy() for x in modes(network.target))
    for start in range(0, len(places), ROWS):
        shared = list(places.values())[start : start + ROWS]
        some = [same[0] for same in shared]
        index = np.array([*some, some[0]]).T  # one row more, as a stack has two or more
        maps = np.einsum("om,rsm,im->sroi", u, outputs[index[1], index[0]], v)  # (sources, rows, outputs, items)
        weights: dict[str, Tensor] = {
            f"pathways.{source.name}.1.weight": torch.from_numpy(one).float()
            for source, one in zip(about.sources, maps, strict=True)
        }
        weights["heads.both.answers"] = answers.expand(len(some) + 1, *answers.shape)
        seeds = [runs[r].seed for r, _ in some]
        results = evaluate(stacked, weights, [test] * len(some), seeds, asked, settings.objective)
        rows, ends = [], {}
        for same, result in zip(shared, results, strict=True):
            for r, epoch in same:
                for quantity, layer, source, value in result.numbers:
                    rows.append((runs[r].name, epoch, layer or "", source or "", quantity, value))
                if epoch == runs[r].cell.timeline.epochs and result.units:
                    ends[runs[r].name] = next(iter(result.units.values()))["rsv"]
        yield pl.DataFrame(rows, schema=SCHEMA, orient="row"), ends
