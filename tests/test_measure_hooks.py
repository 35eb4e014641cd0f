"""Outputs of named layers, caught as they were, by hooks that are always gone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.measuring.hooks import Capture, modules_named, to_units, widest


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_several_layers_at_once_also_before_an_in_place_activation() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), Capture(modules_named(model, ["0", "1", ""])) as capture:
        seen = capture.run(lambda: model(x))
        before = model[0](x)
        assert (before < 0).any()
        assert torch.equal(seen["0"], before)
        assert torch.equal(seen["1"], before.relu())
        assert torch.equal(seen[""], model[2](before.relu()))
    assert hooks(model) == 0


def test_stopping_early_runs_nothing_later() -> None:
    class Never(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("ran")

    model = nn.Sequential(nn.Linear(3, 4), Never())
    with Capture(modules_named(model, ["0"])) as capture:
        assert capture.run(lambda: model(torch.ones(2, 3)), stop=True)["0"].shape == (2, 4)


def test_hooks_are_gone_after_an_error() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    with pytest.raises(RuntimeError), Capture(modules_named(model, ["0"])) as capture:
        capture.run(lambda: model(torch.ones(2, 5)))
    assert hooks(model) == 0
    with pytest.raises(RuntimeError):
        widest(model, lambda: model(torch.ones(2, 5)), 2)
    assert hooks(model) == 0


def test_widest_counts_the_largest_output_of_a_sample() -> None:
    model = nn.Sequential(nn.Linear(3, 40), nn.Linear(40, 2))
    assert widest(model, lambda: model(torch.ones(2, 3)), 2) == 40


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.unused, self.pair = nn.Linear(2, 2), nn.Linear(2, 2), Pair()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(self.layer(x)) + self.pair(x)[0]
        return out


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Loss(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean()


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        ("layer", "layer 'layer' is called more than once"),
        ("unused", "layer 'unused' was not called"),
        ("pair", "layer 'pair' returns a tuple, not a tensor"),
        ("loss", "layer 'loss' returns a single number"),
    ],
)
def test_layers_that_have_no_one_answer(layer: str, told: str) -> None:
    model = nn.ModuleDict({"net": Twice(), "loss": Loss()})
    inner = model["net"]
    modules = {layer: model["loss"] if layer == "loss" else inner.get_submodule(layer)}
    with pytest.raises(ChiasmError, match=told), Capture(modules) as capture:
        capture.run(lambda: model["loss"](inner(torch.ones(1, 2))))
    assert hooks(model) == 0


def test_unknown_layers_list_the_nearest() -> None:
    small = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
    with pytest.raises(ChiasmError, match="unknown layer '2'; known layers: 0, 1"):
        modules_named(small, ["2"])
    large = nn.Sequential(*[nn.Linear(1, 1) for _ in range(300)])
    with pytest.raises(ChiasmError, match="the 12 nearest of 300") as told:
        modules_named(large, ["29x"])
    assert len(str(told.value)) < 200
    with pytest.raises(ChiasmError, match="layers is empty"):
        modules_named(small, [])
    with pytest.raises(ChiasmError, match="named twice"):
        modules_named(small, ["0", "0"])


def test_units_of_maps_and_tokens() -> None:
    maps = torch.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    assert torch.equal(to_units(maps, "channel"), maps.mean((2, 3)))
    assert to_units(maps, "position") is maps
    tokens = torch.arange(2 * 4 * 3.0).reshape(2, 4, 3)
    assert torch.equal(to_units(tokens, "channel"), tokens.mean(1))
    assert to_units(torch.ones(5), "channel").shape == (5, 1)
    assert to_units(torch.ones(5, 2, dtype=torch.bfloat16), "channel").dtype == torch.float32
    with pytest.raises(ChiasmError, match="complex"):
        to_units(torch.ones(2, 2, dtype=torch.complex64), "channel")
