"""The page: one HTML file that needs nothing but itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from chiasm.report.confounds import QUESTIONS, TESTED_BY, UNTESTED
from chiasm.report.finding import RULES, Finding
from chiasm.report.limits import limits
from chiasm.report.motion import as_json
from chiasm.report.outcomes import Outcomes
from chiasm.report.style import Panel, inline
from chiasm.report.table import table
from chiasm.report.units import LAYERS
from chiasm.report.wording import capital, clock_words, count, listed

if TYPE_CHECKING:
    from chiasm.study.results import Results

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
#: How the reading calls what a finding is about.
TOPICS = {
    "window elsewhere": "Other clocks",
    "cost": "Cost",
    "units": "Units",
    "silent": "Silent failure",
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


def page(
    results: Results,
    outcomes: Outcomes,
    findings: Sequence[Finding],
    panels: Mapping[str, Sequence[tuple[Panel, str]]],
    moving: Mapping[str, Any] | None,
    command: str,
) -> str:
    """Return the report as one HTML document.

    Args:
        results: the study's results.
        outcomes: its outcomes.
        findings: its reading.
        panels: by section, each panel with its SVG document.
        moving: what the slider shows; None without measured units.
        command: the command that makes these results again.
    """
    study = results.study
    question = study.question or "What stays broken when a source is impaired for a while during training?"
    sections = [
        ("reading", "What the numbers say", _reading(findings)),
        ("done", "What was done", _done(results, outcomes) + _figures(panels["strips"])),
        ("accuracy", "Accuracy in the end", _lead(_levels_note(outcomes)) + _figures(panels["accuracy"])),
        ("clocks", "The clocks side by side", _clocks(outcomes, panels["clocks"])),
        ("units", "Which source the units listen to", _units(outcomes, panels)),
        ("training", "The units through training", _motion(moving)),
        ("alone", "One source at a time", _one_source(outcomes, panels["alone"])),
        ("confounds", "What else could explain it", _confounds(findings, outcomes) + _figures(panels["confounds"])),
        ("numbers", "The numbers", _numbers(outcomes)),
        ("again", "How to make it again", _again(results, command)),
        ("limits", "Known limits", _list(limits(results, outcomes))),
    ]
    links = "".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, title, _ in sections)
    body = "\n".join(
        f'<section id="{key}">\n<h2>{escape(title)}</h2>\n{html}\n</section>' for key, title, html in sections
    )
    script = f'<script type="application/json" id="motion-data">{as_json(moving)}</script>\n' if moving else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(study.name)}: a chiasm report</title>
<link rel="icon" href="data:,">
<style>
{_file("page.css")}</style>
</head>
<body>
<header>
<p class="study">chiasm report on the study “{escape(study.name)}”</p>
<h1>{escape(question)}</h1>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main>
{body}
</main>
<footer><p>Made by chiasm {escape(_version(results))} from results.parquet and units.npz beside this file. Nothing on
this page comes from elsewhere, and the same results give the same page, byte for byte. The figures lie in figures/ as
SVG and PNG.</p></footer>
{script}<script>
{_file("page.js")}</script>
</body>
</html>
"""


def _file(name: str) -> str:
    return resources.files("chiasm.report").joinpath(name).read_text(encoding="utf-8")


def _version(results: Results) -> str:
    versions = results.environment.get("versions", {})
    return str(versions.get("chiasm", "")) if isinstance(versions, Mapping) else ""


def _lead(text: str) -> str:
    return f'<p class="lead">{escape(text)}</p>\n'


def _list(items: Sequence[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{escape(item)}</li>" for item in items) + "\n</ul>"


def _tag(verdict: str) -> str:
    kind = " untested" if verdict == UNTESTED else " alert" if verdict.startswith(ALERTS) else ""
    return f'<span class="tag{kind}">{escape(verdict)}</span>'


def _reading(findings: Sequence[Finding]) -> str:
    first, *rest = findings
    title, text = capital(first.verdict), first.text
    # The verdict stands above in large letters; the sentence need not begin with it again.
    text = text.removeprefix("No critical period. ").removeprefix("No critical period: ")
    html = f'<p class="verdict"><b>{escape(title)}</b>{_text(capital(text))}</p>\n<ul class="reading">\n'
    tested = [f for f in rest if f.verdict != UNTESTED]
    html += "\n".join(_item(TOPICS.get(f.about, f.about), f.text) for f in tested)
    missing = [question for key, question, _ in QUESTIONS for f in rest if f.about == key and f.verdict == UNTESTED]
    if missing:
        html += "\n" + _item("Not tested here", " ".join(missing))
    rules = _list(RULES)
    return f"{html}\n</ul>\n<details><summary>The rules behind these sentences</summary>\n{rules}\n</details>"


def _item(topic: str, text: str) -> str:
    return f'<li><span class="topic">{_text(topic)}</span><span>{_text(text)}</span></li>'


def _text(text: str) -> str:
    """Escape a sentence, and keep numbers together with their units and intervals in one piece."""
    kept = re.sub(r"(?<=\d) (?=%|points?\b|epochs?\b|seeds?\b)", "\u00a0", text)
    kept = re.sub(r"\[[^\]]*\]", lambda m: m[0].replace(" ", "\u00a0") if len(m[0]) < 20 else m[0], kept)
    return escape(kept)


def _done(results: Results, outcomes: Outcomes) -> str:
    seeds = {run.seed for cell in outcomes for run in cell.runs}
    runs = sum(len(cell.runs) for cell in outcomes)
    said = f"{count(runs, 'run')}: {count(len(outcomes.cells), 'cell')} in {count(len(results.study.arms), 'arm')}, "
    said += f"{count(len(seeds), 'seed')} each. Sources down, epochs across; grey is clean."
    return _lead(said)


def _levels_note(outcomes: Outcomes) -> str:
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


def _clocks(outcomes: Outcomes, panels: Sequence[tuple[Panel, str]]) -> str:
    if not panels:
        only = clock_words(outcomes.clock)
        return _lead(f"Not tested here: all runs have one clock ({only}).")
    said = "The clock says what the learning rate counts. On absolute epochs a deficit uses up the high rates, so that "
    said += "the clean epochs after it get only low ones; with a restart at release, or a constant rate, they do not."
    return _lead(said) + _figures(panels)


def _units(outcomes: Outcomes, panels: Mapping[str, Sequence[tuple[Panel, str]]]) -> str:
    if not any(panels[key] for key in ("units", "means", "planes")):
        return _lead(_nothing_drawn(outcomes, "RSV of units", bool(outcomes.layers)))
    first, *rest = outcomes.sources or ("the first source", "the second one")
    last = f"−1 {rest[0]} only" if len(rest) == 1 else f"−1 anything but {first}"
    html = _lead(RSV.format(first=first, last=last))
    if hidden := [layer or "the output" for layer in outcomes.layers[LAYERS:]]:
        html += _lead(f"Drawn are the first {LAYERS} layers; {listed(hidden)} are in units.npz and results.parquet.")
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
            html += f"<h3>{title}</h3>\n{_lead(said)}{_figures(panels[key])}"
    return html


def _motion(moving: Mapping[str, Any] | None) -> str:
    if moving is None:
        return _lead("No layer was measured through training in a control or a run of the duration arm.")
    said = "Move the slider, with the mouse or the arrow keys, to any epoch at which the units were measured."
    if moving["thinned"]:
        said += " Of each run an evenly picked part of the units is shown; means and counts are of all."
    return _lead(said) + (
        '<noscript><p class="lead">This part needs JavaScript; the figures above do not.</p></noscript>\n'
        '<div id="motion" class="motion" hidden>\n<div class="controls">\n'
        '<label class="slider"><span>epoch</span><input type="range" id="epoch" min="0" max="0" step="1" value="0">'
        '<output id="epoch-shown" for="epoch"></output></label>\n'
        '<button type="button" id="play" aria-pressed="false">play</button>\n'
        '<fieldset id="seeds"></fieldset>\n<fieldset id="layers"></fieldset>\n</div>\n'
        '<div id="stages" class="stages"></div>\n</div>'
    )


def _nothing_drawn(outcomes: Outcomes, what: str, had: bool) -> str:
    """Say why a section is empty: nothing was measured, or no arm with a role to draw, or no run that ended."""
    if not had:
        return f"{what}: not measured here."
    if not any(cell.role in ("duration", "onset") for cell in outcomes):
        return f"{what}: measured, but no arm has the role duration or onset, so no curve is drawn; see the numbers."
    return f"{what}: no run of the duration or onset arms has a final value to draw."


def _one_source(outcomes: Outcomes, panels: Sequence[tuple[Panel, str]]) -> str:
    if not panels:
        return _lead(_nothing_drawn(outcomes, "Accuracy with one source at a time", len(outcomes.sources) > 1))
    said = "How well the trained network does when it is shown one source and the rest is silenced."
    return _lead(said) + _figures(panels)


def _confounds(findings: Sequence[Finding], outcomes: Outcomes) -> str:
    by_key = {finding.about: finding for finding in findings}
    rows = []
    for key, question, role in QUESTIONS:
        found = by_key[key]
        arms = listed(list(dict.fromkeys(cell.arm for cell in outcomes.of(role)))) if role else ""
        one = "arm" if " and " not in arms else "arms"
        by = TESTED_BY[key] if not role else f"no arm of role {role}" if arms == "none" else f"{one} {arms}"
        told = f"<td>{escape(by)}</td><td>{_tag(found.verdict)}</td><td>{_text(found.text)}</td>"
        rows.append(f'<tr><th scope="row">{escape(question)}</th>{told}</tr>')
    head = "<tr><th>question</th><th>tested by</th><th>answer</th><th>what it showed</th></tr>"
    body = "\n".join(rows)
    return f'<table class="confounds">\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n'


def _numbers(outcomes: Outcomes) -> str:
    said = (
        "Means over seeds with 95 % intervals of Student's t. The drop is against the control with the same clock and "
    )
    said += (
        "settings, paired by seed. RSV and synergy are means over the live units of each seed first; dead units are "
    )
    said += "masked, and counted as a mean per run."
    box = '<div class="scroll" role="region" aria-label="Table of the numbers" tabindex="0">'
    return f"{_lead(said)}{box}\n{table(outcomes)}\n</div>"


def _again(results: Results, command: str) -> str:
    rows = "\n".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in _flat(results.environment))
    toml = escape(results.study.to_toml())
    said = "The same study on the same kind of machine with the same versions gives the same numbers, bit for bit."
    return (
        f"<pre><code>{escape(command)}</code></pre>\n{_lead(said)}<h3>Made with</h3>\n<dl>\n{rows}\n</dl>\n"
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


def _figures(panels: Sequence[tuple[Panel, str]]) -> str:
    made = []
    for panel, document in panels:
        picture = inline(document, panel.name, escape(panel.caption, quote=True))
        caption = f"<figcaption>{_text(panel.caption)}</figcaption>"
        made.append(f'<figure id="figure-{panel.name}">\n{picture}\n{caption}\n</figure>')
    return '<div class="figures">\n' + "\n".join(made) + "\n</div>\n" if made else ""
