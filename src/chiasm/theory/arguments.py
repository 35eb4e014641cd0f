"""Checks of the arguments and settings that theory functions receive; each mistake becomes one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError

Floats = NDArray[np.float64]


def numbers(name: str, value: ArrayLike) -> Floats:
    """Return a value as a float64 array; what does not consist of numbers is a ChiasmError."""
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ChiasmError(f"{name} = {value!r}; expected a number or an array of numbers") from None


def check(
    name: str,
    value: ArrayLike,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float = np.inf,
    whole: bool = False,
    finite: bool = True,
) -> Floats:
    """Return numbers as a float64 array, or raise a ChiasmError that names the first one out of range.

    Args:
        name: of the argument, for the message.
        value: a number, or an array or tuple of numbers.
        least: the smallest value allowed.
        above: the value that all must exceed.
        most: the largest value allowed.
        whole: only whole numbers are allowed.
        finite: infinity is not allowed; NaN never is.

    >>> check("steps", 2.5, least=1, whole=True)
    Traceback (most recent call last):
    ...
    chiasm.errors.ChiasmError: steps = 2.5; expected a whole number, 1 or more
    """
    values = numbers(name, value)
    right = (values <= most) & (np.isfinite(values) if finite else True)
    words = ["a whole number" if whole else "a finite number" if finite else "a number"]
    if least is not None:
        right &= values >= least
        words.append(f"{least:g} or more")
    if above is not None:
        right &= values > above
        words.append(f"above {above:g}")
    if most < np.inf:
        words.append(f"at most {most:g}")
    if whole:
        right &= values == np.floor(values)
    if not np.all(right):
        raise ChiasmError(f"{name} = {values[~right].flat[0]:g}; expected {', '.join(words)}")
    return values


def check_int(name: str, value: object, least: int = 1) -> None:
    """Raise a ChiasmError unless a value is an integer, not merely equal to one, and not below the least allowed."""
    if not isinstance(value, int | np.integer) or value < least:
        raise ChiasmError(f"{name} = {value}; expected a whole number, {least} or more")


def check_fields(settings: object, names: str, **limits: Any) -> None:
    """Check fields of a settings struct with `check`; an empty list is a ChiasmError unless `empty` is true.

    Args:
        settings: the struct.
        names: of the fields, separated by spaces.
        limits: keyword arguments of `check`, and `empty`.
    """
    empty = limits.pop("empty", False)
    for name in names.split():
        value = getattr(settings, name)
        if value == () and not empty:
            raise ChiasmError(f"{name} is empty; give one value or more")
        check(name, value, **limits)


def broadcast(**arrays: NDArray[Any]) -> list[NDArray[Any]]:
    """Broadcast arrays against each other; shapes that do not fit, or hold no cell, are a ChiasmError."""
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    try:
        cells = list(np.broadcast_arrays(*arrays.values()))
    except ValueError:
        raise ChiasmError(f"cells of these shapes do not broadcast: {shapes}") from None
    if not cells[0].size:
        raise ChiasmError(f"these shapes hold no cell: {shapes}; give one number or more of each")
    return cells
