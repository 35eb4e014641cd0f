"""The page: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from chiasm.pictures.frame import asset, bullets, frame, gallery, item, lead, scroll, sentence
from chiasm.pictures.style import Panel
from chiasm.pictures.words import count, listed
from chiasm.report.confounds import QUESTIONS, TESTED_BY, UNTESTED
from chiasm.report.finding import Finding, rules
from chiasm.report.limits import limits
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import capital, clock_words, pair_words
from chiasm.report.probes import probes
from chiasm.report.slider import as_json
from chiasm.report.table import table
from chiasm.report.units import LAYERS

if TYPE_CHECKING:
    from chiasm.study.results import Results

#: How the reading calls what a finding is about.
TOPICS = {
    "window elsewhere": "Other clocks",
    "cost": "Cost",
    "units": "Units",
    "silent": "Silent failure",
    "units window": "Window of the units",
    "spread": "Spread of the units",
    "single": "One source at a time",
    "restart": "Learning rate restarted",
    "constant": "Learning rate constant",
    "mirror": "Mirror",
    "fresh": "Fresh data",
    "longer": "Longer clean phase",
    "total": "Epochs in total",
    "alone": "One source only",
    "deficit": "Other deficits",
    "after": "Clean epochs",
    "seeds": "Seeds",
    "diverged": "Diverged runs",
    "missing": "Incomplete runs",
}
ALERTS = ("not", "cannot", "diverged", "incomplete", "one seed", "above", "fails", "mirror differs")
RSV = (
    "RSV, the relative source variance of a unit, says which source it listens to: +1 means {first} only, {last}, and "
    "0 that both move it alike. Synergy is the share of its variance that needs more than one source; RSV alone cannot "
    "see it."
)
RSV_OF_TWO = (
    "RSV, the relative source variance of a unit, compares two sources, here {first} and {second}, the first two of "
    "{count}: +1 means that of the two only {first} moves the unit, −1 only {second}, and 0 that both move it alike. "
    "What share each source has of all total effects stands in the table of the numbers. Synergy is the share of a "
    "unit's variance that needs more than one source; RSV alone cannot see it."
)


def page(
    results: Results,
    outcomes: StudyOutcomes,
    findings: Sequence[Finding],
    panels: Mapping[str, Sequence[tuple[Panel, str]]],
    moving: Mapping[str, Any] | None,
    command: str,
    extra: Sequence[tuple[str, str, str]] = (),
) -> str:
    """Return the report as one HTML document.

    Args:
        results: the study's results.
        outcomes: its outcomes.
        findings: its reading.
        panels: by section, each panel with its SVG document.
        moving: what the slider shows; None without measured units.
        command: the command that makes these results again.
        extra: sections (id, title, HTML) that only some studies have.
    """
    study = results.study
    question = study.question or "What stays broken when a source is impaired for a while during training?"
    sections = [
        ("reading", "What the numbers say", _reading(findings, outcomes)),
        ("done", "What was done", _done(results, outcomes) + gallery(panels["timelines"])),
        ("accuracy", "Accuracy in the end", lead(_levels_note(outcomes)) + gallery(panels["accuracy"])),
        ("clocks", "The clocks side by side", _clocks(outcomes, panels["clocks"])),
        ("units", "Which source the units listen to", _units(outcomes, panels)),
        ("training", "The units through training", _motion(moving, pair_words(outcomes.sources))),
        ("alone", "One source at a time", _one_source(outcomes, panels["alone"])),
        *extra,
        ("confounds", "What else could explain it", _confounds(findings, outcomes) + gallery(panels["confounds"])),
        ("numbers", "The numbers", _numbers(outcomes)),
        ("again", "How to make it again", _again(results, command)),
        ("limits", "Known limits", bullets(limits(results, outcomes))),
    ]
    data = f'<script type="application/json" id="slider-data">{as_json(moving)}</script>\n' if moving else ""
    made = (
        f"Made by chiasm {escape(_version(results))} from results.parquet and units.npz beside this file. Nothing on\n"
    )
    made += (
        "this page comes from elsewhere, and the same results give the same page, byte for byte. The figures lie in "
    )
    made += "figures/ as\nSVG and PNG."
    return frame(
        f"{study.name}: a chiasm report",
        f"chiasm report on the study “{study.name}”",
        question,
        sections,
        made,
        style=asset("page.css"),
        data=data,
        script=asset("page.js", "chiasm.report"),
    )


def _version(results: Results) -> str:
    versions = results.environment.get("versions", {})
    return str(versions.get("chiasm", "")) if isinstance(versions, Mapping) else ""


def _tag(verdict: str) -> str:
    kind = " untested" if verdict == UNTESTED else " alert" if verdict.startswith(ALERTS) else ""
    return f'<span class="tag{kind}">{escape(verdict)}</span>'


def _reading(findings: Sequence[Finding], outcomes: StudyOutcomes) -> str:
    first, *rest = findings
    title, text = capital(first.verdict), first.text
    # The verdict stands above in large letters; the sentence need not begin with it again.
    text = text.removeprefix("No critical period. ").removeprefix("No critical period: ")
    html = f'<p class="verdict"><b>{escape(title)}</b>{sentence(capital(text))}</p>\n<ul class="reading">\n'
    tested = [f for f in rest if f.verdict != UNTESTED]
    html += "\n".join(item(TOPICS.get(f.about, capital(f.about)), f.text) for f in tested)
    missing = [question for key, question, _ in QUESTIONS for f in rest if f.about == key and f.verdict == UNTESTED]
    if missing:
        html += "\n" + item("Not tested here", " ".join(missing))
    listing = bullets(rules(outcomes.outcome))
    return f"{html}\n</ul>\n<details><summary>The rules behind these sentences</summary>\n{listing}\n</details>"


def _done(results: Results, outcomes: StudyOutcomes) -> str:
    seeds = {run.seed for cell in outcomes for run in cell.runs}
    runs = sum(len(cell.runs) for cell in outcomes)
    said = f"{count(runs, 'run')}: {count(len(outcomes.cells), 'cell')} in {count(len(results.study.arms), 'arm')}, "
    said += f"{count(len(seeds), 'seed')} each. Sources down, epochs across; grey is clean."
    return lead(said)


def _levels_note(outcomes: StudyOutcomes) -> str:
    said = (
        "On test data without any deficit, after the last epoch. Open dots are seeds, filled markers their mean, bars "
    )
    said += (
        "95 % intervals of Student's t over seeds, the unit of replication: a bootstrap over so few seeds would be too "
    )
    said += "narrow."
    if len(outcomes.clocks) > 1:
        said += f" Here the study's own clock: {clock_words(outcomes.clock)}."
    return said


def _clocks(outcomes: StudyOutcomes, panels: Sequence[tuple[Panel, str]]) -> str:
    if not panels:
        only = clock_words(outcomes.clock)
        return lead(f"Not tested here: all runs have one clock ({only}).")
    said = "The clock says what the learning rate counts. On absolute epochs a deficit uses up the high rates, so that "
    said += "the clean epochs after it get only low ones; with a restart at release, or a constant rate, they do not."
    return lead(said) + gallery(panels)


def _units(outcomes: StudyOutcomes, panels: Mapping[str, Sequence[tuple[Panel, str]]]) -> str:
    if not any(panels[key] for key in ("units", "means", "planes")):
        return lead(_nothing_drawn(outcomes, "RSV of units", bool(outcomes.layers)))
    first, second, *others = outcomes.sources if len(outcomes.sources) > 1 else ("the first source", "the second one")
    how = RSV_OF_TWO if others else RSV
    html = lead(how.format(first=first, second=second, last=f"−1 {second} only", count=2 + len(others)))
    if hidden := [layer or "the output" for layer in outcomes.layers[LAYERS:]]:
        html += lead(f"Drawn are the first {LAYERS} layers; {listed(hidden)} are in units.npz and results.parquet.")
    for key, title, said in (
        (
            "units",
            "Every unit",
            "Filled: the live units of all seeds; thin lines: single seeds; marks: means over seeds.",
        ),
        ("means", "Their mean", "Over the live units of each seed first; intervals are over seeds, never over units."),
        (
            "planes",
            "The fusion plane",
            "One dot a unit, all seeds together: across, whom it listens to; up, how much it combines.",
        ),
    ):
        if panels[key]:
            html += f"<h3>{title}</h3>\n{lead(said)}{gallery(panels[key])}"
    return html


def _motion(moving: Mapping[str, Any] | None, of_two: str) -> str:
    if moving is None:
        return lead("No layer was measured through training in a control or a run of the duration arm.")
    said = "Move the slider, with the mouse or the arrow keys, to any epoch at which the units were measured."
    if of_two:
        said += f" RSV is{of_two}."
    if moving["thinned"]:
        said += " Of each run an evenly picked part of the units is shown; means and counts are of all."
    return lead(said) + (
        '<noscript><p class="lead">This part needs JavaScript; the figures above do not.</p></noscript>\n'
        '<div id="slider" class="slider" hidden>\n<div class="controls">\n'
        '<label class="range"><span>epoch</span><input type="range" id="epoch" min="0" max="0" step="1" value="0">'
        '<output id="epoch-shown" for="epoch"></output></label>\n'
        '<button type="button" id="play" aria-pressed="false">play</button>\n'
        '<fieldset id="seeds"></fieldset>\n<fieldset id="layers"></fieldset>\n</div>\n'
        '<div id="stages" class="stages"></div>\n</div>'
    )


def _nothing_drawn(outcomes: StudyOutcomes, what: str, had: bool) -> str:
    """Say why a section is empty: nothing was measured, or no arm with a role to draw, or no run that ended."""
    if not had:
        return f"{what}: not measured here."
    if not any(cell.role in ("duration", "onset") for cell in outcomes):
        return f"{what}: measured, but no arm has the role duration or onset, so no curve is drawn; see the numbers."
    return f"{what}: no run of the duration or onset arms has a final value to draw."


def _one_source(outcomes: StudyOutcomes, panels: Sequence[tuple[Panel, str]]) -> str:
    if not panels:
        return lead(_nothing_drawn(outcomes, "Accuracy with one source at a time", len(outcomes.sources) > 1))
    said = "How well the trained network does when it is shown one source and the rest is silenced."
    return lead(said) + gallery(panels)


def _confounds(findings: Sequence[Finding], outcomes: StudyOutcomes) -> str:
    by_key = {finding.about: finding for finding in findings}
    rows = []
    for key, question, role in QUESTIONS:
        found = by_key[key]
        arms = listed(list(dict.fromkeys(cell.arm for cell in outcomes.of(role)))) if role else ""
        one = "arm" if " and " not in arms else "arms"
        by = TESTED_BY[key] if not role else f"no arm of role {role}" if arms == "none" else f"{one} {arms}"
        told = f"<td>{escape(by)}</td><td>{_tag(found.verdict)}</td><td>{sentence(found.text)}</td>"
        rows.append(f'<tr><th scope="row">{escape(question)}</th>{told}</tr>')
    head = "<tr><th>question</th><th>tested by</th><th>answer</th><th>what it showed</th></tr>"
    body = "\n".join(rows)
    return f'<table class="confounds">\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n'


def _numbers(outcomes: StudyOutcomes) -> str:
    said = (
        "Means over seeds with 95 % intervals of Student's t. The drop is against the control with the same clock and "
    )
    said += (
        "settings, paired by seed. RSV and synergy are means over the live units of each seed first; dead units are "
    )
    said += "masked, and counted as a mean per run."
    html = lead(said) + scroll(table(outcomes), "Table of the numbers")
    for title, about, made in probes(outcomes):
        html += f"\n<h3>{escape(title)}</h3>\n{lead(about)}{scroll(made, title)}"
    return html


def _again(results: Results, command: str) -> str:
    rows = "\n".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in _flat(results.environment))
    toml = escape(results.study.to_toml())
    said = "The same study on the same kind of machine with the same versions gives the same numbers, bit for bit."
    return (
        f"<pre><code>{escape(command)}</code></pre>\n{lead(said)}<h3>Made with</h3>\n<dl>\n{rows}\n</dl>\n"
        f"<details><summary>study.toml, as run</summary>\n<pre><code>{toml}</code></pre>\n</details>"
    )


def _flat(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in sorted(environment.items()):
        if isinstance(value, Mapping):
            pairs += _flat(value)
        else:
            pairs.append((str(key), str(value)))
    return pairs
