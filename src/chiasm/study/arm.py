"""An arm: one varied thing in a study, as it stands in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import msgspec

from chiasm.errors import ChiasmError, unknown
from chiasm.study.settings import SECTIONS

#: What stands in the braces of a timeline: a name, or a number less what the name stands for.
PLACEHOLDER = re.compile(r"\s*(?:(\d+)\s*-\s*)?([^\W\d]\w*)\s*")


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One varied thing in a study.

    Attributes:
        name: unique in the study.
        timeline: the notation, with placeholders in braces ("silence(right) {d} | clean 60").
        role: what the arm is for, which decides where the report shows it and which question it answers.
        title: one line for people.
        values: the lists that fill the placeholders.
        settings: other keys of the study, by dotted name ("training.clock"), each with the list of its values.
    """

    name: str
    timeline: str
    role: str = "other"
    title: str = ""
    values: dict[str, list[Any]] = {}
    settings: dict[str, list[Any]] = {}

    def points(self) -> Iterator[dict[str, Any]]:
        """Yield what is varied in each of the arm's cells, by name: placeholders first, then keys of the study."""
        axes = {**self.values, **self.settings}
        for point in product(*axes.values()):
            yield dict(zip(axes, point, strict=True))


def cell_label(values: Mapping[str, Any]) -> str:
    """Return the name of a cell in its arm: what is varied in it, as text.

    >>> cell_label({"d": 40, "training.clock": "absolute"})
    'd=40, training.clock=absolute'
    """
    return ", ".join(f"{name}={value}" for name, value in values.items())


def filled(timeline: str, values: Mapping[str, Any], where: str) -> str:
    """Put values in the place of their names: "clean {t} | silence(right) 10 | clean {30 - t}"."""

    def text(match: re.Match[str]) -> str:
        given = values[match[2]]
        if match[1] is None:
            return str(given)
        if type(given) is not int or given > int(match[1]):
            raise ChiasmError(
                f"{where}: {match[0]} with {match[2]} = {given!r}; expected whole numbers up to {match[1]}"
            )
        return str(int(match[1]) - given)

    return re.sub(rf"\{{{PLACEHOLDER.pattern}\}}", text, timeline)


def read_arm(entry: Any, index: int) -> Arm:
    where = f"arm {index + 1}"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise ChiasmError(f"{where}: the key 'name' is missing; an arm needs a name and a timeline")
    where = f"arm '{entry['name']}'"
    timeline = entry.get("timeline")
    if not isinstance(timeline, str) or not timeline.strip():
        raise ChiasmError(f'{where} is empty: it needs timeline = "...", for instance "silence(right) 40 | clean 60"')
    role = entry.get("role", "other")
    if not isinstance(role, str):
        raise ChiasmError(f"{where}: role = {role!r}; expected a word")
    values: dict[str, list[Any]] = {}
    settings: dict[str, list[Any]] = {}
    for key, given in entry.items():
        if key in ("name", "timeline", "role", "title", "published"):
            continue
        if key in SECTIONS and isinstance(given, Mapping):
            for name, value in _flat(given, key == "objective"):
                settings[f"{key}.{name}"] = list(value) if isinstance(value, list) else [value]
        else:
            values[key] = list(given) if isinstance(given, list) else [given]
    _check_placeholders(timeline, values, where)
    for name, listed in {**values, **settings}.items():
        if not listed:
            raise ChiasmError(f"{where} is empty: {name} = []; expected a list of one value or more")
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
    )


def _flat(table: Mapping[str, Any], objective: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield the keys of a table with their values, those of tables in an objective as "pretrain.weight"."""
    for key, value in table.items():
        if isinstance(value, Mapping) and "kind" not in value and objective:
            yield from ((f"{key}.{inner}", one) for inner, one in _flat(value, objective))
        else:
            yield key, value


def _check_placeholders(timeline: str, values: Mapping[str, Any], where: str) -> None:
    from string import Formatter

    try:
        fields = [field for field in Formatter().parse(timeline) if field[1] is not None]
    except ValueError as error:
        raise ChiasmError(f'{where}: timeline = "{timeline}": braces do not match ({error})') from error
    for _, name, form, conversion in fields:
        if not PLACEHOLDER.fullmatch(str(name)) or form or conversion:
            raise ChiasmError(
                f'{where}: timeline = "{timeline}": a placeholder is a name in braces, like {{d}}, '
                f"or what is left of a number, like {{40 - d}}"
            )
    wanted = {match[2] for _, name, _, _ in fields if (match := PLACEHOLDER.fullmatch(str(name)))}
    for name in wanted - set(values):
        raise ChiasmError(
            f"{where}: timeline = \"{timeline}\" has the placeholder {{{name}}} but no list '{name} = [...]'"
        )
    for name in set(values) - wanted:
        known = ["name", "timeline", "role", "title", "published", *SECTIONS, *wanted]
        raise unknown("key", name, known, where)
