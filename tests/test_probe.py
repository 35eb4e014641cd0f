"""The probe of a study against the public verb, and against plain evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import chiasm
from chiasm.measuring.probe import Probe, look, summary
from chiasm.networks import SplitCNN, SplitMLP, Stacked
from chiasm.randomness import seeded_globals
from chiasm.tasks import Stereogram

FLAT = Stereogram(size=8, disparities=(-1, 1), train=64, test=96)
IMAGE = Stereogram(dims=2, size=6, disparities=(-1, 1), train=64, test=48)


def built(spec: Any, task: Stereogram, seed: int) -> nn.Module:
    about = task.describe()
    with seeded_globals(seed, "init"):
        made: nn.Module = spec.build(about.sources, 2)
    return made.eval()


def stack(modules: list[nn.Module]) -> dict[str, torch.Tensor]:
    held = [dict(m.named_parameters()) | dict(m.named_buffers()) for m in modules]
    return {name: torch.stack([h[name].detach() for h in held]) for name in held[0]}


@pytest.mark.parametrize(
    ("spec", "task"),
    [
        (SplitMLP(depth=2, width=12), FLAT),
        (SplitMLP(depth=1, width=6, fusion="concat"), FLAT),
        (SplitCNN(channels=(3, 4)), IMAGE),
    ],
    ids=["mlp", "concat", "cnn"],
)
@pytest.mark.parametrize("layers", [("fusion", "trunk", ""), ("pathways.left", "fusion")])
def test_the_probe_sees_what_measure_sees(spec: Any, task: Stereogram, layers: tuple[str, ...]) -> None:
    modules = [built(spec, task, seed) for seed in (3, 4)]
    tests = [task.load(seed).test for seed in (3, 4)]
    stacked = Stacked(modules[0])
    seen = look(stacked, stack(modules), tests, [3, 4], Probe(layers=layers, anchors=32))
    for i, (module, test) in enumerate(zip(modules, tests, strict=True)):
        whole = chiasm.measure(module, dict(test.sources), list(layers), anchors=32, seed=3 + i)
        for layer in layers:
            found, wanted = seen[i].units[layer], whole[layer]
            np.testing.assert_array_equal(found["dead"], wanted.dead)
            # the same anchors and pairs; float32 activations summed in another order
            np.testing.assert_allclose(found["rsv"], wanted.rsv("left", "right"), atol=2e-4)
            np.testing.assert_allclose(found["synergy"], wanted.synergy(), atol=2e-4)
            np.testing.assert_allclose(found["first"], wanted.first(), atol=2e-4)
        if "pathways.left" in layers:
            live = ~seen[i].units["pathways.left"]["dead"]
            assert (seen[i].units["pathways.left"]["rsv"][live] == 1).all()


@pytest.mark.parametrize(("spec", "task"), [(SplitMLP(depth=2, width=12), FLAT), (SplitCNN(channels=(3,)), IMAGE)])
def test_accuracies_are_those_of_plain_evaluation(spec: Any, task: Stereogram) -> None:
    modules = [built(spec, task, seed) for seed in (1, 2, 3)]
    tests = [task.load(seed).test for seed in (1, 2, 3)]
    seen = look(Stacked(modules[0]), stack(modules), tests, [1, 2, 3], Probe(layers=()))
    for module, test, one in zip(modules, tests, seen, strict=True):
        numbers = {(quantity, source): value for quantity, _, source, value in one.numbers}
        for heard in ("all", "left", "right"):
            silent = [name for name in test if heard not in ("all", name)]
            with torch.no_grad():
                logits = module(dict(test.silenced(*silent).sources))["both"]
            assert numbers["accuracy", heard] == pytest.approx((logits.argmax(1) == test.target).float().mean().item())
            loss = nn.functional.cross_entropy(logits, test.target).item()
            assert numbers["loss", heard] == pytest.approx(loss, rel=1e-5)


def test_the_summary_counts_live_units_only() -> None:
    from chiasm.measuring.components import Components
    from chiasm.measuring.result import LayerMeasurement

    first = np.array([[4.0, 1.0, 0.0, 0.0], [0.0, 1.0, 2.0, 0.0]])
    grid = Components(first, first, np.zeros(4), first.sum(0))
    told = {(q, source): v for q, _, source, v in summary("z", LayerMeasurement("z", ("l", "r"), grid))}
    assert told["dead", None] == 1
    assert told["units", None] == 4
    assert told["rsv_mean", None] == pytest.approx((1 + 0 - 1) / 3)
    assert told["rsv_beyond", None] == pytest.approx(1 / 3)
    assert told["polarised", None] == pytest.approx(2 / 3)
    assert told["first_mean", "l"] == pytest.approx((1 + 0.5 + 0) / 3)
