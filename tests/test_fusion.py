"""Fusions that learn: their closed forms, and their evaluation for many rows at once."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.networks import Fusion, FusionNetwork, SplitCNN, SplitMLP, Stacked
from chiasm.sources import Source

Learned = Literal["gate", "attention"]
VECTORS = tuple(Source(name, (n,)) for n, name in enumerate("abc", start=4))
MAPS = tuple(Source(name, (c, 6, 5), "image") for c, name in enumerate("abc", start=1))


def fusion(operation: Learned, weight: Tensor | None = None, bias: list[float] | None = None) -> Fusion:
    """Return a fusion of two sources of three channels."""
    made = Fusion(operation, nn.Identity(), sources=2, channels=3)
    assert made.scores is not None
    with torch.no_grad():
        if weight is not None:
            made.scores.weight.copy_(weight)
        if bias is not None:
            made.scores.bias.copy_(torch.tensor(bias))
    return made


def pair(*places: int) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(4, 3, *places, generator=draw) for _ in range(2)]


@pytest.mark.parametrize("places", [(), (5, 2)], ids=["vectors", "maps"])
def test_scores_that_do_not_look_give_fixed_weights(places: tuple[int, ...]) -> None:
    z = pair(*places)
    three_to_one = fusion("attention", torch.zeros(2, 6), [float(torch.tensor(3.0).log()), 0.0])
    torch.testing.assert_close(three_to_one(z), 0.75 * z[0] + 0.25 * z[1])  # float32
    half = fusion("gate", torch.zeros(6, 6), [0.0] * 3 + [100.0] * 3)  # 1 - e^-100
    torch.testing.assert_close(half(z), 0.5 * z[0] + z[1])


def test_a_gate_is_one_a_source_and_channel_from_means_over_the_map() -> None:
    z = pair(5, 2)
    made = fusion("gate")
    assert made.scores is not None
    pooled = torch.cat([x.mean((2, 3)) for x in z], dim=1)
    gates = torch.sigmoid(pooled @ made.scores.weight.T + made.scores.bias)
    wanted = torch.einsum("nc,nchw->nchw", gates[:, :3], z[0]) + torch.einsum("nc,nchw->nchw", gates[:, 3:], z[1])
    torch.testing.assert_close(made(z), wanted)


def test_attention_looks_at_each_place_by_itself() -> None:
    z = pair(5, 2)
    made = fusion("attention")
    assert made.scores is not None
    kernel = made.scores.weight[:, :, None, None]
    shares = torch.softmax(nn.functional.conv2d(torch.cat(z, dim=1), kernel, made.scores.bias), dim=1)
    torch.testing.assert_close(made(z), z[0] * shares[:, :1] + z[1] * shares[:, 1:])
    moved = [x.clone() for x in z]
    moved[0][:, :, 4, 1] += 1
    change = (made(moved) - made(z)).abs().sum((0, 1))
    assert change[4, 1] > 0
    assert torch.count_nonzero(change) == 1


@pytest.mark.parametrize("operation", ["gate", "attention"])
@pytest.mark.parametrize(("kind", "sources"), [("mlp", VECTORS), ("cnn", MAPS)])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_stack_answers_as_its_networks_do(operation: Learned, kind: str, sources: Any, rows: int) -> None:
    spec = SplitMLP(depth=2, width=5, fusion=operation) if kind == "mlp" else SplitCNN(channels=(3,), fusion=operation)
    modules = []
    for seed in range(rows):
        torch.manual_seed(seed)
        modules.append(spec.build(sources, 4))
    x = {s.name: torch.randn(rows, 7, *s.shape) for s in sources}
    names = [name for name, _ in modules[0].named_parameters()]
    weights = {name: torch.stack([m.get_parameter(name).detach() for m in modules]).requires_grad_() for name in names}
    told = Stacked(modules[0])(weights, x, ["fusion.scores", "fusion"])
    grads = dict(
        zip(names, torch.autograd.grad(told.logits["both"].square().sum(), list(weights.values())), strict=True)
    )
    for row, module in enumerate(modules):
        alone = {name: each[row] for name, each in x.items()}
        answer = module(alone)["both"]
        encoded = list(module.encode(alone).values())
        torch.testing.assert_close(
            told.logits["both"][row], answer, rtol=1e-4, atol=1e-5
        )  # float32, some tens of terms
        torch.testing.assert_close(told.layers["fusion"][row], module.fusion(encoded), rtol=1e-4, atol=1e-5)
        scores = module.fusion.scores
        assert isinstance(scores, nn.Linear)
        asked = module.fusion.scores_input(encoded)
        torch.testing.assert_close(told.layers["fusion.scores"][row], scores(asked), rtol=1e-4, atol=1e-5)
        answer.square().sum().backward()
        for name in names:
            torch.testing.assert_close(grads[name][row], module.get_parameter(name).grad, rtol=1e-3, atol=1e-4)
        assert grads["fusion.scores.weight"][row].abs().sum() > 0


@pytest.mark.parametrize("operation", ["gate", "attention"])
def test_a_rows_bits_do_not_depend_on_its_company(operation: Learned) -> None:
    torch.manual_seed(0)
    networks: list[FusionNetwork] = [SplitMLP(depth=2, width=5, fusion=operation).build(VECTORS, 4) for _ in range(5)]
    stacked = Stacked(networks[0])
    assert stacked.stackable
    weights = {
        n: torch.stack([m.get_parameter(n).detach() for m in networks]) for n, _ in networks[0].named_parameters()
    }
    for _ in range(20):  # torch's own sigmoid, whose bits depend on an element's place, fails in one of four
        x = {s.name: torch.randn(5, 7, *s.shape) for s in VECTORS}
        together = stacked(weights, x).logits["both"]
        for rows in ([0, 1], [4, 2, 0], [3, 3], [1, 2, 3, 4]):
            some = stacked({n: w[rows] for n, w in weights.items()}, {n: each[rows] for n, each in x.items()})
            assert torch.equal(some.logits["both"], together[rows])


def test_a_fusion_that_cannot_be_is_one_sentence() -> None:
    with pytest.raises(ChiasmError, match=r"by gate has weights to learn, .*; given: 0 sources of 0 channels$"):
        Fusion("gate")
    with pytest.raises(ChiasmError, match=r"unknown fusion 'gates'.*did you mean 'gate'"):
        Fusion("gates")  # type: ignore[arg-type]
    uneven: dict[str, Any] = {"pathways": {"a": (3,)}, "fusion": "attention"}
    with pytest.raises(ChiasmError, match=r"'attention' needs pathways that end equally wide; given: a 3, b 64, c"):
        SplitMLP(**uneven).build(VECTORS, 4)
