"""The table of the numbers: one row a cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from chiasm.intervals import Estimate, percents
from chiasm.objectives import Outcome
from chiasm.pictures.words import number, number_between
from chiasm.report.outcomes import CellOutcome, StudyOutcomes
from chiasm.report.phrases import pair_words

ABSENT = '<td class="none">–</td>'


def table(outcomes: StudyOutcomes) -> str:
    """Return the table as HTML: the final outcome, the loss against the paired control, RSV, synergy, dead units.

    Of three sources or more RSV compares the first two, and the shares of total effects of all stand beside it.
    """
    layers = outcomes.layers[:3]
    first = escape(outcomes.sources[0]) if outcomes.sources else "first source"
    of_two = escape(pair_words(outcomes.sources))
    heads = ["onset<br>epoch", "deficit<br>epochs", "clean<br>after", "seeds", *_outcome_heads(outcomes.outcome)]
    for layer in layers:
        name = escape(layer)
        heads += [f"mean RSV{of_two}, {name}<br>+1: {first} only"]
        heads += [f"share of {escape(source)}, {name}<br>% of total effects" for source in _shared(outcomes)]
        heads += [f"synergy, {name}<br>% of variance", f"dead units, {name}"]
    return by_arm(outcomes, heads, lambda cell: _row(cell, outcomes, layers), lambda cell: outcomes.tested(cell)[1])


def by_arm(
    outcomes: StudyOutcomes,
    heads: Sequence[str],
    row: Callable[[CellOutcome], Sequence[str]],
    tested: Callable[[CellOutcome], str] = lambda _: "",
) -> str:
    """Return a table with a row a cell, under the name of its arm.

    Args:
        outcomes: the cells.
        heads: of the columns after the first two, which name the cell and its clock; HTML.
        row: the entries of those columns; HTML.
        tested: the one source that a row's numbers were tested with; "": all.
    """
    head = "".join(f'<th scope="col">{text}</th>' for text in ("cell", "clock", *heads))
    bodies = []
    for arm in dict.fromkeys(cell.arm for cell in outcomes):
        title = escape(f"{arm}: {outcomes.titles[arm]}" if arm in outcomes.titles else arm)
        rows = [f'<tr class="arm"><th colspan="{len(heads) + 2}" scope="rowgroup"><span>{title}</span></th></tr>']
        for cell in (c for c in outcomes if c.arm == arm):
            lone = tested(cell)
            note = f' <span class="note">tested with {escape(lone)} alone</span>' if lone else ""
            written = escape(f"{cell.label}: {cell.timeline}", quote=True)
            head_cell = f'<th scope="row" title="{written}">{escape(outcomes.short(cell) or cell.arm)}{note}</th>'
            rows.append(f"<tr>{head_cell}<td>{escape(cell.clock)}</td>{''.join(row(cell))}</tr>")
        bodies.append("<tbody>\n" + "\n".join(rows) + "\n</tbody>")
    return f"<table>\n<thead><tr>{head}</tr></thead>\n" + "\n".join(bodies) + "\n</table>"


def entry(estimate: Estimate | None, digits: int, sign: bool = False) -> str:
    """Return an estimate as one entry of a table, its interval set back; a dash where there is none."""
    if estimate is None:
        return ABSENT
    text = number_between(estimate, digits, sign)
    mean, bracket, interval = text.partition(" [")
    return f"<td>{mean}" + (f' <span class="interval">[{interval}</span></td>' if bracket else "</td>")


def _outcome_heads(outcome: Outcome) -> list[str]:
    label, worse = outcome.quantity.label, "drop" if outcome.higher_is_better else "rise"
    named = ((label, outcome.quantity.unit), (worse, outcome.difference or outcome.quantity.unit))
    return [escape(", ".join(filter(None, pair))) for pair in named]


def _shared(outcomes: StudyOutcomes) -> Sequence[str]:
    return outcomes.sources if len(outcomes.sources) > 2 else ()


def _row(cell: CellOutcome, outcomes: StudyOutcomes, layers: tuple[str, ...]) -> list[str]:
    score, tested = outcomes.tested(cell)
    parts = [ABSENT if cell.onset is None else f"<td>{cell.onset}</td>"]
    parts.append(f"<td>{cell.duration}</td><td>{cell.after}</td>")
    bad = f' <span class="bad">{len(cell.diverged)} diverged</span>' if cell.diverged else ""
    parts.append(f"<td>{len(cell.scores())}{bad}</td>")
    parts.append(entry(score, outcomes.outcome.quantity.digits))
    parts.append(ABSENT if tested else entry(outcomes.cost(cell), outcomes.outcome.quantity.digits))
    for layer in layers:
        parts.append(entry(cell.mean_layer(layer, "rsv_mean", (-1, 1)), 2, sign=True))
        for source in _shared(outcomes):
            parts.append(entry(percents(cell.mean_layer(layer, f"share_mean {source}", (0, 1))), 0))
        parts.append(entry(percents(cell.mean_layer(layer, "synergy_mean", (0, 1))), 0))
        parts.append(_dead(cell, layer))
    return parts


def _dead(cell: CellOutcome, layer: str) -> str:
    dead, units = (list(cell.layer(layer, name).values()) for name in ("dead", "units"))
    if not dead:
        return ABSENT
    of = f" of {number(units[0], 0)}" if units else ""
    return f"<td>{number(sum(dead) / len(dead), 1)}{of}</td>"
