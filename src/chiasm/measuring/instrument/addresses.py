"""The notation for what is measured: a layer, one of its calls, a part of its output."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, final

import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError, unknown
from chiasm.networks.calling import unwrapped, wrapped_name

# An error that lists more names than this is read by nobody.
LISTED = 12
# Outputs are nested once or twice (hidden states in a mapping); deeper ones are caches or circles.
DEEPEST = 4

WRAPPING = re.compile(r"^module\.|(?<![^.])_orig_mod\.")
REST = re.compile(r"(?:#(?P<call>\d+))?(?::(?P<part>.+))?", re.DOTALL)


@final
@dataclass(frozen=True, slots=True)
class Address:
    """The place of a measured tensor in a forward pass.

    Attributes:
        text: the address as the user gave it, "encoder#1:hidden_states.3".
        module: the layer, without its wrappers; None: the model's output.
        name: the layer's name as given, "encoder"; "": the model's output.
        call: which of its calls in one forward pass, from 0; None: the only one.
        part: the path into its output, "hidden_states.3"; "": all of it.
    """

    text: str
    module: nn.Module | None
    name: str
    call: int | None = None
    part: str = ""

    @property
    def subject(self) -> str:
        """The subject of an error message about this layer."""
        return "the model" if self.module is None else f"layer '{self.name}'"

    def at(self, call: int | None = None, part: str = "") -> str:
        """Write the address of another call or part of the same layer."""
        call = self.call if call is None else call
        return self.name + ("" if call is None else f"#{call}") + (f":{part}" if part else "")


def addressed(model: nn.Module, layers: Sequence[str]) -> list[Address]:
    """Look up addresses in a model.

    An address is a layer's name as in `model.named_modules()`, "" for the model's output; then "#k" for the k-th call
    of the layer in one forward pass, from 0; then ":part" for a part of its output, "0" or "hidden_states.3". A name
    that itself holds "#" or ":" comes first. Inside `DataParallel` and `torch.compile`, names with and without the
    wrapper's own part ("module.", "_orig_mod.") are accepted.

    Raises:
        ChiasmError: no layer, a layer given twice, or one the model lacks (the nearest names are listed).

    >>> net = nn.Sequential(nn.LSTM(3, 2), nn.Identity())
    >>> [(a.name, a.call, a.part) for a in addressed(net, ["0:1.0", "1#2", ""])]
    [('0', None, '1.0'), ('1', 2, ''), ('', None, '')]
    """
    check_names(layers)
    layers = list(layers)
    if not layers:
        raise ChiasmError("layers is empty; name one or more, as model.named_modules() does ('' is the model's output)")
    if len(set(layers)) < len(layers):
        raise ChiasmError(f"a layer is named twice: {', '.join(layers)}")
    full = dict(model.named_modules(remove_duplicate=False))
    short = _without_wrappers(full)
    known = short | full
    return [_address(layer, known) or _unknown(layer, known, [name for name in short if name]) for layer in layers]


def check_names(layers: Any) -> None:
    """Raise a ChiasmError for what is no list of names."""
    if isinstance(layers, str):
        raise ChiasmError(f"layers = '{layers}' is one name; give a list of names: ['{layers}']")
    if not isinstance(layers, Collection):
        raise ChiasmError(f"layers is a {type(layers).__name__}; expected a list of names")
    if not all(isinstance(layer, str) for layer in layers):
        raise ChiasmError("layers are names, as model.named_modules() gives them, not the modules themselves")


def _without_wrappers(modules: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Return the modules by their names without the prefixes that wrappers add."""
    wrappers = {name: inner for name, module in modules.items() if (inner := wrapped_name(module)) is not None}
    short: dict[str, nn.Module] = {}
    for name, module in modules.items():
        parts = name.split(".") if name else []
        kept = [part for i, part in enumerate(parts) if wrappers.get(".".join(parts[:i])) != part]
        short.setdefault(".".join(kept), module)
    return short


def _address(layer: str, known: Mapping[str, nn.Module]) -> Address | None:
    # A name of a wrapped model also addresses the model inside the wrapper.
    bare = WRAPPING.sub("", layer)
    return _parsed(layer, layer, known) or (_parsed(layer, bare, known) if bare != layer else None)


def _parsed(text: str, layer: str, known: Mapping[str, nn.Module]) -> Address | None:
    # The longest name that fits: names may hold '#' and ':' themselves.
    for end in range(len(layer), -1, -1):
        match = REST.fullmatch(layer, end) if layer[:end] in known else None
        if match is None:
            continue
        name, call, part = layer[:end], match["call"], match["part"] or ""
        if name == "" and call is not None:
            raise ChiasmError(f"layer '{layer}': the model's output has no calls to count; give ':part' of it, or ''")
        module = unwrapped(known[name]) if name else None
        return Address(text, module, name, None if call is None else int(call), part)
    return None


def _unknown(layer: str, known: Mapping[str, nn.Module], names: Sequence[str]) -> NoReturn:
    name = re.split("[#:]", layer, maxsplit=1)[0]
    if name in known:
        raise ChiasmError(
            f"layer '{layer}' is not of the form 'layer', 'layer#call', 'layer:part' or 'layer#call:part', where calls "
            "are counted from 0 and a part is a key or an index of the output"
        )
    if len(names) <= LISTED:
        raise unknown("layer", name, names)
    nearest = difflib.get_close_matches(name, names, n=LISTED, cutoff=0.0)
    raise ChiasmError(f"{unknown('layer', name, nearest)}; listed are the {LISTED} nearest of {len(names)}")


def tensor_at(address: Address, output: Any) -> Tensor:
    """Return the tensor that an address names in what its layer returned.

    Without a part: the output itself, or the only tensor in it; of a model's output by head, the head "both".

    Raises:
        ChiasmError: there is no such part, no tensor or more than one, or a tensor of a kind that cannot be measured.
    """
    if address.part:
        return _measurable(address, _part(address, output))
    if isinstance(output, Tensor):
        return _measurable(address, output)
    # A network of the bench returns logits by head; its output is that of the head "both".
    if address.module is None and isinstance(output, Mapping) and isinstance(output.get("both"), Tensor):
        return _measurable(address, output["both"])
    tensors = list(tensors_in(output))
    if len(tensors) == 1:
        return _measurable(address, tensors[0][1])
    if output is None:
        raise ChiasmError(f"{address.subject} returns nothing (None); name a layer that returns a tensor")
    if not tensors:
        raise ChiasmError(f"{address.subject} returns a {type(output).__name__}, not a tensor; name one that does")
    raise ChiasmError(
        f"{address.subject} returns a {type(output).__name__} with several tensors; name one: "
        f"{_listed(address, [path for path, _ in tensors])}"
    )


def tensors_in(output: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Yield (path, tensor) of every tensor in an output: in mappings, sequences, dataclasses, at any place of them."""
    if isinstance(output, Tensor):
        yield path, output
    elif depth < DEEPEST:
        # An object of no known kind (a distribution, say) is looked into only where it is the output itself.
        for key, value in _children(output, opaque=depth == 0).items():
            yield from tensors_in(value, f"{path}.{key}" if path else key, depth + 1)


def _children(output: Any, opaque: bool = True) -> dict[str, Any]:
    if isinstance(output, Mapping):
        return {str(key): value for key, value in output.items()}
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return dict(zip(output._fields, output, strict=True))
    if isinstance(output, tuple | list):
        return {str(i): value for i, value in enumerate(output)}
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    attributes = getattr(output, "__dict__", {}) if opaque else {}
    return {key: value for key, value in attributes.items() if not key.startswith("_")}


def _part(address: Address, output: Any) -> Any:
    """Follow a path into an output, key by key; a key may itself hold dots, so that the longest that fits is taken."""
    keys, value = address.part.split("."), output
    while keys:
        children = _children(value)
        if isinstance(value, tuple | list):  # by position, also from the end, whether or not they have names
            children |= {str(i): value[i] for i in range(-len(value), len(value))}
        fitting = (n for n in range(len(keys), 0, -1) if ".".join(keys[:n]) in children)
        if (taken := next(fitting, None)) is None:
            known = [path for path, _ in tensors_in(output)]
            listed = f"name one: {_listed(address, known)}" if known else f"its output is a {type(output).__name__}"
            raise ChiasmError(f"{address.subject} has no part '{address.part}' in its output; {listed}")
        value, keys = children[".".join(keys[:taken])], keys[taken:]
    if isinstance(value, Tensor):
        return value
    below = [f"{address.part}.{path}" for path, _ in tensors_in(value)]
    if len(below) == 1:
        return next(tensors_in(value))[1]
    more = f"; name one: {_listed(address, below)}" if below else ""
    raise ChiasmError(f"part '{address.part}' of {address.subject} is a {type(value).__name__}, not a tensor{more}")


def _listed(address: Address, parts: Sequence[str]) -> str:
    # Those of least depth first: they are what is usually meant.
    first = sorted(parts, key=lambda part: part.count("."))[:LISTED]
    more = f" and {len(parts) - LISTED} more" if len(parts) > LISTED else ""
    return ", ".join(f"'{address.at(part=part)}'" for part in first) + more


def _measurable(address: Address, x: Tensor) -> Tensor:
    subject = address.subject if not address.part else f"part '{address.part}' of {address.subject}"
    gives = "returns" if not address.part else "is"
    if x.is_nested:
        raise ChiasmError(f"{subject} {gives} a nested tensor, whose samples differ in shape; pad it to one shape")
    if x.layout is not torch.strided or x.is_quantized or x.is_meta:
        kind = "a quantised" if x.is_quantized else "a meta" if x.is_meta else f"a {x.layout}".replace("torch.", "")
        raise ChiasmError(f"{subject} {gives} {kind} tensor; expected an ordinary dense tensor")
    if x.is_complex():
        raise ChiasmError(f"{subject} {gives} complex; measure its real part, its imaginary part or its modulus")
    if x.dim() == 0:
        raise ChiasmError(f"{subject} {gives} a single number; a layer's output must hold one a sample")
    return x
