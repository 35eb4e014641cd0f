"""What a study says to its report: the roles of its arms and the table [report], checked before anything is trained."""

from __future__ import annotations

from chiasm.errors import unknown
from chiasm.report.published.sets import published_sets
from chiasm.report.questions import questions
from chiasm.study.spec import Study

#: The roles of the main curves, and of arms that only the table and the figure of confounds show.
CURVES, OTHER = ("duration", "onset"), "other"
#: The keys of the table [report].
KEYS = ("published",)


def roles() -> tuple[str, ...]:
    """Return the roles that an arm may have: those of the curves, those that a question asks for, and "other".

    >>> roles()[:3], roles()[-1]
    (('duration', 'onset', 'mirror'), 'other')
    """
    asked = (question.role for question in questions() if question.role)
    return tuple(dict.fromkeys([*CURVES, *(role for role in asked if role != OTHER), OTHER]))


def check_report(study: Study) -> None:
    """Check what a study says to its report.

    Raises:
        ChiasmError: an arm's role that nothing in the report asks for; an unknown key of [report]; in
            [report.published] an arm that is none of the study's or has another role than duration, or an unknown set.
    """
    for arm in study.arms:
        if arm.role not in roles():
            raise unknown("role", arm.role, roles(), f"arm '{arm.name}'")
    for key in study.report:
        if key not in KEYS:
            raise unknown("key", key, KEYS, "[report]")
    published_sets(study)
