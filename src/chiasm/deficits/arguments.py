"""The arguments of a deficit: checked when it is made, looked up in a batch."""

from __future__ import annotations

import re
import sys
from typing import TypeGuard

from torch import Tensor

from chiasm.errors import ChiasmError, unknown
from chiasm.sources import Batch

# A word of the notation. Not starting with a digit keeps "4" a number; no spaces or marks keeps it one token.
WORD = r"[^\W\d][\w.-]*"


def require(ok: bool, name: str, field: str, given: object, wanted: str) -> None:
    """Refuse an argument in one sentence: what was given, what is expected.

    Raises:
        ChiasmError: unless `ok`.
    """
    if not ok:
        raise ChiasmError(f"{name}: {field} is {given!r}; expected {wanted}")


def require_source(name: str, field: str, given: object) -> None:
    """Refuse anything but a source's name that the notation can write.

    Raises:
        ChiasmError: unless `given` is a word.
    """
    ok = isinstance(given, str) and re.fullmatch(WORD, given) is not None
    require(ok, name, field, given, "a source's name (a letter or _, then letters, digits, _ . -)")


def is_number(given: object) -> TypeGuard[float]:
    """Tell whether `given` is a finite number; True and False are not."""
    return isinstance(given, int | float) and not isinstance(given, bool) and abs(given) <= sys.float_info.max


def is_whole(given: object) -> TypeGuard[int]:
    """Tell whether `given` is an integer; True and False are not, nor is 2.0."""
    return isinstance(given, int) and not isinstance(given, bool)


def source_of(batch: Batch, source: str, name: str, real: bool = False) -> Tensor:
    """Look a source up in a batch, for the deficit called `name`.

    Raises:
        ChiasmError: if the batch has no such source, or if `real` and it is not of a floating dtype.
    """
    if source not in batch.sources:
        raise unknown("source", source, batch.sources, where=name)
    x = batch.sources[source]
    if real and not x.is_floating_point():
        raise ChiasmError(f"{name}: source '{source}' is {x.dtype}; expected a floating dtype")
    return x


def baseline_of(batch: Batch, source: str) -> Tensor:
    """Return the source's mean, (*shape,), on the device and in the dtype of the source."""
    return batch.baseline[source].to(batch.sources[source])
