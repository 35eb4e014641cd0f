"""Plain tables into typed settings; every mistake becomes a sentence that names the key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec

from chiasm.errors import ChiasmError, unknown

PLACE = re.compile(r" - at `(?P<path>[^`]*)`$")


def as_struct(table: Mapping[str, Any], into: type[Any] | Mapping[str, type[Any]], section: str, hint: str = "") -> Any:
    """Decode one table of a study file.

    Args:
        table: the keys and plain values.
        into: the struct, or the structs by the value of the table's key `kind`.
        section: the table's name, for the message.
        hint: what else the key `kind` may be, for the message.

    Raises:
        ChiasmError: unknown kind or key, wrong type, value out of range.
    """
    given = dict(table)
    kinds = into if isinstance(into, Mapping) else {}
    if kinds:
        kind = given.pop("kind", None)
        if kind is None:
            raise ChiasmError(f"[{section}]: the key 'kind' is missing; known kinds: {', '.join(sorted(kinds))}")
        if not isinstance(kind, str) or kind not in kinds:
            error = unknown("kind", str(kind), kinds, f"[{section}]")
            raise ChiasmError(f"{error}; {hint}" if hint else str(error))
        struct = kinds[kind]
    else:
        assert isinstance(into, type)
        struct = into
    keys = [field.encode_name for field in msgspec.structs.fields(struct)]
    for key in given:
        if key not in keys:
            raise unknown("key", key, ["kind", *keys] if kinds else keys, f"[{section}]")
    try:
        return msgspec.convert({**given, "kind": kind} if kinds else given, struct)
    except ChiasmError:
        raise
    except msgspec.ValidationError as error:
        raise ChiasmError(_sentence(str(error), given, section, struct)) from error


def known_keys(raw: Mapping[str, Any], section: str, *structs: Any) -> list[str]:
    """Return the keys that a section of this study may hold; empty where any key may stand (a user's own network)."""
    tasks, networks, training, probe, objectives = structs
    table = raw.get(section, {})
    kind = table.get("kind") if isinstance(table, Mapping) else None
    kind = kind if isinstance(kind, str) else None
    struct = {
        "task": tasks.get(kind),
        "network": networks.get(kind),
        "training": training,
        "probe": probe,
        "objective": objectives[kind if kind in objectives else "classify"],
    }[section]
    if struct is None:
        return []
    return ["kind", *(field.encode_name for field in msgspec.structs.fields(struct))]


def _sentence(text: str, given: Mapping[str, Any], section: str, struct: type[Any]) -> str:
    found = PLACE.search(text)
    path = found["path"].removeprefix("$").removeprefix(".") if found else ""
    said = PLACE.sub("", text).replace("`", "")
    said = said[0].lower() + said[1:]
    if "missing required field" in said:
        return f"[{section}]: {said}"
    if not path:
        return f"[{section}]: {said}"
    key = re.split(r"[.\[]", path)[0]
    if "invalid enum value" in said and (known := _words(struct, key)):
        said = f"what would do: {', '.join(map(repr, known))}"
    return f"{section}.{path} = {given.get(key)!r}: {said}"


def _words(struct: type[Any], key: str) -> tuple[str, ...]:
    """Return the words that a key of a struct, or a member of its list, may be; empty where it chooses no word."""
    for field in msgspec.structs.fields(struct):
        if field.encode_name == key:
            for type_ in (field.type, *get_args(field.type)):
                if get_origin(type_) is Literal:
                    return get_args(type_)
    return ()
