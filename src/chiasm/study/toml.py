"""Reading settings: the text of a file, and single settings as the command line gives them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from chiasm.errors import ChiasmError


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Return the content of a TOML file.

    Args:
        path: where it lies.
        what: how an error calls it ("study file").

    Raises:
        ChiasmError: it cannot be read, is no UTF-8 text, or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ChiasmError(f"{what} '{path}' cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ChiasmError(f"{what} '{path}' is not UTF-8 text ({error.reason} at byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise ChiasmError(f"{what} '{path}' is not TOML: {error}") from error


def changed(change: str, example: str) -> tuple[str, Any]:
    """Return key and value of a setting as `--set` gives it, "key=value"; a value is TOML, or a bare word.

    Args:
        change: the text.
        example: one that is right, for the error.

    >>> changed("training.lr=0.02", ""), changed("training.clock=constant", "")
    (('training.lr', 0.02), ('training.clock', 'constant'))
    """
    key, equals, text = change.partition("=")
    key, text = key.strip(), text.strip()
    if not equals or not key:
        raise ChiasmError(f"--set '{change}': expected key=value, for instance {example}")
    try:
        return key, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return key, text
