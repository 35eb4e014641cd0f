"""Phases in order: when which deficit is there, in epochs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from chiasm.deficits import Composed, Deficit
from chiasm.deficits.arguments import WORD, is_whole, require
from chiasm.deficits.deficit import flat
from chiasm.errors import ChiasmError
from chiasm.timeline.notation import Reader, refuse_source


@final
@dataclass(frozen=True, slots=True)
class Phase:
    """A span of epochs under one set of deficits.

    Attributes:
        deficits: applied from left to right; () is clean. A `Composed` is flattened into its parts.
        epochs: how long, 0 or more; a phase of 0 epochs is kept and does nothing.
        objective: the name of the objective that it trains for; "": the study's own.

    Raises:
        ChiasmError: if a deficit is none, or the epochs are not a whole number, 0 or more.

    >>> from chiasm.deficits import Silence
    >>> print(Phase((Silence("right"),), 40))
    silence(right) 40
    """

    deficits: tuple[Deficit, ...]
    epochs: int
    objective: str = ""

    def __post_init__(self) -> None:
        given = self.deficits
        ok = isinstance(given, tuple) and all(isinstance(d, Deficit) for d in given)
        require(ok, "phase", "deficits", given, "a tuple of deficits, () for clean")
        require(is_whole(self.epochs) and self.epochs >= 0, "phase", "epochs", self.epochs, "a whole number, 0 or more")
        named = isinstance(self.objective, str) and re.fullmatch(f"({WORD})?", self.objective) is not None
        require(named, "phase", "objective", self.objective, "a word, or nothing for the study's own")
        object.__setattr__(self, "deficits", flat(given))

    def __str__(self) -> str:
        return f"{Composed(self.deficits)} {self.epochs}" + (f" @{self.objective}" if self.objective else "")


@final
@dataclass(frozen=True, slots=True)
class Timeline:
    """Phases in order. Epochs count from 0; a phase covers the epochs from its start up to, not including, its end.

    `str` writes the notation and `parse` reads it: each undoes the other.

    Attributes:
        phases: one or more phases.

    Raises:
        ChiasmError: if there is no phase.

    >>> line = Timeline.parse("clean 20 | silence(right) 40 | clean 60", sources=["left", "right"])
    >>> line.epochs, line.onset, line.release, line.duration, line.after
    (120, 20, 60, 40, 60)
    >>> print(line)
    clean 20 | silence(right) 40 | clean 60
    """

    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        given = self.phases
        ok = isinstance(given, tuple) and len(given) > 0 and all(isinstance(phase, Phase) for phase in given)
        require(ok, "timeline", "phases", given, "a tuple of one or more phases")

    @classmethod
    def parse(
        cls, text: str, sources: Sequence[str] | None = None, objectives: Sequence[str] | None = None
    ) -> Timeline:
        """Read a timeline from its notation.

        Args:
            text: the notation; spaces and line breaks between its words are free.
            sources: the study's sources, to check the names against; None: any name is taken.
            objectives: the names of the study's objectives, likewise.

        Returns:
            The timeline; phases of 0 epochs are kept.

        Raises:
            TimelineError: for anything that is not a timeline; it quotes the text, marks the place, and lists the known
                deficits and the sources.

        >>> Timeline.parse("dissociate 80 | clean 60").spans()[0]
        (0, 80, (Dissociate(labels='either', within='batch'),))
        """
        return cls(tuple(Phase(*phase) for phase in Reader(text, sources, objectives).timeline()))

    def check(self, sources: Sequence[str]) -> None:
        """Refuse a timeline that names a source which the study does not have.

        Raises:
            TimelineError: for the first such name, marked in the timeline's text.
        """
        text = str(self)
        for deficit in (deficit for phase in self.phases for deficit in phase.deficits):
            for name in deficit.touches:
                if name not in sources:
                    start = text.find(str(deficit))
                    refuse_source(text, start, start + len(str(deficit)), name, sources)

    @property
    def objectives(self) -> frozenset[str]:
        """The names of the objectives that its phases train for, those of phases without epochs left out."""
        return frozenset(phase.objective for phase in self.phases if phase.epochs)

    @property
    def epochs(self) -> int:
        """All epochs together."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def onset(self) -> int | None:
        """The first epoch under a deficit; None without any."""
        return next((start for start, _, deficits in self.spans() if deficits), None)

    @property
    def release(self) -> int | None:
        """The epoch at which the last deficit ends, the first one after it; None without any deficit."""
        return next((end for _, end, deficits in reversed(self.spans()) if deficits), None)

    @property
    def duration(self) -> int:
        """How many epochs are under any deficit."""
        return sum(end - start for start, end, deficits in self.spans() if deficits)

    @property
    def after(self) -> int:
        """How many clean epochs follow the last deficit; all of them without any."""
        return self.epochs - (self.release or 0)

    @property
    def boundaries(self) -> tuple[int, ...]:
        """The epochs at which something changes: the end of every segment, the last being the end of the timeline."""
        return tuple(end for _, end, _, _ in self.segments())

    def at(self, epoch: int) -> tuple[Deficit, ...]:
        """Return the deficits of an epoch, () if it is clean.

        Raises:
            ChiasmError: unless 0 <= epoch < epochs.
        """
        for start, end, deficits in self.spans():
            if start <= epoch < end:
                return deficits
        raise ChiasmError(
            f"epoch {epoch} is not in '{self}'; expected an epoch from 0 up to, not including, {self.epochs}"
        )

    def segments(self) -> tuple[tuple[int, int, tuple[Deficit, ...], str], ...]:
        """Return (start, end, deficits, objective) in order, as `spans`, cut where the objective changes too.

        >>> Timeline.parse("clean 40 @pretrain | clean 20").segments()
        ((0, 40, (), 'pretrain'), (40, 60, (), ''))
        """
        segments: list[tuple[int, int, tuple[Deficit, ...], str]] = []
        end = 0
        for phase in self.phases:
            start, end = end, end + phase.epochs
            if segments and segments[-1][2:] == (phase.deficits, phase.objective):
                segments[-1] = (segments[-1][0], end, *segments[-1][2:])
            elif phase.epochs:
                segments.append((start, end, phase.deficits, phase.objective))
        return tuple(segments)

    def spans(self) -> tuple[tuple[int, int, tuple[Deficit, ...]], ...]:
        """Return (start, end, deficits) in order, end not included; equal neighbours are one, empty phases are none."""
        spans: list[tuple[int, int, tuple[Deficit, ...]]] = []
        for start, end, deficits, _ in self.segments():
            if spans and spans[-1][2] == deficits:
                spans[-1] = (spans[-1][0], end, deficits)
            else:
                spans.append((start, end, deficits))
        return tuple(spans)

    def __str__(self) -> str:
        return " | ".join(str(phase) for phase in self.phases)
