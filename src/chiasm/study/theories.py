"""Studies of theory: the settings of an exact computation, read from a file like any other study's."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module, resources
from pathlib import Path
from typing import Any, Protocol

import msgspec

from chiasm.errors import ChiasmError, unknown
from chiasm.study.decode import as_struct

#: Where the settings of each kind live; imported when they are asked for.
KINDS = {
    "linear-modes": ("chiasm.theory.mode.study", "LinearModes"),
    "linear-fusion": ("chiasm.theory.fusion.study", "LinearFusion"),
    "linear-pathways": ("chiasm.theory.pathway.study", "LinearPathways"),
    "matrix-completion": ("chiasm.theory.completion.study", "MatrixCompletion"),
}


#: No setting counts further; larger numbers are slips of the pen that no computer could act on.
LARGEST = 10**9


class Theory(Protocol):
    """Settings of one kind: a frozen struct whose `run` computes everything."""

    def run(self, progress: Callable[[float], None] | None = None) -> Any:
        """Compute; `progress` is told the share that is done, from 0 to 1."""
        ...


def shipped_theories() -> dict[str, Path]:
    """Return the studies of theory that come with the package, by name."""
    folder = Path(str(resources.files("chiasm.studies"))) / "theory"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_theory(name_or_path: str | Path, changes: Sequence[str] = ()) -> tuple[str, str, Theory]:
    """Read a shipped study of theory by name, or a file by path.

    Args:
        name_or_path: "linear-modes", or a path that ends in .toml; the file holds `kind`, `question` and settings.
        changes: "key=value", as `--set` gives them; values are TOML, or bare words.

    Returns:
        Its kind, its question, and its settings.

    Raises:
        ChiasmError: an unknown name, kind or key, text that is not TOML, or an impossible value.
    """
    known = shipped_theories()
    path = Path(name_or_path)
    if str(name_or_path) in known:
        path = known[str(name_or_path)]
    elif path.suffix != ".toml":
        raise ChiasmError(f"{unknown('study of theory', str(name_or_path), known)}, or the path of a file (.toml)")
    try:
        raw = tomllib.loads(path.read_text())
    except OSError as error:
        raise ChiasmError(f"'{path}' cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ChiasmError(f"'{path}' is not TOML: {error}") from error
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise ChiasmError(f"--set {change}: give key=value")
        raw[key.strip()] = _value(value.strip())
    return decode_theory(raw)


def decode_theory(raw: Mapping[str, Any]) -> tuple[str, str, Theory]:
    """Build settings from the plain content of a file; raises ChiasmError naming the key at fault."""
    settings = {key: value for key, value in raw.items() if key != "question"}
    for key, value in settings.items():
        if any(abs(number) > LARGEST for number in _whole(value)):
            raise ChiasmError(f"theory.{key} = {value!r}: whole numbers up to {LARGEST} would do")
    kind = settings.get("kind")
    structs = {}
    if isinstance(kind, str) and kind in KINDS:
        module, name = KINDS[kind]
        structs = {kind: getattr(import_module(module), name)}
        for field in msgspec.structs.fields(structs[kind]):
            if field.type is str and type(settings.get(field.name)) is int:
                settings[field.name] = str(settings[field.name])  # sources are known by their numbers
    if not isinstance(kind, str) or kind not in structs:
        raise unknown("kind", str(kind), KINDS, "[theory]")
    made: Theory = as_struct(settings, structs[kind], "theory")
    return str(kind), str(raw.get("question", "")), made


def _whole(value: Any) -> Iterator[int]:
    """All whole numbers in a plain value."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _whole(part)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word
