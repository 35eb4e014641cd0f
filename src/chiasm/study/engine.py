"""The tree of phases, trained: ready edges fill a stack of rows, finished rows give way to waiting ones."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.probe import Probe, check_probe, evaluate
from chiasm.networks import Stacked, reestimated
from chiasm.optimiser import empty_slots
from chiasm.randomness import seeded_globals
from chiasm.study.plan import Node, Plan, Root, stretch
from chiasm.study.settings import Settings
from chiasm.study.store import Record, Store, Stored
from chiasm.tasks import Data, StreamedData
from chiasm.training import ALONE, Leg, Ranks, Row, Stack, State, Trained, clean, initial_state, renewed

CHECKPOINT = 60.0  # seconds between checkpoints of unfinished edges: what a kill can cost
PATIENCE = 20.0  # and as many times as an evaluation takes, as a checkpoint needs one: at most a twentieth more work


class Watcher(Protocol):
    """Receives the progress of the work."""

    def begin(self, plan: Plan, cached: int) -> None:
        """Receive, once, the plan and how many run-epochs the store already holds."""

    def advance(self, epochs: int, runs_done: int) -> None:
        """Receive, after every epoch of a stack, the run-epochs trained and the runs whose end is reached so far."""

    def say(self, sentence: str) -> None:
        """Receive what a person should know at once."""


@dataclass
class _Edge:
    """An edge in training: the node it leads to, what it was grown from, what was measured on the way."""

    node: Node
    parent: str
    start: int
    records: list[Record] = field(default_factory=list)
    units: dict[str, NDArray[np.generic]] = field(default_factory=dict)


def check_networks(plan: Plan) -> None:
    """Build every network of a plan once and refuse what it cannot answer, before anything is written."""
    for root in (run.path.root for run in plan.runs):
        for name, objective in root.settings.objectives.items():
            if (wanted := objective.outputs(len(root.about.classes), root.about.target)) != root.outputs:
                raise ChiasmError(
                    f"objective.{name} wants a network of {wanted} outputs, the study's own objective one of "
                    f"{root.outputs}; expected objectives of one size"
                )
    roots = {(run.path.root.signature, repr(run.path.root.settings.objectives)): run.path.root for run in plan.runs}
    for root in roots.values():
        with seeded_globals(0, "template"):
            network = root.network()
        names, settings = [source.name for source in root.about.sources], root.settings
        layers = [name for name, _ in network.template.named_modules() if name]
        for name, objective in settings.objectives.items():
            objective.check(network.tokens)
            for part in objective.fresh:
                if part not in layers:
                    raise unknown("layer", part, layers, f"objective.{name}.fresh" if name else "objective.fresh")
        check_probe(network, settings.probe, names, root.about.test, settings.objective, root.about.factors)


@dataclass
class _Queue:
    """Nodes whose parent is done; the one with the longest way still to go comes first, so that none is left over."""

    wanted: dict[str, int]
    waiting: list[tuple[int, int, Node]] = field(default_factory=list)

    def push(self, node: Node) -> None:
        assert node.leg is not None
        way = node.height + node.leg.stop - node.leg.start
        heapq.heappush(self.waiting, (-way, self.wanted[node.key], node))

    def pop(self) -> Node:
        return heapq.heappop(self.waiting)[2]


@dataclass
class Engine:
    """Train what a plan needs and the store lacks.

    Args:
        plan: the tree.
        store: where nodes are kept.
        device: where to compute.
        rows: how many runs train at once; says nothing about the numbers, only about the time.
        watcher: receives the progress.
        checkpoint: seconds after which unfinished edges are cut and stored; the cut changes no number.
        patience: how many times as long as the last evaluation took must have passed as well.
        only: keys of the nodes to train and to count, where other workers train the rest; None: all.
        ranks: the processes that train the same rows together; the first one measures and writes.
    """

    plan: Plan
    store: Store
    device: torch.device
    rows: int
    watcher: Watcher
    checkpoint: float = CHECKPOINT
    patience: float = PATIENCE
    only: frozenset[str] | None = None
    ranks: Ranks = ALONE
    done: dict[str, Stored] = field(default_factory=dict)
    _states: dict[str, tuple[State, int]] = field(default_factory=dict)
    _data: dict[tuple[str, int], Data | StreamedData] = field(default_factory=dict)
    _ends: dict[str, int] = field(default_factory=dict)
    _evaluating: float = 0.0

    def run(self) -> dict[str, Stored]:
        """Return every node of the plan by key, numbers only; trains the missing ones."""
        nodes = self.plan.nodes
        for key in nodes:
            self._recall(key)
        self.ranks.wait()  # all have read before one writes
        ends = [run.path.key(run.cell.timeline.epochs) for run in self.plan.runs]
        ends = [key for key in ends if self.only is None or key in self.only]
        cached = sum(n.leg.stop - n.leg.start for key, n in nodes.items() if n.leg and key in self.done)
        self._ends = {key: ends.count(key) for key in set(ends)}
        self.watcher.begin(self.plan, cached)
        self.watcher.advance(0, self._finished())
        for group in self._groups():
            self._train(group)
        return self.done

    def _recall(self, key: str) -> bool:
        """Take a node from the store with all it was grown from; one whose way is broken counts as missing."""
        chain: list[Stored] = []
        at: str | None = key
        while at is not None and at not in self.done:
            node = self.store.get(at)
            if node is None:
                return False
            chain.append(node)
            at = node.parent
        self.done |= {node.key: node for node in chain}
        return True

    def _mine(self, key: str) -> bool:
        """Whether a node is still to be trained, and by this engine."""
        return key not in self.done and (self.only is None or key in self.only)

    def _finished(self) -> int:
        return sum(count for key, count in self._ends.items() if key in self.done)

    def _groups(self) -> Iterator[list[Node]]:
        """Missing nodes, grouped by what must agree inside a stack, in the order of the plan."""
        groups: dict[str, list[Node]] = {}
        for key, node in self.plan.nodes.items():
            if self._mine(key):
                groups.setdefault(node.path.root.signature, []).append(node)
        yield from groups.values()

    def _train(self, missing: Sequence[Node]) -> None:
        settings = missing[0].path.root.settings
        with seeded_globals(0, "template"):
            network = missing[0].path.root.network()
        network.template.to(self.device)
        stack = missing[0].path.root.stack(network)
        stack.ranks = self.ranks
        capacity = self.rows if network.stackable else 1
        wanted = {node.key: i for i, node in enumerate(missing)}
        queue = _Queue(wanted)
        for node in missing:
            if node.parent is None:
                self._plant(node, network)
            elif node.parent in self.done:
                self._offer(node, queue)
        edges: list[_Edge] = []
        keep: list[int] = []
        last = time.monotonic()
        while keep or queue.waiting:
            joining = [self._start(queue.pop()) for _ in range(min(capacity - len(keep), len(queue.waiting)))]
            edges += [edge for edge, _, _ in joining]
            if joining or len(keep) != len(stack.rows):
                stack.refill(keep, [(row, state) for _, row, state in joining])
            records = stack.epoch()
            for edge, row, trained in zip(edges, stack.rows, records, strict=True):
                edge.records += _numbers(trained, row)
            cut = self.ranks.first and time.monotonic() - last > max(self.checkpoint, self.patience * self._evaluating)
            last = time.monotonic() if cut else last
            self._measure(stack, edges, settings, everyone=cut)
            keep, edges = self._collect(stack, edges, queue, cut)
            self.watcher.advance(len(records), self._finished())
        self._data.clear()
        self._states.clear()

    def _collect(self, stack: Stack, edges: Sequence[_Edge], queue: _Queue, cut: bool) -> tuple[list[int], list[_Edge]]:
        """Store the rows whose edge has ended, offer what grows from them; return the places and edges that go on."""
        keep, going = [], []
        for i, (edge, row) in enumerate(zip(edges, stack.rows, strict=True)):
            if row.epoch == row.leg.stop or row.diverged:
                self._finish(edge, row, None if row.diverged else stack.state(i))
                for child in edge.node.children:
                    if child in queue.wanted:
                        self._offer(self.plan.nodes[child], queue)
            else:
                keep.append(i)
                going.append(self._cut(edge, row, stack.state(i)) if cut else edge)
        return keep, going

    def _plant(self, node: Node, network: Stacked) -> None:
        """Draw a root's weights and measure them."""
        root = node.path.root
        with seeded_globals(root.seed, "init"):
            own = root.network()
        own.template.to(self.device)
        state = initial_state(own, root.settings.training)
        lone = root.stack(network)
        lone.refill([], [(self._row(node, Leg(root.seed, 0, 0, (), None)), state)])
        edge = _Edge(node, "", 0)
        self._see(lone, [0], [edge], root.settings, root.settings.probe)
        self._keep(Stored(node.key, None, 0, 0, False, edge.records, edge.units, state), node)

    def _offer(self, node: Node, queue: _Queue) -> None:
        """Let a node whose parent is done wait for a row; what follows a diverged run is closed at once."""
        assert node.parent is not None
        parent = self.done[node.parent]
        if not parent.diverged:
            queue.push(node)
            return
        self._keep(Stored(node.key, parent.key, node.epoch, parent.epoch, True), node)
        for child in node.children:
            if child in queue.wanted:
                self._offer(self.plan.nodes[child], queue)

    def _start(self, node: Node) -> tuple[_Edge, Row, State]:
        """Load the state that an edge begins from: the parent's, or a checkpoint on the way."""
        assert node.leg is not None
        assert node.parent is not None
        at, key = node.leg.start, node.parent
        for epoch in range(node.leg.stop - 1, node.leg.start, -1):
            between = node.path.key(epoch)
            if self.store.path(between).exists() and self._recall(between) and not self.done[between].diverged:
                at, key = epoch, between
                break
        leg = stretch(node.path, at, node.leg.stop)
        state = self._take(key)
        if leg.drop:
            slots = empty_slots(state.weights, node.path.root.settings.training.optimiser)
            state = State(state.weights, state.buffers, slots)
        if leg.fresh:
            with seeded_globals(leg.seed, "fresh", at):
                drawn = node.path.root.network()
            drawn.template.to(self.device)
            state = renewed(state, drawn, leg.fresh)
        return _Edge(node, key, at), self._row(node, leg), state

    def _take(self, key: str) -> State:
        """Return a node's state, from memory while edges that grow from it are still to start, or from the store."""
        if key in self._states:
            state, wanted = self._states.pop(key)
            if wanted > 1:
                self._states[key] = (state, wanted - 1)
            return state
        self.store.flush()
        node = self.store.get(key, state=True)
        if node is None or node.state is None:
            raise ChiasmError(
                f"node {key[:12]} vanished from the store while it was needed; run the same command again"
            )
        return node.state.to(self.device)

    def _row(self, node: Node, leg: Leg) -> Row:
        root = node.path.root
        return Row(leg, root.settings.training, root.settings.task, self._load(root).train, leg.start)

    def _load(self, root: Root) -> Data | StreamedData:
        address = (repr(root.settings.task), root.seed)
        if address not in self._data:
            data = root.settings.task.load(root.seed)
            if root.content != root.settings.task.content_key():
                raise ChiasmError("the task's data changed on disk while the study ran; run the same command again")
            self._data[address] = data.to(self.device)
        return self._data[address]

    def _measure(self, stack: Stack, edges: Sequence[_Edge], settings: Settings, everyone: bool) -> None:
        """Evaluate the rows whose turn it is: every so many epochs, and wherever an edge ends.

        In the last epochs before an edge ends, only their outcome: a run may end there, and settle on their mean.
        """
        probe = settings.probe
        whole, brief = [], []
        for i, row in enumerate(stack.rows):
            if row.diverged:
                continue
            if everyone or row.epoch % probe.every == 0 or row.epoch == row.leg.stop:
                whole.append(i)
            elif row.epoch > row.leg.stop - probe.tail:
                brief.append(i)
        if whole:
            began = time.monotonic()
            self._see(stack, whole, [edges[i] for i in whole], settings, probe)
            self._evaluating = time.monotonic() - began
        if brief and "outcome" in probe.measures:
            only = msgspec.structs.replace(probe, measures=("outcome",))
            self._see(stack, brief, [edges[i] for i in brief], settings, only)

    def _see(self, stack: Stack, due: Sequence[int], edges: Sequence[_Edge], settings: Settings, probe: Probe) -> None:
        if not self.ranks.first:
            return
        weights = stack.everything(due)
        if settings.training.bn_reestimate:
            rows = [stack.rows[i] for i in due] * (2 if stack.network.stackable and len(due) == 1 else 1)
            weights |= reestimated(stack.network, weights, clean(rows, settings.training.batch))
        tests = [self._load(edge.node.path.root).test for edge in edges]
        seeds = [edge.node.path.root.seed for edge in edges]
        factors = edges[0].node.path.root.about.factors
        results = evaluate(stack.network, weights, tests, seeds, probe, settings.objective, factors)
        for i, edge, result in zip(due, edges, results, strict=True):
            epoch = stack.rows[i].epoch
            edge.records += [(epoch, *number) for number in result.numbers]
            for layer, fields in result.units.items():
                edge.units |= {f"{epoch}/{layer}/{name}": array for name, array in fields.items()}

    def _finish(self, edge: _Edge, row: Row, state: State | None) -> None:
        """Store the node at the end of an edge; a diverged run's node says so and holds no state."""
        records = [*edge.records, (row.epoch, "diverged", None, None, 1.0)] if row.diverged else edge.records
        node = edge.node
        self._keep(
            Stored(node.key, edge.parent, node.epoch, edge.start, row.diverged, records, edge.units, state), node
        )

    def _cut(self, edge: _Edge, row: Row, state: State) -> _Edge:
        """Store an unfinished edge as a node of its own and go on from there."""
        key = edge.node.path.key(row.epoch)
        stored = Stored(key, edge.parent, row.epoch, edge.start, False, edge.records, edge.units, state)
        self.store.put(stored)
        self.done[key] = replace(stored, state=None)
        return _Edge(edge.node, key, row.epoch)

    def _keep(self, stored: Stored, node: Node) -> None:
        if self.ranks.first:
            self.store.put(stored)
        self.done[node.key] = replace(stored, state=None)
        wanted = sum(self._mine(child) for child in node.children)
        if stored.state is not None and wanted:
            self._states[node.key] = (stored.state, wanted)


def _numbers(trained: Trained, row: Row) -> list[Record]:
    numbers = (
        ("train_loss", trained.loss),
        (f"train_{trained.quantity}", trained.score),
        ("learning_rate", trained.rate),
    )
    return [(row.epoch, quantity, None, None, value) for quantity, value in numbers]
