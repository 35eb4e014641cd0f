"""The section of a study's report that holds its numbers against published ones, as data for its template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chiasm.pictures.page import Figure
from chiasm.pictures.table import PageTable
from chiasm.report.published.pairing import Pairing, rsv_layer
from chiasm.report.published.quantity import accuracy, bits, rsv
from chiasm.report.published.reading import general, notes, protocol, sentences
from chiasm.report.published.sets import ACCURACY, published_sets
from chiasm.report.published.table import published_table
from chiasm.report.study_outcomes import StudyOutcomes

if TYPE_CHECKING:
    from chiasm.study.results import Results

LEAD = (
    "Published numbers beside this study's, point by point. Intervals are 95 % of Student's t, ours over seeds and "
    "paired with the control; a published number outside of one differs by more than our seeds do."
)
OTHER = "The published curves are of accuracy; this study measures {outcome}, so the two cannot be compared."
NONE = "No run with a deficit of an arm that names published numbers is here."


@dataclass(frozen=True)
class BesidePaper:
    """One curve beside the paper.

    Attributes:
        title: the arm, its clock and settings.
        lead: what was published; "" for an arm's later curves, whose numbers are folded away.
        sentences: what the comparison says.
        figures: of this curve.
        table: point by point.
        notes: how lengths are matched, and what differs.
    """

    title: str
    lead: str
    sentences: Sequence[str]
    figures: Sequence[Figure]
    table: PageTable
    notes: Sequence[str]


@dataclass(frozen=True)
class PublishedSection:
    """The section: its introduction, its curves, and what differs in all of them."""

    lead: str
    curves: Sequence[BesidePaper] = ()
    general: Sequence[str] = ()


def published_section(
    results: Results, outcomes: StudyOutcomes, pairs: Sequence[Pairing], drawn: Sequence[Figure]
) -> PublishedSection | None:
    """Return the section; None for a study without published numbers beside an arm.

    Args:
        results: the study's results.
        outcomes: its outcomes.
        pairs: what `pairings` returned.
        drawn: the figures of `panels`, whose names begin with the key of their pairing.
    """
    if not published_sets(results.study):
        return None
    if outcomes.outcome.quantity != ACCURACY.quantity:
        return PublishedSection(OTHER.format(outcome=outcomes.outcome.quantity.label))
    if not pairs:
        return PublishedSection(f"{LEAD} {NONE}")
    curves = []
    for i, pair in enumerate(pairs):
        first = pair.arm not in {other.arm for other in pairs[:i]}
        layer = rsv_layer(outcomes)
        units = rsv(pair, outcomes, layer) if layer is not None else []
        numbers = [accuracy(pair, outcomes), *units, *bits(pair, outcomes)]
        curves.append(
            BesidePaper(
                pair.title,
                f"Beside {pair.published.source}. {pair.published.what}." if first else "",
                sentences(pair, outcomes) if first else [*sentences(pair, outcomes), *protocol(pair)],
                [figure for figure in drawn if figure.name.startswith(f"{pair.key}-")],
                published_table(f"Beside the paper: {pair.title}", numbers),
                notes(pair, outcomes) if first else (),
            )
        )
    return PublishedSection(LEAD, curves, general(pairs, results, outcomes))
