"""The notation: reads a timeline's text, and refuses with the place marked.

timeline = phase { "|" phase }
phase    = ( "clean" | deficit { "+" deficit } ) epochs [ "@" objective ]
deficit  = name [ "(" [ argument { "," argument } ] ")" ]
argument = [ word "=" ] ( number | word )
objective = word
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from chiasm.deficits import DEFICITS, Deficit
from chiasm.deficits.arguments import WORD
from chiasm.errors import ChiasmError

CLEAN = "clean"


class TimelineError(ChiasmError):
    """A mistake in a timeline: what is wrong, the whole text, and a line of carets under the place."""


def _refuse(text: str, start: int, stop: int, wrong: str, sources: Sequence[str] | None) -> NoReturn:
    known = ", ".join((CLEAN, *DEFICITS))
    have = "" if sources is None else f"; sources: {', '.join(sources) or 'none'}"
    line = re.sub(r"\s", " ", text)  # character for character, so that the carets stand under their place
    raise TimelineError(
        f"timeline: {wrong}; known: {known}{have}\n  {line}\n  {' ' * start}{'^' * max(1, stop - start)}"
    )


def refuse_source(text: str, start: int, stop: int, name: str, sources: Sequence[str]) -> NoReturn:
    """Refuse the source `name`, which stands at text[start:stop].

    Raises:
        TimelineError: always.
    """
    _refuse(text, start, stop, f"unknown source '{name}'{_nearest(name, sources)}", sources)


def _nearest(given: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, names, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


# The sign belongs to a number only where it can be no composition: "-5" and "1e+22" are numbers, "+ 5" is not.
_TOKEN = re.compile(
    r"(?P<number>-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w.])"
    rf"|(?P<word>{WORD})|(?P<mark>[|+(),=@])|(?P<other>[^\s|+(),=@]+)"
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # number, word, mark, other, end
    text: str
    start: int
    stop: int

    def __str__(self) -> str:
        return f"'{self.text}'" if self.text else "the end"


class Reader:
    """Reads one timeline, token by token from left to right; every method stands for a line of the grammar."""

    def __init__(self, text: str, sources: Sequence[str] | None, objectives: Sequence[str] | None = None) -> None:
        self.text, self.sources, self.objectives = text, sources, objectives
        end = len(text.rstrip())
        self.tokens = [_Token(m.lastgroup or "", m[0], m.start(), m.end()) for m in _TOKEN.finditer(text)]
        self.tokens.append(_Token("end", "", end, end + 1))
        self.place = 0

    def timeline(self) -> list[tuple[tuple[Deficit, ...], int, str]]:
        if self.next.kind == "end":
            self.fail("the text is empty; expected a phase such as 'clean 20'", self.next)
        phases = [self.phase()]
        while self.skip("|"):
            phases.append(self.phase())
        if self.next.kind != "end":
            self.fail(f"expected '|' or the end, found {self.next}", self.next)
        return phases

    def phase(self) -> tuple[tuple[Deficit, ...], int, str]:
        first = self.next
        deficits: list[Deficit] = []
        if first.text == CLEAN:
            self.take()
        else:
            deficits.append(self.deficit())
            while self.skip("+"):
                deficits.append(self.deficit())
        last = self.tokens[self.place - 1]
        return tuple(deficits), self.epochs(self.text[first.start : last.stop]), self.objective()

    def epochs(self, phase: str) -> int:
        token = self.take()
        if token.kind != "number":
            self.fail(f"expected the epochs of '{phase}', a whole number, found {token}", token)
        if not re.fullmatch(r"[0-9]+", token.text):
            self.fail(f"epochs are {token.text}; expected a whole number, 0 or more", token)
        return int(token.text)

    def objective(self) -> str:
        if not self.skip("@"):
            return ""
        token = self.take()
        if token.kind != "word":
            self.fail(f"expected the name of an objective after '@', found {token}", token)
        if self.objectives is not None and token.text not in self.objectives:
            have = ", ".join(sorted(self.objectives)) or "none, as the study has no [objective.<name>]"
            self.fail(f"unknown objective {token}{_nearest(token.text, self.objectives)}; objectives: {have}", token)
        return token.text

    def deficit(self) -> Deficit:
        name = self.take()
        if name.text == CLEAN:
            self.fail("clean stands alone in its phase; expected deficits only", name)
        if name.kind != "word":
            self.fail(f"expected clean or a deficit, found {name}", name)
        kind = DEFICITS.get(name.text)
        if kind is None:
            self.fail(f"unknown deficit {name}{_nearest(name.text, (CLEAN, *DEFICITS))}", name)
        given = self.arguments(name.text)
        call = (name, self.tokens[self.place - 1])
        fields = dataclasses.fields(kind)  # type: ignore[arg-type]  # every kind is a dataclass, which the base cannot say
        missing = [f.name for f in fields if f.default is dataclasses.MISSING and f.name not in given]
        if missing:
            self.fail(f"{name.text} is without its {' and '.join(missing)}; expected {_usage(name.text)}", *call)
        try:
            deficit = kind(**{field: _value(token) for field, token in given.items()})
        except ChiasmError as error:
            # The deficit's sentence names the argument, so the mark can stand under it.
            guilty = [token for field, token in given.items() if str(error).startswith(f"{name.text}: {field} is ")]
            self.fail(str(error), *(guilty or call))
        if self.sources is not None:
            for source in deficit.touches:
                if source not in self.sources:
                    token = next((token for token in given.values() if token.text == source), name)
                    refuse_source(self.text, token.start, token.stop, source, self.sources)
        return deficit

    def arguments(self, name: str) -> dict[str, _Token]:
        fields = [f.name for f in dataclasses.fields(DEFICITS[name])]  # type: ignore[arg-type]
        given: dict[str, _Token] = {}
        opened = self.skip("(")
        if not opened or self.skip(")"):
            return given
        named = False
        while True:
            token = self.take()
            field = token.text if self.next.text == "=" else ""
            if field:
                named = True
                if field not in fields:
                    self.fail(f"unknown argument '{field}' of {name}; expected {_usage(name)}", token)
                if field in given:
                    self.fail(f"{name} has its {field} twice; expected {_usage(name)}", token)
                self.take()
                token = self.take()
            elif named:
                self.fail(f"{token} stands after a named argument; expected {_usage(name)}", token)
            elif len(given) == len(fields) and token.kind in ("number", "word"):
                self.fail(f"{name} has too many arguments; expected {_usage(name)}", token)
            if token.kind not in ("number", "word"):
                self.fail(f"expected an argument of {name}, found {token}", token)
            given[field or fields[len(given)]] = token
            if self.skip(")"):
                return given
            if not self.skip(","):
                self.fail(f"expected ',' or ')', found {self.next}", self.next)

    @property
    def next(self) -> _Token:
        return self.tokens[self.place]

    def take(self) -> _Token:
        token = self.next
        self.place += token.kind != "end"
        return token

    def skip(self, mark: str) -> bool:
        is_there = self.next.text == mark
        self.place += is_there
        return is_there

    def fail(self, wrong: str, first: _Token, last: _Token | None = None) -> NoReturn:
        _refuse(self.text, first.start, (last or first).stop, wrong, self.sources)


def _value(token: _Token) -> int | float | str:
    if token.kind == "word":
        return token.text
    return int(token.text) if re.fullmatch(r"-?[0-9]+", token.text) else float(token.text)


def _usage(name: str) -> str:
    fields = dataclasses.fields(DEFICITS[name])  # type: ignore[arg-type]
    return f"{name}({', '.join(f.name if f.default is dataclasses.MISSING else f'{f.name}=...' for f in fields)})"
