"""What named layers give in a forward pass, caught by hooks that never outlive it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from chiasm.errors import ChiasmError, unknown

# An error that lists more names than this is read by nobody.
LISTED = 12


def modules_named(model: nn.Module, layers: Sequence[str]) -> dict[str, nn.Module]:
    """Look up layers by their `named_modules` name; "" is the model itself.

    Raises:
        ChiasmError: no layer, a layer given twice, or one the model lacks (the nearest names are listed).
    """
    if not layers:
        raise ChiasmError("layers is empty; name one or more, as model.named_modules() does ('' is the model's output)")
    known = dict(model.named_modules(remove_duplicate=False))
    for layer in layers:
        if layer in known:
            continue
        names = [name for name in known if name]
        if len(names) <= LISTED:
            raise unknown("layer", layer, names)
        nearest = difflib.get_close_matches(layer, names, n=LISTED, cutoff=0.0)
        raise ChiasmError(f"{unknown('layer', layer, nearest)}; listed are the {LISTED} nearest of {len(names)}")
    if len(set(layers)) < len(layers):
        raise ChiasmError(f"a layer is named twice: {', '.join(layers)}")
    return {layer: known[layer] for layer in layers}


class _Enough(BaseException):
    """Ends a pass whose rest nobody needs; not an Exception, so that a model that handles errors lets it through."""


@final
class Capture:
    """A context in which the outputs of modules are caught; on leaving it, also by an error, every hook is gone.

    Args:
        modules: by layer name.
        keep: what to keep of a layer's output, called inside the forward pass; by default all of it. What is kept is
            copied where it shares memory with the output, so that an in-place activation that follows cannot reach it.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True))
    >>> with Capture(modules_named(net, ["0", ""])) as capture:
    ...     seen = capture.run(lambda: net(torch.ones(5, 2)))
    >>> sorted((name, tuple(x.shape)) for name, x in seen.items())
    [('', (5, 3)), ('0', (5, 3))]
    """

    def __init__(self, modules: Mapping[str, nn.Module], keep: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        self._modules = dict(modules)
        self._keep = keep
        self._handles: list[RemovableHandle] = []
        self._seen: dict[str, Tensor] = {}
        self._stop = False

    def __enter__(self) -> Capture:
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_hook(self._hook(name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._seen = {}

    def run(self, forward: Callable[[], Any], stop: bool = False) -> dict[str, Tensor]:
        """Run one forward pass and return what was kept of each layer.

        Args:
            forward: runs the pass; its result is not looked at.
            stop: leave the pass as soon as every layer was seen. Only a whole pass can tell whether a layer is called
                twice, so the first one should be whole.

        Raises:
            ChiasmError: a layer was not called, was called twice, or its output is not a tensor.
        """
        self._seen, self._stop = {}, stop
        with suppress(_Enough):
            forward()
        seen, self._seen = self._seen, {}
        for name in self._modules:
            if name not in seen:
                raise ChiasmError(f"layer '{name}' was not called in the forward pass; name a layer that is")
        return {name: seen[name] for name in self._modules}

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if name in self._seen:
                raise ChiasmError(
                    f"layer '{name}' is called more than once in one forward pass, so its name says not which call "
                    "is meant; name a layer that is called once"
                )
            # A network of the bench returns logits by head; its output is what the head "both" says.
            x = output["both"] if isinstance(output, Mapping) and "both" in output else output
            if not isinstance(x, Tensor):
                raise ChiasmError(
                    f"layer '{name}' returns a {type(x).__name__}, not a tensor; name a layer in it that returns one"
                )
            if x.dim() == 0:
                raise ChiasmError(f"layer '{name}' returns a single number; a layer's output must hold one a sample")
            kept = self._keep(x.detach())
            shared = kept.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
            self._seen[name] = kept.clone() if shared else kept
            if self._stop and len(self._seen) == len(self._modules):
                raise _Enough

        return hook


def widest(model: nn.Module, forward: Callable[[], Any], samples: int) -> int:
    """Return how many numbers a sample the largest output of any module of `model` has in one forward pass."""
    largest = 1

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal largest
        if isinstance(output, Tensor):
            largest = max(largest, -(-output.numel() // samples))

    handles = [module.register_forward_hook(hook) for module in model.modules()]
    try:
        forward()
    finally:
        for handle in handles:
            handle.remove()
    return largest


def to_units(x: Tensor, per: str) -> Tensor:
    """Turn a layer's output into units: (n, ...) -> (n, *units), float32 or wider.

    Args:
        x: (n,) or (n, U) as they are; (n, T, D) tokens; (n, C, ...) maps with channels first.
        per: "channel": maps are averaged over positions to (n, C), tokens over T to (n, D). "position": each place of
            each channel or token is a unit of its own, (n, C, ...) or (n, T, D).

    >>> to_units(torch.ones(2, 3, 4, 4), "channel").shape, to_units(torch.ones(2, 7, 5), "channel").shape
    (torch.Size([2, 3]), torch.Size([2, 5]))
    """
    if x.is_complex():
        raise ChiasmError("a layer's output is complex; measure its real part, imaginary part or modulus")
    if x.dtype not in (torch.float32, torch.float64):
        x = x.float()
    if x.dim() == 1:
        return x.unsqueeze(1)
    if x.dim() == 2 or per == "position":
        return x
    return x.mean(1) if x.dim() == 3 else x.flatten(2).mean(2)
