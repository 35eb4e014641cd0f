"""Bad input through the command line: one clear sentence, exit status 2, no traceback, nothing lost."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from chiasm.cli import main
from chiasm.study.spec import shipped
from tests.processes import finish, start

SMOKE = Path(shipped()["smoke"]).read_text()
MINI = SMOKE.replace("seeds = 2", "seeds = 1")


def chiasm(*words: str, cwd: Path) -> tuple[int, str]:
    """Run the command line in this process (a new one costs seconds each); one test below starts a real process."""
    said = io.StringIO()
    home = Path.cwd()
    os.chdir(cwd)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            main(list(words))
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os.chdir(home)
    return code, said.getvalue()


def refused(said: tuple[int, str], *parts: str) -> None:
    code, text = said
    assert code == 2, text
    assert "Traceback" not in text
    assert text.startswith("chiasm: ")
    for part in parts:
        assert part in text, text


EDITS = {
    "unknown key": ("lr = 0.05", "lrr = 0.05", ["unknown key 'lrr'", "did you mean 'lr'", "[training]"]),
    "unknown top key": ("seeds = 2", "sedes = 2", ["unknown key 'sedes'", "did you mean 'seeds'"]),
    "unknown task": ('kind = "stereogram"', 'kind = "stereo"', ["unknown kind 'stereo'", "known kinds"]),
    "unknown source": ("silence(right) {d}", "silence(rihgt) {d}", ["rihgt", "left, right", "^"]),
    "unknown deficit": ("silence(right) {d}", "silense(right) {d}", ["silense", "did you mean 'silence'", "^"]),
    "unknown layer": (
        'layers = ["fusion"]',
        'layers = ["fusoin"]',
        ["unknown layer 'fusoin'", "did you mean 'fusion'"],
    ),
    "unknown placeholder": ("silence(right) {d}", "silence(right) {e}", ["{e}"]),
    "malformed TOML": ("seeds = 2", "seeds = = 2", ["is not TOML", "line"]),
    "wrong type": ("lr = 0.05", 'lr = "fast"', ["training.lr = 'fast'", "expected float"]),
    "impossible value": ("lr = 0.05", "lr = -1.0", ["training.lr = -1.0"]),
    "negative epochs": ("d = [0, 2, 4]", "d = [-3]", ["-3"]),
    "empty list": ("d = [0, 2, 4]", "d = []", ["arm 'duration' is empty"]),
    "empty timeline": (
        'timeline = "noise(right, 1, mode=replace) 4 | clean 4"',
        'timeline = ""',
        ["arm 'noise' is empty"],
    ),
    "dose out of range": ("noise(right, 1, mode=replace)", "noise(right, -1)", ["noise", "-1"]),
    "zero seeds": ("seeds = 2", "seeds = 0", ["seeds = 0", "1 or more"]),
    "unknown clock": (
        "decay = 0.97",
        'decay = 0.97\nclock = "sundial"',
        ["sundial", "training.clock", "expected one of 'absolute'"],
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_bad_study_file_is_one_sentence(name: str, tmp_path: Path) -> None:
    old, new, parts = EDITS[name]
    assert old in SMOKE
    (tmp_path / "bad.toml").write_text(SMOKE.replace(old, new, 1))
    refused(chiasm("run", "bad.toml", "--out", "out", cwd=tmp_path), *parts)
    assert not list((tmp_path / "out").rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("run", "stereogramm"), ["unknown study 'stereogramm'", "did you mean 'stereogram'"]),
        (("run", "nowhere.toml"), ["nowhere.toml", "No such file"]),
        (("run", "smoke", "--set", "training.lrr=1"), ["unknown key 'lrr'", "--set"]),
        (("run", "smoke", "--set", "learning.lr=1"), ["unknown section 'learning'"]),
        (("run", "smoke", "--set", "training.lr"), ["key=value"]),
        (("run", "smoke", "--seeds", "0"), ["seeds = 0"]),
        (("run", "smoke", "--rows", "1"), ["rows = 1"]),
        (("report", "nowhere"), ["nowhere", "study.toml is missing"]),
    ],
)
def test_bad_words_are_one_sentence(words: tuple[str, ...], parts: list[str], tmp_path: Path) -> None:
    refused(chiasm(*words, cwd=tmp_path), *parts)


def test_a_real_process_leaves_with_status_2_and_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chiasm.cli", "run", "stereogramm"]
    output, errors = finish(start(command, cwd=tmp_path), status=2)
    refused((2, errors), "unknown study")
    assert not output


def test_an_unknown_flag_leaves_with_status_2(tmp_path: Path) -> None:
    code, text = chiasm("run", "smoke", "--otu", "x", cwd=tmp_path)
    assert code == 2
    assert "Traceback" not in text


ARRAYS = """
name = "mine"
seeds = 1
[task]
kind = "arrays"
path = "{path}"
[network]
kind = "split_mlp"
depth = 1
width = 4
[training]
batch = 8
[probe]
layers = []
[[arm]]
name = "a"
timeline = "clean 1"
"""


def spoil(folder: Path, how: str) -> None:
    rng = np.random.default_rng(0)
    eyes = {"left": rng.normal(size=(20, 3)), "right": rng.normal(size=(20, 2)), "label": np.arange(20) % 2}
    if how == "lengths":
        eyes["right"] = eyes["right"][:19]
    elif how == "NaN":
        eyes["right"][3, 1] = np.nan
    elif how == "object":
        eyes["right"] = np.array([{"a": 1}] * 20, dtype=object)
    elif how == "label":
        del eyes["label"]
    np.savez(folder / "data.npz", allow_pickle=True, **eyes)
    if how == "truncated":
        path = folder / "data.npz"
        path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("how", "parts"),
    [
        ("lengths", ["right", "19", "20"]),
        ("NaN", ["right", "NaN"]),
        ("object", ["right", "object"]),
        ("label", ["label"]),
        ("truncated", ["data.npz"]),
    ],
)
def test_a_bad_npz_is_one_sentence(how: str, parts: list[str], tmp_path: Path) -> None:
    spoil(tmp_path, how)
    (tmp_path / "mine.toml").write_text(ARRAYS.format(path="data.npz"))
    refused(chiasm("run", "mine.toml", "--out", "out", cwd=tmp_path), *parts)


def test_units_of_one_source_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", a=rng.normal(size=(20, 3)), label=np.arange(20) % 2)
    text = ARRAYS.format(path="d.npz").replace("layers = []", 'layers = ["fusion"]')
    (tmp_path / "mine.toml").write_text(text)
    refused(chiasm("run", "mine.toml", "--out", "out", cwd=tmp_path), "two sources or more", "this task has one (a)")


MEASURE = ("measure", "eyes:Eyes", "--data", "d.npz", "--layers", "fusion", "--out", "out")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"eyes:Eyes": "eyes:Eye"}, ["module 'eyes' has no 'Eye'"]),
        ({"eyes:Eyes": "ears:Eyes"}, ["module 'ears' cannot be imported"]),
        ({"eyes:Eyes": "eyes:needy"}, ["cannot be made without arguments"]),
        ({"eyes:Eyes": "eyes:broken"}, ["raised ValueError: no such thing"]),
        ({"d.npz": "e.npz"}, ["there is no file or folder of arrays 'e.npz'"]),
        ({"fusion": "fusoin"}, ["unknown layer 'fusoin'", "did you mean 'fusion'"]),
        ({"--out": "--sources left rihgt --out"}, ["unknown source 'rihgt'", "--sources"]),
        ({"--out": "--target lable --out"}, ["unknown array 'lable'", "--target"]),
        ({"--out": "--weights w.pt --out"}, ["there is no file of weights 'w.pt'"]),
        ({"--out": "--weights d.npz --out"}, ["without running code"]),
        ({"--out": "--weights bad.safetensors --out"}, ["without running code"]),
        ({"--out": "--weights other.pt --out"}, ["do not fit the model"]),
        ({"--out": "--pairing within_class --out"}, ["needs the classes"]),
        ({"--out": "--precision 2 --out"}, ["precision = 2"]),
        ({"out": "d.npz/out"}, ["cannot be written"]),
    ],
    ids=lambda x: str(x) if isinstance(x, dict) else "",
)
def test_a_bad_measurement_is_one_sentence(changes: dict[str, str], parts: list[str], tmp_path: Path) -> None:
    (tmp_path / "eyes.py").write_text(EYES)
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 30, 4)).astype(np.float32)
    np.savez(tmp_path / "d.npz", left=left, right=right)
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    torch.save({"x": torch.ones(2)}, tmp_path / "other.pt")
    words = " ".join(changes.get(word, word) for word in MEASURE).split()
    sys.modules.pop("eyes", None)
    refused(chiasm(*words, cwd=tmp_path), *parts)
    assert not (tmp_path / "out").exists()


EYES = """
import torch

class Eyes(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fusion = torch.nn.Linear(4, 3)

    def forward(self, left, right):
        return self.fusion(left * right)

def needy(width):
    return Eyes()

def broken():
    raise ValueError("no such thing")
"""


def test_a_folder_with_another_study_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mini.toml").write_text(MINI)
    code, said = chiasm("run", "mini.toml", "--out", "out", "--no-report", cwd=tmp_path)
    assert code == 0, said
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    words = ("run", "mini.toml", "--out", "out", "--set", "training.lr=0.01", "--no-report")
    refused(chiasm(*words, cwd=tmp_path), "holds another study", "training.lr = 0.05 there, 0.01 here")
    assert before == {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    refused(chiasm("run", "smoke", "--out", "out", cwd=tmp_path), "not empty")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.tex"]
    (tmp_path / "file").write_text("")
    refused(chiasm("run", "smoke", "--out", "file", cwd=tmp_path), "is a file")


#: Root may write anywhere; without this capability even root minds the mode of a folder.
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []


@pytest.mark.skipif(bool(WITHOUT_RIGHTS) and not shutil.which("setpriv"), reason="root, and no setpriv to drop rights")
def test_a_read_only_folder_is_one_sentence(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o555)
    command = [*WITHOUT_RIGHTS, sys.executable, "-m", "chiasm.cli", "run", "smoke", "--out", str(out)]
    _, errors = finish(start(command), status=2)
    out.chmod(0o755)
    refused((2, errors), "Permission denied", str(out))
    assert not list(out.iterdir())


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from chiasm.cli import main
main(sys.argv[2:])
"""


def test_a_disk_that_fills_up_is_one_sentence_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk: a write fails half-way, as it does there."""
    (tmp_path / "mini.toml").write_text(MINI)
    words = ["run", "mini.toml", "--out", "out", "--no-report"]
    _, errors = finish(start([sys.executable, "-c", LIMITED, "4000", *words], cwd=tmp_path), status=2)
    refused((2, errors[errors.index("chiasm: '") :]), "cannot be written")
    assert not list(tmp_path.rglob("*.part"))
    assert chiasm(*words, cwd=tmp_path)[0] == 0
    assert chiasm("run", "mini.toml", "--out", "calm", "--no-report", cwd=tmp_path)[0] == 0
    for name in ("results.parquet", "units.npz"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()


def test_a_damaged_result_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mini.toml").write_text(MINI)
    assert chiasm("run", "mini.toml", "--out", "out", "--no-report", cwd=tmp_path)[0] == 0
    path = tmp_path / "out" / "results.parquet"
    path.write_bytes(path.read_bytes()[:50])
    refused(chiasm("report", "out", cwd=tmp_path), "is damaged", "run the study again")


def test_a_damaged_node_is_one_sentence_and_is_computed_again(tmp_path: Path) -> None:
    (tmp_path / "mini.toml").write_text(MINI)
    words = ("run", "mini.toml", "--out", "out", "--no-report")
    assert chiasm(*words, cwd=tmp_path)[0] == 0
    whole = (tmp_path / "out" / "results.parquet").read_bytes()
    nodes = sorted((tmp_path / "out" / "store").rglob("*.safetensors"))
    nodes[0].write_bytes(nodes[0].read_bytes()[:100])
    code, said = chiasm(*words, cwd=tmp_path)
    assert code == 0  # nothing is asked of the user: it mends itself
    assert [line for line in said.splitlines() if "is damaged" in line and "computed again" in line]
    assert "Traceback" not in said
    assert (tmp_path / "out" / "results.parquet").read_bytes() == whole
    assert nodes[0].with_suffix(".damaged").exists()  # nothing is thrown away


def test_a_dry_run_writes_nothing_and_prints_the_plan(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chiasm.cli", "run", "smoke", "--dry-run", "--out", "out"]
    output, _ = finish(start(command, cwd=tmp_path))
    for part in (
        "runs                        12",
        "without sharing  80",
        "with sharing     60 (25% saved)",
        "estimated time",
    ):
        assert part in output, output
    assert not list(tmp_path.iterdir())
