"""All-CNN of several sources: its published shape, its forward pass written out, its parameter-matched widths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from chiasm.errors import ChiasmError
from chiasm.networks import AllConv, FusionNetwork, Stacked
from chiasm.sources import Source

EYES = (Source("left", (3, 32, 32), "image"), Source("right", (3, 32, 32), "image"))
SMALL = (Source("left", (2, 8, 12), "image"), Source("right", (1, 8, 12), "image"))
Fuse = Literal["blocks", "logits"]


def images(sources: tuple[Source, ...], samples: int) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return {s.name: torch.randn(samples, *s.shape, generator=draw) for s in sources}


def built(spec: AllConv, sources: tuple[Source, ...] = SMALL, classes: int = 5, seed: int = 0) -> FusionNetwork:
    torch.manual_seed(seed)
    return spec.build(sources, classes)


def counted(n: int, w: int, fuse: Fuse, readouts: int = 1, classes: int = 10) -> int:
    """Count the parameters for two eyes of three channels: convolutions, 2 a channel of BatchNorm, biased readouts.

    Block i holds 9 (m^2 + 2 m^2) weights for m = w 2^(i-1), so all of them 27 w^2 (4^n - 1) / 3.
    """
    pathway = 27 * w + 9 * w * w * (4**n - 1) + 2 * (w + 3 * w * (2**n - 1))
    end = w * 2**n
    after = 10 * end * end + 4 * end
    endings = 2 if fuse == "logits" else 1
    return int(2 * pathway + endings * after + endings * readouts * (end + 1) * classes)


def size(network: FusionNetwork) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameters_are_those_of_the_published_description() -> None:
    # n = 1, by hand: two pathways 3-96-96-192, shared 3 x 3 and 1 x 1 of 192, a readout of 10.
    by_hand = 2 * (2592 + 192 + 82944 + 192 + 165888 + 384) + (331776 + 384 + 36864 + 384) + 1930
    assert size(AllConv(depth=1).build(EYES, 10)) == by_hand
    fuses: tuple[Fuse, ...] = ("blocks", "logits")
    for depth in (1, 2, 3):
        for fuse in fuses:
            spec = AllConv(depth=depth, width=6, fuse=fuse)
            assert size(spec.build(EYES, 10)) == counted(depth, 6, fuse)
    assert size(AllConv(depth=2, width=6, heads="per_source").build(EYES, 10)) == counted(2, 6, "blocks", readouts=3)


@pytest.mark.parametrize("fuse", ["blocks", "logits"])
@pytest.mark.parametrize("width", [5, 24])
def test_matched_widths_are_the_nearest_there_are(fuse: Fuse, width: int) -> None:
    wanted = counted(2, width, fuse)
    for depth in (1, 2, 3, 4):
        spec = AllConv(depth=depth, width=width, fuse=fuse, matched=True)
        apart = {w: abs(counted(depth, w, fuse) - wanted) for w in range(1, 8 * width)}
        assert spec.width_for(EYES, 10) == min(apart, key=lambda w: apart[w])
        if depth < 3:
            assert size(spec.build(EYES, 10)) == counted(depth, spec.width_for(EYES, 10), fuse)
    assert AllConv(depth=3, width=width, fuse=fuse).width_for(EYES, 10) == width
    assert AllConv(depth=4, width=1, matched=True).width_for(EYES, 10) == 1  # no narrower one is there


def test_matched_to_within_two_percent_at_the_published_width() -> None:
    wanted = counted(2, 96, "blocks")
    for depth, width in ((1, 205), (3, 47)):
        assert AllConv(depth=depth, matched=True).width_for(EYES, 10) == width
        # A step of width changes parameters by 2 / width of them: half of it is the most that a match misses.
        assert abs(counted(depth, width, "blocks") / wanted - 1) < 1 / width + 1e-3


def plainly(network: FusionNetwork, x: dict[str, Tensor], depth: int, fuse: Fuse, train: bool) -> Tensor:
    """Run a network, written out from the published description with its tensors in their order."""
    held: Iterator[Tensor] = iter(network.state_dict().values())

    def unit(x: Tensor, stride: int = 1) -> Tensor:
        kernel = next(held)
        x = functional.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        weight, bias, mean, var, _ = (next(held) for _ in range(5))
        if train:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        scale = weight / (var + 1e-5).sqrt()
        return (x * scale[:, None, None] + (bias - mean * scale)[:, None, None]).clamp(min=0)

    def readout(x: Tensor) -> Tensor:
        weight, bias = next(held), next(held)
        return functional.conv2d(x, weight.reshape(*weight.shape[:2], 1, 1), bias)

    met = torch.zeros(())
    for image in x.values():
        y = unit(image)
        for _ in range(depth):
            y = unit(unit(y), stride=2)
        met = met + (readout(unit(unit(y))) if fuse == "logits" else y)
    # The last convolution before the averaging, as it was published.
    maps = met if fuse == "logits" else readout(unit(unit(met)))
    assert next(held, None) is None
    return maps.mean((2, 3))


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("fuse", ["blocks", "logits"])
@pytest.mark.parametrize("depth", [1, 3])
def test_the_forward_pass_is_the_published_one(depth: int, fuse: Fuse, train: bool) -> None:
    network = built(AllConv(depth=depth, width=3, fuse=fuse)).double()
    draw = torch.Generator().manual_seed(2)
    for name, t in network.state_dict().items():  # away from 0 and 1, so that a missing one is seen
        if ".norm." in name and t.is_floating_point():
            t.copy_(0.5 + torch.rand(t.shape, generator=draw, dtype=torch.float64))
    x = {name: image.double() for name, image in images(SMALL, 4).items()}
    wanted = plainly(network, x, depth, fuse, train)
    found = network.train(train)(x)["both"]
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)  # float64; ten layers of rounding


@pytest.mark.parametrize(
    "spec",
    [AllConv(depth=1, width=4, heads="per_source"), AllConv(depth=2, width=2, matched=True, fuse="logits")],
    ids=["blocks", "logits"],
)
@pytest.mark.parametrize("rows", [1, 2])
def test_a_stack_answers_as_its_networks_do_and_every_parameter_learns(spec: AllConv, rows: int) -> None:
    modules = [built(spec, seed=seed).train() for seed in range(rows)]
    weights = {name: torch.stack([m.state_dict()[name] for m in modules]) for name in modules[0].state_dict()}
    x = images(SMALL, 6)
    layers = ["pathways.left.stem", "pathways.left.block1.1", "trunk.pool", ""]
    stacked = Stacked(built(spec, seed=9).train())
    told = stacked(weights, {name: torch.stack([each] * rows) for name, each in x.items()}, layers)
    assert set(told.layers) == set(layers)
    for row, module in enumerate(modules):
        answer = module(x)
        assert list(answer) == list(told.logits)
        for head, logits in answer.items():
            torch.testing.assert_close(told.logits[head][row], logits)  # float32, torch's own tolerance
        for name, buffer in module.named_buffers():
            torch.testing.assert_close(weights[name][row], buffer)
        torch.stack([logits.square().sum() for logits in answer.values()]).sum().backward()  # type: ignore[no-untyped-call]
        assert not [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


@pytest.mark.parametrize(
    ("options", "sources", "part"),
    [
        ({"fuse": "logits", "heads": "per_source"}, EYES, "expected network.fuse = 'blocks' or network.heads = 'one'"),
        ({}, (Source("left", (6,)),), "all_conv needs images of shape (channels, height, width)"),
        ({"depth": 4}, SMALL, "16 x 16 pixels or more with these settings; source 'left' has 8 x 12"),
        ({}, (*SMALL, Source("up", (3, 9, 9), "image")), "equal height and width; given: [(8, 12), (9, 9)]"),
    ],
)
def test_an_impossible_network_is_one_sentence(options: dict[str, Any], sources: tuple[Source, ...], part: str) -> None:
    with pytest.raises(ChiasmError) as caught:
        AllConv(**options).build(sources, 5)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
