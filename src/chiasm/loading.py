"""Models and samples from files, for the command line; nothing that is read can run code but the user's own factory."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError, unknown
from chiasm.measuring.sampling.samples import as_tensor
from chiasm.networks.custom import load_object
from chiasm.tasks.archive import Archive


def load_model(factory: str, weights: Path | None = None, device: str = "cpu") -> nn.Module:
    """Make a model by the user's factory and read its weights.

    Args:
        factory: "package.module:name" of a function or class that needs no argument, or of a module that is there.
        weights: a safetensors file, or one of `torch.save(model.state_dict())`, read without running code.
        device: where the model goes.

    Raises:
        ChiasmError: what cannot be imported, called or read, or weights that do not fit.
    """
    model = load_object(factory, "MODEL")
    if not isinstance(model, nn.Module):
        try:
            inspect.signature(model).bind()
        except (TypeError, ValueError) as error:
            raise ChiasmError(
                f"the model '{factory}' cannot be made without arguments ({error}); write a function that takes none "
                "and returns it"
            ) from error
        try:
            model = model()
        except Exception as error:  # whatever a user's factory may raise
            raise ChiasmError(f"the model '{factory}' raised {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        raise ChiasmError(f"the model '{factory}' made a {type(model).__name__}; expected a torch nn.Module")
    if weights is not None:
        _read(model, weights)
    return model.to(device)


def _read(model: nn.Module, path: Path) -> None:
    if not path.is_file():
        raise ChiasmError(f"there is no file of weights '{path}'")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file makes its reader say
        line = (str(error).strip().splitlines() or [""])[0]
        raise ChiasmError(
            f"'{path}' holds no weights that can be read without running code ({type(error).__name__}: {line}); write "
            "a safetensors file, or torch.save(model.state_dict(), path)"
        ) from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(x, Tensor) for x in state.values()):
        raise ChiasmError(f"'{path}' holds a {type(state).__name__}, not named tensors; torch.save(model.state_dict())")
    try:
        model.load_state_dict(dict(state))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ChiasmError(f"the weights in '{path}' do not fit the model: {reason[:300]}") from error


def load_sources(
    path: Path, sources: Sequence[str] = (), target: str | None = None
) -> tuple[dict[str, Any], Any | None]:
    """Read samples of sources from an npz file or a folder of .npy files.

    Args:
        path: arrays of equal length by name; "text.ids" and "text.mask" are parts of one source "text".
        sources: which of them are sources; by default all but the target.
        target: the array of class labels.

    Returns:
        Tensors by source (a dict of them for a source in parts), and the labels if named.

    Raises:
        ChiasmError: a missing or damaged file, or a name that is not in it.
    """
    if not path.exists():
        raise ChiasmError(f"there is no file or folder of arrays '{path}'")
    archive = Archive(path)
    names = list(archive)
    if target is not None and target not in names:
        raise unknown("array", target, names, "--target")
    grouped: dict[str, list[str]] = {}
    for name in names:
        if name != target:
            grouped.setdefault(name.partition(".")[0], []).append(name)
    for source in sources:
        if source not in grouped:
            raise unknown("source", source, grouped, "--sources")
    read: dict[str, Any] = {}
    for source in sources or grouped:
        parts = {name.partition(".")[2]: _tensor(archive, name) for name in grouped[source]}
        if len(parts) > 1 and "" in parts:
            raise ChiasmError(f"'{path}' has an array '{source}' and parts of it ('{source}.…'); one or the other")
        read[source] = parts.get("", parts)
    return read, None if target is None else archive[target]


def _tensor(archive: Archive, name: str) -> Tensor:
    array = archive[name]
    if array.dtype.kind not in "fiub":
        raise ChiasmError(f"'{archive.path}': '{name}' has the type {array.dtype}; expected numbers")
    return as_tensor(array)
