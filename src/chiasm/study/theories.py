"""Theory studies: the settings of an exact computation, read from a file like any other study's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from chiasm.errors import ChiasmError, unknown
from chiasm.registry import load_plugin
from chiasm.structs import as_struct, fields_of
from chiasm.study.toml import changed, read_toml
from chiasm.theory.study import THEORIES, TheoryStudy

#: No count in the settings may be larger: beyond this it is a typing error that no computer could act on.
LARGEST = 10**9


def shipped_theories() -> dict[str, Path]:
    """Return the theory studies that come with the package, by name."""
    folder = Path(str(resources.files("chiasm.studies"))) / "theory"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_theory(name_or_path: str | Path, changes: Sequence[str] = ()) -> tuple[str, str, TheoryStudy]:
    """Read a shipped theory study by name, or a file by path.

    Args:
        name_or_path: "linear-modes", or a path that ends in .toml; the file holds `kind`, `question` and settings, and
            where its kind comes from elsewhere `plugins`, a list of modules or files.
        changes: "key=value", as `--set` gives them; values are TOML, or bare words.

    Returns:
        Its kind, its question, and its settings.

    Raises:
        ChiasmError: an unknown name, kind or key, text that is not TOML, or an impossible value.
    """
    known = shipped_theories()
    path = known.get(str(name_or_path), Path(name_or_path))
    if path.suffix != ".toml":
        raise ChiasmError(f"{unknown('study of theory', str(name_or_path), known)}, or the path of a file (.toml)")
    raw = read_toml(path, "theory file")
    for change in changes:
        key, value = changed(change, "depth=3")
        raw[key] = value
    plugins = raw.pop("plugins", [])
    if not isinstance(plugins, list) or not all(isinstance(name, str) for name in plugins):
        raise ChiasmError(f"plugins = {plugins!r}; expected a list of modules or paths, ['my_lab.fog'] for instance")
    for name in plugins:
        load_plugin(name, path.parent)
    return decode_theory(raw)


def decode_theory(raw: Mapping[str, Any]) -> tuple[str, str, TheoryStudy]:
    """Build settings from the plain content of a file; raises ChiasmError naming the key at fault."""
    settings = {key: value for key, value in raw.items() if key != "question"}
    for key, value in settings.items():
        if any(abs(number) > LARGEST for number in _integers(value)):
            raise ChiasmError(f"theory.{key} = {value!r}; expected whole numbers up to {LARGEST}")
    kind = settings.get("kind")
    struct = THEORIES.get(kind) if isinstance(kind, str) else None
    for field in fields_of(struct) if struct else ():
        if field.type is str and type(settings.get(field.name)) is int:
            settings[field.name] = str(settings[field.name])  # a source is known by its number
    return str(kind), str(raw.get("question", "")), as_struct(settings, THEORIES, "theory")


def _integers(value: Any) -> Iterator[int]:
    """All integers in a plain value."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _integers(part)
