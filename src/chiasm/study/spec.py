"""A study is a file: one typed object is the file, the Python object, the command line's settings and the identity."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
import tomli_w
import torch

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.probe import Probe
from chiasm.networks import AllConv, Custom, DeepLinear, Network, SplitCNN, SplitMLP, SplitResNet
from chiasm.objectives import Classify, Objective, Squares
from chiasm.study.decode import as_struct, known_keys
from chiasm.study.published import known_published, published
from chiasm.tasks import Arrays, Digits, Halves, Linear, Stereogram, Task
from chiasm.timeline import Timeline
from chiasm.training import Training

Role = Literal["duration", "onset", "mirror", "deficit", "fresh", "alone", "longer", "total", "other"]
ROLES: tuple[str, ...] = get_args(Role)
TASKS = {"stereogram": Stereogram, "digits": Digits, "linear": Linear, "arrays": Arrays, "halves": Halves}
NAME = re.compile(r"[^\W\d][\w-]*")
NETWORKS = {
    "split_mlp": SplitMLP,
    "split_cnn": SplitCNN,
    "split_resnet": SplitResNet,
    "all_conv": AllConv,
    "deep_linear": DeepLinear,
}
OBJECTIVES = {"classify": Classify, "squares": Squares}
SECTIONS = ("task", "network", "training", "objective", "probe")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that one cell of a study trains and measures with, apart from its timeline and seed."""

    task: Stereogram | Digits | Linear | Arrays | Halves
    network: Network
    training: Training
    objective: Objective
    probe: Probe


class Cell(msgspec.Struct, frozen=True):
    """One point of an arm: its varied values, its timeline, its settings.

    Attributes:
        arm: the arm's name.
        values: what was varied, by name ("d", "training.clock"), in the order of the file.
        timeline: the parsed timeline.
        settings: the settings with the arm's own keys in place.
    """

    arm: str
    values: dict[str, Any]
    timeline: Timeline
    settings: Settings

    @property
    def label(self) -> str:
        """The varied values as text: "d=40, training.clock=absolute"."""
        return ", ".join(f"{name}={value}" for name, value in self.values.items())


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One varied thing in a study.

    Attributes:
        name: unique in the study.
        timeline: the notation, with placeholders in braces ("silence(right) {d} | clean 60").
        role: what the arm is for, which decides where the report shows it.
        title: one line for people.
        values: the lists that fill the placeholders.
        settings: other keys of the study, by dotted name ("training.clock"), each with the list of its values.
        published: the published numbers that the report lays beside an arm of role duration (`known_published`); empty:
            none. It is no part of any run's identity.
    """

    name: str
    timeline: str
    role: Role = "other"
    title: str = ""
    values: dict[str, list[Any]] = {}
    settings: dict[str, list[Any]] = {}
    published: str = ""


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that answer a question.

    Attributes:
        name: identifier of the study.
        question: the question in words, shown on top of the report.
        seeds: number of replicates; seeds count from 0.
        sections: the tables [task], [network], [training], [objective], [probe] as they stand in the file.
        arms: what is varied.
    """

    name: str
    question: str
    seeds: Annotated[int, msgspec.Meta(ge=1)]
    sections: dict[str, dict[str, Any]]
    arms: tuple[Arm, ...]

    @classmethod
    def load(
        cls, name_or_path: str | Path, changes: Sequence[str] = (), seeds: int | None = None, check: bool = True
    ) -> Study:
        """Read a shipped study by name, or a study file by path.

        Args:
            name_or_path: "stereogram", or a path that ends in .toml.
            changes: "key=value" pairs, as `--set` gives them; values are TOML, or bare words.
            seeds: overrides the number of seeds.
            check: whether to check the arms, which takes the task's data; not wanted for a study that has been run.

        Raises:
            ChiasmError: for an unknown study, malformed TOML, an unknown key or an impossible value.
        """
        raw = _read(name_or_path)
        for change in changes:
            _apply(raw, change)
        if seeds is not None:
            raw["seeds"] = seeds
        return cls.from_dict(raw, check)

    @classmethod
    def from_toml(cls, text: str) -> Study:
        """Read a study from the text of its file; raises ChiasmError as `load` does."""
        try:
            return cls.from_dict(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise ChiasmError(f"this text is not TOML: {error}") from error

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], check: bool = True) -> Study:
        """Build and check a study from the plain content of its file; raises ChiasmError naming the key at fault."""
        top = {"name", "question", "seeds", "arm", *SECTIONS}
        for key in raw:
            if key not in top:
                raise unknown("key", key, top, "study")
        for key in ("name", "task", "network", "arm"):
            if key not in raw:
                raise ChiasmError(
                    f"study: the key '{key}' is missing; a study needs name, [task], [network] and [[arm]]"
                )
        if not isinstance(raw["name"], str) or not raw["name"]:
            raise ChiasmError(f"study: name = {raw['name']!r}; a word would do")
        seeds = raw.get("seeds", 3)
        if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
            raise ChiasmError(f"study: seeds = {seeds!r}; an integer of 1 or more would do")
        sections = {}
        for section in SECTIONS:
            table = raw.get(section, {})
            if not isinstance(table, Mapping):
                raise ChiasmError(f"study: [{section}] is {table!r}; a table of keys would do")
            sections[section] = dict(table)
        if not isinstance(raw["arm"], Sequence) or isinstance(raw["arm"], str) or not raw["arm"]:
            raise ChiasmError(
                "study: no [[arm]] is given; a study needs one arm or more, each with a name and a timeline"
            )
        arms = tuple(_arm(entry, i) for i, entry in enumerate(raw["arm"]))
        names = [arm.name for arm in arms]
        for name in names:
            if names.count(name) > 1:
                raise ChiasmError(f"study: two arms are named '{name}'; each needs a name of its own")
        study = cls(name=raw["name"], question=str(raw.get("question", "")), seeds=seeds, sections=sections, arms=arms)
        settings_of(sections)
        if check:
            study.cells()
        return study

    def cells(self) -> list[Cell]:
        """Expand the arms into cells: every combination of an arm's values, checked whole."""
        sources: dict[str, list[str]] = {}
        return [cell for arm in self.arms for cell in _cells(arm, self.sections, sources)]

    def arm(self, name: str) -> Arm:
        """Return the arm of that name."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise unknown("arm", name, [arm.name for arm in self.arms])

    def to_toml(self) -> str:
        """Write the study as its file, every default of the sections filled in."""
        settings = settings_of(self.sections)
        tables = {section: _plain(msgspec.to_builtins(getattr(settings, section))) for section in SECTIONS}
        network = settings.network
        if isinstance(network, Custom):
            tables["network"] = _plain({"kind": network.kind, **network.options})
        arms = []
        for arm in self.arms:
            entry: dict[str, Any] = {"name": arm.name, "role": arm.role, "timeline": arm.timeline}
            if arm.title:
                entry["title"] = arm.title
            if arm.published:
                entry["published"] = arm.published
            entry |= arm.values
            for dotted, values in arm.settings.items():
                section, key = dotted.split(".", 1)
                entry.setdefault(section, {})[key] = values
            arms.append(entry)
        top = {"name": self.name, "question": self.question, "seeds": self.seeds}
        return tomli_w.dumps({**top, **tables, "arm": arms})


def shipped() -> dict[str, Path]:
    """Return the studies that come with the package, by name."""
    folder = Path(str(resources.files("chiasm.studies")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def settings_of(sections: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Turn the plain tables into typed settings, with errors that name the key."""
    network = dict(sections["network"])
    kind = network.get("kind")
    made: Network
    if isinstance(kind, str) and ":" in kind:
        made = Custom(kind=kind, options={k: v for k, v in network.items() if k != "kind"})
    else:
        made = as_struct(network, NETWORKS, "network", hint="or 'package.module:factory' for your own")
    objective = as_struct({"kind": "classify", **sections["objective"]}, OBJECTIVES, "objective")
    if isinstance(objective, Squares) and not isinstance(made, DeepLinear | Custom):
        raise ChiasmError(
            f"objective.kind = 'squares' needs logits that are distances, as network.kind = 'deep_linear' has them; "
            f"with '{kind}' objective.kind = 'classify' would do"
        )
    return Settings(
        task=as_struct(sections["task"], TASKS, "task"),
        network=made,
        training=as_struct(sections["training"], Training, "training"),
        objective=objective,
        probe=as_struct(sections["probe"], Probe, "probe"),
    )


def _cells(arm: Arm, sections: Mapping[str, Mapping[str, Any]], known: dict[str, list[str]]) -> list[Cell]:
    """Expand one arm; `known` holds the names of the sources by task, so that a file is read once."""
    axes = {**arm.values, **arm.settings}
    cells = []
    for point in product(*axes.values()):
        values = dict(zip(axes, point, strict=True))
        changed = {name: dict(table) for name, table in sections.items()}
        for dotted in arm.settings:
            section, key = dotted.split(".", 1)
            changed[section][key] = values[dotted]
        settings = settings_of(changed)
        if repr(settings.task) not in known:
            known[repr(settings.task)] = checked_names(_names(settings.task))
        names = known[repr(settings.task)]
        text = arm.timeline.format(**{name: values[name] for name in arm.values})
        cells.append(Cell(arm.name, values, Timeline.parse(text, names), settings))
    return cells


def _names(task: Task) -> list[str]:
    """Return the names of a task's sources; of one that knows them without its data, the data may be missing."""
    known: Sequence[str] = getattr(task, "names", ())
    return list(known) or [source.name for source in task.describe().sources]


def checked_names(names: list[str]) -> list[str]:
    """Refuse names of sources that the notation, the results or torch cannot use."""
    for name in names:
        if name in ("all", "both"):
            raise ChiasmError(f"a source may not be named '{name}', which means all sources together; rename it")
        if not NAME.fullmatch(name) or hasattr(torch.nn.ModuleDict(), name):
            raise ChiasmError(
                f"a source may not be named '{name}': a letter or _, then letters, digits, _ and -, and no name that "
                "torch modules use themselves (type, train, keys ...) would do; rename it"
            )
    return names


def _arm(entry: Any, index: int) -> Arm:
    where = f"arm {index + 1}"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise ChiasmError(f"{where}: the key 'name' is missing; an arm needs a name and a timeline")
    where = f"arm '{entry['name']}'"
    timeline = entry.get("timeline")
    if not isinstance(timeline, str) or not timeline.strip():
        raise ChiasmError(f'{where} is empty: it needs timeline = "...", for instance "silence(right) 40 | clean 60"')
    role = entry.get("role", "other")
    if role not in ROLES:
        raise unknown("role", str(role), ROLES, where)
    values: dict[str, list[Any]] = {}
    settings: dict[str, list[Any]] = {}
    for key, given in entry.items():
        if key in ("name", "timeline", "role", "title", "published"):
            continue
        if key in SECTIONS and isinstance(given, Mapping):
            for name, value in given.items():
                settings[f"{key}.{name}"] = list(value) if isinstance(value, list) else [value]
        else:
            values[key] = list(given) if isinstance(given, list) else [given]
    _check_placeholders(timeline, values, where)
    for name, listed in {**values, **settings}.items():
        if not listed:
            raise ChiasmError(f"{where} is empty: {name} = []; a list of one value or more would do")
        for i, value in enumerate(listed):
            if value in listed[:i]:
                raise ChiasmError(f"{where}: {name} = {listed}: {value!r} is listed twice")
    return Arm(
        name=entry["name"],
        timeline=timeline,
        role=role,
        title=str(entry.get("title", "")),
        values=values,
        settings=settings,
        published=_published(entry.get("published", ""), role, where),
    )


def _published(name: Any, role: str, where: str) -> str:
    if name == "":
        return ""
    if not isinstance(name, str):
        raise ChiasmError(f"{where}: published = {name!r}; the name of a set would do: {', '.join(known_published())}")
    if role != "duration":
        raise ChiasmError(
            f"{where}: published = '{name}' with role = '{role}'; published curves are over durations, so "
            "role = 'duration' would do"
        )
    return published(name, where).name


def _check_placeholders(timeline: str, values: Mapping[str, Any], where: str) -> None:
    from string import Formatter

    try:
        fields = [field for field in Formatter().parse(timeline) if field[1] is not None]
    except ValueError as error:
        raise ChiasmError(f'{where}: timeline = "{timeline}": braces do not match ({error})') from error
    for _, name, form, conversion in fields:
        if not name or not name.isidentifier() or form or conversion:
            raise ChiasmError(f'{where}: timeline = "{timeline}": a placeholder is a plain name in braces, like {{d}}')
    wanted = {str(name) for _, name, _, _ in fields}
    for name in wanted - set(values):
        raise ChiasmError(
            f"{where}: timeline = \"{timeline}\" has the placeholder {{{name}}} but no list '{name} = [...]'"
        )
    for name in set(values) - wanted:
        known = ["name", "timeline", "role", "title", "published", *SECTIONS, *wanted]
        raise unknown("key", name, known, where)


def _read(name_or_path: str | Path) -> dict[str, Any]:
    path = Path(name_or_path)
    if path.suffix != ".toml":
        found = shipped()
        if str(name_or_path) not in found:
            error = unknown("study", str(name_or_path), found)
            raise ChiasmError(f"{error}; a path to a .toml file would do as well")
        path = found[str(name_or_path)]
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ChiasmError(f"study file '{path}' cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ChiasmError(f"study file '{path}' is not UTF-8 text ({error.reason} at byte {error.start})") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ChiasmError(f"study file '{path}' is not TOML: {error}") from error


def _apply(raw: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ChiasmError(f"--set '{change}': the form key=value would do, for instance training.lr=0.02")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    if "." not in key:
        raw[key] = value
        return
    section, name = key.split(".", 1)
    if section not in SECTIONS:
        raise unknown("section", section, SECTIONS, f"--set '{change}'")
    if name not in (options := known_keys(raw, section, TASKS, NETWORKS, Training, Probe, OBJECTIVES)) and options:
        raise unknown("key", name, options, f"--set '{change}'")
    if not isinstance(raw.setdefault(section, {}), dict):
        raise ChiasmError(f"--set '{change}': [{section}] is {raw[section]!r}; a table of keys would do")
    raw[section][name] = value


def _plain(table: Any) -> Any:
    if isinstance(table, dict):
        return {key: _plain(value) for key, value in table.items() if value is not None}
    return [_plain(value) for value in table] if isinstance(table, list | tuple) else table
