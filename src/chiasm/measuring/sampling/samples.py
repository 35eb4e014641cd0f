"""Samples of a source: a tensor or array, or several of them in a dict or tuple (token ids with their mask)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.randomness import generator

Leaf = Tensor | NDArray[Any]
# Nested: a leaf, a mapping from names to leaves, a tuple or list of leaves.
Samples = Any


def check(sources: Mapping[str, Samples], least: int = 2) -> int:
    """Return the number of samples, the same for every source.

    Raises:
        ChiasmError: too few sources or samples, unequal numbers of them, or what is neither tensor nor array.
    """
    if not isinstance(sources, Mapping):
        raise ChiasmError(f"sources is a {type(sources).__name__}; expected a mapping from names to tensors")
    if len(sources) < least:
        given = ", ".join(map(str, sources)) or "none"
        raise ChiasmError(
            f"{len(sources)} source{'' if len(sources) == 1 else 's'} given ({given}); "
            + ("two or more can be compared" if least > 1 else "expected one or more")
        )
    lengths = {}
    for name, x in sources.items():
        parts = {_length(name, leaf) for leaf in leaves(name, x)}
        if len(parts) > 1:
            raise ChiasmError(f"the parts of source '{name}' have different numbers of samples: {sorted(parts)}")
        lengths[name] = parts.pop()
    samples = same_length(lengths)
    if samples < 2:
        raise ChiasmError(f"{samples} sample{'' if samples == 1 else 's'} cannot vary; give 2 or more of each source")
    return samples


def same_length(lengths: Mapping[str, int]) -> int:
    """Return the one number of samples that all sources have; 0 without a source.

    Raises:
        ChiasmError: the numbers differ.
    """
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise ChiasmError(f"sources must have the same number of samples; given: {listed}")
    return next(iter(lengths.values()), 0)


def draw_samples(samples: int, most: int | None, seed: int, purpose: str) -> Tensor:
    """Draw which samples are used, without replacement: (at most `most`,) int64, in order; None: all of them."""
    return torch.randperm(samples, generator=generator(seed, purpose))[:most].sort().values


def leaves(name: str, x: Samples) -> list[Leaf]:
    """Return the tensors and arrays of a source, in order.

    Raises:
        ChiasmError: something in it is neither tensor nor array.
    """
    if isinstance(x, Tensor | np.ndarray):
        return [x]
    inner = list(x.values()) if isinstance(x, Mapping) else list(x) if isinstance(x, tuple | list) else []
    if not inner or not all(isinstance(leaf, Tensor | np.ndarray) for leaf in inner):
        raise ChiasmError(
            f"source '{name}' is a {type(x).__name__}; give a torch tensor or a numpy array, samples first, or a dict "
            "or tuple of them"
        )
    return inner


def each(x: Samples, change: Callable[[Leaf], Tensor]) -> Samples:
    """Return a source with every tensor or array changed, dicts and tuples kept."""
    if isinstance(x, Mapping):
        return {key: change(leaf) for key, leaf in x.items()}
    if isinstance(x, tuple | list):
        return tuple(change(leaf) for leaf in x)
    return change(x)


def take(name: str, x: Samples, index: Tensor, device: torch.device | None, dtype: torch.dtype | None) -> Samples:
    """Return the samples that `index` selects, on the model's device; floating numbers in the model's dtype.

    Raises:
        ChiasmError: NaN or infinity among them.
    """

    def chosen(leaf: Leaf) -> Tensor:
        x = leaf.detach()[index.to(leaf.device)] if isinstance(leaf, Tensor) else as_tensor(leaf[index.numpy()])
        x = x.to(device or x.device)
        if not x.is_floating_point():
            return x
        if not bool(x.isfinite().all()):
            raise ChiasmError(f"source '{name}' holds NaN or infinity; remove those samples")
        return x.to(dtype or x.dtype)

    return each(x, chosen)


def as_tensor(x: NDArray[Any]) -> Tensor:
    """Return an array as a tensor, whatever its byte order and strides."""
    plain = np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("="))
    return torch.from_numpy(plain if plain.flags.writeable else plain.copy())


def pick(x: Samples, index: Tensor) -> Samples:
    """Return the samples that `index` selects, of a source whose leaves are tensors."""
    return each(x, lambda leaf: torch.as_tensor(leaf).index_select(0, index.to(torch.as_tensor(leaf).device)))


def size(x: Samples) -> int:
    """Return the number of elements of one sample."""
    return sum(int(np.prod(leaf.shape[1:])) for leaf in leaves("", x))


def describe(sources: Mapping[str, Samples]) -> str:
    """Return names, types and shapes in words, for error messages: "left float32 (2, 16), right int64 (2, 5)"."""

    def typed(leaf: Leaf) -> str:
        return f"{str(leaf.dtype).removeprefix('torch.')} {tuple(leaf.shape)}"

    return ", ".join(f"{name} {' and '.join(map(typed, leaves(name, x)))}" for name, x in sources.items())


def _length(name: str, x: Leaf) -> int:
    if isinstance(x, np.ndarray) and (x.dtype.kind not in "fiub" or x.dtype.itemsize > 8):
        raise ChiasmError(f"source '{name}' has the type {x.dtype}; expected numbers of up to 64 bits")
    if isinstance(x, Tensor) and (x.layout != torch.strided or x.is_meta or x.is_complex()):
        kind = "complex" if x.is_complex() else "without data" if x.is_meta else str(x.layout).removeprefix("torch.")
        raise ChiasmError(f"source '{name}' is a tensor that is {kind}; expected a plain tensor of numbers")
    if x.ndim == 0:
        raise ChiasmError(f"source '{name}' is a single number; its first axis must be samples")
    return len(x)
