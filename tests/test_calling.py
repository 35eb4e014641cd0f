"""How a model is called: whatever its forward takes, or one sentence that says what is expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.networks import SplitMLP
from chiasm.networks.calling import calling_conventions, forward_of, unwrapped
from chiasm.sources import Source

TWO = {"left": torch.full((2, 1), 5.0), "right": torch.full((2, 1), 2.0)}
ONE = {"left": torch.full((2, 1), 3.0)}
TOKENS = {"text": {"ids": torch.full((2, 1), 5.0), "mask": torch.ones(2, 1)}, "image": torch.full((2, 1), 2.0)}
PAIRED = {"text": (torch.full((2, 1), 5.0), torch.ones(2, 1)), "image": torch.full((2, 1), 2.0)}


def module(parameters: str, returns: str) -> nn.Module:
    """Make a module with a forward of these parameters."""
    held: dict[str, Any] = {"Mapping": Mapping, "Tensor": Tensor}
    exec(compile(f"def forward(self, {parameters}): return {returns}", "", "exec", dont_inherit=True), held)
    made: nn.Module = type("Net", (nn.Module,), {"forward": held["forward"]})()
    return made


def answer(model: nn.Module, sources: Mapping[str, Any]) -> Any:
    return forward_of(model, sources)(model, sources)


FORWARDS = [
    ("right, left", "left - right", TWO),
    ("right, left, scale=1.0, **more", "(left - right) * scale", TWO),
    ("right, *, left", "left - right", TWO),
    ("**x", "x['left'] - x['right']", TWO),
    ("left, **others", "left - others['right']", TWO),
    ("*args, **x", "x['left'] - x['right']", TWO),
    ("*x", "x[0] - x[1]", TWO),
    ("a, *x", "a - x[0]", TWO),
    ("a, b, scale=1.0", "(a - b) * scale", TWO),
    ("right, left, /", "left - right", TWO),
    ("sources", "sources['left'] - sources['right']", TWO),
    ("batch: Mapping[str, Tensor], loss=False", "batch['left'] - batch['right']", TWO),
    ("batch: 'dict[str, Tensor]'", "batch['left'] - batch['right']", TWO),
    ("x", "x", ONE),
    ("x=None, mask=None", "x + 0", ONE),
    ("left: Tensor", "left", ONE),
    ("sources: Mapping[str, Tensor]", "sources['left']", ONE),
    ("*x", "x[0]", ONE),
    ("ids, mask, image", "ids * mask - image", TOKENS),
    ("ids=None, mask=None, labels=None, image=None, **kwargs", "ids * mask - image", TOKENS),
    ("text, image", "text['ids'] * text['mask'] - image", TOKENS),
    ("a, b", "a['ids'] * a['mask'] - b", TOKENS),
    ("batch", "batch['text']['ids'] - batch['image']", TOKENS),
    ("image, text", "text[0] * text[1] - image", PAIRED),
]


@pytest.mark.parametrize(("parameters", "returns", "sources"), FORWARDS, ids=[f"({p})" for p, *_ in FORWARDS])
def test_sources_reach_a_forward_of_any_kind(parameters: str, returns: str, sources: dict[str, Any]) -> None:
    model = module(parameters, returns)
    compiled: Any = torch.compile(model, backend="eager")
    for wrapped in (model, nn.DataParallel(model), nn.DataParallel(compiled)):
        assert answer(wrapped, sources).eq(3).all()
        assert unwrapped(wrapped) is model


def test_a_mapping_is_a_copy_so_that_a_model_may_take_it_apart() -> None:
    sources = dict(TWO)
    answer(module("sources", "sources.pop('left')"), sources)
    assert set(sources) == {"left", "right"}


@pytest.mark.parametrize(
    ("parameters", "sources", "told"),
    [
        ("x, y, z", TWO, "forward takes (x, y, z), which does not fit the sources left, right; name the sources"),
        ("a, b, *, key", TWO, "does not fit"),
        ("a, b, c, *more", TWO, "forward takes (a, b, c, *more), which does not fit"),
        # A place that need not be filled is as likely a mask as a source, and **kwargs would swallow a mistyped name.
        ("x: Tensor, mask=None", TWO, "forward takes (x, mask), which does not fit"),
        ("ids=None, mask=None, image=None, **kwargs", {"ids": 1, "imagee": 2}, "takes (ids, mask, image, **kwargs)"),
        ("x: Tensor", TWO, "forward takes (x), which does not fit"),
        ("x: 'torch.Tensor'", TWO, "forward takes (x), which does not fit"),
        ("ids, mask", {"a": TOKENS["text"], "b": TOKENS["text"]}, "source 'b' holds 'ids', which another source has"),
    ],
)
def test_a_forward_that_fits_no_way_is_one_sentence(parameters: str, sources: dict[str, Any], told: str) -> None:
    with pytest.raises(ChiasmError) as error:
        forward_of(module(parameters, "0"), sources)
    assert told in str(error.value)
    assert "forward=(model, sources) -> output" in str(error.value)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            nn.Sequential(nn.Linear(1, 1)),
            "forward takes (input); given the sources left, right in one mapping it raised ",
        ),
        (nn.Sequential(nn.Flatten()), "it raised AttributeError: 'dict' object has no attribute 'flatten'"),
        (nn.Sequential(nn.Conv1d(1, 1, 1)), "it raised TypeError: "),
        (module("x", "x[0]"), "it raised KeyError: 0"),
        (module("s: Mapping[str, Tensor]", "s['audio']"), "left, right in one mapping it raised KeyError: 'audio'"),
        (module("*a, **k", "(lambda x, y: x - y)(*a, **k)"), "by name it raised TypeError"),
    ],
    ids=["linear", "flatten", "conv", "index", "another name", "keywords"],
)
def test_a_model_that_cannot_use_a_mapping_is_one_sentence(model: nn.Module, told: str) -> None:
    with pytest.raises(ChiasmError) as error:
        answer(model, TWO)
    assert told in str(error.value)
    assert str(error.value).endswith("name the sources as its parameters, or give forward=(model, sources) -> output")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("parameters", ["left, right", "sources: Mapping[str, Tensor]"])
def test_errors_of_the_models_own_are_its_own(parameters: str) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        answer(module(parameters, "None + 1"), TWO)
    with pytest.raises(KeyError, match="left"):
        answer(module(parameters, "{}['left']"), TWO)


def test_modules_without_a_forward_or_a_readable_signature() -> None:
    with pytest.raises(ChiasmError, match="the model is a ModuleDict, which has no forward"):
        forward_of(nn.ModuleDict(), TWO)
    odd = nn.Identity()
    odd.forward = type("Odd", (), {"__call__": dict.get, "__signature__": 3})()  # type: ignore[method-assign]
    with pytest.raises(ChiasmError, match="the signature of the forward of Identity cannot be read; give forward="):
        forward_of(odd, TWO)


def test_a_network_of_the_bench_takes_the_mapping_and_knows_its_sources() -> None:
    network = SplitMLP(depth=1, width=2).build((Source("left", (1,)), Source("right", (1,))), 2)
    for model in (network, nn.DataParallel(network)):
        assert answer(model, TWO)["both"].shape == (2, 2)
        with pytest.raises(ChiasmError, match="unknown source 'nose'; known sources: left, right"):
            forward_of(model, {**TWO, "nose": TWO["left"]})
        with pytest.raises(ChiasmError, match="the network has sources left, right; given: left"):
            forward_of(model, ONE)


def test_a_lone_source_may_be_meant_bare_or_in_a_mapping() -> None:
    kinds: Callable[[str], list[str]] = lambda p: [m.kind for m in calling_conventions(module(p, "0"), ONE)]  # noqa: E731
    assert kinds("x") == ["ordered", "mapping"]
    assert kinds("x: Tensor") == ["ordered"]
    assert kinds("x: dict") == ["mapping"]
    assert kinds("left") == ["named"]


class Scripted(nn.Module):
    def forward(self, right: Tensor, left: Tensor, scale: float = 1.0) -> Tensor:
        return (left - right) * scale


class ScriptedMapping(nn.Module):
    def forward(self, sources: dict[str, Tensor]) -> Tensor:
        return sources["left"] - sources["right"]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_scripted_and_traced_models() -> None:
    script: Any = torch.jit.script
    trace: Any = torch.jit.trace
    for model in [script(Scripted()), script(ScriptedMapping()), trace(Scripted(), tuple(TWO.values()))]:
        assert torch.equal(answer(model, TWO), torch.full((2, 1), 3.0))
    with pytest.raises(ChiasmError, match=r"forward takes \(right, left, scale\), which does not fit the sources left"):
        forward_of(script(Scripted()), ONE)
    with pytest.raises(ChiasmError, match=r"forward takes \(input\), which does not fit"):
        forward_of(script(nn.Linear(1, 1)), TWO)
