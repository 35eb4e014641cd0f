"""Plain tables into typed structs and back; every mistake becomes a sentence that names the key."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any, Literal, cast, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

from chiasm.errors import ChiasmError, unknown
from chiasm.registry import Registry

PLACE = re.compile(r" - at `(?P<path>[^`]*)`$")


def fields_of(struct: type[msgspec.Struct]) -> tuple[FieldInfo, ...]:
    """Return the fields of a struct; kept, as msgspec evaluates every annotation of the class anew at each call."""
    return _fields(struct)


@cache
def _fields(struct: Hashable) -> tuple[FieldInfo, ...]:
    return msgspec.structs.fields(cast(type[msgspec.Struct], struct))


def as_struct(table: Mapping[str, Any], into: type[Any] | Registry[Any], section: str, hint: str = "") -> Any:
    """Decode one table of a study file.

    Args:
        table: the keys and plain values.
        into: the struct, or the family whose kinds the table's key `kind` chooses from.
        section: the table's name, for the message.
        hint: what else the key `kind` may be, for the message.

    Raises:
        ChiasmError: unknown kind or key, wrong type, value out of range.
    """
    given = dict(table)
    if isinstance(into, Registry):
        struct = _chosen(given, into, section, hint)
        given["kind"] = table["kind"]
    else:
        struct = into
    keys = [field.encode_name for field in fields_of(struct)]
    for key in given:
        if key not in keys and not (key == "kind" and isinstance(into, Registry)):
            raise unknown("key", key, ["kind", *keys] if isinstance(into, Registry) else keys, f"[{section}]")
    # A kind of a plug-in need not say how msgspec is to call its tag.
    tag_field = struct.__struct_config__.tag_field
    named = {tag_field: given["kind"]} if tag_field else {}
    try:
        return msgspec.convert({**{k: v for k, v in given.items() if k != "kind"}, **named}, struct)
    except ChiasmError:
        raise
    except msgspec.ValidationError as error:
        raise ChiasmError(_sentence(str(error), given, section, struct)) from error


def _chosen(given: Mapping[str, Any], family: Registry[Any], section: str, hint: str) -> type[Any]:
    kind = given.get("kind")
    if kind is None:
        raise ChiasmError(f"[{section}]: the key 'kind' is missing; known kinds: {', '.join(sorted(family))}")
    struct = family.get(kind) if isinstance(kind, str) else None
    if struct is None:
        error = unknown("kind", str(kind), family, f"[{section}]")
        raise ChiasmError(f"{error}; {hint}" if hint else str(error))
    return struct


def plain(settings: msgspec.Struct) -> dict[str, Any]:
    """Return settings as plain values, a kind's tag under "kind"."""
    tables: dict[str, Any] = msgspec.to_builtins(settings)
    tag_field = settings.__struct_config__.tag_field
    if tag_field and tag_field != "kind":
        tables["kind"] = tables.pop(tag_field)
    return tables


def identifying(settings: msgspec.Struct) -> dict[str, Any]:
    """Return the plain values that identify a run: without the fields `later` that have their default.

    A kind that gains a field names it in `later`, so that the nodes of older studies keep their keys.
    """
    tables = plain(settings)
    for field in fields_of(type(settings)):
        if field.name in getattr(settings, "later", ()) and getattr(settings, field.name) == field.default:
            tables.pop(field.encode_name)
    return tables


def _sentence(text: str, given: Mapping[str, Any], section: str, struct: type[Any]) -> str:
    place = PLACE.search(text)
    path = place["path"].removeprefix("$").removeprefix(".") if place else ""
    sentence = PLACE.sub("", text).replace("`", "")
    sentence = sentence[0].lower() + sentence[1:]
    if "missing required field" in sentence:
        return f"[{section}]: {sentence}"
    if not path:
        return f"[{section}]: {sentence}"
    key = re.split(r"[.\[]", path)[0]
    if "invalid enum value" in sentence and (known := _words(struct, key)):
        sentence = f"expected one of {', '.join(map(repr, known))}"
    return f"{section}.{path} = {given.get(key)!r}: {sentence}"


def _words(struct: type[Any], key: str) -> tuple[str, ...]:
    """Return the words that a key of a struct, or a member of its list, may be; empty where it chooses no word."""
    for field in fields_of(struct):
        if field.encode_name == key:
            for type_ in (field.type, *get_args(field.type)):
                if get_origin(type_) is Literal:
                    return get_args(type_)
    return ()
