"""A user's own network: `network.kind = "my_package.module:factory"`."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import msgspec
import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.networks.calling import calling_conventions
from chiasm.networks.network import Network
from chiasm.registry import announce_module, code_digest
from chiasm.sources import Source


@final
class Custom(Network, frozen=True, kw_only=True):
    """A network made by the user's factory.

    Attributes:
        kind: "my_package.module:factory"; called as `factory(sources, classes, **options)`, it returns a module whose
            forward takes the sources by name, in order or in one mapping (see `forward_of`) and returns logits
            (samples, classes), or a mapping of logits by head that holds "both". For `freeze` a source's pathway must
            be named `pathways.<source>`.
        options: the other keys of [network], handed to the factory.
    """

    answers: ClassVar[Literal["logits", "distances", "any"]] = "any"

    kind: str
    options: dict[str, Any] = msgspec.field(default_factory=dict)

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
        module = factory(sources, classes, **self.options)
        if not isinstance(module, nn.Module):
            raise ChiasmError(
                f"network.kind = '{self.kind}' returned a {type(module).__name__}; expected a torch nn.Module"
            )
        self._try(module, sources, classes)
        return module

    def code_digest(self) -> str:
        """Return the hash of the file that the factory's module was imported from.

        Raises:
            ChiasmError: the module has no file, or the file was edited after this process imported it.
        """
        module = sys.modules[load_object(self.kind, "network.kind").__module__]
        try:
            return code_digest(module)
        except ChiasmError as error:
            raise ChiasmError(f"network.kind = '{self.kind}': {error}") from error

    def _try(self, module: nn.Module, sources: Sequence[Source], classes: int) -> None:
        """Run two samples of nothing through the network, in evaluation mode so that no statistic moves."""
        given = {source.name: torch.zeros(2, *source.shape) for source in sources}
        out = self._answer(module, given)
        logits = out.get("both") if isinstance(out, Mapping) else out
        if not isinstance(logits, Tensor) or tuple(logits.shape) != (2, classes):
            answer = tuple(logits.shape) if isinstance(logits, Tensor) else type(out).__name__
            raise ChiasmError(
                f"network.kind = '{self.kind}': its forward must return logits (samples, {classes}), or a mapping of "
                f"logits by head that holds 'both'; for two samples it returned {answer}"
            )

    def _answer(self, module: nn.Module, given: Mapping[str, Tensor]) -> Any:
        try:
            conventions = calling_conventions(module, given)
        except ChiasmError as error:
            raise ChiasmError(f"network.kind = '{self.kind}': {error}") from error
        was, raised = module.training, []
        for convention in conventions:
            args, kwargs = convention.arguments(given)
            try:
                with torch.no_grad():
                    return module.eval()(*args, **kwargs)
            except Exception as error:  # whatever a user's forward may raise
                raised.append((convention, error))
            finally:
                module.train(was)
        attempts = ", and ".join(
            f"{convention.how} it raised {type(error).__name__}: {error}" for convention, error in raised
        )
        raise ChiasmError(
            f"network.kind = '{self.kind}': its forward must take the sources {', '.join(given)} by name, in order or "
            f"in one mapping, as tensors (samples, *shape); called with two samples {attempts}"
        ) from raised[0][1]


def load_object(path: str, key: str) -> Any:
    """Import "package.module:name", looking in the current folder too; a clear sentence says what is missing."""
    module, _, name = path.partition(":")
    if not module or not name:
        raise ChiasmError(f"{key} = '{path}' is not of the form 'package.module:name'")
    announce_module(f"{key} = '{path}'", module, [Path.cwd()])
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        imported = importlib.import_module(module)
    except Exception as error:  # a missing module, or whatever its code raises while it is imported
        raise ChiasmError(f"{key} = '{path}': module '{module}' cannot be imported ({error})") from error
    finally:
        if added:
            sys.path.remove(here)
    if not hasattr(imported, name):
        raise ChiasmError(f"{key} = '{path}': module '{module}' has no '{name}'")
    return getattr(imported, name)
