"""What a study says to its report: the roles of its arms and the table [report], checked before anything is trained."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from chiasm.errors import ChiasmError, unknown
from chiasm.objectives import Outcome
from chiasm.report.published.sets import published_sets
from chiasm.report.questions import questions
from chiasm.report.study_outcomes import RSV_MARGIN
from chiasm.study.spec import Study

#: The roles of the main curves, and of arms that only the table and the figure of confounds show.
CURVES, OTHER = ("duration", "onset"), "other"
#: The keys of the table [report].
KEYS = ("margin", "rsv_margin", "published")


def roles() -> tuple[str, ...]:
    """Return the roles that an arm may have: those of the curves, those that a question asks for, and "other".

    >>> roles()[:2], roles()[-1]
    (('duration', 'onset'), 'other')
    """
    asked = (question.role for question in questions() if question.role)
    return tuple(dict.fromkeys([*CURVES, *(role for role in asked if role != OTHER), OTHER]))


def check_report(study: Study) -> None:
    """Check what a study says to its report.

    Raises:
        ChiasmError: an arm's role that nothing in the report asks for; an unknown key of [report]; a margin that is no
            number above 0; in [report.published] an arm that is none of the study's or has another role than duration,
            or an unknown set.
    """
    for arm in study.arms:
        if arm.role not in roles():
            raise unknown("role", arm.role, roles(), f"arm '{arm.name}'")
    for key in study.report:
        if key not in KEYS:
            raise unknown("key", key, KEYS, "[report]")
    for key in ("margin", "rsv_margin"):
        _margin(study.report, key)
    published_sets(study)


def margins(study: Study, outcome: Outcome) -> tuple[Outcome, float]:
    """Return a study's outcome with the margin that its table [report] names, and what counts of RSV.

    `margin` is in the unit that is shown, points for accuracy; a difference below it counts as none.
    """
    margin, rsv = _margin(study.report, "margin"), _margin(study.report, "rsv_margin")
    return replace(outcome, margin=outcome.margin if margin is None else margin), rsv or RSV_MARGIN


def _margin(report: dict[str, Any], key: str) -> float | None:
    value = report.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ChiasmError(f"[report]: {key} = {value!r}; expected a number above 0: the least difference that counts")
    return float(value)
