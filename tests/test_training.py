"""One phase of training against torch's own optimisers, and against itself in other company."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from chiasm.deficits import Freeze, Noise, Silence
from chiasm.errors import ChiasmError
from chiasm.networks import SplitCNN, SplitMLP, Stacked, reestimated
from chiasm.randomness import generator, seeded_globals
from chiasm.sources import Batch
from chiasm.tasks import Stereogram
from chiasm.training import Leg, Row, Stack, State, Training, clean, initial_state

TASK = Stereogram(size=8, disparities=(-1, 1), train=96, test=64)
MLP = SplitMLP(depth=2, width=16, trunk=(8,))


def build(seed: int, spec: Any = MLP, task: Any = TASK) -> nn.Module:
    about = task.describe()
    with seeded_globals(seed, "init"):
        made: nn.Module = spec.build(about.sources, len(about.classes))
    return made


def stack_of(seeds: list[int], training: Training, leg: Any = None, spec: Any = MLP, task: Any = TASK) -> Stack:
    stack = Stack(Stacked(build(0, spec, task)))
    joining = []
    for seed in seeds:
        own = leg(seed) if leg else Leg(seed, 0, 9, (), 0)
        row = Row(own, training, task, task.load(seed).train, 0)
        joining.append((row, initial_state(Stacked(build(seed, spec, task)), training)))
    stack.refill([], joining)
    return stack


def equal(one: State, other: State) -> bool:
    pairs = zip((one.weights, one.buffers, one.slots), (other.weights, other.buffers, other.slots), strict=True)
    return all(torch.equal(a[name], b[name]) for a, b in pairs for name in a)


def plain_loop(seed: int, training: Training, epochs: int, silent: bool = False) -> dict[str, torch.Tensor]:
    """Train one module with torch.optim, as a person would write it."""
    network = build(seed)
    if training.optimiser == "sgd":
        optimiser: torch.optim.Optimizer = torch.optim.SGD(
            network.parameters(), lr=training.lr, momentum=training.momentum, weight_decay=training.weight_decay
        )
    else:
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=training.lr, betas=training.betas, weight_decay=training.weight_decay
        )
    data = TASK.load(seed).train
    for epoch in range(epochs):
        optimiser.param_groups[0]["lr"] = training.lr * training.decay**epoch
        order = torch.randperm(len(data), generator=generator(seed, "order", epoch))
        for chosen in torch.split(order, training.batch):
            batch = data.take(chosen)
            batch = batch.silenced("right") if silent else batch
            loss = nn.functional.cross_entropy(network(batch.sources)["both"], batch.target)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
    return {name: p.detach() for name, p in network.named_parameters()}


@pytest.mark.parametrize(
    "training",
    [
        Training(lr=0.05, momentum=0.9, weight_decay=1e-2, batch=32, decay=0.9),
        Training(lr=0.05, momentum=0.0, batch=40),  # the last batch is smaller
        Training(optimiser="adamw", lr=3e-3, weight_decay=0.1, batch=32),
    ],
    ids=["sgd", "plain sgd", "adamw"],
)
@pytest.mark.parametrize("silent", [False, True])
def test_a_row_of_a_stack_is_what_torch_optim_makes_of_a_lone_module(training: Training, silent: bool) -> None:
    deficits = (Silence("right"),) if silent else ()
    stack = stack_of([3, 4, 5], training, lambda seed: Leg(seed, 0, 9, deficits, 0))
    for _ in range(3):
        stack.epoch()
    for i, seed in enumerate((3, 4, 5)):
        alone = plain_loop(seed, training, 3, silent)
        for name, weight in stack.state(i).weights.items():
            # float32 sums in another order, over 9 steps: 1e-5 of weights of order 1
            torch.testing.assert_close(weight, alone[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_rows_bits_do_not_depend_on_its_company(optimiser: Any) -> None:
    training = Training(optimiser=optimiser, lr=0.01, batch=32, decay=0.97)
    noise = lambda seed: Leg(seed, 0, 9, (Noise("right", 0.5),) if seed % 2 else (), 0)  # noqa: E731
    states = []
    for seeds in ([1], [1, 2], [2, 3, 1], [*range(20, 51), 1]):
        stack = stack_of(seeds, training, noise)
        for _ in range(2):
            stack.epoch()
        states.append(stack.state(seeds.index(1)))
    assert all(equal(states[0], other) for other in states[1:])


@pytest.mark.parametrize(("size", "width", "batch"), [(5, 6, 35), (6, 6, 35), (7, 9, 33), (6, 10, 31), (9, 13, 1)])
def test_a_rows_bits_do_not_depend_on_its_place_whatever_the_shapes(size: int, width: int, batch: int) -> None:
    """Odd shapes put a row's matrices at other alignments at other places; products must not notice."""
    task = Stereogram(size=size, disparities=(-1, 1), train=36, test=33, fresh=True)
    spec = SplitMLP(depth=2, width=width, trunk=(width,))
    states = []
    for seeds in ([1, 2], [2, 1], [5, 6, 7, 1, 8], [*range(20, 29), 1]):
        stack = stack_of(seeds, Training(batch=batch), spec=spec, task=task)
        stack.epoch()
        states.append(stack.state(seeds.index(1)))
    assert all(equal(states[0], other) for other in states[1:])


def test_a_thawed_pathway_goes_on_where_its_optimiser_stood() -> None:
    """As in torch, which skips a frozen parameter: its count of steps, too, stands still."""
    training = Training(optimiser="adamw", lr=0.01, batch=32)
    stack = stack_of([1, 2], training, lambda seed: Leg(seed, 0, 9, (Freeze("left"),), 0))
    for _ in range(3):
        stack.epoch()
    slots = stack.state(0).slots
    assert slots["steps:pathways.left.1.weight"] == 0
    assert slots["steps:pathways.right.1.weight"] == 9  # three epochs of three steps


def test_what_the_user_froze_is_not_trained() -> None:
    network = build(1)
    frozen = [p.requires_grad_(False) for name, p in network.named_parameters() if name.startswith("pathways.left")]
    training = Training(batch=32, weight_decay=0.1)
    stack = Stack(Stacked(build(0)))
    row = Row(Leg(1, 0, 9, (), 0), training, TASK, TASK.load(1).train, 0)
    before = [p.clone() for p in frozen]
    stack.refill([], [(row, initial_state(Stacked(network), training))])
    stack.epoch()
    after = [t for name, t in stack.state(0).buffers.items() if name.startswith("pathways.left")]
    assert len(after) == len(before) == 4
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


def test_leaving_and_joining_a_stack_changes_no_bit() -> None:
    training = Training(batch=32, decay=0.97)
    whole = stack_of([1], training)
    for _ in range(3):
        whole.epoch()
    moved = stack_of([7, 1, 8], training)
    moved.epoch()
    moved.refill([1], [])
    moved.epoch()
    held = moved.state(0)
    row = moved.rows[0]
    host = stack_of([9, 4], training)
    host.refill([0, 1], [(row, held)])
    host.epoch()
    assert equal(whole.state(0), host.state(2))


def test_a_diverged_run_is_marked_and_takes_no_other_with_it() -> None:
    calm = Training(lr=0.05, batch=32)
    quiet = stack_of([1, 2], calm)
    mixed = stack_of([1, 2], calm)
    row = Row(Leg(3, 0, 9, (), 0), Training(lr=1e9, batch=32), TASK, TASK.load(3).train, 0)
    mixed.refill([0, 1], [(row, initial_state(Stacked(build(3)), calm))])
    for _ in range(3):
        quiet.epoch()
        mixed.epoch()
    assert [r.diverged for r in mixed.rows] == [False, False, True]
    assert equal(quiet.state(0), mixed.state(0))
    assert equal(quiet.state(1), mixed.state(1))


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_freeze_stops_one_pathway_and_no_other(optimiser: Any) -> None:
    training = Training(optimiser=optimiser, lr=0.01, batch=32, weight_decay=0.1)
    stack = stack_of([1, 2], training, lambda seed: Leg(seed, 0, 9, (Freeze("left"),) if seed == 1 else (), 0))
    before = [stack.state(0), stack.state(1)]
    stack.epoch()
    for i, frozen in enumerate((True, False)):
        after = stack.state(i)
        for name, weight in after.weights.items():
            still = frozen and name.startswith("pathways.left.")
            assert torch.equal(weight, before[i].weights[name]) == still, (i, name)


class Plain(nn.Module):
    """A user's network that names no pathways."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Linear(16, 2)

    def forward(self, sources: dict[str, torch.Tensor]) -> torch.Tensor:
        out: torch.Tensor = self.read(torch.cat([sources["left"], sources["right"]], 1))
        return out


def test_freezing_what_the_network_does_not_have_is_refused() -> None:
    training = Training(batch=32)
    stack = Stack(Stacked(Plain()))
    row = Row(Leg(0, 0, 1, (Freeze("left"),), 0), training, TASK, TASK.load(0).train, 0)
    stack.refill([], [(row, initial_state(Stacked(Plain()), training))])
    with pytest.raises(ChiasmError, match=r"no parameters named 'pathways.left"):
        stack.epoch()


def test_clocks_follow_their_closed_forms() -> None:
    training = Training(lr=0.1, decay=0.5, warmup=2)
    assert [training.rate(t, 99) for t in range(4)] == pytest.approx([0.05, 0.05, 0.025, 0.0125])
    assert [training.rate(None, e) for e in (0, 1, 50)] == pytest.approx([0.05, 0.1, 0.1])
    leg = Leg(0, 20, 60, (), tick=0)
    assert leg.rate(Training(lr=1.0, decay=0.5), 23) == 0.125


def test_fresh_data_are_new_every_epoch_and_the_same_for_every_timeline() -> None:
    fresh = Stereogram(size=8, disparities=(-1, 1), train=96, test=64, fresh=True)
    first, second = fresh.draw(1, 0), fresh.draw(1, 1)
    assert not torch.equal(first.sources["left"], second.sources["left"])
    training = Training(batch=32)
    one = stack_of([1, 2], training, task=fresh)
    other = stack_of([1, 3], training, task=fresh)
    for stack in (one, other):
        stack.epoch()
        stack.epoch()
    assert equal(one.state(0), other.state(0))
    fixed = stack_of([1, 2], training)
    fixed.epoch()
    fixed.epoch()
    assert not equal(one.state(0), fixed.state(0))


def test_convolutions_train_alone_and_reach_what_torch_optim_reaches() -> None:
    task = Stereogram(dims=2, size=6, disparities=(-1, 1), train=64, test=32)
    spec = SplitCNN(channels=(4, 4), trunk=(4,), padding="circular")
    training = Training(lr=0.05, batch=32)
    stack = stack_of([1], training, spec=spec, task=task)
    assert not stack.network.stackable
    stack.epoch()
    network = build(1, spec, task)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    data = task.load(1).train
    for chosen in torch.split(torch.randperm(64, generator=generator(1, "order", 0)), 32):
        batch = data.take(chosen)
        optimiser.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(network(batch.sources)["both"], batch.target))
        optimiser.step()
    for name, weight in network.named_parameters():
        torch.testing.assert_close(stack.state(0).weights[name], weight.detach(), rtol=0, atol=1e-5)


def test_batch_norm_statistics_are_reestimated_on_the_side() -> None:
    task = Stereogram(dims=2, size=6, disparities=(-1, 1), train=64, test=32)
    spec = SplitCNN(channels=(4,), trunk=(4,), norm="batch")
    stack = stack_of([1], Training(batch=32), spec=spec, task=task)
    stack.epoch()
    weights = stack.everything([0])
    before = {name: t.clone() for name, t in weights.items()}
    found = reestimated(stack.network, weights, clean(stack.rows, 32))
    assert all(torch.equal(weights[name], before[name]) for name in weights)
    conv = weights["pathways.left.0.weight"][0]
    bias = weights["pathways.left.0.bias"][0]
    maps = nn.functional.conv2d(task.load(1).train.sources["left"], conv, bias, padding=1)
    # batches are of equal size, so the mean of their means is the mean of all
    torch.testing.assert_close(found["pathways.left.1.running_mean"][0], maps.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_dissociation_reads_each_sample_by_the_head_of_its_label() -> None:
    from chiasm.deficits import Dissociate

    spec = SplitMLP(depth=1, width=8, trunk=(), heads="per_source")
    stack = stack_of([1, 2], Training(batch=32, momentum=0.0), lambda s: Leg(s, 0, 9, (Dissociate(),), 0), spec=spec)
    before = stack.state(0)
    stack.epoch()
    after = stack.state(0)
    moved = {name: not torch.equal(after.weights[name], before.weights[name]) for name in after.weights}
    assert not moved["heads.both.weight"]  # it reads no sample while sources are dissociated
    assert moved["heads.left.weight"]
    assert moved["heads.right.weight"]


class Jittered:
    """A feed: whole samples are twice as wide as what is shown, and every draw adds its own noise to them."""

    def __init__(self, seed: int) -> None:
        stream = torch.Generator().manual_seed(seed)
        self.whole = torch.randn(96, 16, generator=stream)
        self.target = torch.randint(2, (96,), generator=stream)
        self.baseline = {name: torch.zeros(16) for name in ("left", "right")}

    def __len__(self) -> int:
        return 96

    def to(self, device: object) -> Jittered:
        return self

    def draw(self, index: torch.Tensor, generator: torch.Generator) -> Batch:
        x = self.whole[index] + torch.randn(len(index), 16, generator=generator)
        return Batch({"left": x, "right": x.clone()}, self.target[index], self.baseline)

    def present(self, batch: Batch, generator: torch.Generator) -> Batch:
        heard = torch.rand(len(batch), 1, generator=generator) > 0.1
        cut = {"left": batch.sources["left"][:, :8], "right": batch.sources["right"][:, 8:] * heard}
        return Batch(cut, batch.target, {name: torch.zeros(8) for name in cut})


def test_a_fed_row_draws_then_is_impaired_then_is_shown_whatever_its_company() -> None:
    training, states = Training(batch=40, momentum=0.0, lr=0.1), []
    leg = lambda seed: Leg(seed, 0, 9, (Noise("right", 0.5),), 0)  # noqa: E731
    for seeds in ([1], [1, 2], [2, 1]):
        stack = stack_of(seeds, training, leg)
        for row in stack.rows:
            row.data = Jittered(row.leg.seed)
        for _ in range(2):
            stack.epoch()
        states.append(stack.state(seeds.index(1)))
    assert equal(states[0], states[1])
    assert equal(states[0], states[2])

    network, feed = build(1), Jittered(1)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for epoch in range(2):
        order = torch.randperm(96, generator=generator(1, "order", epoch))
        for step, chosen in enumerate(torch.split(order, 40)):
            drawn = feed.draw(chosen, generator(1, "augment", epoch, step))
            impaired = Noise("right", 0.5)(drawn, generator(1, "deficit", epoch, step))
            shown = feed.present(impaired, generator(1, "present", epoch, step))
            optimiser.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(network(shown.sources)["both"], shown.target))
            optimiser.step()
    for name, p in network.named_parameters():
        # Six steps in float32, summed in another order.
        torch.testing.assert_close(states[0].weights[name], p.detach(), rtol=0, atol=1e-5)
