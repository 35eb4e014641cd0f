"""The page: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from chiasm.pictures.frame import asset, bullets, frame, gallery, item, lead, scroll, sentence
from chiasm.pictures.style import Panel
from chiasm.pictures.words import count, listed
from chiasm.registry import tag_of
from chiasm.report.finding import UNTESTED, Finding
from chiasm.report.limits import limits
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.phrases import capital, clock_words, pair_words
from chiasm.report.probes import probes
from chiasm.report.questions import Question, questions
from chiasm.report.reading import rules
from chiasm.report.slider import as_json
from chiasm.report.table import table
from chiasm.report.units import LAYERS

if TYPE_CHECKING:
    from chiasm.study.results import Results

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
    study, label = results.study, capital(outcomes.outcome.quantity.label)
    question = study.question or "What stays broken when a source is impaired for a while during training?"
    sections = [
        ("reading", "What the numbers say", _reading(findings, outcomes)),
        ("done", "What was done", _done(results, outcomes) + gallery(panels["timelines"])),
        ("outcome", f"{label} in the end", lead(_levels_note(outcomes)) + gallery(panels["outcome"])),
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
    footer = (
        f"Made by chiasm {escape(_version(results))} from results.parquet and units.npz beside this file. Nothing on\n"
    )
    footer += (
        "this page comes from elsewhere, and the same results give the same page, byte for byte. The figures lie in "
    )
    footer += "figures/ as\nSVG and PNG."
    return frame(
        f"{study.name}: a chiasm report",
        f"chiasm report on the study “{study.name}”",
        question,
        sections,
        footer,
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
    asked = {tag_of(question): question for question in questions()}
    topics = {tag: question.topic for tag, question in asked.items()}
    tested = [f for f in rest if f.verdict != UNTESTED]
    html += "\n".join(item(topics.get(f.about) or capital(f.about), f.text) for f in tested)
    missing = [asked[f.about].question for f in rest if f.verdict == UNTESTED and f.about in asked]
    if missing:
        html += "\n" + item("Not tested here", " ".join(missing))
    listing = bullets(rules(outcomes.outcome))
    return f"{html}\n</ul>\n<details><summary>The rules behind these sentences</summary>\n{listing}\n</details>"


def _done(results: Results, outcomes: StudyOutcomes) -> str:
    seeds = {run.seed for cell in outcomes for run in cell.runs}
    runs = sum(len(cell.runs) for cell in outcomes)
    text = f"{count(runs, 'run')}: {count(len(outcomes.cells), 'cell')} in {count(len(results.study.arms), 'arm')}, "
    text += f"{count(len(seeds), 'seed')} each. Sources down, epochs across; grey is clean."
    return lead(text)


def _levels_note(outcomes: StudyOutcomes) -> str:
    text = (
        "On test data without any deficit, after the last epoch. Open dots are seeds, filled markers their mean, bars "
    )
    text += (
        "95 % intervals of Student's t over seeds, the unit of replication: a bootstrap over so few seeds would be too "
    )
    text += "narrow."
    if len(outcomes.clocks) > 1:
        text += f" Here the study's own clock: {clock_words(outcomes.clock)}."
    return text


def _clocks(outcomes: StudyOutcomes, panels: Sequence[tuple[Panel, str]]) -> str:
    if not panels:
        only = clock_words(outcomes.clock)
        return lead(f"Not tested here: all runs have one clock ({only}).")
    text = "The clock says what the learning rate counts. On absolute epochs a deficit uses up the high rates, so that "
    text += "the clean epochs after it get only low ones; with a restart at release, or a constant rate, they do not."
    return lead(text) + gallery(panels)


def _units(outcomes: StudyOutcomes, panels: Mapping[str, Sequence[tuple[Panel, str]]]) -> str:
    if not any(panels[key] for key in ("units", "means", "planes")):
        return lead(_nothing_drawn(outcomes, "RSV of units", bool(outcomes.layers)))
    first, second, *others = outcomes.sources if len(outcomes.sources) > 1 else ("the first source", "the second one")
    how = RSV_OF_TWO if others else RSV
    html = lead(how.format(first=first, second=second, last=f"−1 {second} only", count=2 + len(others)))
    if hidden := [layer or "the output" for layer in outcomes.layers[LAYERS:]]:
        html += lead(f"Drawn are the first {LAYERS} layers; {listed(hidden)} are in units.npz and results.parquet.")
    for key, title, text in (
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
            html += f"<h3>{title}</h3>\n{lead(text)}{gallery(panels[key])}"
    return html


def _motion(moving: Mapping[str, Any] | None, of_two: str) -> str:
    if moving is None:
        return lead("No layer was measured through training in a control or a run of the duration arm.")
    text = "Move the slider, with the mouse or the arrow keys, to any epoch at which the units were measured."
    if of_two:
        text += f" RSV is{of_two}."
    if moving["thinned"]:
        text += " Of each run an evenly picked part of the units is shown; means and counts are of all."
    return lead(text) + (
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
        return lead(
            _nothing_drawn(
                outcomes,
                f"{capital(outcomes.outcome.quantity.label)} with one source at a time",
                len(outcomes.sources) > 1,
            )
        )
    text = "How well the trained network does when it is shown one source and the rest is silenced."
    return lead(text) + gallery(panels)


def _confounds(findings: Sequence[Finding], outcomes: StudyOutcomes) -> str:
    by_tag = {finding.about: finding for finding in findings}
    rows = []
    for question in questions("confounds"):
        answer = by_tag[tag_of(question)]
        by, text = escape(_tested_by(question, outcomes)), sentence(answer.text)
        cells = f"<td>{by}</td><td>{_tag(answer.verdict)}</td><td>{text}</td>"
        rows.append(f'<tr><th scope="row">{escape(question.question)}</th>{cells}</tr>')
    head = "<tr><th>question</th><th>tested by</th><th>answer</th><th>what it showed</th></tr>"
    body = "\n".join(rows)
    return f'<table class="confounds">\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n'


def _tested_by(question: Question, outcomes: StudyOutcomes) -> str:
    if not question.role:
        return question.tested_by
    arms = list(dict.fromkeys(cell.arm for cell in outcomes.of(question.role)))
    return f"arm{'s' if len(arms) > 1 else ''} {listed(arms)}" if arms else f"no arm of role {question.role}"


def _numbers(outcomes: StudyOutcomes) -> str:
    worse = "drop" if outcomes.outcome.higher_is_better else "rise"
    text = f"Means over seeds with 95 % intervals of Student's t. The {worse} is against the control with the same "
    text += (
        "clock and settings, paired by seed. RSV and synergy are means over the live units of each seed first; dead "
    )
    text += "units are masked, and counted as a mean per run."
    html = lead(text) + scroll(table(outcomes), "Table of the numbers")
    for title, about, rows in probes(outcomes):
        html += f"\n<h3>{escape(title)}</h3>\n{lead(about)}{scroll(rows, title)}"
    return html


def _again(results: Results, command: str) -> str:
    rows = "\n".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in _flat(results.environment))
    toml = escape(results.study.to_toml())
    text = "The same study on the same kind of machine with the same versions gives the same numbers, bit for bit."
    return (
        f"<pre><code>{escape(command)}</code></pre>\n{lead(text)}<h3>Made with</h3>\n<dl>\n{rows}\n</dl>\n"
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
