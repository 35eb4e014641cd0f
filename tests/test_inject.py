"""A deficit injected into a loop of one's own: what is shown, when, and what is refused."""

from __future__ import annotations

import copy
import io
from collections import UserDict, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from chiasm.adapters.injection import Injection, inject
from chiasm.deficits import Blur, Deficit, Noise, Silence
from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.sources import Batch
from chiasm.timeline import Timeline

LEFT, RIGHT = (torch.randn(12, 4, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
LABEL = torch.arange(12) % 3
MEAN = RIGHT.mean(0)


class Net(nn.Module):
    """Two sources; remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.left, self.right = nn.Linear(4, 3), nn.Linear(4, 3)
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        self.seen.append((left, right))
        out: Tensor = self.left(left) + self.right(right)
        return out


class Loose(nn.Module):
    """Takes anything; gives back what it was shown."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.forward = forward


def train(net: nn.Module, shown: Callable[[int], Tensor], steps: range) -> None:
    """Plain SGD on four samples a step."""
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in steps:
        at = torch.arange(4) + 4 * (step % 3)
        loss = nn.functional.cross_entropy(net(LEFT[at], right=shown(step)[at]), LABEL[at])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: x.clone() for name, x in net.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def hidden(net: Net) -> list[bool]:
    """At which steps the right source stood at its baseline."""
    return [torch.equal(right, MEAN.expand_as(right)) for _, right in net.seen]


def test_training_under_an_injected_deficit_is_training_on_impaired_data_bit_for_bit() -> None:
    by_hand, injected, clean = Net(), Net(), Net()
    still = MEAN.expand_as(RIGHT).clone()
    train(by_hand, lambda step: still if 2 <= step < 5 else RIGHT, range(8))
    with inject(injected, "silence(right)", window=(2, 5), unit="step", baseline={"right": MEAN}):
        train(injected, lambda _: RIGHT, range(8))
    train(clean, lambda _: RIGHT, range(8))
    assert same(weights(by_hand), weights(injected))
    assert not same(weights(clean), weights(injected))


@pytest.mark.parametrize("told", ["epoch()", "steps_per_epoch"])
def test_a_timeline_of_epochs_begins_and_ends_to_the_step(told: str) -> None:
    net = Net()
    line = Timeline.parse("clean 1 | silence(right) 2 | clean 1")
    injection = inject(net, line, baseline={"right": MEAN}, steps_per_epoch=3 if told == "steps_per_epoch" else None)
    for epoch in range(5):  # one more than the timeline has: clean
        if told == "epoch()":
            injection.epoch()
        assert injection.active == (epoch in (1, 2))
        for _ in range(3):
            net(LEFT, RIGHT)
    assert hidden(net) == [False] * 3 + [True] * 6 + [False] * 6


def test_a_window_without_end_and_no_window() -> None:
    for window, wanted in (((2, None), [False, False, True, True]), (None, [True] * 4)):
        net = Net()
        inject(net, Silence("right"), window=window, unit="step", baseline={"right": MEAN})
        for _ in range(4):
            net(LEFT, RIGHT)
        assert hidden(net) == wanted


def test_evaluation_is_neither_impaired_nor_counted() -> None:
    net = Net()
    injection = inject(net, "silence(right)", baseline={"right": MEAN})
    net.eval()
    net(LEFT, RIGHT)
    assert net.seen[0][1] is RIGHT
    assert injection.steps == 0
    net.train()
    net(LEFT, RIGHT)
    assert hidden(net) == [False, True]


def test_draws_have_the_address_that_a_study_gives_them_and_leave_the_global_streams_alone() -> None:
    net = Net()
    injection = inject(net, "noise(right, 0.5) + blur(left, 2)", seed=7)
    before = torch.get_rng_state()
    for _ in range(2):
        injection.epoch()
        net(LEFT, RIGHT)
        net(LEFT, RIGHT)
    assert torch.equal(torch.get_rng_state(), before)
    batch = Batch({"right": RIGHT, "left": LEFT}, LABEL, {})
    for at, (epoch, step) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        noisy = Noise("right", 0.5)(batch, generator(7, "deficit", epoch, step))
        left, right = net.seen[at]
        assert torch.equal(right, noisy.sources["right"])
        assert torch.equal(left, Blur("left", 2)(batch, torch.Generator()).sources["left"])


def test_processes_that_train_together_draw_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    net = Net()
    for rank in (0, 1):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        with inject(net, "noise(right, 0.5)"):
            net(LEFT, RIGHT)
    assert not torch.equal(net.seen[0][1], net.seen[1][1])


def test_a_resumed_run_ends_with_the_bits_of_an_uninterrupted_one() -> None:
    def line(net: nn.Module) -> Injection:
        return inject(net, "clean 1 | noise(right, 1) 2 | clean 1", steps_per_epoch=2, seed=5)

    whole, first, second = Net(), Net(), Net()
    line(whole)
    train(whole, lambda _: RIGHT, range(8))
    cut = line(first)
    train(first, lambda _: RIGHT, range(3))
    held = io.BytesIO()
    torch.save({"model": first.state_dict(), "injection": cut.state_dict()}, held)
    held.seek(0)
    state = torch.load(held, weights_only=True)
    again = line(second)
    second.load_state_dict(state["model"])
    again.load_state_dict(state["injection"])
    train(second, lambda _: RIGHT, range(3, 8))
    assert same(weights(whole), weights(second))
    assert again.steps == 8


def test_a_run_resumed_within_an_epoch_counts_its_steps_on() -> None:
    first, second = Net(), Net()
    cut, again = inject(first, "noise(right, 0.5)"), inject(second, "noise(right, 0.5)")
    cut.epoch(3)
    first(LEFT, RIGHT)
    again.load_state_dict(cut.state_dict())
    again.epoch(3)
    second(LEFT, RIGHT)
    wanted = Noise("right", 0.5)(Batch({"right": RIGHT}, LABEL, {}), generator(0, "deficit", 3, 1))
    assert torch.equal(second.seen[0][1], wanted.sources["right"])


def test_a_state_of_another_injection_is_refused() -> None:
    state = inject(Net(), "noise(right, 1)").state_dict()
    with pytest.raises(ChiasmError, match=r"the state has plan 'noise\(right, 1\)'; this injection has 'noise"):
        inject(Net(), "noise(right, 2)").load_state_dict(state)
    with pytest.raises(ChiasmError, match="the state has seed '0'; this injection has '1'"):
        inject(Net(), "noise(right, 1)", seed=1).load_state_dict(state)
    with pytest.raises(ChiasmError, match="no 'steps'"):
        inject(Net(), "noise(right, 1)").load_state_dict({k: v for k, v in state.items() if k != "steps"})


Pair = namedtuple("Pair", ["one", "two"])


def in_a_mapping(batch: Any) -> Any:
    return batch["right"]


def deep(batch: Any, *, flag: bool = False) -> Any:
    return batch["eyes"][1]


@pytest.mark.parametrize(
    ("forward", "address", "args", "kwargs"),
    [
        (lambda left, right: right, None, (LEFT, RIGHT), {}),
        (lambda left, right: right, None, (LEFT,), {"right": RIGHT}),
        (lambda left, x=None, *, mask=None: x, "x", (LEFT,), {"x": RIGHT, "mask": 1}),
        (lambda left, x: x, 1, (), {"left": LEFT, "x": RIGHT}),
        (lambda *xs: xs[1], 1, (LEFT, RIGHT), {}),
        (lambda **xs: xs["b"], "b", (), {"a": LEFT, "b": RIGHT}),
        (in_a_mapping, None, ({"left": LEFT, "right": RIGHT},), {}),
        (in_a_mapping, None, (), {"batch": UserDict(left=LEFT, right=RIGHT)}),
        (deep, ("batch", "eyes", 1), ({"eyes": [LEFT, RIGHT]},), {}),
        (deep, (0, "eyes", -1), ({"eyes": Pair(LEFT, RIGHT)},), {"flag": True}),
    ],
)
def test_sources_are_found_wherever_they_stand(forward: Any, address: Any, args: Any, kwargs: Any) -> None:
    net = Loose(forward)
    given = copy.deepcopy((args, kwargs))
    inject(net, "silence(right)", sources=None if address is None else {"right": address}, baseline={"right": MEAN})
    assert torch.equal(net(*args, **kwargs), MEAN.expand_as(RIGHT))
    net.eval()
    assert torch.equal(net(*args, **kwargs), RIGHT)  # the user's batch holds what it held
    assert str(given) == str((args, kwargs))


def test_deficits_of_labels_act_where_forward_takes_labels() -> None:
    net = Loose(lambda left, right, labels=None: (left, right, labels))
    with inject(net, "shuffle_labels(1)", target="labels"):
        left, _, labels = net(LEFT, RIGHT, labels=LABEL)
    assert left is LEFT
    assert not torch.equal(labels, LABEL)
    assert torch.equal(labels.sort().values, LABEL.sort().values)
    with inject(net, "dissociate(within=class)", sources=["left", "right"], target="labels"):
        left, right, labels = net(LEFT, RIGHT, LABEL)
    assert left is LEFT
    assert labels is LABEL
    origin = [int((row == RIGHT).all(1).nonzero()) for row in right]
    assert torch.equal(LABEL[origin], LABEL)
    assert origin != list(range(12))


def test_dissociation_permutes_all_sources_but_the_first() -> None:
    net = Net()
    inject(net, "dissociate(labels=first)", sources=["right", "left"])
    net(LEFT, RIGHT)
    left, right = net.seen[0]
    assert right is RIGHT
    assert not torch.equal(left, LEFT)
    assert torch.equal(left.sum(1).sort().values, LEFT.sum(1).sort().values)


def test_a_clean_call_passes_the_very_objects_through() -> None:
    net = Loose(lambda batch: batch)
    inject(net, "silence(right)", window=(1, 2), unit="step", baseline={"right": 0.0})
    batch = {"left": LEFT, "right": RIGHT}
    assert net(batch) is batch
    assert net(batch)["left"] is LEFT  # what the deficit does not touch is shared
    assert batch["right"] is RIGHT


def test_removing_and_copying() -> None:
    net = Net()
    injection = inject(net, "silence(right)", baseline={"right": MEAN})
    twin = copy.deepcopy(net)  # as averages of weights are kept
    injection.remove()
    injection.remove()
    assert not injection.active
    assert "removed" in str(injection)
    net(LEFT, RIGHT)
    twin(LEFT, RIGHT)
    assert hidden(net) == [False]
    assert hidden(twin) == [True]
    assert injection.steps == 0  # the copy counts for itself


def test_an_injection_says_where_it_stands() -> None:
    net = Net()
    injection = inject(net, "clean 1 | noise(right, 2) 3 | clean 1")
    injection.epoch(1)
    net(LEFT, RIGHT)
    assert (
        str(injection) == "noise(right, 2), epochs 1 up to 4; now at epoch 1, step 1 of it (1 in all): noise(right, 2)"
    )
    injection.epoch()
    injection.epoch(4)
    assert str(injection).endswith("now at epoch 4, step 0 of it (1 in all): clean")


# torch's compiler looks at the gradient of what passes a break of its graph, and warns itself of it.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.parametrize("order", ["inject, compile", "compile, inject", "inside"])
def test_compiled_models_are_impaired_and_not_compiled_anew(order: str) -> None:
    from torch._dynamo.testing import CompileCounter

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Bilinear(4, 4, 2)

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            out: Tensor = self.inner(2 * left, 2 * right) - self.inner.bias
            return out

    torch._dynamo.reset()
    counter, net = CompileCounter(), Outer()
    target: nn.Module = net.inner if order == "inside" else net
    compiled: Any = torch.compile(net, backend=counter) if order == "compile, inject" else None
    name = "input2" if order == "inside" else "right"
    hooked = target if compiled is None else compiled
    injection = inject(hooked, f"silence({name})", window=(3, 6), unit="step", baseline={name: 0.0})
    compiled = torch.compile(net, backend=counter) if compiled is None else compiled
    silent = [bool((compiled(LEFT, RIGHT) == 0).all()) for _ in range(12)]
    assert silent == [False] * 3 + [True] * 3 + [False] * 6
    assert injection.steps == 12
    assert counter.frame_count <= 3  # one graph, or one on each side of the hook and a sum; not one a step


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize("outer", [True, False])
def test_models_under_data_parallelism(outer: bool) -> None:
    net = Net()
    wrapped = nn.parallel.DistributedDataParallel(net)
    inject(wrapped if outer else net, "silence(right)", baseline={"right": MEAN})
    wrapped(LEFT, right=RIGHT).sum().backward()
    assert hidden(net) == [True]


REST = {"right": MEAN, "left": MEAN}


@pytest.mark.parametrize(
    ("deficit", "options", "sentence"),
    [
        (
            "silence(rihgt)",
            {"baseline": {"rihgt": 0}},
            r"unknown source 'rihgt'; known sources: left, right \(did you mean",
        ),
        ("silence(x)", {"sources": ["left"]}, r"unknown source 'x'; known: clean, .*; sources: left\n"),
        (
            Silence("x"),
            {"sources": ["left"], "baseline": {"x": 0}},
            r"silence\(x\): unknown source 'x'; known sources: left",
        ),
        (
            "silence(a)",
            {"sources": {"a": "rigth"}, "baseline": {"a": 0}},
            "source 'a': unknown parameter 'rigth'; known",
        ),
        ("silence(a)", {"sources": {"a": 2}, "baseline": {"a": 0}}, r"position 2, but forward takes \(left, right\)"),
        (
            "silence(a)",
            {"sources": {"a": 1.5}, "baseline": {"a": 0}},
            "source 'a' is placed at 1.5; expected a parameter's name",
        ),
        ("silence(left)", {"sources": "left"}, r"sources = 'left' is one name; expected a list of names"),
        ("blurr(right, 4)", {}, r"unknown deficit 'blurr' \(did you mean 'blur'\?\)"),
        ("blur(right, 4) noise(left, 1)", {}, r"expected '\+' or the end, found 'noise'"),
        ("", {}, "the text is empty"),
        (3, {}, "the deficit is a int; expected a text such as"),
        ("blur(right, 4)", {"window": (40, 20)}, r"window = \(40, 20\) ends before it begins"),
        ("blur(right, 4)", {"window": (4, 4)}, r"window = \(4, 4\) ends before it begins"),
        ("blur(right, 4)", {"window": (-1, 4)}, "two whole numbers, 0 or more"),
        ("blur(right, 4)", {"window": 4}, r"expected \(start, stop\)"),
        ("clean 2 | blur(right, 4) 3", {"window": (0, 2)}, "is a timeline, which says when by itself"),
        ("blur(right, 4)", {"unit": "batch"}, "unit = 'batch'; expected 'epoch' or 'step'"),
        ("blur(right, 4)", {"steps_per_epoch": 0}, "steps_per_epoch = 0; expected a whole number, 1 or more"),
        (
            "silence(right)",
            {"baseline": None},
            r"mean of 'right' over the training data, which a hook does not know; expected baseline=",
        ),
        ("occlude(right, 0.5)", {"baseline": None}, "which a hook does not know"),
        ("noise(right, 1, mode=replace)", {"baseline": None}, "which a hook does not know"),
        (
            "silence(right)",
            {"baseline": {"right": "mean"}},
            "baseline of 'right' is a str; expected a tensor or a number",
        ),
        ("freeze(right)", {}, r"freeze\(right\) cannot be injected: it acts on weights"),
        ("shuffle_labels(0.5)", {}, r"shuffle_labels\(0.5\) cannot be injected as it stands: .*target=, "),
        ("dissociate", {}, r"dissociate cannot be injected: .*dissociate\(labels=first\), or chiasm\.run"),
        ("dissociate(within=class)", {}, "cannot be injected as it stands: it needs labels"),
        ("dissociate(labels=first)", {}, r"acts on all sources; expected sources=\[...\], two or more"),
    ],
)
def test_mistakes_are_told_in_a_sentence_before_anything_is_hooked(deficit: Any, options: Any, sentence: str) -> None:
    net = Net()
    with pytest.raises(ChiasmError, match=sentence):
        inject(net, deficit, **{"baseline": REST, **options})
    assert not net._forward_pre_hooks


@pytest.mark.parametrize(
    ("forward", "options", "args", "sentence"),
    [
        (lambda left, right=None: left, {}, (LEFT,), r"source 'right' \(argument 'right'\) is not in this call"),
        (lambda left, right: left, {}, (LEFT, [1.0]), "is a list; expected a tensor"),
        (lambda batch: batch, {}, ({"rigth": RIGHT},), r"unknown key 'right'; known keys: rigth"),
        (lambda batch: batch, {}, (RIGHT,), r"a Tensor holds no 'right'; expected a mapping \(by key\)"),
        (lambda batch: batch, {"sources": {"right": (0, 2)}}, ([LEFT, RIGHT],), r"there is no \[2\] in a list of 2"),
        (
            lambda left, right: left,
            {"baseline": {"right": torch.ones(3)}},
            (LEFT, RIGHT),
            r"\(3,\) and a sample of it \(4,\)",
        ),
    ],
)
def test_mistakes_that_only_a_call_can_show(forward: Any, options: Any, args: Any, sentence: str) -> None:
    net = Loose(forward)
    inject(net, "silence(right)", **{"baseline": {"right": 0.0}, **options})
    with pytest.raises(ChiasmError, match=sentence):
        net(*args)


def test_epochs_that_nothing_counts_are_not_guessed() -> None:
    net = Net()
    injection = inject(net, "clean 1 | silence(right) 1", baseline=REST)
    with pytest.raises(ChiasmError, match=r"nothing counts them; call epoch\(\) at the beginning of each, or give"):
        net(LEFT, RIGHT)
    injection.epoch()
    with pytest.raises(ChiasmError, match="the model was not called in training mode"):
        injection.epoch()
    with pytest.raises(ChiasmError, match="epoch -1; expected a whole number, 0 or more"):
        injection.epoch(-1)
    with pytest.raises(ChiasmError, match="epochs are counted by steps_per_epoch"):
        inject(Net(), "blur(left, 2)", steps_per_epoch=3).epoch()


def test_a_block_in_which_the_hooked_module_never_ran_is_an_error() -> None:
    net = Net()
    with pytest.raises(ChiasmError, match=r"was not called in training mode.*call it as model\(\.\.\.\)"):  # noqa: SIM117
        with inject(net, "blur(right, 2)"):
            net.forward(LEFT, RIGHT)
    assert not net._forward_pre_hooks


def test_a_deficit_of_ones_own_that_changes_labels_is_refused_when_it_does() -> None:
    @dataclass(frozen=True)
    class Flip(Deficit):
        source: str = "right"
        tag: ClassVar[str] = "flip"

        def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
            return Batch(batch.sources, 1 - batch.target, batch.baseline)

    net = Net()
    inject(net, Flip())
    with pytest.raises(ChiasmError, match=r"flip changes labels or heads"):
        net(LEFT, RIGHT)


@pytest.mark.parametrize("says_so", [True, False])
def test_a_deficit_of_ones_own_that_shows_a_baseline_is_told_apart_from_one_that_fails(says_so: bool) -> None:
    @dataclass(frozen=True)
    class Dim(Deficit):
        source: str
        tag: ClassVar[str] = "dim"

        @property
        def needs_baseline(self) -> bool:
            return says_so

        def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
            x = batch.sources[self.source]
            return batch.with_source(self.source, (x + batch.baseline[self.source]) / 2)

    net = Net()

    def try_it() -> None:
        inject(net, Dim("right"))
        net(LEFT, RIGHT)  # where the kind does not say it, the first call does

    with pytest.raises(ChiasmError, match=r"shows the mean of 'right'.*; expected baseline="):
        try_it()
    injected = Net()
    inject(injected, Dim("right"), baseline={"right": 0.0})
    injected.load_state_dict(net.state_dict())
    expected = injected.eval()(LEFT, RIGHT / 2)
    assert torch.equal(injected.train()(LEFT, RIGHT), expected)
