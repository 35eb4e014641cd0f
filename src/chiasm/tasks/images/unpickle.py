"""Pickles read so that nothing runs: only arrays of numbers, numbers, strings and containers can come out."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from chiasm.errors import ChiasmError

NUMBER = re.compile(r"[|<>=]?[biuf][1248]")


@final
class _Refused(pickle.UnpicklingError):
    """The pickle asks for something that is no array, number, string or container."""


@final
class _Maker:
    """Stands in for a function that the pickle names; it can be called and nothing else."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., object]) -> None:
        self._make = make

    def __call__(self, *given: object) -> object:
        return self._make(*given)

    def __setstate__(self, state: object) -> None:
        # Without this a pickle's BUILD would set attributes of the stand-in.
        raise _Refused("a state for a function")


@final
class _Kind:
    """What a pickle says of an array's type."""

    __slots__ = ("code", "order")

    def __init__(self, code: object, *rest: object) -> None:
        code = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(code, str) or not NUMBER.fullmatch(code):
            raise _Refused(f"an array of {code!r}")
        self.code, self.order = code, ""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise _Refused(f"an array of byte order {order!r}")
        self.order = order

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code.lstrip("|<>="))


@final
class _Array:
    """What a pickle says of an array; numpy is asked for nothing until type, shape and bytes agree."""

    __slots__ = ("array",)

    def __init__(self, *given: object) -> None:
        self.array: NDArray[Any] = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_column, raw = state
        self.array = _filled(raw, kind, shape, "F" if by_column else "C")


def _filled(raw: object, kind: object, shape: object, order: object) -> NDArray[Any]:
    if not isinstance(kind, _Kind) or not isinstance(raw, bytes | bytearray):
        raise _Refused("an array of objects")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or order not in ("C", "F"):
        raise _Refused(f"an array of shape {shape!r}")
    return np.frombuffer(raw, kind.dtype).reshape(shape, order="F" if order == "F" else "C")


def _from_buffer(raw: object, kind: object, shape: object, order: object) -> _Array:
    result = _Array()
    result.array = _filled(raw, kind, shape, order)
    return result


def _encoded(text: object, coding: object = "latin1") -> bytes:
    if not isinstance(text, str) or coding not in ("latin1", "latin-1", b"latin1"):
        raise _Refused(f"text coded as {coding!r}")
    return text.encode("latin1")


def _no_bytes(*given: object) -> bytes:
    if given:
        raise _Refused("bytes of something")
    return b""


#: Every name that a pickle may say, old and new, and what stands in for it. `numpy.ndarray` is only ever passed on.
ALLOWED: dict[tuple[str, str], Callable[..., object] | None] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "dtype"): _Kind,
    ("numpy", "ndarray"): None,
    ("_codecs", "encode"): _encoded,
    ("__builtin__", "bytes"): _no_bytes,  # how the old protocols write b""
}


@final
class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # numpy and codecs themselves are never handed out, so that a pickle cannot call them with arguments of its own.
        if (module, name) not in ALLOWED:
            raise _Refused(f"'{module}.{name}'")
        make = ALLOWED[module, name]
        return name if make is None else _Maker(make)

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("a reference to something outside the file")


def read_pickle(path: str | Path) -> dict[str, Any]:
    """Read a pickled mapping of arrays, numbers, strings and containers; no code of the file runs.

    No class or function that the file names is ever imported: numpy's four names for making an array, and two for
    bytes, stand for builders of this module's own, and every other name is refused before anything is called.

    Args:
        path: a file as `pickle.dump` writes it, by Python 2 or 3, in any protocol without buffers outside the file.

    Returns:
        The mapping; keys as str, arrays as read-only numpy arrays of booleans, integers or floats.

    Raises:
        ChiasmError: the file is missing, damaged, no pickle, no mapping, or asks for anything else.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(pickle.dumps({"data": np.arange(3), "labels": [1, 2]}))
    ...     _ = file.seek(0)
    ...     read_pickle(file.name)
    {'data': array([0, 1, 2]), 'labels': [1, 2]}
    """
    try:
        with Path(path).open("rb") as file:
            content = _Reader(file, encoding="bytes").load()
    except _Refused as refused:
        raise ChiasmError(
            f"'{path}' asks for {refused}, which is refused because it could run code; expected a pickle of arrays, "
            f"numbers, strings and containers"
        ) from None
    except OSError as error:
        raise ChiasmError(f"'{path}' cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged pickle fails in any way at all
        raise ChiasmError(f"'{path}' is cut short, damaged or no pickle ({error}); fetch it again") from None
    if not isinstance(content, dict):
        raise ChiasmError(f"'{path}' holds a {type(content).__name__}; expected a mapping of names")
    return {_word(key): x.array if isinstance(x, _Array) else x for key, x in content.items()}


def _word(key: object) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
