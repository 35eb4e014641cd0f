"""What a study says, in plain sentences that follow from its numbers by stated rules."""

from __future__ import annotations

from chiasm.objectives import Outcome
from chiasm.report import finding
from chiasm.report.finding import Finding
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.questions import Question, questions


def reading(outcomes: StudyOutcomes) -> list[Finding]:
    """Read a study: every question's answer, in the order of the page; the verdict on a critical period comes first.

    Args:
        outcomes: the cells of a study.

    Returns:
        One finding a topic, in reading order; topics without any data are left out, apart from the confounds, which
        say when they were not tested.
    """
    return [answer for question in questions() for answer in answers(question, outcomes)]


def answers(question: Question, outcomes: StudyOutcomes) -> list[Finding]:
    """Return what a question finds; for a confound, that it was not tested where it finds nothing."""
    answer = question.answer(outcomes)
    if answer is None and question.section == "confounds":
        answer = question.untested(f"an arm of role {question.role}" if question.role else question.tested_by)
    return [] if answer is None else [answer] if isinstance(answer, Finding) else [*answer]


def rules(outcome: Outcome) -> list[str]:
    """Return the rules behind the sentences of a reading: those that all questions share, then each question's own."""
    return [*finding.rules(outcome), *(rule for question in questions() for rule in question.rules(outcome))]
