"""What a plan will cost, before it is run."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from chiasm.measuring.probe import check_probe, evaluate
from chiasm.randomness import seeded_globals
from chiasm.sources import Batch
from chiasm.study.executors import default_workers, shares
from chiasm.study.plan import Node, Plan
from chiasm.training import Row, Stack, initial_state

STEPS = 6  # steps that are timed, after two that warm the machine up


@dataclass(frozen=True, slots=True)
class Cost:
    """An estimate: seconds of training and measuring in so many processes, and bytes on disk."""

    seconds: float
    size: int
    processes: int


def estimate(plan: Plan, missing: set[str], rows: int, workers: int | None, threads: int, device: torch.device) -> Cost:
    """Time a few steps and one evaluation of each kind of stack in the plan, and count.

    Args:
        plan: the plan.
        missing: keys of the nodes that are still to be computed.
        rows: how many runs train at once in a process.
        workers: how many processes; None: as many as `train` would take.
        threads: of each process.
        device: where.
    """
    processes = len(shares(plan, missing, workers or default_workers(device)))
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(threads)
    try:
        seconds, size = _count(plan, missing, rows, device)
    finally:
        torch.set_num_threads(before)
    return Cost(seconds / processes, size, processes)


def _count(plan: Plan, missing: set[str], rows: int, device: torch.device) -> tuple[float, int]:
    groups: dict[str, list[Node]] = {}
    for key in missing:
        node = plan.nodes[key]
        if node.leg is not None:
            groups.setdefault(node.path.root.signature, []).append(node)
    seconds, size = 0.0, 0
    for nodes in groups.values():
        stack, tests = _sample(nodes, rows, device)
        settings = nodes[0].path.root.settings
        steps = -(-nodes[0].path.root.about.train // settings.training.batch)
        stack.epoch(limit=2)
        began = time.perf_counter()
        stack.epoch(limit=STEPS)
        epoch = (time.perf_counter() - began) / min(STEPS, steps) * steps
        weights = stack.everything(range(len(stack.rows)))
        # A first evaluation may take seconds, for what torch imports then.
        first = {name: w[:1] for name, w in weights.items()}
        factors = nodes[0].path.root.about.factors
        evaluate(stack.network, first, tests[:1], [0], settings.probe, settings.objective, factors)
        began = time.perf_counter()
        evaluate(stack.network, weights, tests, [0] * len(tests), settings.probe, settings.objective, factors)
        evaluating = time.perf_counter() - began
        epochs = sum(node.leg.stop - node.leg.start for node in nodes if node.leg)
        evaluations = len(nodes) + epochs / settings.probe.every
        seconds += (epochs * epoch + evaluations * evaluating) / len(stack.rows)
        state = stack.state(0)
        tensors = [*state.weights.values(), *state.buffers.values(), *state.slots.values()]
        size += len(nodes) * sum(t.numel() * t.element_size() for t in tensors)
    return seconds, size


def _sample(nodes: list[Node], rows: int, device: torch.device) -> tuple[Stack, list[Batch]]:
    """Build a stack as the plan would train it, from roots' states."""
    settings, about = nodes[0].path.root.settings, nodes[0].path.root.about
    with seeded_globals(0, "template"):
        network = nodes[0].path.root.network()
    network.template.to(device)
    names = [source.name for source in about.sources]
    check_probe(network, settings.probe, names, about.test, settings.objective, about.factors)
    data = settings.task.load(0)
    train, test = data.train.to(device), data.test.to(device)
    state = initial_state(network, settings.training)
    legs = [node.leg for node in nodes if node.leg][: rows if network.stackable else 1]
    stack = nodes[0].path.root.stack(network)
    joining = [(Row(leg, settings.training, settings.task, train, leg.start), state) for leg in legs]
    stack.refill([], joining)
    return stack, [test] * len(joining)
