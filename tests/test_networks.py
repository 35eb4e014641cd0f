"""Networks: their shape, their stacked evaluation against the plain module, and a user's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from chiasm.api import run
from chiasm.errors import ChiasmError
from chiasm.networks import Fusion, FusionNetwork, SplitCNN, SplitMLP, Stacked
from chiasm.networks.custom import Custom, load_object
from chiasm.objectives import Classify, read
from chiasm.sources import Source
from chiasm.study.plan import make_plan
from chiasm.study.spec import Study

EYES = (Source("left", (6,)), Source("right", (6,)))
IMAGES = (Source("left", (1, 6, 6), "image"), Source("right", (1, 6, 6), "image"))
FIVE = tuple(Source(name, (n,)) for n, name in enumerate("abcde", start=2))


def inputs(sources: tuple[Source, ...], rows: int, samples: int) -> dict[str, torch.Tensor]:
    return {s.name: torch.randn(rows, samples, *s.shape, generator=torch.Generator().manual_seed(1)) for s in sources}


def weights_of(modules: list[nn.Module]) -> dict[str, torch.Tensor]:
    held = [dict(m.named_parameters()) | dict(m.named_buffers()) for m in modules]
    return {name: torch.stack([h[name].detach() for h in held]) for name in held[0]}


@pytest.mark.parametrize(
    ("spec", "sources"),
    [
        (SplitMLP(depth=3, width=8, trunk=(5,)), EYES),
        (SplitMLP(depth=1, width=8, trunk=(), fusion="mean", activation="tanh"), EYES),
        (SplitMLP(fusion="concat", pathways={"left": (4,), "right": (3, 7)}, heads="per_source"), EYES),
        (SplitMLP(depth=2, width=4, activation="identity"), FIVE),
        (SplitCNN(channels=(3, 4), padding="circular"), IMAGES),
        (SplitCNN(channels=(3,), fusion="concat", norm="batch", stride=2), IMAGES),
    ],
    ids=["sum", "mean", "concat", "five sources", "cnn", "cnn with norm"],
)
def test_a_stack_answers_as_its_networks_do(spec: Any, sources: tuple[Source, ...]) -> None:
    modules = []
    for seed in range(3):
        torch.manual_seed(seed)
        modules.append(spec.build(sources, 4).eval())
    stacked = Stacked(modules[0])
    x = inputs(sources, 3, 5)
    layers = ["fusion", "trunk", "heads.both", f"pathways.{sources[0].name}", ""]
    answer = stacked(weights_of(modules), x, layers)
    for i, module in enumerate(modules):
        alone = {name: value[i] for name, value in x.items()}
        for head, logits in module(alone).items():
            # float32, sums of some tens of terms of order 1
            torch.testing.assert_close(answer.logits[head][i], logits, rtol=1e-5, atol=1e-5)
        fused = module.fusion([module.encode(alone)[s.name] for s in sources])
        torch.testing.assert_close(answer.layers["fusion"][i], fused, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(answer.layers[""][i], module(alone)["both"], rtol=1e-5, atol=1e-5)
    assert set(answer.layers) == set(layers)


def test_encode_then_join_is_the_whole_and_can_stop_at_the_fusion() -> None:
    modules = [SplitMLP(depth=2, width=8).build(EYES, 4) for _ in range(2)]
    stacked, weights, x = Stacked(modules[0]), weights_of(list(modules)), inputs(EYES, 2, 7)
    encoded = stacked.encode(weights, x)
    assert torch.equal(stacked.join(weights, encoded).logits["both"], stacked(weights, x).logits["both"])
    short = stacked.join(weights, encoded, ["fusion"], logits=False)
    assert not short.logits
    assert torch.equal(short.layers["fusion"], stacked(weights, x, ["fusion"]).layers["fusion"])


def test_submodules_carry_the_names_of_the_house() -> None:
    names = {name for name, _ in SplitMLP(heads="per_source").build(EYES, 4).named_modules()}
    assert {"pathways.left", "pathways.right", "fusion", "trunk", "heads.both", "heads.left"} <= names


def test_a_pathway_hears_only_its_source() -> None:
    network = SplitMLP().build(EYES, 4)
    x = {s.name: torch.randn(3, 6) for s in EYES}
    before = network.encode(x)
    after = network.encode({**x, "right": torch.randn(3, 6)})
    assert torch.equal(before["left"], after["left"])
    assert not torch.equal(before["right"], after["right"])


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: SplitMLP(pathways={"nose": (3,)}).build(EYES, 2), "unknown source 'nose'"),
        (lambda: SplitMLP(pathways={"left": (3,)}).build(EYES, 2), "end equally wide; given: left 3, right 64"),
        (lambda: SplitMLP(pathways={"left": ()}).build(EYES, 2), "one layer or more"),
        (lambda: SplitCNN(channels=()).build(IMAGES, 2), "one convolution or more"),
        (lambda: SplitCNN().build(EYES, 2), "split_mlp' takes any shape"),
        (lambda: SplitCNN().build((IMAGES[0], Source("r", (1, 5, 6), "image")), 2), "equal height and width"),
        (lambda: FusionNetwork({}, Fusion("sum"), nn.Identity(), {}), "a head named 'both'"),
        (lambda: load_object("nocolon", "network.kind"), "of the form 'package.module:name'"),
        (lambda: load_object("no.such:thing", "network.kind"), "cannot be imported"),
        (lambda: load_object("chiasm.errors:thing", "network.kind"), "has no 'thing'"),
        (lambda: Custom(kind="chiasm.errors:unknown").build((), 2), "cannot be called with"),
        (lambda: Custom(kind="builtins:divmod").build(2, 2), "returned a tuple"),  # type: ignore[arg-type]
    ],
)
def test_an_impossible_network_is_one_sentence(make: Callable[[], Any], part: str) -> None:
    with pytest.raises(ChiasmError) as caught:
        make()
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_sample_is_read_by_the_head_that_its_batch_names() -> None:
    logits = {name: torch.full((2, 3, 4), float(i)) for i, name in enumerate(("both", "left", "right"))}
    head = torch.tensor([[0, 1, 2], [2, 2, 0]])
    assert read(logits, head, ["left", "right"])[:, :, 0].tolist() == [[0.0, 1.0, 2.0], [2.0, 2.0, 0.0]]
    assert read({"both": logits["both"]}, head, ["left", "right"]) is logits["both"]
    assert read(logits, None, ["left", "right"]) is logits["both"]


def test_the_loss_is_torchs_own_row_by_row() -> None:
    logits, target = torch.randn(3, 5, 4), torch.randint(0, 4, (3, 5))
    for smoothing in (0.0, 0.1):
        found = Classify(label_smoothing=smoothing).loss(logits, target)
        rows = [nn.functional.cross_entropy(logits[i], target[i], label_smoothing=smoothing) for i in range(3)]
        torch.testing.assert_close(found, torch.stack(rows))


OWN = """
import torch
from torch import nn

class Own(nn.Module):
    def __init__(self, sources, classes, width):
        super().__init__()
        self.pathways = nn.ModuleDict({s.name: nn.Linear(s.shape[0], width) for s in sources})
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(width, classes)
    def forward(self, sources):
        z = sum(self.pathways[name](x) for name, x in sources.items())
        return self.out(self.drop(torch.relu(z)))

def factory(sources, classes, width=8):
    return Own(sources, classes, width)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_net.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_net", raising=False)
    return tmp_path


def test_a_network_of_ones_own_runs_with_dropout_and_freeze(own: Path, tiny: Callable[..., Study]) -> None:
    raw = {
        "network": {"kind": "own_net:factory", "width": 6, "depth": None, "trunk": None},
        "probe": {"layers": ["pathways.left", "out", ""]},
        "arm": [{"name": "a", "timeline": "freeze(left) 2 | silence(right) 2 | clean 2"}],
    }
    from tests.conftest import TINY

    study = Study.from_dict({**TINY, **raw, "network": {"kind": "own_net:factory", "width": 6}})
    first = run(study, own / "a", report=False, progress=False)
    torch.manual_seed(99)  # what the user's session has drawn is of no account
    second = run(study, own / "b", report=False, progress=False)
    assert first.frame().equals(second.frame())
    frame = first.frame().filter(final=True, layer="pathways.left", quantity="rsv_mean")
    assert frame["value"].to_list() == [1.0, 1.0]  # only the left source reaches it


@pytest.mark.parametrize(
    "forward",
    [
        "def forward(self, right, *, left, gain=1.0):\n        sources = {'left': left, 'right': right}",
        "def forward(self, a, b):\n        sources = {'left': a, 'right': b}",
        "def forward(self, *both):\n        sources = dict(zip(self.pathways, both))",
        "def forward(self, **sources):\n        sources = {n: sources[n] for n in self.pathways}",
    ],
    ids=["by name", "in order", "any number", "any names"],
)
def test_a_network_called_in_its_own_way_trains_to_the_same_bits(
    own: Path, monkeypatch: pytest.MonkeyPatch, forward: str
) -> None:
    from tests.conftest import TINY

    (own / "other_net.py").write_text(OWN.replace("def forward(self, sources):", forward))
    monkeypatch.delitem(sys.modules, "other_net", raising=False)
    arm = [{"name": "a", "timeline": "freeze(left) 1 | silence(right) 1 | clean 1"}]
    frames, units = [], []
    for kind in ("own_net", "other_net"):
        raw = {"network": {"kind": f"{kind}:factory", "width": 6}, "probe": {"layers": ["pathways.left", "out", ""]}}
        study = Study.from_dict({**TINY, **raw, "seeds": 1, "arm": arm})
        results = run(study, own / kind, report=False, progress=False)
        frames.append(results.frame())
        units.append(results.units("out").rsv)
    assert frames[0].equals(frames[1])
    assert np.array_equal(units[0], units[1], equal_nan=True)
    assert frames[0].filter(final=True, quantity="accuracy").height


LONE = """
from torch import nn

class Bare(nn.Module):
    def __init__(self, source, classes):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(source.shape[0]), nn.Dropout(0.5)
        self.read = nn.Linear(source.shape[0], classes)
    def forward(self, x):
        return self.read(self.drop(self.norm(x)))

class Mapped(Bare):
    def forward(self, sources):
        return super().forward(sources["left"])

def bare(sources, classes): return Bare(sources[0], classes)
def mapped(sources, classes): return Mapped(sources[0], classes)
"""


def test_a_lone_source_may_be_given_bare_or_in_a_mapping(own: Path) -> None:
    (own / "own_net.py").write_text(LONE)
    answers, means = [], []
    for kind in ("bare", "mapped"):
        torch.manual_seed(0)
        network = Stacked(Custom(kind=f"own_net:{kind}").build(EYES[:1], 4).train())
        weights = weights_of([network.template])
        torch.manual_seed(1)
        answers += [network(weights, inputs(EYES[:1], 1, 5)).logits["both"] for _ in range(2)]
        means.append(weights["norm.running_mean"])
    # The trial of how it is called draws nothing from the run's stream and counts nothing.
    assert torch.equal(means[0], means[1])
    assert torch.equal(answers[0], answers[2])
    assert torch.equal(answers[1], answers[3])
    assert not torch.equal(answers[0], answers[1])


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("def forward(self, left, right): return left", "must return logits"),
        (
            "def forward(self, left, up, down): return left",
            "(left, up, down), which does not fit the sources left, right",
        ),
        ("def forward(self, x): return x.flatten(1)", "in one mapping it raised AttributeError: 'dict'"),
        ("def forward(self, sources): return sources['left'].sum()", "must return logits"),
        ("def forward(self, sources): return {'left': sources['left']}", "holds 'both'"),
        ("def forward(self, sources): raise RuntimeError('no')", "it raised RuntimeError: no"),
    ],
)
def test_a_network_that_cannot_be_called_is_one_sentence(own: Path, body: str, part: str) -> None:
    text = f"from torch import nn\nclass Net(nn.Module):\n    {body}\ndef factory(sources, classes): return Net()\n"
    (own / "own_net.py").write_text(text)
    with pytest.raises(ChiasmError) as caught:
        Custom(kind="own_net:factory").build(EYES, 4)
    assert part in str(caught.value)


def test_what_a_network_prints_does_not_disturb_the_workers(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.conftest import TINY

    monkeypatch.setattr("chiasm.study.executors.sharing.WORTH_A_PROCESS", 0.01)
    loud = "print('5'); print('loud' * 3000); z = sum"  # more than a pipe holds, and a line that is JSON
    (own / "own_net.py").write_text(OWN.replace("z = sum", loud))
    arm = [{"name": "a", "timeline": "silence(right) {d} | clean 3", "d": [0, 3]}]
    study = Study.from_dict({**TINY, "network": {"kind": "own_net:factory"}, "probe": {"layers": []}, "arm": arm})
    frame = run(study, own / "out", workers=2, report=False, progress=False).frame()
    assert frame.filter(final=True, quantity="accuracy", source="all").height == 4


def test_an_edited_factory_is_another_network(own: Path) -> None:
    from tests.conftest import TINY

    raw = {**TINY, "network": {"kind": "own_net:factory"}, "arm": [{"name": "a", "timeline": "clean 1"}]}
    before = make_plan(Study.from_dict(raw)).runs[0].path.key(1)
    (own / "own_net.py").write_text(OWN.replace("Dropout(0.5)", "Dropout(0.1)"))
    import linecache

    linecache.clearcache()
    sys.modules.pop("own_net")
    assert make_plan(Study.from_dict(raw)).runs[0].path.key(1) != before
