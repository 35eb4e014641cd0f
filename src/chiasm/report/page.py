"""The page of a study: what stands where, as data for the template `report.html`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from chiasm.pictures.page import Figure, asset, by_name, render
from chiasm.pictures.words import count, listed
from chiasm.report.caveats import caveats, limits
from chiasm.report.comparison.comparison import Comparison, findings
from chiasm.report.comparison.section import differences
from chiasm.report.finding import Finding
from chiasm.report.phrases import capital, clock_words
from chiasm.report.probes import probes
from chiasm.report.published.section import PublishedSection
from chiasm.report.reading import conditions, rule
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.report.table import LAYERS as TABLED
from chiasm.report.table import numbers_table
from chiasm.report.units import LAYERS

if TYPE_CHECKING:
    from chiasm.study.results import Results


def page(
    results: Results,
    outcomes: StudyOutcomes,
    answered: Sequence[Finding],
    figures: Mapping[str, Sequence[Figure]],
    first: Sequence[str],
    moving: Mapping[str, Any] | None,
    command: str,
    theory: Comparison | str,
    published: PublishedSection | None,
) -> str:
    """Return the report as one HTML document.

    Args:
        results: the study's results.
        outcomes: its outcomes.
        answered: its reading, the headline first.
        figures: by section.
        first: names of the figures of the first screen.
        moving: what the slider shows; None without measured units.
        command: the command that makes these results again.
        theory: the comparison with the theory, or why there is none; "" for a network without one.
        published: the section beside published numbers; None for a study without any.
    """
    study = results.study
    headline, *answers = answered
    tested = [finding for finding in answers if finding.verdict != "not tested"]
    rest = {key: [figure for figure in drawn if figure.name not in first] for key, drawn in figures.items()}
    return render(
        "report.html",
        "chiasm.report",
        title=f"{study.name}: a chiasm report",
        kicker=f"chiasm report on the study “{study.name}”",
        heading=study.question or "What stays broken when a source is impaired for a while during training?",
        style=asset("page.css"),
        script=asset("page.js", "chiasm.report"),
        data=_as_json(moving) if moving else None,
        thinned=bool(moving and moving["thinned"]),
        headline=headline,
        conditions=conditions(answers) if headline.verdict == "present" else [],
        first=by_name([figure for drawn in figures.values() for figure in drawn], first),
        chips=tested,
        happened=[finding for finding in tested if finding.section != "confounds"],
        confounds=[finding for finding in tested if finding.section == "confounds"],
        untested=[(f.topic, f.text) for f in answers if f.verdict == "not tested"],
        rule=rule(outcomes),
        caveats=caveats(outcomes),
        figures=rest,
        done=_done(results, outcomes),
        clock=clock_words(outcomes.clock),
        label=outcomes.outcome.quantity.label,
        several_clocks=len(outcomes.clocks) > 1,
        sources=outcomes.sources,
        layers=outcomes.layers,
        hidden=listed([layer or "the output" for layer in outcomes.layers[LAYERS:]])
        if outcomes.layers[LAYERS:]
        else "",
        untabled=len(outcomes.layers[TABLED:]),
        worse="drop" if outcomes.outcome.higher_is_better else "rise",
        numbers=numbers_table(outcomes),
        probes=list(probes(outcomes)),
        theory=theory if isinstance(theory, str) else findings(theory),
        differences=None if isinstance(theory, str) else differences(theory),
        published=published,
        command=command,
        environment=_flat(results.environment),
        toml=study.to_toml(),
        limits=limits(study.sections.get("training", {}), outcomes),
        version=_version(results),
    )


def _done(results: Results, outcomes: StudyOutcomes) -> str:
    runs = sum(len(cell.runs) for cell in outcomes)
    text = f"{count(runs, 'run')}: {count(len(outcomes.cells), 'cell')} in {count(len(results.study.arms), 'arm')}, "
    clock = capital(clock_words(outcomes.clock))
    return f"{text}{count(outcomes.seeds, 'seed')} each. {clock}, where an arm says no other."


def _version(results: Results) -> str:
    versions = results.environment.get("versions", {})
    return str(versions.get("chiasm", "")) if isinstance(versions, Mapping) else ""


def _as_json(value: Mapping[str, Any]) -> Markup:
    """Write a value as JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")
    return Markup(text)


def _flat(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in sorted(environment.items()):
        if isinstance(value, Mapping):
            pairs += _flat(value)
        else:
            pairs.append((str(key), str(value)))
    return pairs
