"""Law 2: measuring leaves parameters, buffers, modes, gradients, hooks and every random stream as they were."""

from __future__ import annotations

import pickle
import random
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring import measure


class Counter(nn.Module):
    """Counts its calls in buffers, in any mode, in place and by a new tensor; draws from every random stream."""

    in_place: Tensor
    replaced: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("in_place", torch.zeros(1))
        self.register_buffer("replaced", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.in_place += 1
        self.replaced = self.replaced + 1
        return x + 0.01 * (torch.randn_like(x) + random.random() + float(np.random.rand()))


class Net(nn.Module):
    def __init__(self, fail: bool) -> None:
        super().__init__()
        self.fail = fail
        self.left, self.right = nn.Linear(3, 8), nn.Linear(3, 8)
        self.norm, self.drop, self.count = nn.BatchNorm1d(8), nn.Dropout(), Counter()
        self.norm2 = nn.BatchNorm1d(8)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        z: Tensor = self.norm2(self.count(self.drop(self.norm(self.left(left) + self.right(right)))))
        if self.fail and len(z) > 2:
            raise RuntimeError("failed in the middle")
        return z


def state(model: nn.Module) -> bytes:
    tensors = {name: x.detach().numpy().tobytes() for name, x in [*model.named_parameters(), *model.named_buffers()]}
    grads = {name: None if x.grad is None else x.grad.numpy().tobytes() for name, x in model.named_parameters()}
    identity = [(name, id(x)) for name, x in [*model.named_parameters(), *model.named_buffers()]]
    modes = [(name, module.training) for name, module in model.named_modules()]
    hooks = [(name, len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in model.named_modules()]
    flags = [x.requires_grad for x in model.parameters()]
    streams = (torch.get_rng_state().numpy().tobytes(), np.random.get_state(), random.getstate())
    return pickle.dumps((tensors, grads, identity, modes, hooks, flags, streams, torch.is_grad_enabled()))


@pytest.mark.parametrize("fail", [False, True])
def test_the_model_is_left_as_found(fail: bool) -> None:
    torch.manual_seed(3)
    model = Net(fail=False).train()
    model.norm2.eval()
    model.right.weight.requires_grad_(False)
    calls: list[int] = []
    model.drop.register_forward_hook(lambda *_: calls.append(1))
    x = {"left": torch.randn(40, 3), "right": torch.randn(40, 3)}
    model(**x).square().sum().backward()
    model.fail = fail
    before = state(model)
    if fail:
        with pytest.raises(ChiasmError, match=r"RuntimeError \(.*in the middle"):
            measure(model, x, ["norm", "count", ""], anchors=16)
    else:
        measure(model, x, ["norm", "count", ""], anchors=16)
    assert state(model) == before
    assert calls, "the user's own hook stays at work"


def test_it_can_be_called_between_forward_and_backward() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)).eval()
    x = torch.randn(20, 3)
    loss = model(x).square().sum()

    def sums(model: nn.Module, sources: Mapping[str, Tensor]) -> Tensor:
        out: Tensor = model(sources["a"] + sources["b"])
        return out

    measure(model, {"a": x, "b": x}, ["1"], anchors=8, forward=sums, check_dependence=False)
    loss.backward()
    assert model[1].weight.grad is not None


def test_the_same_seed_gives_the_same_numbers_whatever_the_global_streams_say() -> None:
    torch.manual_seed(3)
    model = Net(fail=False)
    x = {"left": torch.randn(40, 3), "right": torch.randn(40, 3)}
    one = measure(model, x, [""], anchors=16)[""].rsv()
    torch.manual_seed(4)
    np.random.seed(1)
    random.seed(1)
    assert np.array_equal(one, measure(model, x, [""], anchors=16)[""].rsv())
    assert not np.array_equal(one, measure(model, x, [""], anchors=16, seed=1)[""].rsv())
