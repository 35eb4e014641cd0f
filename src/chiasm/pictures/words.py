"""Numbers, counts and names in plain words, as they stand in figures and on pages."""

from __future__ import annotations

from collections.abc import Sequence

from chiasm.statistics import Estimate


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """A number with a true minus sign, and a plus sign where it is asked for."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    text = text.replace("-", "−")
    return f"+{text}" if sign and not text.startswith("−") and float(text) != 0 else text


def number_between(estimate: Estimate, digits: int = 2, sign: bool = False) -> str:
    """A number with its interval: "+0.74 [+0.70, +0.78]"."""
    ends = estimate.interval()
    digits = telling(digits, ends)
    text = number(estimate.mean, digits, sign)
    return text if ends is None else f"{text} [{number(ends[0], digits, sign)}, {number(ends[1], digits, sign)}]"


def telling(digits: int, ends: tuple[float, float] | None) -> int:
    """Return as many decimals, or up to four more, as tell the ends of an interval apart."""
    more = range(digits, digits + 5)
    return next((d for d in more if ends is None or f"{ends[0]:.{d}f}" != f"{ends[1]:.{d}f}"), digits)


def percent(share: float, digits: int = 0) -> str:
    """A share as percent: 0.93 is "93 %"."""
    return f"{number(100 * share, digits)} %"


def count(n: int, one: str, many: str | None = None) -> str:
    """A count with its noun: "1 seed", "3 seeds"."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def listed(items: Sequence[str]) -> str:
    """Items as a list in words: "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "none"


def rsv_ends(sources: Sequence[str]) -> tuple[str, str]:
    """What the ends -1 and +1 of the RSV axis mean: ("right only", "left only")."""
    if not sources:
        return "not the first source", "first source only"
    return f"{sources[1]} only" if len(sources) == 2 else f"not {sources[0]}", f"{sources[0]} only"
