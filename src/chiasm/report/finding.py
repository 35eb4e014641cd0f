"""A finding: the verdict on a question, and the sentence that says it."""

from __future__ import annotations

from dataclasses import dataclass

from chiasm.report.evidence import Evidence
from chiasm.report.verdict import Verdict


@dataclass(frozen=True)
class Finding:
    """What a study says to one question.

    Attributes:
        about: the question's tag, and what tells one answer to it from another; unique in a reading.
        topic: what it is about, in a few words.
        verdict: "present", "absent", "unsettled" or "not tested".
        text: a sentence or two, plain text.
        number: the number that it quotes, without its interval; "" where there is none.
        condition: what the answer means for a critical period, as a clause; "" for nothing.
        evidence: what it rests on; None where the question was not tested.
        section: the question's, "reading" or "confounds".
    """

    about: str
    topic: str
    verdict: Verdict
    text: str
    number: str = ""
    condition: str = ""
    evidence: Evidence | None = None
    section: str = ""
