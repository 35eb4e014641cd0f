"""A question that the report asks of a study: a kind that collects evidence, and has a sentence for each verdict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from chiasm.registry import Registry, tag_of
from chiasm.report.evidence import Evidence
from chiasm.report.study_outcomes import StudyOutcomes

Section = Literal["reading", "confounds"]
#: In the order of the page.
SECTIONS: tuple[Section, ...] = ("reading", "confounds")


class Question(ABC):
    """One question of the report.

    A kind has a tag, collects its evidence, and has a sentence for each verdict. The verdict follows from the evidence
    by one rule for all questions, with their number taken into account; a question never draws it itself.

    Attributes:
        question: the question as a sentence.
        topic: what it is about, in a few words.
        role: the role of the arms that test it; "" where no arm of its own does.
        lone: whether runs of that role are tested with the one source that they trained on.
        needs: what a study must have for the question to be tested, to stand after "that takes".
        section: "reading" or "confounds".
        headline: whether it is asked before all others, at 98 %, and its verdict heads the page.
        order: its place in the section, the lowest first. Those of the package are tens, so that others fit between.
        says: a sentence by verdict, "present", "absent" and "unsettled", and "reversed" for a present difference below
            0. Each may name facts of the evidence in braces, and {amount}, the number that it rests on with its
            interval, {counts}, what counts as a difference, {brief}, the number alone, {decisive}, which number is
            shown not to be there, and, of "unsettled", {open}, what would settle it.
        conditions: what the answer means for a critical period, by verdict, as a clause in the same way.
    """

    question: ClassVar[str] = ""
    topic: ClassVar[str] = ""
    role: ClassVar[str] = ""
    lone: ClassVar[bool] = False
    needs: ClassVar[str] = ""
    section: ClassVar[Section] = "confounds"
    headline: ClassVar[bool] = False
    order: ClassVar[int] = 1000
    says: ClassVar[Mapping[str, str]]
    conditions: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def collect(self, outcomes: StudyOutcomes) -> Evidence | Sequence[Evidence] | None:
        """Return what the answer rests on.

        Several where the question has several answers; none where it does not arise; None where the study lacks what
        it takes, so that it is not tested.
        """


QUESTIONS: Registry[Question] = Registry("question", Question, "chiasm.report.questions")


def questions(*sections: Section) -> list[Question]:
    """Return every question of the sections, of all where none is named, in the order of the page."""
    kinds = [kind for kind in QUESTIONS.kinds().values() if kind.section in (sections or SECTIONS)]
    kinds.sort(key=lambda kind: (SECTIONS.index(kind.section), kind.order, tag_of(kind)))
    return [kind() for kind in kinds]
