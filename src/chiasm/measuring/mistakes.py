"""A user's mistakes as one sentence: arguments that cannot be used, and what a user's model or function raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import torch
from torch import nn

from chiasm.errors import ChiasmError


def check_model(model: Any) -> None:
    """Raise a ChiasmError for what is not a module."""
    if not isinstance(model, nn.Module):
        raise ChiasmError(f"model is a {type(model).__name__}; expected a torch nn.Module")


def check_whole_number(name: str, value: Any, least: int, optional: bool = True) -> None:
    """Raise a ChiasmError for what is no whole number from `least` on; None may be allowed.

    >>> check_whole_number("draws", 0, least=1, optional=False)
    Traceback (most recent call last):
    chiasm.errors.ChiasmError: draws = 0; expected a whole number of 1 or more
    """
    if optional and value is None:
        return
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ChiasmError(
            f"{name} = {value!r}; expected a whole number of {least} or more{', or None' if optional else ''}"
        )


def check_level(level: float) -> None:
    """Raise a ChiasmError for a coverage outside (0, 1)."""
    if not 0 < level < 1:
        raise ChiasmError(f"level = {level} is not a probability between 0 and 1; 0.95 is usual")


def check_answers(layer: str, answers: int, samples: int) -> None:
    """Raise a ChiasmError where a layer's first axis does not count the samples of the pass."""
    if answers != samples:
        raise ChiasmError(
            f"layer '{layer}' gave {answers} answers to {samples} samples; the first axis of its output must be the "
            "samples"
        )


def check_finite(layer: str, finite: Any) -> None:
    """Raise a ChiasmError where some of the units of a layer, (units,) bool, are not finite."""
    bad = len(finite) - int(finite.sum())
    if bad:
        raise ChiasmError(f"layer '{layer}': {bad} of {len(finite)} units gave NaN or infinity")


def first_line(error: Exception) -> str:
    """Return an error's class and the first line of its text, "ValueError (too short)"."""
    return f"{type(error).__name__} ({(str(error).strip().splitlines() or [''])[0]})"


@contextmanager
def model_errors(shown: Callable[[], str], output: str = "output") -> Iterator[None]:
    """Turn what a user's model raises in the block into a ChiasmError; a lack of memory stays what it is.

    Args:
        shown: returns in words which samples the model was given.
        output: what a `forward` of the user's must return.
    """
    try:
        yield
    except (ChiasmError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever a user's forward may raise
        if "allocate" in str(error):  # a RuntimeError of torch's CPU allocator
            raise
        raise ChiasmError(
            f"the model raised {first_line(error)} when shown {shown()}; give the sources as the model wants them, or "
            f"forward=(model, sources) -> {output}"
        ) from error
