"""Split-ResNet: its published shape, its forward pass written out plainly, its options, and its stacked evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from chiasm.errors import ChiasmError
from chiasm.networks import FusionNetwork, SplitResNet, Stacked
from chiasm.networks.residual import Block, normed
from chiasm.sources import Source


def eyes(height: int, width: int, channels: tuple[int, ...] = (3, 3)) -> tuple[Source, ...]:
    names = ("left", "right", "third")
    return tuple(Source(name, (c, height, width), "image") for name, c in zip(names, channels, strict=False))


def built(spec: SplitResNet, sources: tuple[Source, ...], seed: int = 0) -> FusionNetwork:
    torch.manual_seed(seed)
    return spec.build(sources, 5)


def images(sources: tuple[Source, ...], samples: int, seed: int = 1) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {s.name: torch.randn(samples, *s.shape, generator=draw) for s in sources}


def tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach().clone() for name, t in module.state_dict().items()}


def test_the_default_is_the_published_network() -> None:
    sources = eyes(32, 32)
    network = SplitResNet().build(sources, 10)
    # By hand. BatchNorm: 2 a channel. Stem: 9 * 3 * 64 + 128. Blocks: norm, conv, norm, conv, and a 1 x 1 shortcut.
    stem = 1728 + 128
    stage1 = 2 * (128 + 36864 + 128 + 36864)
    stage2 = (128 + 73728 + 256 + 147456 + 8192) + (256 + 147456 + 256 + 147456)
    stage3 = (256 + 294912 + 512 + 589824 + 32768) + (512 + 589824 + 512 + 589824)
    stage4 = (512 + 1179648 + 1024 + 2359296 + 131072) + (1024 + 2359296 + 1024 + 2359296)
    by_hand = 2 * (stem + stage1 + stage2) + stage3 + stage4 + 512 * 10 + 10
    assert sum(p.numel() for p in network.parameters()) == by_hand
    layers = ["pathways.left", "fusion", "trunk.stage3", "trunk.stage4", "trunk.pool", ""]
    with torch.no_grad():
        weights = {name: t[None] for name, t in tensors(network.eval()).items()}
        told = Stacked(network)(weights, {name: x[None] for name, x in images(sources, 1).items()}, layers)
    shapes = [tuple(told.layers[layer].shape[2:]) for layer in layers]
    assert shapes == [(128, 16, 16), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512,), (10,)]
    assert not any(isinstance(m, nn.Conv2d) and m.bias is not None for m in network.modules())


def counted(spec: SplitResNet, channels: tuple[int, ...], classes: int) -> int:
    """Count in closed form; a block has 9 (i + o) o of convolutions, 2 (i + o) of norms, io of shortcut."""
    bare = spec.norm == "none"

    def block(i: int, o: int, stride: int) -> int:
        return (
            9 * (i + o) * o
            + 2 * (o if bare else i + o)
            + (i * o if spec.skip and (i != o or stride > 1) else 0)
            + (bare and spec.skip)
        )

    def stage(k: int, inside: int) -> int:
        o = spec.width * 2 ** (k - 1)
        return block(inside, o, 1 if k == 1 else 2) + (spec.blocks[k - 1] - 1) * block(o, o, 1)

    N, stages = len(channels), len(spec.blocks)
    met = spec.width * 2 ** (spec.fuse_after - 1)
    fused = met * N if spec.fusion == "concat" else met
    scores = {"gate": (N * met + 1) * N * met, "attention": (N * met + 1) * N}.get(spec.fusion, 0)
    stems = sum(9 * c * spec.width + (1 if bare else 2) * spec.width for c in channels)
    own = sum(stage(k, spec.width * 2 ** max(0, k - 2)) for k in range(1, spec.fuse_after + 1))
    shared = [
        stage(k, fused if k == spec.fuse_after + 1 else spec.width * 2 ** (k - 2))
        for k in range(spec.fuse_after + 1, stages + 1)
    ]
    end = spec.width * 2 ** (stages - 1) if shared else fused
    heads = 1 + (N if spec.heads == "per_source" else 0)
    return int(stems + N * own + scores + sum(shared) + heads * (end + 1) * classes)


OPTIONS: list[dict[str, Any]] = [
    {"fuse_after": 1},
    {"fuse_after": 3, "fusion": "concat", "heads": "per_source"},
    {"fuse_after": 4, "fusion": "concat"},
    {"fuse_after": 4, "fusion": "mean", "norm": "group"},
    {"fusion": "gate", "norm": "group", "heads": "per_source"},
    {"fusion": "attention"},
    {"norm": "none", "fusion": "gate"},
    {"norm": "none", "skip": False},
    {"skip": False, "blocks": (1, 3), "fusion": "concat"},
    {"blocks": (1,), "fuse_after": 1, "fusion": "attention"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(
    ("sides", "channels"), [((8, 8), (3, 1, 2)), ((9, 16), (3, 3))], ids=["three sources", "oblong"]
)
def test_every_option_has_the_counted_parameters_and_all_of_them_learn(
    options: dict[str, Any], sides: tuple[int, int], channels: tuple[int, ...]
) -> None:
    spec = SplitResNet(**{"width": 4, **options})
    sources = eyes(*sides, channels)
    network = built(spec, sources)
    assert sum(p.numel() for p in network.parameters()) == counted(spec, channels, 5)
    for module in network.modules():
        if isinstance(module, Block) and module.scale is not None:
            nn.init.ones_(module.scale)  # at 0, as it begins, its branch has no gradient yet
    answer = network(images(sources, 6))
    heads = ["both", *(s.name for s in sources)] if spec.heads == "per_source" else ["both"]
    assert {name: tuple(logits.shape) for name, logits in answer.items()} == dict.fromkeys(heads, (6, 5))
    torch.stack([logits.square().sum() for logits in answer.values()]).sum().backward()  # type: ignore[no-untyped-call]
    deaf = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not deaf


def plainly(network: FusionNetwork, x: dict[str, Tensor], blocks: tuple[int, ...], after: int, train: bool) -> Tensor:
    """Run a network that fuses by sums, written out from the published description with its tensors in their order."""
    held: Iterator[Tensor] = iter(network.state_dict().values())

    def norm(x: Tensor) -> Tensor:
        weight, bias, mean, var, _ = (next(held) for _ in range(5))
        if train:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        scale = weight / (var + 1e-5).sqrt()
        return x * scale[:, None, None] + (bias - mean * scale)[:, None, None]

    def stage(x: Tensor, k: int) -> Tensor:
        for i in range(blocks[k - 1]):
            stride = 2 if k > 1 and i == 0 else 1
            active = norm(x).clamp(min=0)
            y = functional.conv2d(active, next(held), stride=stride, padding=1)
            y = functional.conv2d(norm(y).clamp(min=0), next(held), padding=1)
            x = y + (functional.conv2d(active, next(held), stride=stride) if stride > 1 else x)
        return x

    met = torch.zeros(())
    for image in x.values():
        y = norm(functional.conv2d(image, next(held), padding=1)).clamp(min=0)
        for k in range(1, after + 1):
            y = stage(y, k)
        met = met + y
    for k in range(after + 1, len(blocks) + 1):
        met = stage(met, k)
    weight, bias = held
    return met.mean((2, 3)) @ weight.T + bias


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("after", [1, 2, 4])
def test_the_forward_pass_is_the_published_one(train: bool, after: int) -> None:
    sources, blocks = eyes(16, 12), (2, 1, 2, 1)
    network = built(SplitResNet(width=6, blocks=blocks, fuse_after=after), sources).double()
    draw = torch.Generator().manual_seed(2)
    for name, t in network.state_dict().items():  # away from 0 and 1, so that a missing one is seen
        if t.is_floating_point() and "conv" not in name and "shortcut" not in name:
            t.copy_(0.5 + torch.rand(t.shape, generator=draw, dtype=torch.float64))
    x = {name: image.double() for name, image in images(sources, 5).items()}
    wanted = plainly(network, x, blocks, after, train)
    found = network.train(train)(x)["both"]
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)  # float64; ten layers of rounding


def keep(seen: dict[str, Tensor], layer: str, _module: nn.Module, _inputs: Any, out: Tensor) -> None:
    seen[layer] = out.clone()


@pytest.mark.parametrize(
    "options",
    [{}, {"fusion": "gate", "norm": "group", "heads": "per_source"}, {"fusion": "attention", "norm": "none"}],
    ids=["as published", "gate, group", "attention, none"],
)
@pytest.mark.parametrize("rows", [1, 2])
def test_a_stack_is_its_networks_in_answer_layers_statistics_and_gradient(options: dict[str, Any], rows: int) -> None:
    sources = eyes(8, 8)
    modules = [built(SplitResNet(width=4, **options), sources, seed).train() for seed in range(rows)]
    stacked = Stacked(built(SplitResNet(width=4, **options), sources, 99).train())
    assert not stacked.stackable
    before = tensors(stacked.template)
    trained = {name for name, _ in modules[0].named_parameters()}
    weights = {name: torch.stack([m.state_dict()[name] for m in modules]) for name in before}
    weights = {name: w.clone().requires_grad_(name in trained) for name, w in weights.items()}
    x = [images(sources, 6, seed) for seed in range(rows)]
    layers = ["pathways.left.stage1", "pathways.right.stage1.0.conv1", "fusion", "trunk.stage4.1", "trunk.pool", ""]
    told = stacked(weights, {name: torch.stack([each[name] for each in x]) for name in x[0]}, layers)
    assert set(told.layers) == set(layers)
    score = sum(logits.square().sum() for logits in told.logits.values())
    assert isinstance(score, Tensor)
    grads = dict(zip(trained, torch.autograd.grad(score, [weights[name] for name in trained]), strict=True))
    for row, module in enumerate(modules):
        seen: dict[str, Tensor] = {}
        for layer in layers[:-1]:
            module.get_submodule(layer).register_forward_hook(partial(keep, seen, layer))
        answer = module(x[row])
        for head, logits in answer.items():
            torch.testing.assert_close(told.logits[head][row], logits)  # float32, torch's own tolerance
        for layer, out in seen.items():
            torch.testing.assert_close(told.layers[layer][row], out)
        torch.stack([logits.square().sum() for logits in answer.values()]).sum().backward()  # type: ignore[no-untyped-call]
        for name, p in module.named_parameters():
            # Sums of hundreds of terms that partly cancel.
            torch.testing.assert_close(grads[name][row], p.grad, rtol=1e-3, atol=1e-4)
        for name, buffer in module.named_buffers():
            torch.testing.assert_close(weights[name][row], buffer)
    assert all(torch.equal(t, before[name]) for name, t in stacked.template.state_dict().items())


def test_a_row_that_fails_leaves_the_template_its_weights() -> None:
    stacked = Stacked(built(SplitResNet(width=4), eyes(8, 8)))
    before = dict(stacked.template.named_parameters())
    weights = {name: t[None] for name, t in tensors(stacked.template).items()}
    with pytest.raises(RuntimeError):
        stacked(weights, {name: torch.zeros(1, 2, 5, 8, 8) for name in ("left", "right")})
    assert all(p is before[name] for name, p in stacked.template.named_parameters())


def losses(scale: float) -> list[float]:
    """Train a deep network without normalisation whose branches begin at a scale."""
    network = built(SplitResNet(width=8, blocks=(1, 1, 8, 8), norm="none"), eyes(8, 8))
    for module in network.modules():
        if isinstance(module, Block) and module.scale is not None and scale:
            nn.init.constant_(module.scale, scale)
    x = images(eyes(8, 8), 32)
    target = (x["left"].mean((1, 2, 3)) > 0).long()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    told = []
    for _ in range(15):
        loss = functional.cross_entropy(network(x)["both"], target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        told.append(float(loss.detach()))
    return told


def test_without_normalisation_a_deep_network_trains_because_its_branches_begin_at_nothing() -> None:
    told = losses(0.0)
    assert max(told) < 4  # two classes of five, so no more than a few nats
    assert told[-1] < 0.2 * told[0]
    # With branches at full strength each of 16 adds its own to a sum that nothing normalises.
    assert not max(losses(1.0)) < 100


def leaning(width: int, kept: bool, seed: int) -> Tensor:
    """Measure a random network's relative source variance before pooling, meaned over all but columns."""
    sources = eyes(32, 32 if kept else 16)
    network = built(SplitResNet(width=width), sources, seed).eval()
    x, other = images(sources, 40, seed=3), images(sources, 40, seed=4)
    for each in (x, other):
        if kept:  # halves that stay where they are
            each["left"][..., 16:] = 0
            each["right"][..., :16] = 0

    def stage4(left: Tensor, right: Tensor) -> Tensor:
        out: Tensor = network.trunk.stage4(network.trunk.stage3(network.fusion([left, right])))  # type: ignore[operator]
        return out

    with torch.no_grad():
        a, b = network.encode(x).values()
        c, d = network.encode(other).values()
        whole = stage4(a, b)
        left, right = ((whole - stage4(*pair)).square().mean(0) for pair in ((c, b), (a, d)))
        return ((left - right) / (left + right)).mean((0, 1))


def test_a_random_network_leans_to_the_left_where_halves_stay_in_place() -> None:
    # Steps of two sample columns 0, 8, 16, 24 of the image: two and a bit of the four look at the left half.
    columns = torch.stack([leaning(8, True, seed) for seed in (0, 1)]).mean(0)
    assert 0.1 < float(columns.mean()) < 0.35  # .15 to .23 by seed; published network: .24
    assert columns.tolist() == sorted(columns.tolist(), reverse=True)
    assert float(columns[0]) > 0.8
    assert float(columns[3]) < -0.8
    cropped = torch.stack([leaning(8, False, seed) for seed in (0, 1)]).mean(0)
    assert cropped.abs().max() < 0.3  # equal pathways but for their weights


@pytest.mark.parametrize(("channels", "wanted"), [(512, 32), (64, 16), (16, 4), (12, 3), (7, 1), (3, 1)])
def test_groups_hold_four_channels_or_more(channels: int, wanted: int) -> None:
    norm = normed("group", channels)
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == wanted


@pytest.mark.parametrize(
    ("options", "sources", "part"),
    [
        ({"blocks": ()}, eyes(8, 8), "network.blocks = []; expected one to four stages"),
        ({"blocks": (1,) * 5}, eyes(8, 8), "one to four stages"),
        ({"blocks": (1, 0)}, eyes(8, 8), "one block or more"),
        ({"blocks": (1, 1), "fuse_after": 3}, eyes(8, 8), "network.fuse_after = 3: the sources meet after one"),
        ({}, (Source("left", (6,)),), "needs images of shape (channels, height, width); source 'left' is a vector"),
        ({}, (*eyes(8, 8), Source("up", (3, 8, 9), "image")), "equal height and width; given: [(8, 8), (8, 9)]"),
        ({}, eyes(16, 7), "8 x 8 pixels or more with these settings; source 'left' has 16 x 7"),
        ({"fusion": "product"}, eyes(8, 8), "unknown fusion 'product'; known fusions: attention, concat, gate"),
    ],
)
def test_an_impossible_network_is_one_sentence(options: dict[str, Any], sources: tuple[Source, ...], part: str) -> None:
    with pytest.raises(ChiasmError) as caught:
        SplitResNet(**options).build(sources, 5)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
