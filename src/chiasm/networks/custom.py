"""A user's own network: `network.kind = "my_package.module:factory"`."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from torch import nn

from chiasm.errors import ChiasmError
from chiasm.sources import Source


class Custom(msgspec.Struct, frozen=True, kw_only=True):
    """A network made by the user's factory.

    Attributes:
        kind: "my_package.module:factory"; called as `factory(sources, classes, **options)`, it returns a module whose
            forward takes the sources by name in one mapping and returns logits (samples, classes), or a mapping of
            logits by head that holds "both". For `freeze` a source's pathway must be named `pathways.<source>`.
        options: the other keys of [network], handed to the factory.
    """

    kind: str
    options: dict[str, Any] = {}

    def build(self, sources: Sequence[Source], classes: int) -> nn.Module:
        """Import the factory and call it; weights come from torch's global generator, seeded by the caller."""
        factory = load_object(self.kind, "network.kind")
        try:
            inspect.signature(factory).bind(sources, classes, **self.options)
        except (TypeError, ValueError) as error:
            raise ChiasmError(
                f"network.kind = '{self.kind}' cannot be called with (sources, classes) and the options "
                f"{', '.join(self.options) or 'none'}: {error}"
            ) from error
        made = factory(sources, classes, **self.options)
        if not isinstance(made, nn.Module):
            raise ChiasmError(
                f"network.kind = '{self.kind}' returned a {type(made).__name__}; a torch nn.Module would do"
            )
        return made


def load_object(path: str, key: str) -> Any:
    """Import "package.module:name", looking in the current folder too; a clear sentence says what is missing."""
    module, _, name = path.partition(":")
    if not module or not name:
        raise ChiasmError(f"{key} = '{path}' is not of the form 'package.module:name'")
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ChiasmError(f"{key} = '{path}': module '{module}' cannot be imported ({error})") from error
    finally:
        if added:
            sys.path.remove(here)
    if not hasattr(found, name):
        raise ChiasmError(f"{key} = '{path}': module '{module}' has no '{name}'")
    return getattr(found, name)
