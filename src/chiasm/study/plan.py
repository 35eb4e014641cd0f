"""A study compiled into a tree of phases: runs with equal beginnings share them, each edge is trained once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from chiasm.errors import ChiasmError
from chiasm.networks import Stacked
from chiasm.objectives import Classify, Objective
from chiasm.registry import kind_digest
from chiasm.structs import identifying
from chiasm.study.settings import Settings
from chiasm.study.spec import Cell, Study
from chiasm.tasks import Description
from chiasm.timeline import Timeline
from chiasm.training import Leg, Precision, Stack, Training, resolved

#: Bumped whenever the code changes what a node holds for the same settings; old nodes are then computed again.
FORMAT = 2


@dataclass(frozen=True)
class Root:
    """What the runs of one tree share: the settings that shape training and measurement, and the seed.

    Attributes:
        settings: typed settings (the clock and the momentum rule count where they act, in the legs).
        seed: the replicate.
        content: what identifies the task's data where the settings alone do not (a file's hash).
        device: "cpu" or "cuda".
        about: what the task holds.
        code: hashes of the code outside the package that shapes the runs.
    """

    settings: Settings
    seed: int
    content: str
    device: str
    about: Description
    code: str = ""

    @cached_property
    def identity(self) -> str:
        """Hash of everything but the timeline, as canonical JSON."""
        tables = self.settings.plain()
        for acts_in_legs in ("clock", "momentum_at_switch"):
            tables["training"].pop(acts_in_legs)
        tables["training"]["precision"] = self.precision
        if self.content:
            for key in self.settings.task.whereabouts:  # data are known by what they hold, not by where they lie
                tables["task"].pop(key, None)
        torch_version = torch.__version__.split("+", maxsplit=1)[0]
        identity = [FORMAT, torch_version, self.device, self.seed, self.content + self.code, tables]
        return hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @cached_property
    def precision(self) -> Precision:
        """In which numbers the runs are trained on this machine."""
        return resolved(self.settings.training.precision, self.settings.network, self.device)

    def stack(self, network: Stacked) -> Stack:
        """Return an empty stack that trains as these settings say."""
        return Stack(network, self.precision, channels_last=self.settings.network.large)

    @property
    def outputs(self) -> int:
        """How many numbers the network answers with."""
        return self.settings.objective.outputs(len(self.about.classes), self.about.target)

    def network(self) -> Stacked:
        """Build the network, its weights drawn from torch's global generator."""
        kind, sources = self.settings.network, self.about.sources
        network = kind.build(sources, self.outputs)
        if self.settings.decodes:
            network.decoders = torch.nn.ModuleDict(kind.decoders(network, sources))
        return Stacked(network)

    @cached_property
    def signature(self) -> str:
        """What must agree for two rows to train in one stack: shapes, optimiser, batch, objective, probe."""
        settings, training, about = self.settings, self.settings.training, self.about
        shapes = [(s.name, s.shape, s.kind) for s in about.sources]
        tables = settings.plain()
        return repr(
            (
                (shapes, about.classes, about.target, about.train, about.test),
                (tables["network"], tables["objective"], tables["probe"]),
                (training.optimiser, training.batch, training.bn_reestimate, self.precision),
            )
        )


@dataclass(frozen=True)
class Path:
    """The legs of one run in order, and the keys of its states."""

    root: Root
    legs: tuple[Leg, ...]

    def key(self, epoch: int) -> str:
        """Return the key of the state after `epoch` epochs: the hash of everything that led to it."""
        legs: list[list[Any]] = []
        for leg in self.legs:
            if leg.start < epoch:
                legs.append([_named(leg), min(leg.stop, epoch) - leg.start, leg.tick, leg.drop, *_codes(leg)])
        return hashlib.sha256(json.dumps([self.root.identity, legs]).encode()).hexdigest()


@dataclass(frozen=True)
class Run:
    """One seed through one timeline.

    Attributes:
        cell: the cell of the study.
        seed: the replicate.
        path: its legs and keys.
    """

    cell: Cell
    seed: int
    path: Path

    @property
    def name(self) -> str:
        """Unique in the study: "duration[d=40]#2"."""
        label = f"[{self.cell.label}]" if self.cell.label else ""
        return f"{self.cell.arm}{label}#{self.seed}"

    @property
    def boundaries(self) -> tuple[int, ...]:
        """Epochs at which a leg of this run ends."""
        return tuple(leg.stop for leg in self.path.legs)


@dataclass
class Node:
    """A state on the tree: what it grows from, and what grows from it.

    Attributes:
        key: hash of everything that led to it.
        path: a path that leads to it; epoch: how far along.
        leg: the leg from the parent's epoch to this one; None for a root.
        parent: key of the parent; None for a root.
        children: keys of the nodes that continue it.
        height: epochs of the longest way down from here.
    """

    key: str
    path: Path
    epoch: int
    leg: Leg | None
    parent: str | None
    children: list[str] = field(default_factory=list)
    height: int = 0


@dataclass(frozen=True)
class Plan:
    """The tree of a study.

    Attributes:
        study: the study.
        runs: every run, arm by arm, cell by cell, seed by seed.
        nodes: the states to be had, by key, parents before children.
    """

    study: Study
    runs: tuple[Run, ...]
    nodes: Mapping[str, Node]

    @property
    def naive_epochs(self) -> int:
        """Run-epochs if every run were trained alone."""
        return sum(run.cell.timeline.epochs for run in self.runs)

    @property
    def epochs(self) -> int:
        """Run-epochs of the tree, each edge once."""
        return sum(node.leg.stop - node.leg.start for node in self.nodes.values() if node.leg)


def make_plan(study: Study, device: str = "cpu") -> Plan:
    """Compile a study for a kind of device ("cpu" or "cuda"), which is part of every key."""
    runs = []
    known: dict[str, tuple[str, Description]] = {}  # a file is read once, however many cells train on it
    for cell in study.cells():
        task = cell.settings.task
        if repr(task) not in known:
            known[repr(task)] = (task.content_key(), task.describe())
        content, about = known[repr(task)]
        sources = {tuple(source.name for source in about.sources) for _, about in known.values()}
        if len(sources) > 1:
            raise ChiasmError(f"the arms of a study need the same sources in the same order; given: {sorted(sources)}")
        code = cell.settings.code_digest()
        for seed in range(study.seeds):
            root = Root(cell.settings, seed, content, device, about, code)
            legs = legs_of(cell.timeline, cell.settings.training, seed, cell.settings.objectives)
            runs.append(Run(cell, seed, Path(root, legs)))
    nodes: dict[str, Node] = {}
    for group in _trees(runs):
        _grow(group, nodes)
    for node in reversed(list(nodes.values())):
        if node.parent is not None and node.leg is not None:
            above = nodes[node.parent]
            above.height = max(above.height, node.height + node.leg.stop - node.leg.start)
    return Plan(study, tuple(runs), nodes)


def legs_of(
    timeline: Timeline, training: Training, seed: int, objectives: Mapping[str, Objective] | None = None
) -> tuple[Leg, ...]:
    """Cut a timeline into legs, each with what its clock shows at the start and what it trains for.

    Objectives are given by name, the study's own under "". The clock "absolute" counts epochs from the start of
    training; "since_release" starts anew where a deficit gives way to clean data; "constant" does not count.
    """
    legs: list[Leg] = []
    tick = 0
    known = objectives or {"": Classify()}
    for start, stop, deficits, name in timeline.segments():
        if legs and legs[-1].deficits and not deficits and training.clock == "since_release":
            tick = 0
        objective = known[name]
        changes = bool(legs) and legs[-1].objective != objective
        tick = 0 if changes and objective.restart else tick
        shown = None if training.clock == "constant" else tick
        drop = bool(legs) and (training.momentum_at_switch == "drop" or (changes and objective.restart))
        fresh = objective.fresh if changes else ()
        legs.append(Leg(seed, start, stop, deficits, shown, drop, objective, objective != known[""], fresh))
        tick += stop - start
    return tuple(legs)


def _trees(runs: Sequence[Run]) -> list[list[Run]]:
    """Group runs that may share a beginning: those of one root."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.path.root.identity, []).append(run)
    return list(groups.values())


def _grow(runs: Sequence[Run], nodes: dict[str, Node]) -> None:
    """Add the states of some runs to the tree: a node wherever a run's leg ends or two runs part."""
    cuts = {run.path.key(epoch) for run in runs for epoch in (0, *run.boundaries)}
    partings = {epoch for run in runs for epoch in run.boundaries}
    for run in runs:
        parent: Node | None = None
        own = {0, *run.boundaries}
        for epoch in sorted(own | partings):
            if epoch > (run.boundaries[-1] if run.boundaries else 0):
                break
            key = run.path.key(epoch)
            if epoch not in own and key not in cuts:
                continue
            if key not in nodes:
                leg = None if parent is None else stretch(run.path, parent.epoch, epoch)
                nodes[key] = Node(key, run.path, epoch, leg, parent.key if parent else None)
                if parent is not None:
                    parent.children.append(key)
            parent = nodes[key]


def stretch(path: Path, start: int, stop: int) -> Leg:
    """Return the part of a path's leg between two epochs; what happens at its beginning happens only there."""
    leg = next(leg for leg in path.legs if leg.start <= start and stop <= leg.stop)
    tick = None if leg.tick is None else leg.tick + start - leg.start
    begins = start == leg.start
    return replace(leg, start=start, stop=stop, tick=tick, drop=leg.drop and begins, fresh=leg.fresh if begins else ())


def _named(leg: Leg) -> str:
    return " + ".join(str(deficit) for deficit in leg.deficits) or "clean"


def _codes(leg: Leg) -> list[Any]:
    """Return what else identifies a leg: an objective of its own, and the code of deficits that are plug-ins."""
    codes: list[Any] = [digest for deficit in leg.deficits if (digest := kind_digest(deficit))]
    if leg.named:
        codes += [identifying(leg.objective), leg.objective.code_digest()]
    return codes
