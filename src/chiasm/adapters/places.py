"""Where a source stands in the arguments of a model's forward, to be read and replaced there."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, nn

from chiasm.errors import ChiasmError, unknown
from chiasm.networks.calling import unwrapped

Address = str | int | tuple[str | int, ...]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@final
@dataclass(frozen=True, slots=True)
class Place:
    """A place in a call's arguments.

    Attributes:
        source: the name of what stands there, for the errors.
        parameter: the parameter's name; None for one of `*args`.
        position: its place among the positional arguments; None where it is given by name only.
        keys: the way from the argument to the tensor, through mappings (by key), tuples and lists (by index).

    >>> place = Place("left", "batch", 0, ("eyes", 0))
    >>> batch = {"eyes": (1, 2)}
    >>> place.exchanged(((batch,), {}), 5)
    (({'eyes': (5, 2)},), {})
    >>> batch
    {'eyes': (1, 2)}
    """

    source: str
    parameter: str | None
    position: int | None
    keys: tuple[str | int, ...] = ()

    def read(self, arguments: Arguments) -> Tensor:
        """Return the tensor that stands here.

        Raises:
            ChiasmError: the call did not give it, or gave something else than a tensor.
        """
        args, kwargs = arguments
        if self.parameter in kwargs:
            value = kwargs[self.parameter]
        elif self.position is not None and self.position < len(args):
            value = args[self.position]
        else:
            raise ChiasmError(f"{self} is not in this call of the model; expected a call that gives it")
        for key in self.keys:
            value = self._inside(value, key)
        if not isinstance(value, Tensor):
            raise ChiasmError(f"{self} is a {type(value).__name__}; expected a tensor")
        return value

    def exchanged(self, arguments: Arguments, x: object) -> Arguments:
        """Return the arguments with `x` in this place; the given ones, and all that they hold, stay as they are."""
        args, kwargs = arguments
        if self.parameter in kwargs:
            return args, {**kwargs, self.parameter: _put(kwargs[self.parameter], self.keys, x)}
        at = self.position
        assert at is not None
        return (*args[:at], _put(args[at], self.keys, x), *args[at + 1 :]), kwargs

    def _inside(self, value: Any, key: str | int) -> Any:
        if isinstance(value, Mapping):
            if key not in value:
                raise unknown("key", str(key), map(str, value), where=str(self))
            return value[key]
        if isinstance(value, tuple | list) and isinstance(key, int):
            if not -len(value) <= key < len(value):
                raise ChiasmError(f"{self}: there is no [{key}] in a {type(value).__name__} of {len(value)}")
            return value[key]
        raise ChiasmError(
            f"{self}: a {type(value).__name__} holds no {key!r}; expected a mapping (by key), tuple or list (by index)"
        )

    def __str__(self) -> str:
        root = f"argument {self.position}" if self.parameter is None else f"argument '{self.parameter}'"
        return f"source '{self.source}' ({root}{''.join(f'[{key!r}]' for key in self.keys)})"


def _put(value: Any, keys: tuple[str | int, ...], x: object) -> Any:
    if not keys:
        return x
    key, *rest = keys
    inner = _put(value[key], tuple(rest), x)
    if isinstance(value, Mapping):
        other: Any = copy.copy(value)  # shallow: a batch of the same class, whose other entries are shared
        other[key] = inner
        return other
    items = [inner if i == int(key) % len(value) else item for i, item in enumerate(value)]
    return value._make(items) if hasattr(value, "_make") else type(value)(items)


def place_of(model: nn.Module, source: str, address: Address) -> Place:
    """Find the place that an address means in the signature of `model.forward`.

    Args:
        model: the module that will be called; wrappers are looked through.
        source: the source's name.
        address: a parameter's name, a position from 0, or a tuple of one of these and the keys that lead on from there;
            where the model takes one input only, a key of that mapping.

    Raises:
        ChiasmError: forward has no such parameter or position.

    >>> class Net(nn.Module):
    ...     def forward(self, left, right):
    ...         return left - right
    >>> place_of(Net(), "eye", "right")
    Place(source='eye', parameter='right', position=1, keys=())
    """
    parts = tuple(address) if isinstance(address, Sequence) and not isinstance(address, str) else (address,)
    if not parts or not all(isinstance(part, str | int) and not isinstance(part, bool) for part in parts):
        raise ChiasmError(
            f"source '{source}' is placed at {address!r}; expected a parameter's name, a position, or a tuple of one "
            "of these and keys"
        )
    head, keys = parts[0], parts[1:]
    parameters = inspect.signature(unwrapped(model).forward).parameters
    ordered = [n for n, p in parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    kinds = {p.kind for p in parameters.values()}
    if isinstance(head, int):
        if 0 <= head < len(ordered):
            return Place(source, ordered[head], head, keys)
        if head >= 0 and inspect.Parameter.VAR_POSITIONAL in kinds:
            return Place(source, None, head, keys)
        raise ChiasmError(
            f"source '{source}' is placed at position {head}, but forward takes ({', '.join(ordered)}); expected a "
            f"position from 0 to {len(ordered) - 1}"
        )
    named = [n for n, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if head in named:
        return Place(source, head, ordered.index(head) if head in ordered else None, keys)
    required = [n for n in named if parameters[n].default is inspect.Parameter.empty]
    if ordered[:1] and (required == ordered[:1] or len(parameters) == 1):
        return Place(source, ordered[0], 0, (head, *keys))
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return Place(source, head, None, keys)
    if head == source:
        raise unknown("source", source, named, where="forward")
    raise unknown("parameter", head, named, where=f"source '{source}'")
