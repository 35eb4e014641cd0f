"""Law 2: measuring leaves parameters, buffers, modes, gradients, hooks and every random stream as they were."""

from __future__ import annotations

import copy
import pickle
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring.instrument import Capture, untouched, unwrapped

LIMIT = sys.modules["chiasm.measuring.instrument.untouched"]


class Restless(nn.Module):
    """Changes all it can reach as it runs, in any mode, and draws from every random stream."""

    in_place: Tensor
    replaced: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.normed = nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(3) * 9)
        self.frozen = nn.Parameter(torch.randn(3), requires_grad=False)
        self.register_buffer("in_place", torch.zeros(1))
        self.register_buffer("replaced", torch.zeros(1))
        self.register_buffer("spread", torch.zeros(1).expand(4))
        self.register_buffer("missing", None)
        self.memory, self.past, self.seen, self.calls = torch.zeros(2), [torch.zeros(1)], {"calls": 0}, 0
        self.kinds: set[str] = set()
        self.own, self.others = torch.Generator().manual_seed(1), [np.random.default_rng(1), random.Random(1)]
        self.old = np.random.RandomState(1)

    def forward(self, x: Tensor) -> Tensor:
        self.in_place += 1
        self.replaced = self.replaced + 1
        self.spread.as_strided((1,), (1,)).add_(1)
        self.missing = torch.ones(1)
        self.memory[0] += 1
        self.past[0] += 1
        self.past.append(x)
        self.seen["calls"] += 1
        self.seen["more"] = 1
        self.calls += 1
        self.late = x
        self.kinds.add("x")
        torch.rand(1, generator=self.own)
        for other in (*self.others, self.old):
            other.random()  # type: ignore[attr-defined]
        self.weight.data.mul_(1.5)  # in place, unseen by autograd's counter
        self.normed.data = self.normed.data / self.normed.data.norm()  # other memory
        self.frozen.requires_grad_(True)
        with torch.enable_grad():  # a model that asks for gradients as it answers
            torch.autograd.backward((x.detach() * self.weight * self.frozen * self.normed).sum())
        torch.set_grad_enabled(False)
        return x * self.normed + 0.01 * (torch.randn_like(x) + random.random() + float(np.random.rand()))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fail = False
        self.fc, self.norm, self.drop, self.restless = nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(), Restless()
        self.norm2 = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.norm2(self.restless(self.drop(self.norm(self.fc(x)))))
        if self.fail:
            raise RuntimeError("failed in the middle")
        return z


def bits(x: Tensor | None) -> Any:
    if x is None:
        return None
    return id(x), x.data_ptr(), x.shape, x.stride(), x.requires_grad, x.detach().numpy().tobytes()


def state(model: nn.Module) -> bytes:
    tensors = {n: (bits(x), bits(x.grad)) for n, x in [*model.named_parameters(), *model.named_buffers()]}
    modes = [(n, m.training) for n, m in model.named_modules()]
    hooks = [(n, [*m._forward_hooks.items()].__repr__(), [*m._forward_pre_hooks]) for n, m in model.named_modules()]
    held = {n: sorted(f"{k}={id(v) if isinstance(v, Tensor) else v}" for k, v in vars(m).items())
            for n, m in model.named_modules() if isinstance(m, Restless)}  # fmt: skip
    flags = (torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled(), torch.is_autocast_enabled("cpu"))
    return pickle.dumps((tensors, modes, hooks, held, flags, streams()))


def streams() -> Any:
    return torch.get_rng_state().numpy().tobytes(), np.random.get_state(), random.getstate()


def own_streams(model: Restless) -> Any:
    numpy, python = model.others
    assert isinstance(numpy, np.random.Generator)
    assert isinstance(python, random.Random)
    old = [x.tolist() if isinstance(x, np.ndarray) else x for x in model.old.get_state()]
    return model.own.get_state().tolist(), numpy.bit_generator.state, python.getstate(), old


def trained() -> Net:
    """A model in the middle of training: some modules frozen, gradients there, hooks of the user at work."""
    torch.manual_seed(3)
    model = Net().train()
    model.norm2.eval()
    model.fc.weight.requires_grad_(False)
    model.fc.weight.grad = torch.ones(3, 3)
    model.fc.bias.grad = torch.ones(3)
    model.restless.weight.grad = torch.ones(3)
    return model


@pytest.mark.parametrize("fail", [False, True])
def test_the_model_and_the_streams_are_left_as_found_also_by_an_error(fail: bool) -> None:
    model = trained()
    model.fail = fail
    calls: list[str] = []
    model.drop.register_forward_hook(lambda *_: calls.append("after"))
    model.drop.register_forward_pre_hook(lambda *_: calls.append("before"))
    x = torch.randn(40, 3)
    memory = model.restless.memory
    before, own = state(model), own_streams(model.restless)
    expected = pytest.raises(RuntimeError, match="in the middle") if fail else nullcontext()
    with expected, untouched(model), Capture(model, ["restless", ""]) as capture:
        assert not any(m.training for m in model.modules())
        assert not torch.is_grad_enabled()
        for _ in range(2):
            capture.run(lambda: model(x))
    assert state(model) == before
    assert own_streams(model.restless) == own
    assert memory.tolist() == [0, 0]
    assert model.restless.past[0].item() == 0
    assert calls == ["before", "after"] * (1 if fail else 2)


def test_parameters_beyond_the_limit_are_not_copied_but_go_back_to_their_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LIMIT, "MOST_COPIED", 4 * sum(p.numel() for p in Net().parameters()) - 1)
    model = trained()
    weight, normed = model.restless.weight.detach().clone(), bits(model.restless.normed)
    with untouched(model):
        model(torch.randn(4, 3))
    assert bits(model.restless.normed) == normed
    assert torch.equal(model.restless.weight, weight * 1.5)
    assert model.restless.in_place.item() == 0


def test_tied_and_viewed_tensors_get_their_bits_back() -> None:
    class Tied(nn.Module):
        turned: Tensor
        tail: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(3, 3, bias=False)
            self.b = nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight
            self.register_buffer("turned", self.a.weight.detach()[1:].T)
            self.register_buffer("tail", torch.zeros(6)[4:])

        def forward(self, x: Tensor) -> Tensor:
            self.b.weight.data.add_(1)
            self.tail.add_(1)
            out: Tensor = self.b(self.a(x))
            return out

    model = Tied()
    before = [bits(x) for x in (model.a.weight, model.turned, model.tail)]
    with untouched(model):
        model(torch.ones(2, 3))
    assert [bits(x) for x in (model.a.weight, model.turned, model.tail)] == before
    assert model.a.weight is model.b.weight


@pytest.mark.parametrize("inside", [True, False])
def test_a_model_made_for_inference_alone(inside: bool) -> None:
    with torch.inference_mode():
        model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    x = torch.randn(6, 3)
    norm = model[1]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_mean is not None
    before = [bits(t) for t in (*model.parameters(), *model.buffers())]
    with ExitStack() as stack:
        if inside:
            stack.enter_context(torch.inference_mode())
        with untouched(model), torch.inference_mode():
            model(x)
            norm.running_mean.add_(1)
    assert [bits(t) for t in (*model.parameters(), *model.buffers())] == before


def test_it_can_stand_between_forward_and_backward() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)).eval()
    x = torch.randn(20, 3)
    loss = model(x).square().sum()
    with untouched(model):
        model(x)
    loss.backward()
    assert model[1].weight.grad is not None


def test_the_same_seed_gives_the_same_numbers_whatever_the_global_streams_say() -> None:
    model, x = Net(), torch.ones(4, 3)

    def measured(seed: int = 0) -> Tensor:
        with untouched(model, seed):
            out: Tensor = model(x)
            return out

    one = measured()
    torch.manual_seed(4)
    np.random.seed(1)
    random.seed(1)
    assert torch.equal(one, measured())
    assert not torch.equal(one, measured(seed=1))


def test_every_device_that_was_started_gets_its_stream_back(monkeypatch: pytest.MonkeyPatch) -> None:
    # Generators on the CPU stand in for those of two devices.
    devices = tuple(torch.Generator().manual_seed(i) for i in range(2))
    monkeypatch.setattr(torch.cuda, "default_generators", devices)
    before = [g.get_state() for g in devices]
    drawn = []
    for _ in range(2):
        with untouched(nn.Linear(1, 1), seed=5):
            drawn.append([torch.rand(3, generator=g).tolist() for g in devices])
    assert drawn[0] == drawn[1]
    assert all(torch.equal(g.get_state(), state) for g, state in zip(devices, before, strict=True))


def test_autocast_around_is_off_inside() -> None:
    model, x = nn.Linear(3, 2), torch.randn(4, 3)
    right = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with untouched(model):
            assert torch.equal(model(x), right)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                assert model(x).dtype == torch.bfloat16, "a forward of the user's may switch it on"
        assert model(x).dtype == torch.bfloat16


@pytest.mark.parametrize("flag", [True, False])
def test_the_fast_path_of_attention_is_off_inside(flag: bool) -> None:
    torch.backends.mha.set_fastpath_enabled(flag)
    try:
        with suppress(ZeroDivisionError), untouched(nn.Linear(1, 1)):
            assert not torch.backends.mha.get_fastpath_enabled()
            raise ZeroDivisionError
        assert torch.backends.mha.get_fastpath_enabled() is flag
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def test_compiled_models_run_eagerly_inside_and_compiled_again_after() -> None:
    runs: list[int] = []

    def backend(graph: Any, _inputs: Any) -> Any:
        def run(*inputs: Any) -> Any:
            runs.append(1)
            return graph.forward(*inputs)

        return run

    def compiled() -> Any:
        return torch.compile(copy.deepcopy(net), backend=backend)

    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 2))

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.layers(x)
            return out

    net, x = Inner().train(), torch.randn(5, 3)
    right = copy.deepcopy(net).eval()(x)
    in_place = copy.deepcopy(net)
    in_place.compile(backend=backend)
    for model in (compiled(), in_place, nn.Sequential(compiled())):
        with untouched(model):
            assert torch.equal(model(x), right)
        assert not runs
        assert all(m.training for m in model.modules())
        model(x)
        assert runs
        runs.clear()
    with torch.compiler.set_stance("fail_on_recompile"):
        with untouched(in_place):
            in_place(x[:2])
        with pytest.raises(RuntimeError, match="fail_on_recompile"):
            in_place(x.double())


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_scripted_model_gets_its_buffers_and_modes_back() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.in_place = nn.Buffer(torch.zeros(1))
            self.replaced = nn.Buffer(torch.zeros(1))
            self.drop = nn.Dropout()

        def forward(self, x: Tensor) -> Tensor:
            self.in_place += 1  # type: ignore[misc]
            self.replaced = self.replaced + 1  # type: ignore[assignment]
            out: Tensor = self.drop(x)
            return out

    model, x = torch.jit.script(Counts()).train(), torch.ones(50, 2)
    with untouched(model):
        assert torch.equal(model(x), x)
        assert model.replaced.item() == 1
    assert [model.in_place.item(), model.replaced.item()] == [0, 0]
    assert not torch.equal(model(x), x), "dropout is back"


@contextmanager
def one_process() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        dist.destroy_process_group()


def test_parallel_wrappers_stay_at_home() -> None:
    net, x = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), torch.randn(4, 3)
    right = copy.deepcopy(net).eval()(x)
    parallel = nn.DataParallel(net)
    parallel.device_ids = [0, 1]  # as on a machine of two GPUs, where each would get a copy that no hook of ours knows
    with untouched(parallel), Capture(parallel, ["module.1"]) as capture:
        assert torch.equal(capture.run(lambda: parallel(x))["module.1"], right)
    assert parallel.device_ids == [0, 1]
    with one_process():
        spread: Any = nn.parallel.DistributedDataParallel(net)
        with untouched(spread), Capture(spread, ["1"]) as capture:
            assert not spread._check_sync_bufs_pre_fwd(), "no other process is waited for"
            assert torch.equal(capture.run(lambda: spread(x))["1"], right)
        assert spread._check_sync_bufs_pre_fwd()
        assert unwrapped(nn.DataParallel(spread)) is net
    assert unwrapped(torch.compile(parallel, backend="eager")) is net  # type: ignore[arg-type]
    assert unwrapped(net) is net


def test_a_model_without_shapes_is_refused() -> None:
    with (
        pytest.raises(ChiasmError, match="lazy layers that have no shape yet; run one batch"),
        untouched(nn.Sequential(nn.LazyLinear(3))),
    ):
        pass
