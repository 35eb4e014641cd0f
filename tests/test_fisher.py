"""Fisher information of parts: closed forms, plain autograd as the rival, and models that vmap cannot take."""

from __future__ import annotations

import copy
import math
import pickle
import random
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from chiasm.errors import ChiasmError
from chiasm.measuring.information.fisher import Fisher, fisher
from chiasm.measuring.information.gradients import traces
from chiasm.networks import SplitCNN
from chiasm.randomness import seeded_globals
from chiasm.sources import Source

N = 40
# Squared norms of float32 gradients: a relative rounding of 1e-7 a step, some tens of steps, squared.
CLOSE = 2e-5


def made(build: type[nn.Module], *args: Any, **options: Any) -> nn.Module:
    with seeded_globals(0, "test"):
        return build(*args, **options)


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain(model: nn.Module, x: Tensor) -> NDArray[np.float64]:
    """The rival: `backward` on the model itself, a sample and a class at a time. (parameters, samples)."""
    mine = copy.deepcopy(model).eval().requires_grad_(True)
    found = []
    for one in x:
        log_p = mine(one.unsqueeze(0)).log_softmax(1)[0]
        total = np.zeros(len(list(mine.parameters())))
        for c, share in enumerate(log_p.detach().exp().tolist()):
            mine.zero_grad()
            log_p[c].backward(retain_graph=True)
            total += [
                share * float(p.grad.double().square().sum()) if p.grad is not None else 0 for p in mine.parameters()
            ]
        found.append(total)
    return np.array(found).T


class Linear(nn.Module):
    """Logits W_a a + W_b b."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 3, bias=False), nn.Linear(4, 3, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        z: Tensor = self.a(a) + self.b(b)
        return z


def test_a_softmax_of_linear_logits_has_its_closed_form() -> None:
    model, x = made(nn.Linear, 6, 4), draw(N, 6)
    p = model(x).double().softmax(1)
    spread = (p * (1 - p)).sum(1)
    found = fisher(model, {"x": x}, labels="exact", samples=None, parts={"all": [""], "bias": ["bias"]})
    want = [(spread * (x.double().square().sum(1) + 1)).mean().item(), spread.mean().item()]
    assert list(found.trace.values()) == pytest.approx(want, rel=CLOSE)
    assert found.parameters == {"all": 28, "bias": 4}
    assert found.per_parameter()["bias"] == pytest.approx(want[1] / 4, rel=CLOSE)
    assert found.how == "vectorised"


def test_two_linear_pathways_have_theirs_and_their_ratio_and_a_silent_source_has_none() -> None:
    model, a, b = made(Linear), draw(N, 5), 3 * draw(N, 4, seed=2)
    p = model(a, b).double().softmax(1)
    spread = (p * (1 - p)).sum(1)
    want = [(spread * x.double().square().sum(1)).mean().item() for x in (a, b)]
    found = fisher(model, {"a": a, "b": b}, labels="exact", samples=None)
    assert [*found.trace.values()] == pytest.approx(want, rel=CLOSE)
    assert found.ratio("a", "b").value == pytest.approx(want[0] / want[1], rel=CLOSE)
    quiet = fisher(model, {"a": a, "b": torch.zeros_like(b)})
    assert quiet.trace["b"] == 0 < quiet.trace["a"]
    assert quiet.ratio("b", "a").value == 0
    assert quiet.ratio("a", "b").value == math.inf


def test_sampled_labels_come_from_the_model_and_average_to_the_exact_trace() -> None:
    model, x = made(nn.Linear, 6, 3), draw(300, 6)
    assert isinstance(model, nn.Linear)
    with torch.no_grad():
        model.weight.mul_(4)  # sure of most samples: labels of the data, or uniform ones, would give another trace
    exact = fisher(model, {"x": x}, labels="exact", samples=None)
    one = fisher(model, {"x": x}, samples=None, seed=3)
    many = fisher(model, {"x": x}, samples=None, draws=50)
    for part in exact.parts:
        # The same samples, so what differs is the draw of labels alone: its error is no more than the whole one.
        error = (many.norms - exact.norms)[exact.parts.index(part)].std() / math.sqrt(300)
        assert abs(many.trace[part] - exact.trace[part]) < 4 * error
        assert abs(one.trace[part] - exact.trace[part]) < 4 * one.standard_error[part]
        assert many.standard_error[part] < one.standard_error[part]
    assert np.array_equal(one.norms, fisher(model, {"x": x}, samples=None, seed=3).norms)
    assert not np.array_equal(one.norms, fisher(model, {"x": x}, samples=None, seed=4).norms)


class Tiny(nn.Module):
    """A transformer of one layer, with dropout and normalisation; its fast path gives no gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.head(self.encoder(x).mean(1))
        return z


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(4)
        assert norm.running_mean is not None
        nn.init.normal_(norm.running_mean)
        self.body = nn.Sequential(
            nn.Conv2d(2, 4, 3), norm, nn.ReLU(inplace=True), nn.Dropout(), nn.Conv2d(4, 4, 3, groups=2)
        )
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.head(self.body(x).flatten(2).mean(2))
        return z


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.head(self.cell(x)[0][:, -1])
        return z


class Branching(nn.Module):
    """What it computes depends on its data, by way of a Python number."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.one(x) if x.sum().item() > 0 else self.other(x)
        return z


class Deceiving(nn.Module):
    """Gives other numbers under vmap, without an error."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.layer(x * (2 if torch._C._functorch.maybe_current_level() else 1))
        return z


CASES: dict[str, tuple[type[nn.Module], tuple[int, ...], str]] = {
    "convolutions": (Convolutional, (2, 6, 6), "vectorised"),
    "transformer": (Tiny, (5, 8), "vectorised"),
    "recurrent": (Recurrent, (6, 4), "one sample at a time: RuntimeError"),
    "branching": (Branching, (4,), "one sample at a time: RuntimeError"),
    "deceiving": (Deceiving, (4,), "one sample at a time: vectorised gradients of the first sample differ"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_agrees_with_backward_sample_by_sample_and_says_how_it_was_had(case: str) -> None:
    build, shape, how = CASES[case]
    model = made(build)
    x = draw(12, *shape)
    parts = {name: [name] for name, _ in model.named_parameters()}
    found = fisher(model, {"x": x}, parts=parts, labels="exact", samples=None)
    want = plain(model, x)
    # Where a gradient is zero but for rounding (the shift of keys in attention), only the scale of the others counts.
    np.testing.assert_allclose(found.norms, want, rtol=2e-4, atol=1e-6 * want.sum(0).max())
    assert found.how.startswith(how)


class Noisy(nn.Module):
    """Draws in evaluation mode, and counts its calls in a buffer, an attribute and a list."""

    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 4), nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("count", torch.zeros(1))
        self.last: Any = None
        self.calls: list[int] = []

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        self.count += 1
        self.calls.append(1)
        z: Tensor = self.norm(self.left(left) + self.right(right)) + 0.1 * torch.randn(4) + random.random()
        self.last = z
        return z


def state(model: nn.Module) -> bytes:
    tensors = {name: (id(x), x.detach().numpy().tobytes()) for name, x in model.state_dict(keep_vars=True).items()}
    grads = [(x.requires_grad, None if x.grad is None else x.grad.numpy().tobytes()) for x in model.parameters()]
    modes = [(m.training, len(m._forward_hooks)) for m in model.modules()]
    own = [(vars(m).get("calls"), id(vars(m).get("last"))) for m in model.modules()]
    streams = (torch.get_rng_state().numpy().tobytes(), np.random.get_state(), random.getstate())
    return pickle.dumps((tensors, grads, modes, [copy.copy(x) for x in own], streams, torch.is_grad_enabled()))


def test_the_model_is_left_as_found_and_what_it_draws_is_the_measurements_own() -> None:
    model = made(Noisy).train()
    assert isinstance(model, Noisy)
    x = {"left": draw(20, 3), "right": draw(20, 3, seed=2)}
    model(**x).sum().backward()
    model.right.weight.requires_grad_(False)
    before = state(model)
    found = fisher(model, x)
    assert state(model) == before
    assert found.how.startswith("one sample at a time: RuntimeError (vmap: called random operation")
    assert found.parameters["right"] == 16  # frozen ones count
    torch.manual_seed(5)
    random.seed(5)
    assert np.array_equal(found.norms, fisher(model, x).norms)


def test_vectorised_it_leaves_a_model_in_training_as_found_and_its_dropout_silent() -> None:
    model = made(Convolutional).train()
    x = draw(20, 2, 6, 6)
    model(x).sum().backward()
    before = state(model)
    with torch.inference_mode():
        found = fisher(model, {"x": x})
    assert found.how == "vectorised"
    assert state(model) == before
    assert np.array_equal(found.norms, fisher(model.eval(), {"x": x}).norms)


@pytest.mark.parametrize("chunk", [1, 3, 40])
def test_chunks_change_nothing_but_rounding(chunk: int) -> None:
    model, x = made(Convolutional), draw(N, 2, 6, 6)
    whole = fisher(model, {"x": x})
    np.testing.assert_allclose(fisher(model, {"x": x}, chunk=chunk).norms, whole.norms, rtol=1e-4)


def network(**options: Any) -> nn.Module:
    sources = [Source("left", (1, 6, 6), "image"), Source("right", (1, 6, 6), "image")]
    with seeded_globals(0, "test"):
        return SplitCNN(channels=(2, 3), trunk=(4,), norm="batch", heads="per_source", **options).build(sources, 3)


def test_parts_of_a_network_of_the_bench_and_normalisation_left_out() -> None:
    model, x = network(), {"left": draw(20, 1, 6, 6), "right": draw(20, 1, 6, 6, seed=2)}
    found = fisher(model, x, labels="exact")
    assert found.parts == ("pathways.left", "pathways.right", "trunk", "heads")
    assert found.parameters["heads"] == 4 * 3 + 3  # the other heads do not answer
    bare = fisher(model, x, labels="exact", normalisation=False)
    norms = fisher(model, x, labels="exact", parts={"pathways.left": ["pathways.left.1", "pathways.left.4"]})
    assert bare.parameters["pathways.left"] == found.parameters["pathways.left"] - norms.parameters["pathways.left"]
    assert bare.trace["pathways.left"] + norms.trace["pathways.left"] == pytest.approx(found.trace["pathways.left"])
    assert found.ratio("left", "right") == found.ratio("pathways.left", "pathways.right")
    value, low, high = found.ratio("left", "right")
    assert low < value < high
    assert found.ratio("right", "left").value == pytest.approx(1 / value)
    assert found.ratio("right", "left").low == pytest.approx(1 / high)
    assert f"pathways.left / pathways.right: {value:.3g}" in found.summary()
    frame = found.frame()
    assert frame["part"].to_list() == list(found.parts)
    assert frame["trace"].to_list() == [*found.trace.values()]


def test_one_row_of_weights_gives_what_the_network_with_them_gives() -> None:
    model, x = network().eval(), {"left": draw(20, 1, 6, 6), "right": draw(20, 1, 6, 6, seed=2)}
    rows = {name: torch.stack([p.detach(), 2 * p.detach()]) for name, p in model.named_parameters()}
    parts = {"left": ["pathways.left"], "both": ["pathways"]}
    found = traces(
        lambda weights, shown: functional_call(model, weights, (shown,)),
        {name: p[1] for name, p in rows.items()},
        dict(model.named_buffers()),
        x,
        parts,
        labels="exact",
    )
    other = copy.deepcopy(model)
    with torch.no_grad():
        for p in other.parameters():
            p.mul_(2)
    np.testing.assert_allclose(found.numpy(), fisher(other, x, parts=parts, labels="exact").norms, rtol=1e-6)


class Tokens(nn.Module):
    """Takes a dict of tokens and their mask and a tuple of tensors; its embedding is its head too."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.right = nn.Embedding(7, 4), nn.Linear(3, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, text: dict[str, Tensor], pair: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        mask = text["mask"].unsqueeze(-1)
        z = (self.embed(text["tokens"]) * mask).sum(1) + self.right(pair[0] * pair[1])
        return {"logits": self.head(z)}


def test_nested_sources_shared_weights_and_logits_in_a_mapping() -> None:
    model = made(Tokens)
    assert isinstance(model, Tokens)
    tokens = torch.randint(0, 7, (10, 5), generator=torch.Generator().manual_seed(0))
    text = {"tokens": tokens, "mask": (tokens > 1).float().numpy()}
    a, b = draw(10, 3), draw(10, 3, seed=2)
    found = fisher(model, {"text": text, "pair": (a, b)}, labels="exact")
    assert found.how == "vectorised"
    z = model({"tokens": tokens, "mask": (tokens > 1).float()}, (a, b))["logits"]
    log_p = z.log_softmax(1)
    want = np.zeros(10)
    for i in range(10):
        for c in range(7):
            (g,) = torch.autograd.grad(log_p[i, c], model.embed.weight, retain_graph=True)
            want[i] += float(log_p[i, c].detach().exp() * g.square().sum())
    np.testing.assert_allclose(found.norms[found.parts.index("embed")], want, rtol=1e-4)


def test_large_gradients_are_taken_one_at_a_time_on_a_cpu_and_single_and_double_precision_agree() -> None:
    model, x = made(nn.Linear, 2000, 300), draw(3, 2000)
    found = fisher(model, {"x": x})
    assert found.how == "one sample at a time: gradients of one take 2.3 MB"
    np.testing.assert_allclose(fisher(model.double(), {"x": x}, chunk=2).norms, found.norms, rtol=1e-4)


def test_the_interval_of_a_ratio_covers_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        z = rng.standard_normal((2, 128))
        norms = np.exp(0.7 * np.stack([z[0], 0.8 * z[0] + 0.6 * z[1]]))
        _, low, high = Fisher(("a", "b"), norms, {"a": 1, "b": 1}).ratio("a", "b")
        inside += low < 1 < high
    assert 0.92 <= inside / 400 <= 0.98  # 0.95, and 3 standard errors of a share of 400


def bad(message: str, **options: Any) -> Any:
    return pytest.param(options, message, id=message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        bad("labels = 'data'; expected 'sampled' or 'exact'", labels="data"),
        bad("draws = 0; expected a whole number of 1 or more", draws=0),
        bad("samples = 1; expected a whole number of 2 or more", samples=1),
        bad("parts is empty", parts={}),
        bad("parts['left'] = 'a'; expected a list of prefixes", parts={"left": "a"}),
        bad("parts['left']: unknown parameter 'a.w'; known parameters: a.weight, b.weight", parts={"left": ["a.w"]}),
        bad("the model answers 1 sample with a tensor (1, 1); expected logits", forward=lambda m, s: m(**s)[:, :1]),
        bad("the model answers 1 sample with a str; expected logits", forward=lambda m, s: "no"),
        bad("the model raised RuntimeError (mat1 and mat2", forward=lambda m, s: m(s["b"], s["a"])),
        bad("20 of 20 samples gave gradients that are NaN", forward=lambda m, s: m(**s) * math.nan),
    ],
)
def test_mistakes_are_told_in_one_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ChiasmError) as told:
        fisher(made(Linear), {"a": draw(20, 5), "b": draw(20, 4)}, **options)
    assert str(told.value).startswith(message)


def test_an_unknown_part_and_a_model_without_parameters() -> None:
    found = fisher(made(Linear), {"a": draw(20, 5), "b": draw(20, 4)})
    with pytest.raises(ChiasmError, match="unknown part 'c'; known parts: a, b"):
        found.ratio("a", "c")
    with pytest.raises(ChiasmError, match="the model has no parameters"):
        fisher(nn.Identity(), {"a": draw(20, 5)})
