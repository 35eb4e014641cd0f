"""The section of a study's report that holds its numbers against published ones."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from chiasm.pictures.frame import bullets, gallery, lead, scroll
from chiasm.pictures.style import Panel
from chiasm.report.outcomes import StudyOutcomes
from chiasm.report.published.pairing import Pairing, rsv_layer
from chiasm.report.published.quantity import PublishedQuantity, accuracy, bits, rsv
from chiasm.report.published.reading import general, notes, protocol, sentences
from chiasm.report.published.sets import ACCURACY, published_sets
from chiasm.report.published.table import table

if TYPE_CHECKING:
    from chiasm.study.results import Results

TITLE = "Beside the paper"
LEAD = (
    "Published numbers beside this study's, point by point. Intervals are 95 % of Student's t, ours over seeds and "
    "paired with the control; a published number outside of one differs by more than our seeds do."
)


OTHER = "The published curves are of accuracy; this study measures {outcome}, so the two cannot be compared."


def section(
    results: Results, outcomes: StudyOutcomes, pairs: Sequence[Pairing], drawn: Sequence[tuple[Panel, str]]
) -> list[tuple[str, str, str]]:
    """Return the section as (id, title, HTML); none for a study without published numbers beside an arm.

    Args:
        results: the study's results.
        outcomes: its outcomes.
        pairs: what `pairings` returned.
        drawn: the panels of `panels`, each with its SVG document.
    """
    if not published_sets(results.study):
        return []
    if outcomes.outcome.quantity != ACCURACY.quantity:
        return [("published", TITLE, lead(OTHER.format(outcome=outcomes.outcome.quantity.label)))]
    html = lead(LEAD)
    if not pairs:
        return [
            ("published", TITLE, html + lead("No run with a deficit of an arm that names published numbers is here."))
        ]
    met: set[str] = set()
    for pair in pairs:
        mine = [(panel, document) for panel, document in drawn if panel.name.startswith(f"{pair.key}-")]
        html += _pairing(pair, outcomes, mine, first=pair.arm not in met)
        met.add(pair.arm)
    html += f"<h3>What differs in all of them</h3>\n{bullets(general(pairs, results, outcomes))}"
    return [("published", TITLE, html)]


def _pairing(pair: Pairing, outcomes: StudyOutcomes, drawn: Sequence[tuple[Panel, str]], first: bool) -> str:
    """One curve beside the paper; the numbers of those after an arm's first are folded away."""
    paper = pair.published
    html = f"<h3>{escape(pair.title)}</h3>\n"
    numbers = scroll(table(_quantities(pair, outcomes)), f"Beside the paper: {pair.title}")
    if first:
        html += lead(f"Beside {paper.source}. {paper.what}.")
        html += f"{bullets(sentences(pair, outcomes))}\n{gallery(drawn)}"
        return f"{html}<h4>Point by point</h4>\n{numbers}\n{bullets(notes(pair, outcomes))}\n"
    html += f"{bullets([*sentences(pair, outcomes), *protocol(pair)])}\n{gallery(drawn)}"
    return f"{html}<details><summary>Point by point</summary>\n{numbers}</details>\n"


def _quantities(pair: Pairing, outcomes: StudyOutcomes) -> list[PublishedQuantity]:
    layer = rsv_layer(outcomes)
    units = rsv(pair, outcomes, layer) if layer is not None else []
    return [accuracy(pair, outcomes), *units, *bits(pair, outcomes)]
