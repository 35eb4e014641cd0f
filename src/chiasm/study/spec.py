"""A study is a file: one typed object is the file, the Python object, the command line's settings and the identity."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec
import tomli_w
import torch

from chiasm.errors import ChiasmError, unknown
from chiasm.networks import Custom
from chiasm.registry import load_plugin
from chiasm.structs import plain
from chiasm.study.arm import Arm, cell_label, filled, read_arm
from chiasm.study.settings import NAME, SECTIONS, Settings, known_keys, settings_of
from chiasm.study.toml import changed, read_toml
from chiasm.tasks import Task
from chiasm.timeline import Timeline


@dataclass(frozen=True)
class Cell:
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
        return cell_label(self.values)


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that answer a question.

    Attributes:
        name: identifier of the study.
        question: the question in words, shown on top of the report.
        seeds: number of replicates; seeds count from 0.
        sections: the tables [task], [network], [training], [objective], [probe] as they stand in the file.
        arms: what is varied.
        plugins: modules or files whose kinds the study may use, as `chiasm.registry.load_plugin` takes them.
        report: the table [report], which only the report reads; it is no part of a study's identity.
    """

    name: str
    question: str
    seeds: Annotated[int, msgspec.Meta(ge=1)]
    sections: dict[str, dict[str, Any]]
    arms: tuple[Arm, ...]
    plugins: tuple[str, ...] = ()
    report: dict[str, Any] = {}

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
        path = Path(name_or_path)
        if path.suffix != ".toml":
            if str(name_or_path) not in (known := shipped()):
                error = unknown("study", str(name_or_path), known)
                raise ChiasmError(f"{error}; or the path of a .toml file")
            path = known[str(name_or_path)]
        raw = read_toml(path, "study file")
        for change in changes:
            key, value = changed(change, "training.lr=0.02")
            _apply(raw, key, value, change)
        if seeds is not None:
            raw["seeds"] = seeds
        return cls.from_dict(raw, check, path.parent)

    @classmethod
    def from_toml(cls, text: str) -> Study:
        """Read a study from the text of its file; raises ChiasmError as `load` does."""
        try:
            return cls.from_dict(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise ChiasmError(f"this text is not TOML: {error}") from error

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], check: bool = True, folder: Path | None = None) -> Study:
        """Build and check a study from the plain content of its file.

        Args:
            raw: the content.
            check: as for `load`.
            folder: where the paths of its plug-ins count from; None: the working folder.

        Raises:
            ChiasmError: naming the key at fault.
        """
        top = {"name", "question", "seeds", "plugins", "report", "arm", *SECTIONS}
        for key in raw:
            if key not in top:
                raise unknown("key", key, top, "study")
        for key in ("name", "task", "network", "arm"):
            if key not in raw:
                raise ChiasmError(
                    f"study: the key '{key}' is missing; a study needs name, [task], [network] and [[arm]]"
                )
        if not isinstance(raw["name"], str) or not raw["name"]:
            raise ChiasmError(f"study: name = {raw['name']!r}; expected a word")
        seeds = raw.get("seeds", 3)
        if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
            raise ChiasmError(f"study: seeds = {seeds!r}; expected an integer of 1 or more")
        plugins = _plugins(raw.get("plugins", []), folder)
        sections = {section: _table(raw, section) for section in SECTIONS}
        report = _table(raw, "report")
        if not isinstance(raw["arm"], Sequence) or isinstance(raw["arm"], str) or not raw["arm"]:
            raise ChiasmError(
                "study: no [[arm]] is given; a study needs one arm or more, each with a name and a timeline"
            )
        arms = tuple(read_arm(entry, i) for i, entry in enumerate(raw["arm"]))
        # Studies of an earlier version say in the arm itself what the report lays beside it.
        beside = {entry["name"]: entry["published"] for entry in raw["arm"] if entry.get("published")}
        if beside:
            report = {**report, "published": {**beside, **_table(report, "published")}}
        names = [arm.name for arm in arms]
        for name in names:
            if names.count(name) > 1:
                raise ChiasmError(f"study: two arms are named '{name}'; each needs a name of its own")
        study = cls(
            name=raw["name"],
            question=str(raw.get("question", "")),
            seeds=seeds,
            sections=sections,
            arms=arms,
            plugins=plugins,
            report=report,
        )
        settings_of(sections)
        if check:
            study.cells()
        return study

    def cells(self) -> list[Cell]:
        """Expand the arms into cells: every combination of an arm's values, checked whole."""
        sources: dict[str, list[str]] = {}
        return [cell for arm in self.arms for cell in _cells(arm, self.sections, sources)]

    def varied(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what is varied in each cell, by arm and cell as results name them; takes no task and no data."""
        return {(arm.name, cell_label(values)): values for arm in self.arms for values in arm.points()}

    def arm(self, name: str) -> Arm:
        """Return the arm of that name."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise unknown("arm", name, [arm.name for arm in self.arms])

    def to_toml(self) -> str:
        """Write the study as its file, every default of the sections filled in."""
        settings = settings_of(self.sections)
        tables = {section: _without_none(plain(getattr(settings, section))) for section in SECTIONS}
        if isinstance(settings.network, Custom):  # its options are keys of the table itself
            tables["network"] |= tables["network"].pop("options")
        tables["objective"] |= {n: _without_none(plain(o)) for n, o in settings.objectives.items() if n}
        if self.report:
            tables["report"] = self.report
        arms = []
        for arm in self.arms:
            entry: dict[str, Any] = {"name": arm.name, "role": arm.role, "timeline": arm.timeline}
            if arm.title:
                entry["title"] = arm.title
            entry |= arm.values
            for dotted, values in arm.settings.items():
                section, key = dotted.split(".", 1)
                entry.setdefault(section, {})[key] = values
            arms.append(entry)
        top: dict[str, Any] = {"name": self.name, "question": self.question, "seeds": self.seeds}
        if self.plugins:
            top["plugins"] = list(self.plugins)
        return tomli_w.dumps({**top, **tables, "arm": arms})


def shipped() -> dict[str, Path]:
    """Return the studies that come with the package, by name."""
    folder = Path(str(resources.files("chiasm.studies")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _table(raw: Mapping[str, Any], section: str) -> dict[str, Any]:
    table = raw.get(section, {})
    if not isinstance(table, Mapping):
        raise ChiasmError(f"study: [{section}] is {table!r}; expected a table of keys")
    return dict(table)


def _plugins(given: Any, folder: Path | None) -> tuple[str, ...]:
    """Import a study's plug-ins; their paths become absolute, so that the study can be read from anywhere."""
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) and name for name in given):
        raise ChiasmError(
            f"study: plugins = {given!r}; expected a list of modules or paths, ['my_lab.fog'] for instance"
        )
    plugins = [load_plugin(name, folder) for name in given]
    return tuple(
        str(plugin.folder_or_file) if name.endswith(".py") or "/" in name else name
        for name, plugin in zip(given, plugins, strict=True)
    )


def _cells(arm: Arm, sections: Mapping[str, Mapping[str, Any]], known: dict[str, list[str]]) -> list[Cell]:
    """Expand one arm; `known` holds the names of the sources by task, so that a file is read once."""
    cells = []
    for values in arm.points():
        tables = copy.deepcopy({name: dict(table) for name, table in sections.items()})
        for dotted in arm.settings:
            _put(tables, dotted.split("."), values[dotted])
        settings = settings_of(tables)
        if repr(settings.task) not in known:
            known[repr(settings.task)] = checked_names(_names(settings.task))
        names = known[repr(settings.task)]
        text = filled(arm.timeline, values, f"arm '{arm.name}'")
        named = [name for name in settings.objectives if name]
        cells.append(Cell(arm.name, values, Timeline.parse(text, names, named), settings))
    return cells


def _put(table: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Set a key of nested tables."""
    for key in keys[:-1]:
        table = table.setdefault(key, {})
    table[keys[-1]] = value


def _names(task: Task) -> list[str]:
    """Return the names of a task's sources; of one that knows them without its data, the data may be missing."""
    return list(task.source_names) or [source.name for source in task.describe().sources]


def checked_names(names: list[str]) -> list[str]:
    """Refuse names of sources that the notation, the results or torch cannot use."""
    for name in names:
        if name in ("all", "both"):
            raise ChiasmError(f"a source may not be named '{name}', which means all sources together; rename it")
        if not NAME.fullmatch(name) or hasattr(torch.nn.ModuleDict(), name):
            raise ChiasmError(
                f"a source may not be named '{name}'; expected a letter or _, then letters, digits, _ and -, and no "
                "name that torch modules use themselves (type, train, keys ...)"
            )
    return names


def _apply(raw: dict[str, Any], key: str, value: Any, change: str) -> None:
    """Put one changed setting into the plain content of a study."""
    if "." not in key:
        raw[key] = value
        return
    section, name = key.split(".", 1)
    if section not in (*SECTIONS, "report"):
        raise unknown("section", section, SECTIONS, f"--set '{change}'")
    if not isinstance(raw.setdefault(section, {}), dict):
        raise ChiasmError(f"--set '{change}': [{section}] is {raw[section]!r}; expected a table of keys")
    options = known_keys(raw, section) if section in SECTIONS else []
    if options and name not in options and name.split(".")[0] not in raw[section]:
        raise unknown("key", name, options, f"--set '{change}'")
    _put(raw[section], name.split("."), value)


def _without_none(table: Any) -> Any:
    if isinstance(table, dict):
        return {key: _without_none(value) for key, value in table.items() if value is not None}
    return [_without_none(value) for value in table] if isinstance(table, list | tuple) else table
