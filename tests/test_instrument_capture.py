"""Outputs of addressed layers, caught as they were, by hooks that are always gone; units out of them."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from chiasm.errors import ChiasmError
from chiasm.measuring.instrument import Capture, addressed, to_units, untouched, unwrapped, widest


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def caught(model: nn.Module, layers: list[str], *inputs: Any) -> dict[str, Tensor]:
    with torch.no_grad(), Capture(model, layers) as capture:
        return capture.run(lambda: model(*inputs))


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


class Returns(nn.Module):
    """A module that returns what it is told to."""

    def __init__(self, make: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: Tensor) -> Any:
        return self.make(x)


class Holds(nn.Module):
    """A model that calls its layer and returns the input."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        self.layer(x)
        return x


# What is caught, and when


def test_several_layers_at_once_in_order_and_as_they_were_before_in_place_activations() -> None:
    in_place = [nn.ReLU(inplace=True), nn.Hardtanh(-0.5, 0.5, inplace=True), nn.ReLU6(inplace=True)]
    model = nn.Sequential(nn.Linear(3, 4), *in_place, nn.Linear(4, 2))
    x = randn(6, 3)
    seen = caught(model, ["", "1", "0", "2"], x)
    before = model[0](x)
    assert (before < 0).any()
    assert (before > 0.5).any()
    assert list(seen) == ["", "1", "0", "2"]
    assert torch.equal(seen["0"], before)
    assert torch.equal(seen["1"], before.relu())
    assert torch.equal(seen["2"], before.clamp(0, 0.5))
    assert torch.equal(seen[""], model[4](before.clamp(0, 0.5)))
    assert hooks(model) == 0


def test_what_is_kept_is_copied_only_where_it_shares_memory() -> None:
    given: list[Tensor] = []

    def double(x: Tensor) -> Tensor:
        given.append(x * 2)
        return given[-1]

    model = nn.Sequential(nn.Linear(3, 4))
    with Capture(model, ["0"], double) as capture:
        seen = capture.run(lambda: model(randn(2, 3)))
    assert seen["0"].data_ptr() == given[0].data_ptr()
    x = randn(2, 4)
    with Capture(nn.Identity(), [""], lambda y: y[:, 1:]) as capture:
        assert capture.run(lambda: x)[""].data_ptr() != x[:, 1:].data_ptr()


def test_stopping_early_runs_nothing_later_unless_the_output_is_asked_for() -> None:
    ran: list[int] = []

    def count(x: Tensor) -> Tensor:
        ran.append(1)
        return x

    model = nn.Sequential(nn.Linear(3, 4), Returns(count))
    x = randn(2, 3)
    with Capture(model, ["0"]) as capture:
        assert torch.equal(capture.run(lambda: model(x), stop=True)["0"], model[0](x))
        assert not ran
    with Capture(model, ["0", ""]) as capture:
        assert set(capture.run(lambda: model(x), stop=True)) == {"0", ""}
        assert ran


def test_the_output_is_what_forward_returns_even_if_that_is_not_the_models() -> None:
    model = nn.Linear(3, 4)
    with Capture(model, [":mine"]) as capture:
        assert capture.run(lambda: {"mine": model(randn(2, 3)) * 0, "other": 1})[":mine"].eq(0).all()


def test_calls_of_one_layer_are_told_apart() -> None:
    class Thrice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.fc = nn.Tanh(), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.act(self.act(self.act(self.fc(x))))
            return out

    model, x = Thrice(), randn(5, 3)
    seen = caught(model, ["act#2", "act#0", "fc#0"], x)
    assert torch.equal(seen["act#0"], model.fc(x).tanh())
    assert torch.equal(seen["act#2"], model(x))
    with Capture(model, ["act#1"]) as capture:
        assert torch.equal(capture.run(lambda: model(x), stop=True)["act#1"], model.fc(x).tanh().tanh())
    with pytest.raises(
        ChiasmError, match=r"'act' is called 3 times in one forward pass; name one call: 'act#0' ... 'act#2'"
    ):
        caught(model, ["act"], x)
    with pytest.raises(ChiasmError, match=r"'act#3': 'act' is called 3 times .* the last is 'act#2'"):
        caught(model, ["act#3"], x)
    with pytest.raises(ChiasmError, match=r"'fc' is called once .* the last is 'fc#0'"):
        caught(model, ["fc#1"], x)
    assert hooks(model) == 0


def test_how_often_a_layer_is_called_is_told_before_what_it_returns() -> None:
    layer = Returns(lambda x: (x, x))

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> None:
            self.layer(x)
            self.layer(x)

    for part in ("", ":1"):
        with pytest.raises(ChiasmError, match=f"called 2 times .* 'layer#0{part}' ... 'layer#1{part}'"):
            caught(Twice(), [f"layer{part}"], randn(2, 3))
    with pytest.raises(ChiasmError, match="with several tensors; name one: 'layer#1:0', 'layer#1:1'"):
        caught(Twice(), ["layer#1"], randn(2, 3))


def test_hooks_are_gone_after_an_error_and_those_of_the_user_stay_in_order() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    message: list[str] = []
    model[0].register_forward_hook(lambda *_: message.append("first"))

    def second(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        message.append("second")
        return output * 0

    model[0].register_forward_hook(second)
    before = list(model[0]._forward_hooks.items())
    with pytest.raises(RuntimeError), Capture(model, ["0"]) as capture:
        capture.run(lambda: model(torch.ones(2, 5)))
    assert list(model[0]._forward_hooks.items()) == before
    with pytest.raises(RuntimeError):
        widest(model, lambda: model(torch.ones(2, 5)), 2)
    assert list(model[0]._forward_hooks.items()) == before
    assert caught(model, ["0"], torch.ones(2, 3))["0"].eq(0).all(), "the output as the user's hooks left it"
    assert message == ["first", "second"]


def test_widest_counts_the_largest_output_of_a_sample_wherever_it_is() -> None:
    model = nn.Sequential(nn.Linear(3, 40), nn.Linear(40, 2))
    assert widest(model, lambda: model(torch.ones(5, 3)), 5) == 40
    nested = Holds(Returns(lambda x: {"a": (x, [x.repeat(1, 7)])}))
    assert widest(nested, lambda: nested(torch.ones(5, 3)), 5) == 21


# Addresses


@dataclass
class Output(OrderedDict[str, Any]):
    """As the outputs of transformers: an ordered dict and a dataclass in one, without what is None."""

    last_hidden_state: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    cache: Any = None

    def __post_init__(self) -> None:
        for field in fields(self):
            if (value := getattr(self, field.name)) is not None:
                self[field.name] = value


@dataclass
class Plain:
    mean: Tensor
    label: str = "no tensor"


class Both(NamedTuple):
    first: Tensor
    second: Tensor


def out_of(make: Callable[[Tensor], Any], part: str) -> Tensor:
    x = torch.arange(6.0).reshape(2, 3)
    return caught(Holds(Returns(make)), [f"layer{part}"], x)[f"layer{part}"]


@pytest.mark.parametrize(
    ("make", "part", "factor"),
    [
        (lambda x: (x, None), "", 1),
        (lambda x: [x * 2], "#0", 2),
        (lambda x: {"only": {"deep": x * 3}}, "", 3),
        (lambda x: Plain(x * 4), "", 4),
        (lambda x: Plain(x * 4), ":mean", 4),
        (lambda x: Output(x * 5), "", 5),
        (lambda x: Output(x * 5, cache=torch.distributions.Normal(x, x.abs() + 1)), "", 5),  # an opaque thing
        (lambda x: Output(x, (x, x * 6), cache=[x]), ":hidden_states.1", 6),
        (lambda x: Output(x, (x, x * 6), cache=[x]), "#0:hidden_states.-1", 6),
        (lambda x: Output(x, (x * 7,)), ":hidden_states", 7),
        (lambda x: (x, (x, x * 8)), ":1.1", 8),
        (lambda x: Both(x, x * 9), ":second", 9),
        (lambda x: Both(x, x * 9), ":1", 9),
        (lambda x: {"a.b": x * 10, "a": {"c": x}}, ":a.b", 10),
        (lambda x: {3: x * 11, "3#:": x}, ":3", 11),
        (lambda x: {3: x, "3#:": x * 12}, ":3#:", 12),
        (lambda x: torch.distributions.Normal(x, x.abs() + 13), ":loc", 1),
    ],
)
def test_parts_of_outputs(make: Callable[[Tensor], Any], part: str, factor: int) -> None:
    assert torch.equal(out_of(make, part), torch.arange(6.0).reshape(2, 3) * factor)


@pytest.mark.parametrize(
    ("make", "part", "message"),
    [
        (
            lambda x: Output(x, (x, x)),
            "",
            "layer 'layer' returns a Output with several tensors; name one: 'layer:last_hidden_state', "
            "'layer:hidden_states.0', 'layer:hidden_states.1'",
        ),
        (lambda x: (x, x), "#0", "name one: 'layer#0:0', 'layer#0:1'"),
        (lambda x: dict.fromkeys(range(30), x), "", "'layer:11' and 18 more"),
        (lambda x: {"a": x}, ":b", "layer 'layer' has no part 'b' in its output; name one: 'layer:a'"),
        (lambda x: (x,), ":1", "has no part '1' in its output; name one: 'layer:0'"),
        (lambda x: x, ":0", "has no part '0' in its output"),
        (lambda x: {"a": [x, x]}, ":a", "part 'a' of layer 'layer' is a list, not a tensor; name one: 'layer:a.0'"),
        (Plain, ":label", "part 'label' of layer 'layer' is a str, not a tensor"),
        (lambda x: torch.distributions.Normal(x, x.abs() + 1), "", "name one: 'layer:loc', 'layer:scale'"),
        (lambda _: "words", "", "layer 'layer' returns a str, not a tensor"),
        (lambda _: None, "", "layer 'layer' returns nothing"),
        (lambda x: x.mean(), "", "layer 'layer' returns a single number"),
        (lambda x: (x.mean(), 1), ":0", "part '0' of layer 'layer' is a single number"),
        (lambda x: x + 1j, "", "layer 'layer' returns complex; measure its real part"),
        (lambda x: x.to_sparse(), "", "layer 'layer' returns a sparse_coo tensor"),
        (lambda x: x.to("meta"), "", "layer 'layer' returns a meta tensor"),
        (lambda x: torch.nested.nested_tensor([x[0], x[1, :2]], layout=torch.jagged), "", "returns a nested tensor"),
    ],
)
def test_outputs_that_have_no_one_tensor(make: Callable[[Tensor], Any], part: str, message: str) -> None:
    with pytest.raises(ChiasmError) as error:
        out_of(make, part)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_models_own_output() -> None:
    x = randn(2, 3)
    heads = Returns(lambda x: {"left": x, "both": x * 2, "loss": x.mean()})
    seen = caught(heads, ["", ":left"], x)
    assert torch.equal(seen[""], x * 2)
    assert torch.equal(seen[":left"], x)
    for make, message in [
        (lambda _: None, r"the model returns nothing \(None\)"),
        (lambda x: {"a": x, "b": x}, r"the model returns a dict with several tensors; name one: ':a', ':b'"),
    ]:
        with pytest.raises(ChiasmError, match=message):
            caught(Returns(make), [""], x)
    silent = nn.Sequential(nn.Linear(3, 2), Returns(lambda _: None))
    assert caught(silent, ["0"], x)["0"].shape == (2, 2)


def test_names_that_look_like_addresses_come_first() -> None:
    branches = {"a": nn.Linear(3, 1), "a#0": nn.Linear(3, 2), "a:0": nn.Linear(3, 4), "a:0#1": nn.Linear(3, 5)}

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.by = nn.ModuleDict(branches)

        def forward(self, x: Tensor) -> None:
            for layer in self.by.values():
                layer(x)

    layers = ["by.a", "by.a#0", "by.a:0", "by.a:0#1", "by.a#0#0", "by.a:0#0"]
    widths = [x.shape[1] for x in caught(Net(), layers, randn(2, 3)).values()]
    assert widths == [1, 2, 4, 5, 2, 4]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["2"], "unknown layer '2'; known layers: 0, 1"),
        (["2:x"], "unknown layer '2'"),
        (["0#x"], "layer '0#x' is not of the form 'layer', 'layer#call', 'layer:part'"),
        (["0:"], "layer '0:' is not of the form"),
        (["#1"], "the model's output has no calls to count"),
        ([], "layers is empty"),
        (["0", "1", "0"], "a layer is named twice: 0, 1, 0"),
        ("0", "layers = '0' is one name; give a list of names: ['0']"),
        ([nn.ReLU()], "not the modules themselves"),
    ],
)
def test_addresses_that_name_nothing(layers: Any, message: str) -> None:
    with pytest.raises(ChiasmError) as error:
        addressed(nn.Sequential(nn.Linear(1, 1), nn.ReLU()), layers)
    assert message in str(error.value)


def test_unknown_layers_list_the_nearest_of_many() -> None:
    large = nn.Sequential(*[nn.Linear(1, 1) for _ in range(300)])
    with pytest.raises(ChiasmError, match="the 12 nearest of 300") as message:
        addressed(large, ["29x"])
    assert len(str(message.value)) < 200


def test_layers_that_are_never_called_say_why() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.all = nn.ModuleList([nn.Linear(4, 4)])
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x: Tensor) -> Any:
            return self.attention(x, x, x, need_weights=False)

    net, x = Net(), randn(2, 3, 4)
    assert caught(net, ["attention"], x)["attention"].shape == (2, 3, 4), "of (output, None) the one tensor"
    with pytest.raises(ChiasmError, match="layer 'all' was not called in the forward pass; a ModuleList only holds"):
        caught(net, ["all"], x)
    with pytest.raises(ChiasmError, match=r"'attention\.out_proj' was not called .* without calling it"):
        caught(net, ["attention.out_proj"], x)


def test_layers_that_return_several_tensors_are_addressed_by_part() -> None:
    net, x = nn.Sequential(OrderedDict(lstm=nn.LSTM(4, 3, batch_first=True))), randn(2, 5, 4)
    out, (h, _) = net(x)
    seen = caught(net, ["lstm:0", "lstm:1.0", ":0"], x)
    assert torch.equal(seen["lstm:0"], out.detach())
    assert torch.equal(seen["lstm:1.0"], h.detach())
    assert torch.equal(seen[":0"], out.detach())
    with pytest.raises(ChiasmError, match=r"the model returns a tuple .* name one: ':0', ':1.0', ':1.1'"):
        caught(net, [""], x)
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    assert [y.shape[1:] for y in caught(attention, [":0", ":1"], x, x, x).values()] == [(5, 4), (5, 5)]


# Models that wrap others, or run otherwise than they are written


def wrapped_in_all() -> Iterator[tuple[str, nn.Module, list[str]]]:
    net = nn.Sequential(OrderedDict(a=nn.Linear(3, 4), b=nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2))))
    compiled = torch.compile(net, backend="eager")
    assert isinstance(compiled, nn.Module)
    inside = nn.Sequential(OrderedDict(a=net.a, b=torch.compile(net.b, backend="eager")))  # type: ignore[arg-type]
    yield "parallel", nn.DataParallel(net), ["a", "module.a", "module.b.0", "b.0", "module.b"]
    yield "averaged", AveragedModel(net), ["a", "module.b.1"]
    yield "compiled", compiled, ["a", "_orig_mod.a", "_orig_mod.b.0", "b.0"]
    yield "in part", inside, ["a", "b", "b._orig_mod", "b._orig_mod.0", "b.0", "module.b.1"]
    yield "twice", nn.DataParallel(compiled), ["module._orig_mod.b.0", "module.b.0", "_orig_mod.b.0", "b.0", "module"]
    yield "parts in parallel", nn.DataParallel(inside), ["module.b._orig_mod.0", "b._orig_mod.0", "module.b.0", "b.0"]
    yield "bare", net, ["module.a", "_orig_mod.b.0", "module._orig_mod.b.1"]


@pytest.mark.parametrize("case", range(7))
def test_wrappers_may_be_in_the_name_or_not(case: int) -> None:
    name, model, layers = list(wrapped_in_all())[case]
    x = randn(5, 3)
    weights = [w.detach() for w in model.parameters()]
    a = x @ weights[0].T + weights[1]
    right = {"a": a, "0": a.relu(), "1": a.relu() @ weights[2].T + weights[3]}
    right |= {"b": right["1"], "_orig_mod": right["1"], "module": right["1"]}
    with untouched(model), Capture(model, layers) as capture:
        for layer, value in capture.run(lambda: unwrapped(model)(x)).items():
            # float32, sums of four terms of order 1
            torch.testing.assert_close(value, right[layer.rpartition(".")[2]], rtol=1e-5, atol=1e-6, msg=name)
    with pytest.raises(ChiasmError, match=r"known layers: a, b, b\.0, b\.1"):
        addressed(model, ["c"])


def test_a_compiled_model_gives_what_the_eager_one_gives_and_is_compiled_no_more_often() -> None:
    compilations: list[int] = []

    def backend(graph: Any, _inputs: Any) -> Any:
        compilations.append(1)
        return graph.forward

    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.all = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.all(x)
            return out

    net, x, layers = Inner(), randn(5, 3), ["all.0", "all.1", ""]
    right = caught(net, layers, x)
    in_place = copy.deepcopy(net)
    in_place.compile(backend=backend)
    wrapped: Any = torch.compile(copy.deepcopy(net), backend=backend)
    for model in (wrapped, in_place):
        with torch.no_grad():
            model(x)
        before = len(compilations)
        assert before
        with untouched(model):
            seen = caught(model, layers, x)
        assert all(torch.equal(seen[name], right[name]) for name in layers)
        with torch.no_grad():
            model(x)
        assert len(compilations) == before, "hooks came and went without a trace"
        torch._dynamo.reset()
        compilations.clear()


def test_layers_inside_a_transformer_are_called_and_see_dense_tensors() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    x, padding = randn(4, 5, 8), torch.zeros(4, 5, dtype=torch.bool)
    padding[0, 3:] = True
    layers = ["layers.0.linear1", "layers.1.self_attn", "layers.0", ""]

    def run() -> Tensor:
        out: Tensor = model(x, src_key_padding_mask=padding)
        return out

    with quiet(), torch.no_grad():
        fast = run()
    with untouched(model), Capture(model, layers) as capture:
        seen = capture.run(run)
    assert [tuple(seen[name].shape) for name in layers] == [(4, 5, 16), (4, 5, 8), (4, 5, 8), (4, 5, 8)]
    # The fused path sums in another order, and puts zeros where the padding is.
    torch.testing.assert_close(seen[""][~padding], fast[~padding], rtol=1e-5, atol=1e-5)
    assert torch.backends.mha.get_fastpath_enabled()


@contextmanager
def quiet() -> Iterator[None]:
    """torch's own warning that nested tensors are a prototype."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_scripted_part_is_caught_whole() -> None:
    part = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    model, x = Holds(torch.jit.script(part)), randn(2, 3)
    assert torch.equal(caught(model, ["layer"], x)["layer"], part(x).detach())
    with pytest.raises(ChiasmError, match=r"'layer\.0' was not called .* what TorchScript runs inside itself"):
        caught(model, ["layer.0"], x)
    assert widest(model, lambda: model(x), 2) == 4
    assert hooks(model) == 0


# Units


def test_units_of_every_kind_of_output() -> None:
    maps = torch.arange(2 * 3 * 2 * 5.0).reshape(2, 3, 2, 5)
    assert torch.equal(to_units(maps, "channel"), maps.mean((2, 3)))
    assert torch.equal(to_units(maps, "position"), maps)
    assert to_units(maps, "position").data_ptr() == maps.data_ptr()
    assert torch.equal(to_units(maps, "channel", -1), maps.mean((1, 2)))
    assert torch.equal(to_units(maps, "position", 3), maps.permute(0, 3, 1, 2))
    assert to_units(maps, "position", -1).data_ptr() == maps.data_ptr()
    tokens = torch.arange(2 * 4 * 3.0).reshape(2, 4, 3)
    assert torch.equal(to_units(tokens, "channel"), tokens.mean(1))
    assert torch.equal(to_units(tokens, "channel", 1), tokens.mean(2))
    assert torch.equal(to_units(tokens, "position"), tokens.transpose(1, 2))
    video = torch.arange(2 * 3 * 2 * 2 * 2.0).reshape(2, 3, 2, 2, 2)
    assert torch.equal(to_units(video, "channel"), video.mean((2, 3, 4)))
    units = randn(4, 3)
    for per in ("channel", "position"):
        for axis in (None, 1, -1):
            assert to_units(units, per, axis).data_ptr() == units.data_ptr()
            assert to_units(torch.ones(5), per, axis).shape == (5, 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.bool, torch.uint8])
def test_narrow_numbers_are_widened_before_they_are_averaged(dtype: torch.dtype) -> None:
    # 4095 positions of 1 and one of 0: half precision and int8 can hold neither the sum nor this mean.
    x = torch.ones(1, 1, 64, 64).to(dtype)
    x[0, 0, 0, 0] = 0
    assert to_units(x, "channel").dtype == torch.float32
    assert to_units(x, "channel").item() == 4095 / 4096
    assert to_units(x, "position").dtype == to_units(x[0, 0], "channel").dtype == torch.float32
    assert to_units(torch.ones(2, 2, 3, dtype=torch.float64), "channel").dtype == torch.float64


@pytest.mark.parametrize(
    ("x", "per", "axis", "message"),
    [
        (
            torch.ones(2, 3, 4),
            "channel",
            0,
            r"channel_axis = 0 is the axis of samples of an output of shape \(2, 3, 4\)",
        ),
        (torch.ones(2, 3, 4), "channel", -3, "is the axis of samples"),
        (torch.ones(2, 3, 4), "channel", 3, r"channel_axis = 3: an output of shape \(2, 3, 4\) has no such axis"),
        (torch.ones(2, 3), "position", -3, "no such axis"),
        (torch.ones(2, 3), "unit", None, "per = 'unit'; expected 'channel' or 'position'"),
        (torch.ones(2, 2, dtype=torch.complex64), "channel", None, "complex"),
        (torch.tensor(1.0), "channel", None, "a single number"),
    ],
)
def test_units_that_there_are_not(x: Tensor, per: str, axis: int | None, message: str) -> None:
    with pytest.raises(ChiasmError, match=message):
        to_units(x, per, axis)
