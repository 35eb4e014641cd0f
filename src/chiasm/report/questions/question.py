"""A question that the report asks of a study: a kind, answered by a sentence that follows from numbers by a rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from chiasm.objectives import Outcome
from chiasm.pictures.words import count
from chiasm.registry import Registry, tag_of
from chiasm.report.finding import UNTESTED, Finding, sentence
from chiasm.report.outcomes import CellOutcome, StudyOutcomes
from chiasm.report.phrases import level, stretch

Section = Literal["reading", "confounds", "caveats"]
#: In the order of the page.
SECTIONS: tuple[Section, ...] = ("reading", "confounds", "caveats")


class Question(ABC):
    """One question of the report.

    A kind has a tag and an `answer`. A question of the section "confounds" has a row in the table of confounds, and is
    said to be untested where it has no answer; the others are left out.

    Attributes:
        question: the question as a sentence; empty where nobody reads it.
        topic: how the reading calls what it is about; empty: the tag.
        role: the role of the arms that test it; empty where no arm of its own does.
        tested_by: what tests it where no arm of its own does.
        section: "reading", "confounds" or "caveats".
        order: its place in the section, the lowest first. Those of the package are tens, so that others fit between.
    """

    question: ClassVar[str] = ""
    topic: ClassVar[str] = ""
    role: ClassVar[str] = ""
    tested_by: ClassVar[str] = ""
    section: ClassVar[Section] = "confounds"
    order: ClassVar[int] = 1000

    @abstractmethod
    def answer(self, outcomes: StudyOutcomes) -> Finding | Sequence[Finding] | None:
        """Return what the study's numbers say to the question; None where they say nothing."""

    def rules(self, outcome: Outcome) -> Sequence[str]:
        """Return the rules behind the answer, a sentence each, for the page to print."""
        return ()

    @classmethod
    def finding(cls, verdict: str, text: str) -> Finding:
        """Return a finding about this question; the text becomes a sentence."""
        return Finding(tag_of(cls), verdict, sentence(text))

    @classmethod
    def untested(cls, missing: str) -> Finding:
        """Return the finding that the study lacks what tests this question."""
        return cls.finding(UNTESTED, f"Not tested here: {missing}")

    @classmethod
    def uncontrolled(cls, cell: CellOutcome, outcomes: StudyOutcomes) -> Finding:
        """Return the finding that a cell has no control to be held against."""
        score, label = outcomes.mean_score(cell), outcomes.outcome.quantity.label
        ends = f"has no final {label}" if score is None else f"ends at {level(score.mean, outcomes.outcome)}"
        text = f"{stretch(cell.timeline)}, {count(cell.after, 'clean epoch')} after, {ends}"
        return cls.finding("cannot tell", f"{text}; there is no control with the same settings to hold it against")


QUESTIONS: Registry[Question] = Registry("question", Question, "chiasm.report.questions")


def questions(*sections: Section) -> list[Question]:
    """Return every question of the sections, of all where none is named, in the order of the page."""
    kinds = [kind for kind in QUESTIONS.kinds().values() if kind.section in (sections or SECTIONS)]
    kinds.sort(key=lambda kind: (SECTIONS.index(kind.section), kind.order, tag_of(kind)))
    return [kind() for kind in kinds]
