"""What a study says: every question's evidence, the verdicts on all of it, and a sentence for each."""

from __future__ import annotations

from collections.abc import Sequence

from chiasm.pictures.words import count
from chiasm.registry import tag_of
from chiasm.report.evidence import Evidence
from chiasm.report.finding import Finding
from chiasm.report.phrases import capital
from chiasm.report.questions import Question, questions
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.verdict import FAMILY, HEADLINE, Verdict, decisive, judged, seeds_wanted
from chiasm.statistics import LEVEL

Asked = list[tuple[Question, Evidence | None]]


def reading(outcomes: StudyOutcomes) -> list[Finding]:
    """Read a study: the verdict on a critical period first, then every other question in the order of the page.

    Args:
        outcomes: the cells of a study.

    Returns:
        One finding or more a question; "not tested" where the study lacks what the question takes.
    """
    asked = [(question, evidence) for question in questions() for evidence in _collected(question, outcomes)]
    first = [pair for pair in asked if pair[0].headline]
    others = [pair for pair in asked if not pair[0].headline]
    verdicts = judged(*([e for _, e in pairs if e is not None] for pairs in (first, others)))
    # What an interval must leave 0 out at, before the family is corrected for: the most that Holm may ask.
    family = max(1, sum(evidence is not None for _, evidence in others))
    return [
        *_findings(first, verdicts[0], HEADLINE, HEADLINE),
        *_findings(others, verdicts[1], LEVEL, max(LEVEL, 1 - FAMILY / family)),
    ]


def _collected(question: Question, outcomes: StudyOutcomes) -> list[Evidence | None]:
    evidence = question.collect(outcomes)
    return [evidence] if evidence is None or isinstance(evidence, Evidence) else [*evidence]


def _findings(asked: Asked, verdicts: Sequence[Verdict], level: float, wanted: float) -> list[Finding]:
    left = iter(verdicts)
    return [_finding(q, e, "not tested" if e is None else next(left), level, wanted) for q, e in asked]


def _finding(question: Question, evidence: Evidence | None, verdict: Verdict, level: float, wanted: float) -> Finding:
    tag, section = tag_of(question), question.section
    if evidence is None:
        text = f"{question.question} Not tested: that takes {question.needs}."
        return Finding(tag, question.topic, verdict, text, section=section)
    difference, about = evidence.difference, f"{tag}, {evidence.about}" if evidence.about else tag
    topic = f"{question.topic}: {evidence.about}" if evidence.about else question.topic
    if difference is None or any(condition.difference is None for condition in evidence.conditions):
        text = f"{question.question} Unsettled: no seed has a result in all of the runs that are compared."
        return Finding(about, topic, verdict, text, evidence=evidence, section=section)
    facts = {
        **evidence.facts,
        "amount": evidence.scale.written(difference, level),
        "size": evidence.scale.written(difference.scaled(-1), level),
        "brief": evidence.scale.brief(difference),
        "counts": evidence.scale.counts,
        "decisive": _decisive(evidence) if verdict == "absent" else "",
        "open": _open(evidence, wanted) if verdict == "unsettled" else "",
    }
    case = "reversed" if verdict == "present" and difference.mean < 0 and "reversed" in question.says else verdict
    text = sentence(question.says[case].format_map(facts))
    condition = question.conditions.get(case, "").format_map(facts)
    return Finding(about, topic, verdict, text, evidence.scale.brief(difference), condition, evidence, section)


def _decisive(evidence: Evidence) -> str:
    """The number that makes the answer no, with the interval of 95 % that shows it, whatever a yes would take."""
    no = decisive(evidence)
    if no is None or no.difference is None:
        return ""
    loud = evidence.quiet is not None and no.difference is evidence.quiet[0]
    scale = evidence.quiet[1] if loud and evidence.quiet is not None else evidence.scale
    return f"{no.what} is {scale.written(no.difference)}"


def _open(evidence: Evidence, level: float) -> str:
    """What would settle unsettled evidence, as a sentence."""
    difference = evidence.difference
    if difference is None or difference.n < 2:
        return "One seed gives no interval."
    if any(c.difference is None or c.difference.error is None for c in evidence.conditions):
        return "There is no interval: too few seeds have a result on both sides, or they agree to the last digit."
    if not evidence.scale.margin or (evidence.quiet is not None and not evidence.quiet[1].margin):
        return "How large a difference must be to count is not set (margin, in [report]), so none can be ruled out."
    n = seeds_wanted(evidence, level)
    if n is None:
        return "More than a thousand seeds would be needed, if its size and spread are what they seem."
    return f"About {count(n, 'seed')} would settle it, if its size and spread are what they seem."


def sentence(text: str) -> str:
    """The text as a sentence: first letter large, a full stop at the end."""
    text = text.strip()
    return capital(text) + ("" if text.endswith((".", ":", "!", "?")) else ".")


def rule(outcomes: StudyOutcomes) -> str:
    """Return the rule behind all verdicts, in two sentences."""
    outcome = outcomes.outcome
    margin = outcomes.yardstick.counts if outcome.margin else "of any size"
    rsv = f" ({outcomes.rsv_margin:g} for RSV)" if outcomes.layers else ""
    return (
        f"Present: the difference is {margin} or more{rsv} and its interval leaves 0 out, one of 98 % for a critical "
        "period, which is asked first and takes that an early deficit costs more than a late one and more than none; "
        "of 95 % for all else, and so that a study without any effect says “present” anywhere in at most one of ten "
        "(Holm). Absent: the 95 % interval rules out a difference of that size; unsettled: anything else."
    )


def conditions(findings: Sequence[Finding]) -> list[str]:
    """Return what a critical period hangs on, as clauses: what the other answers mean for it."""
    return [finding.condition for finding in findings if finding.condition]
