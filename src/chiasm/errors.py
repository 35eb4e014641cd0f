"""A user's mistake, told as one sentence: what was given, what is expected, the known names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ChiasmError(ValueError):
    """A mistake in what the user gave; its text is the whole message, without a traceback on the command line."""


def unknown(what: str, given: str, known: Iterable[str], where: str = "") -> ChiasmError:
    """Build the error for an unknown name.

    Args:
        what: the kind of thing, singular ("deficit", "source").
        given: the name that was given.
        known: the names that are known.
        where: an optional place, said before the sentence ("[training]").

    Returns:
        The error, to be raised by the caller; it lists the known names and the nearest one.

    >>> str(unknown("source", "lft", ["left", "right"]))
    "unknown source 'lft'; known sources: left, right (did you mean 'left'?)"
    """
    names = sorted(known)
    near = difflib.get_close_matches(given, names, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    plural = what[:-1] + "ies" if what.endswith("y") and what[-2:-1] not in "aeou" else what + "s"
    place = f"{where}: " if where else ""
    listed = ", ".join(names) if names else "none"
    return ChiasmError(f"{place}unknown {what} '{given}'; known {plural}: {listed}{hint}")
