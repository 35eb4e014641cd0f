"""The contract of every family, run over all kinds that are registered and over a plug-in from outside."""

from __future__ import annotations

import builtins
import dataclasses
import os
import re
import shutil
import string
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

import chiasm
from chiasm import registry
from chiasm.cli import main
from chiasm.deficits import DEFICITS
from chiasm.errors import ChiasmError
from chiasm.measuring.probe import MEASURES, Probe, evaluate
from chiasm.networks import NETWORKS, Stacked
from chiasm.objectives import OBJECTIVES, Judged, Sum
from chiasm.pictures import style
from chiasm.registry import Registry, kind_digest, load_plugin, tag_of
from chiasm.report import picture
from chiasm.report.evidence import Evidence
from chiasm.report.questions import QUESTIONS
from chiasm.report.read_results import read_results
from chiasm.report.reading import reading, sentence
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.sources import Batch, Source
from chiasm.structs import plain
from chiasm.study.executors import EXECUTORS
from chiasm.study.plan import make_plan
from chiasm.study.spec import Study
from chiasm.tasks import TASKS
from chiasm.timeline import Timeline
from tests.report_fakes import flat, make, still

PLUGIN = Path(__file__).parents[1] / "examples" / "plugin.py"
LOADED = load_plugin(str(PLUGIN))  # while this file is read, for its parameters; and in each of its tests
Make = Callable[..., Study]


@pytest.fixture(autouse=True)
def _with_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_PLUGINS", {LOADED.file: LOADED})


def kinds_of(family: Registry[Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", family.kinds().values(), ids=tag_of)


def eyes(n: int = 12) -> Batch:
    draws = torch.Generator().manual_seed(0)
    sources = {name: torch.randn(n, 3, 8, 8, generator=draws) for name in ("left", "right")}
    return Batch(sources, torch.arange(n) % 3, {name: torch.full((3, 8, 8), 0.5) for name in sources})


@pytest.mark.parametrize("family", registry.families().values(), ids=lambda family: family.family)
def test_every_kind_says_what_it_is(family: Registry[Any]) -> None:
    assert family.kinds()
    for tag, kind in family.kinds().items():
        assert tag_of(kind) == tag
        assert family[tag] is kind
        assert registry.summary(kind).endswith((".", ":")), f"{tag}: its docstring begins with a sentence"
        assert getattr(kind, "__final__", False), f"{tag}: a kind is final"
    with pytest.raises(ChiasmError, match=f"unknown {family.family} 'nothing like it'; known"):
        family["nothing like it"]


@kinds_of(DEFICITS)
def test_a_deficit_is_a_pure_function_that_the_notation_and_the_picture_know(kind: type[chiasm.Deficit]) -> None:
    assert kind.example, "an example, so that docs and this test have one"
    line = Timeline.parse(f"clean 1 | {kind.example} 2", ["left", "right"])
    assert str(line) == f"clean 1 | {kind.example} 2"
    (deficit,) = line.spans()[1][2]
    assert type(deficit) is kind
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(deficit, dataclasses.fields(deficit)[0].name, "other")  # type: ignore[arg-type]
    batch = eyes()
    before = [x.clone() for x in (*batch.sources.values(), batch.target)]
    first, second = (deficit(batch, torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(before, (*batch.sources.values(), batch.target), strict=True))
    assert all(torch.equal(first.sources[name], second.sources[name]) for name in batch)
    assert torch.equal(first.target, second.target)
    assert {name: x.shape for name, x in first.sources.items()} == {name: x.shape for name, x in batch.sources.items()}
    assert set(deficit.touches) <= set(batch)
    if deficit.pointwise:  # what it makes of a sample does not depend on the others
        alone = deficit(batch.take(torch.tensor([4])), torch.Generator())
        assert all(torch.equal(alone.sources[name][0], first.sources[name][4]) for name in batch)
    if not deficit.needs_baseline:
        deficit(dataclasses.replace(batch, baseline={}), torch.Generator().manual_seed(3))
    if deficit.touches:
        with pytest.raises(ChiasmError, match="unknown source"):
            deficit(Batch({"touch": torch.zeros(2, 3)}, torch.zeros(2, dtype=torch.int64), {}), torch.Generator())
    assert deficit.phrase
    assert isinstance(getattr(style, deficit.colour), str)
    assert picture(line, ["left", "right"]).axes


def example_of(kind: type[Any]) -> Any:
    try:
        return kind()
    except (TypeError, ChiasmError) as error:
        pytest.skip(f"has no default: {error}")


@kinds_of(TASKS)
def test_a_task_describes_what_it_loads(kind: type[chiasm.Task]) -> None:
    task = example_of(kind)
    try:
        about = task.describe()
    except ChiasmError as error:
        pytest.skip(f"its data are not ours to bring along: {error}")
    assert plain(task)["kind"] == tag_of(kind)
    data, again = task.load(1), task.load(1)
    assert [source.name for source in about.sources] == list(data.test)
    for source in about.sources:
        assert tuple(data.test.sources[source.name].shape) == (about.test, *source.shape)
        assert torch.equal(data.test.sources[source.name], again.test.sources[source.name])
    assert len(data.train) == about.train
    assert tuple(data.test.target.shape) == (about.test, *about.target)
    assert data.test.target.is_floating_point() is not bool(about.classes)
    assert set(task.whereabouts) <= set(kind.__struct_fields__)
    if task.draws():
        assert len(task.draw(1, 3)) == about.train
    elif kind.draw is chiasm.Task.draw:
        with pytest.raises(ChiasmError, match="fixed set; new ones cannot be drawn"):
            task.draw(1, 3)


@kinds_of(NETWORKS)
def test_a_network_answers_with_as_many_numbers_as_asked(kind: type[chiasm.Network]) -> None:
    network = example_of(kind)
    for shape, form in (((8,), "vector"), ((3, 32, 32), "image")):
        sources = [Source(name, shape, form) for name in ("left", "right")]  # type: ignore[arg-type]
        try:
            built = network.build(sources, 16)
        except ChiasmError:
            continue  # not for such sources, in one sentence
        x = {source.name: torch.zeros(1, 4, *shape) for source in sources}
        stacked = Stacked(built.eval())
        weights = {n: t.detach().unsqueeze(0) for n, t in (*built.named_parameters(), *built.named_buffers())}
        assert tuple(stacked(weights, x).logits["both"].shape) == (1, 4, 16)
        if kind.decoders is not chiasm.Network.decoders:
            decoders = network.decoders(built, sources)
            assert list(decoders) == ["left", "right"]
            built.decoders = torch.nn.ModuleDict(decoders)
            weights |= {n: t.detach().unsqueeze(0) for n, t in built.named_parameters()}
            rebuilt = Stacked(built)(weights, x, decode=True).rebuilt
            assert all(rebuilt[name].numel() == one.numel() for name, one in x.items())
        return
    pytest.fail("it takes neither vectors nor images")


@kinds_of(OBJECTIVES)
def test_an_objective_scores_what_its_loss_asks_for(kind: type[chiasm.Objective]) -> None:
    objective = example_of(kind)
    draws = torch.Generator().manual_seed(0)
    if objective.targets == "nothing":
        _rebuilds(objective, draws)
        return
    outputs = 4 if objective.targets == "classes" else objective.outputs(0, ())
    answer = torch.randn(2, 6, outputs, generator=draws)
    if objective.answers == "distances":
        answer = -answer.abs()
    target = torch.randint(outputs, (2, 6)) if objective.targets == "classes" else torch.randn(2, 6, generator=draws)
    answer.requires_grad_()
    loss, score, held_out = (f(answer, target) for f in (objective.loss, objective.score, objective.held_out))
    assert (loss.shape, score.shape, held_out.shape) == ((2,), (2, 6), (2, 6))
    (gradient,) = torch.autograd.grad(loss.sum(), answer)
    assert gradient.isfinite().all()
    assert gradient.any()
    outcome = objective.outcome(0.25)
    better = objective.score((answer - 0.5 * gradient).detach(), target).float().mean()
    assert (better - score.detach().float().mean()) * (1 if outcome.higher_is_better else -1) >= 0
    assert outcome.quantity.low <= float(score.detach().float().min())
    assert float(score.detach().float().max()) <= outcome.quantity.high
    with pytest.raises(ChiasmError, match=r"is for targets that are (classes|numbers); this task's are"):
        objective.outputs(*((0, ()) if objective.targets == "classes" else (4, ())))


def _rebuilds(objective: chiasm.Objective, draws: torch.Generator) -> None:
    """An objective without targets asks of the rebuilt sources, and finds nothing to ask where they are right."""
    x, y = ({name: torch.randn(2, 6, 8, generator=draws) for name in ("left", "right")} for _ in range(2))
    assert objective.decodes
    assert objective.outputs(4, ()) == 4
    for name in y:
        y[name].requires_grad_()
    shown = (torch.zeros(2, 6, 4), torch.zeros(2, 6, dtype=torch.int64), x)
    loss, score = objective.judge(Judged(*shown, y))
    assert (loss.shape, score.shape) == ((2,), (2,))
    assert all(gradient.any() for gradient in torch.autograd.grad(loss.sum(), list(y.values())))
    perfect, best = objective.judge(Judged(*shown, x))
    assert not perfect.any()
    assert bool((best <= score).all()) is not objective.outcome().higher_is_better


@kinds_of(MEASURES)
def test_a_measure_changes_nothing_and_tells_of_each_row_alone(kind: type[chiasm.Measure]) -> None:
    sources = [Source(name, (8,)) for name in ("left", "right")]
    torch.manual_seed(0)
    maker = NETWORKS["split_mlp"](width=6)
    modules = [maker.build(sources, 3) for _ in range(2)]
    for module in modules:
        module.decoders = torch.nn.ModuleDict(maker.decoders(module, sources))
    network = Stacked(modules[0])
    weights = {
        name: torch.stack([dict(module.named_parameters())[name].detach() for module in modules])
        for name, _ in modules[0].named_parameters()
    }
    tests = []
    for seed in range(2):
        x = torch.randn(2, 40, 8, generator=torch.Generator().manual_seed(seed))
        tests.append(Batch(dict(zip(("left", "right"), x, strict=True)), torch.arange(40) % 3, {
            "left": torch.zeros(8), "right": torch.zeros(8)}))  # fmt: skip
    probe = Probe(measures=(tag_of(kind),), layers=("fusion",), anchors=16, fisher_samples=4)
    before = {name: w.clone() for name, w in weights.items()}
    state = torch.get_rng_state()
    factors = {"first": ("one", "two", "three")}
    results = evaluate(network, weights, tests, [0, 1], probe, factors=factors)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], w) for name, w in weights.items())
    named = {quantity.name for quantity in kind.quantities} | {"accuracy"}
    assert all(result.numbers for result in results)
    assert {number[0] for result in results for number in result.numbers} <= named
    swapped = {name: w.flip(0) for name, w in weights.items()}
    again = evaluate(network, swapped, tests[::-1], [1, 0], probe, factors=factors)
    assert again[1].numbers == results[0].numbers


#: What the reading itself fills into a question's sentences.
STANDARD = {"amount", "size", "brief", "counts", "decisive", "open"}
#: What an unsettled answer must not say, as it would answer.
ANSWERS = re.compile(r"\b(heals|agrees|needs|does not|no cost|there is none)\b", re.IGNORECASE)


@cache
def fakes() -> tuple[StudyOutcomes, ...]:
    """Outcomes of studies with effects and without, that together trigger every question."""
    roles = ({"wide.role": "duration"}, {"wide.role": "rehearsal"}, {"wide.role": "remedy"})
    made = [make(), make(flat, still), *(make(changes=changes) for changes in roles), make(seeds=1)]
    return tuple(map(read_results, made))


def evidence_of(kind: type[chiasm.Question], outcomes: StudyOutcomes) -> list[Evidence]:
    collected = kind().collect(outcomes)
    return [collected] if isinstance(collected, Evidence) else list(collected or ())


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@kinds_of(QUESTIONS)
def test_a_question_has_a_sentence_for_each_verdict(kind: type[chiasm.Question]) -> None:
    assert kind.question.endswith("?")
    assert kind.topic
    assert ":" not in kind.topic, "what tells answers apart stands behind a colon"
    assert kind.needs
    assert not kind.needs.endswith(".")
    assert kind.section == "confounds" or not kind.role
    assert {"present", "absent", "unsettled"} <= set(kind.says) <= {"present", "absent", "unsettled", "reversed"}
    assert set(kind.conditions) <= {"present", "absent", "reversed"}, "what is open is no condition of anything"
    assert "{open}" in kind.says["unsettled"]
    assert not ANSWERS.search(kind.says["unsettled"])
    for case, text in kind.says.items():
        assert ("{open}" in text) == (case == "unsettled"), "only what is open has something that would settle it"
        assert "{decisive}" not in text or case == "absent"


@kinds_of(QUESTIONS)
def test_the_sentences_of_a_question_name_what_its_evidence_gives(kind: type[chiasm.Question]) -> None:
    every = [evidence for outcomes in fakes() for evidence in evidence_of(kind, outcomes)]
    assert every, "no fake study triggers it"
    for evidence in every:
        assert not STANDARD & set(evidence.facts), "these are the reading's"
        known: Mapping[str, str] = dict.fromkeys(STANDARD, "So.") | dict(evidence.facts)
        for text in (*kind.says.values(), *kind.conditions.values()):
            assert placeholders(text) <= set(known)
            told = text.format_map(known)
            assert "None" not in told
            assert "nan" not in told
            assert "  " not in sentence(told)
    several = [evidence.about for evidence in evidence_of(kind, fakes()[0])]
    assert len({*several}) == len(several), "answers to one question are told apart"


@kinds_of(QUESTIONS)
def test_a_question_is_not_tested_where_there_is_nothing_to_hold_against(kind: type[chiasm.Question]) -> None:
    lacking = read_results(make(arms=["noise"], seeds=2, units=0))
    findings = [f for f in reading(lacking) if f.about == tag_of(kind) or f.about.startswith(f"{tag_of(kind)},")]
    for finding in findings:
        assert finding.verdict == "not tested"
        assert finding.evidence is None
        assert finding.text == f"{kind.question} Not tested: that takes {kind.needs}."
    assert findings or evidence_of(kind, lacking) == [], "it does not arise"


@kinds_of(EXECUTORS)
def test_an_executor_ends_with_the_bytes_of_one_process(
    kind: type[chiasm.Executor], tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chiasm.study.executors.sharing.WORTH_A_PROCESS", 0.001)  # small as it is, it has two shares
    study = tiny()
    chiasm.run(study, tmp_path / "alone", workers=1, report=False, progress=False)
    chiasm.run(study, tmp_path / "asked", workers=2, executor=tag_of(kind), report=False, progress=False)
    alone, asked = ((tmp_path / name / "results.parquet").read_bytes() for name in ("alone", "asked"))
    assert alone == asked


OUTSIDE = """
name = "outside"
seeds = 2
plugins = ["plugin.py"]

[task]
kind = "product"

[network]
kind = "bilinear"

[training]
lr = 0.02
batch = 32
clock = "constant"

[objective]
kind = "absolute"

[objective.rough]
kind = "regress"

[probe]
measures = ["outcome", "units", "weight_norm"]
layers = ["fusion"]
every = 5

[[arm]]
name = "duration"
role = "duration"
timeline = "fog(b, 0.8) {d} | clean 3"
d = [0, 2]

[[arm]]
name = "first"
role = "rehearsal"
timeline = "clean 2 @rough | clean 3"
"""


def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chiasm.cli", *words],
        cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study, a plug-in beside it, and what the command made of them."""
    folder = tmp_path_factory.mktemp("outside")
    shutil.copy(PLUGIN, folder)
    (folder / "study.toml").write_text(OUTSIDE)
    done = command("run", "study.toml", "--out", "out", "--workers", "2", "--executor", "one_by_one", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert f"chiasm: importing the plug-in 'plugin.py' from {(folder / 'plugin.py').resolve()}" in done.stderr
    return folder


def test_one_file_from_outside_works_in_study_results_and_report(outside: Path) -> None:
    frame = chiasm.load(outside / "out").frame()
    ends = frame.filter(pl.col("final"))
    assert {"deviation", "loss", "weight_norm", "rsv_mean"} <= set(ends["quantity"])
    assert "accuracy" not in set(frame["quantity"])
    assert set(frame.filter(quantity="deviation")["source"]) == {"all", "a", "b"}
    training = frame.filter(arm="first")
    assert training.filter(quantity="train_error")["epoch"].unique().sort().to_list() == [1, 2]
    assert training.filter(quantity="train_deviation")["epoch"].unique().sort().to_list() == [3, 4, 5]
    page = (outside / "out" / "report.html").read_text()
    for words in ("mean absolute error", "fogging b", "Norms of weights", "ehearsed runs end", "rough"):
        assert words in page, words
    assert "accuracy" not in page.lower().replace("train_accuracy", "")


def test_a_report_is_written_anew_from_the_folder_alone(outside: Path, tmp_path: Path) -> None:
    shutil.copytree(outside / "out", tmp_path / "out")
    done = command("report", str(tmp_path / "out"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_mistakes_name_the_kinds_of_a_plug_in_too(
    outside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(outside)
    study = Path("study.toml").read_text()

    def refused(*words: str) -> str:
        with pytest.raises(SystemExit) as left:
            main(["run", *words, "--out", "wrong"])
        assert left.value.code == 2
        return capsys.readouterr().err

    for right, wrong, known in (
        ("fog(b, 0.8)", "fgo(b, 0.8)", "did you mean 'fog'"),
        ("fog(b, 0.8)", "fog(b, 8)", "fog: density is 8; expected a number above 0"),
        ('kind = "product"', 'kind = "produkt"', "did you mean 'product'"),
        ('kind = "absolute"', 'kind = "absolut"', "did you mean 'absolute'"),
        ('"weight_norm"]', '"weight_norms"]', "did you mean 'weight_norm'"),
        ('role = "rehearsal"', 'role = "rehersal"', "did you mean 'rehearsal'"),
        ("@rough", "@ruogh", "did you mean 'rough'"),
        ('"plugin.py"', '"plugins.py"', "plug-in 'plugins.py' is not there"),
    ):
        assert right in study
        Path("wrong.toml").write_text(study.replace(right, wrong))
        for words in (("wrong.toml",), ("wrong.toml", "--dry-run")):
            assert known in refused(*words), (right, words)
    assert "unknown executor 'one_by_on'" in refused("study.toml", "--executor", "one_by_on")
    assert not Path("wrong").exists()


def test_the_command_lists_the_kinds_of_a_plug_in(outside: Path) -> None:
    done = command("studies", "--plugins", "plugin.py", cwd=outside)
    assert done.returncode == 0, done.stderr
    for family in registry.families().values():
        for tag in family.kinds():
            assert f"  {tag} " in done.stdout
    assert "of the plug-in" in done.stdout


def study_of(folder: Path, **keys: Any) -> Study:
    raw = {"name": "s", "seeds": 1, "plugins": [str(folder / "fog.py")], "task": {"kind": "stereogram", "train": 64}}
    arm = [{"name": "a", "timeline": "clean 1 | dim(right) 2 | clean 1"}]
    return Study.from_dict({**raw, "network": {"kind": "split_mlp"}, "arm": arm, **keys})


DIM = """
from dataclasses import dataclass
import chiasm

@dataclass(frozen=True)
class Dim(chiasm.Deficit):
    source: str
    tag = "dim"

    def __call__(self, batch, generator):
        return batch.with_source(self.source, {factor} * batch.sources[self.source])
"""


def test_the_code_of_a_plug_in_is_part_of_the_keys_of_what_it_touches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keys(folder: str, factor: float) -> list[str]:
        monkeypatch.setattr(registry, "_PLUGINS", {})  # as in a new process
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "fog.py").write_text(DIM.replace("{factor}", str(factor)))
        (run,) = make_plan(study_of(tmp_path / folder)).runs
        return [run.path.key(epoch) for epoch in range(5)]

    first, moved, edited = keys("one", 0.5), keys("two", 0.5), keys("three", 0.25)
    assert first == moved  # what it says counts, not where it lies
    assert [a == b for a, b in zip(first, edited, strict=True)] == [True, True, False, False, False]


ELSEWHERE = """
from typing import ClassVar
import chiasm
from chiasm.tasks import Stereogram

class Elsewhere(chiasm.Task, frozen=True, tag="elsewhere"):
    place: str
    whereabouts: ClassVar[tuple[str, ...]] = ("place",)

    def describe(self):
        return Stereogram(train=64, test=64).describe()

    def load(self, seed):
        return Stereogram(train=64, test=64).load(seed)
"""


def test_where_data_lie_counts_unless_a_task_says_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keys(folder: str, code: str) -> list[str]:
        monkeypatch.setattr(registry, "_PLUGINS", {})
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "fog.py").write_text(code)
        tasks = [{"kind": "elsewhere", "place": place} for place in ("here", "there")]
        arm = [{"name": "a", "timeline": "clean 1"}]
        studies = [study_of(tmp_path / folder, task=task, arm=arm) for task in tasks]
        return [make_plan(study).runs[0].path.key(1) for study in studies]

    here, there = keys("one", ELSEWHERE)
    assert here != there  # nothing else tells the two apart
    here, there = keys("two", ELSEWHERE + "\n    def content_key(self):\n        return 'the same'\n")
    assert here == there


def test_a_plug_in_edited_after_its_import_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_PLUGINS", {})
    (tmp_path / "fog.py").write_text(DIM.replace("{factor}", "0.5"))
    study = study_of(tmp_path)
    (tmp_path / "fog.py").write_text(DIM.replace("{factor}", "0.1"))
    with pytest.raises(ChiasmError, match="was edited after it was imported; start Python anew"):
        make_plan(study)


def test_an_edited_plug_in_does_not_stand_in_the_way_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_PLUGINS", {})
    for name, factor in (("one", "0.5"), ("two", "0.25")):
        (tmp_path / f"{name}.py").write_text(DIM.replace("{factor}", factor).replace('"dim"', f'"{name}"'))
    load_plugin("one.py", tmp_path)
    (tmp_path / "one.py").write_text("# edited")
    assert load_plugin("two.py", tmp_path).name == "two.py"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("raise SystemExit(3)", r"cannot be imported \(SystemExit: 3\)"),
        ("import nothing_like_it", "cannot be imported .*No module named 'nothing_like_it'"),
        ("x = 1", "holds no kind; expected one or more of: .*deficit"),
        (
            DIM.replace("{factor}", "0.5").replace('"dim"', '"blur"'),
            r"deficit 'blur' is already that of chiasm\.deficits\.blur",
        ),
    ],
)
def test_a_plug_in_that_cannot_be_is_one_sentence(
    code: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_PLUGINS", {})
    (tmp_path / "own.py").write_text(code)
    with pytest.raises(ChiasmError, match=sentence):
        load_plugin("own.py", tmp_path)


def test_nothing_of_a_package_runs_before_its_file_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_PLUGINS", {})
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab" / "__init__.py").write_text("import builtins\nbuiltins.ran_early = True\n")
    (tmp_path / "my_lab" / "fog.py").write_text(DIM.replace("{factor}", "0.5"))
    told: list[tuple[str, bool]] = []
    monkeypatch.setattr(registry, "announce", lambda text: told.append((text, hasattr(builtins, "ran_early"))))
    try:
        plugin = load_plugin("my_lab.fog", tmp_path)
    finally:
        for name in ("my_lab.fog", "my_lab"):
            sys.modules.pop(name, None)
        ran_at_last = builtins.__dict__.pop("ran_early", False)
    assert plugin.file == tmp_path / "my_lab" / "fog.py"
    assert ran_at_last
    assert [(str(plugin.file) in text, ran) for text, ran in told] == [(True, False)]


def test_installed_packages_bring_kinds_by_entry_points(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "my_lab-1.0.dist-info").mkdir(parents=True)
    (site / "my_lab-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: my-lab\nVersion: 1.0\n")
    (site / "my_lab-1.0.dist-info" / "entry_points.txt").write_text("[chiasm.plugins]\nlab = my_lab_fog\n")
    (site / "my_lab_fog.py").write_text(DIM.replace("{factor}", "0.5"))
    code = (
        "import sys\nfrom chiasm.timeline import Timeline\n"
        "print(Timeline.parse('clean 1'), 'my_lab_fog' in sys.modules)\n"
        "print(Timeline.parse('silence(a) 1'), 'my_lab_fog' in sys.modules)\n"
        "print(Timeline.parse('dim(a) 1'), 'my_lab_fog' in sys.modules)\n"
    )
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["clean 1 False", "silence(a) 1 False", "dim(a) 1 True"]


def test_kinds_of_the_package_have_no_digest_and_those_of_a_plug_in_have() -> None:
    assert kind_digest(DEFICITS["blur"]) == ""
    assert len(kind_digest(DEFICITS["fog"])) == 64


registry._PLUGINS.clear()  # other tests know nothing of it


def test_the_code_of_a_term_counts_as_that_of_an_objective_does() -> None:
    """A sum of the package's own holds kinds of a plug-in, whose code shapes what is trained."""
    alone = OBJECTIVES["absolute"]()
    summed = Sum(terms={"answer": {"kind": "absolute"}, "rebuild": {"kind": "reconstruct"}})
    assert summed.code_digest() == alone.code_digest() == kind_digest(alone) != ""
