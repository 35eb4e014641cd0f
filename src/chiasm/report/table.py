"""The table of the numbers: one row a cell."""

from __future__ import annotations

from html import escape

from chiasm.report.intervals import Estimate, percents
from chiasm.report.outcomes import Outcome, Outcomes
from chiasm.report.wording import number, number_between

ABSENT = '<td class="none">–</td>'


def table(outcomes: Outcomes) -> str:
    """Return the table as HTML: final accuracy, drop against the paired control, RSV, synergy and dead units."""
    layers = outcomes.layers[:3]
    first = escape(outcomes.sources[0]) if outcomes.sources else "first source"
    heads = [
        "cell",
        "clock",
        "onset<br>epoch",
        "deficit<br>epochs",
        "clean<br>after",
        "seeds",
        "accuracy, %",
        "drop, points",
    ]
    for layer in layers:
        name = escape(layer)
        heads += [f"mean RSV, {name}<br>+1: {first} only", f"synergy, {name}<br>% of variance", f"dead units, {name}"]
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    bodies = []
    for arm in dict.fromkeys(cell.arm for cell in outcomes):
        title = f"{arm}: {outcomes.titles[arm]}" if arm in outcomes.titles else arm
        rows = [f'<tr class="arm"><th colspan="{len(heads)}" scope="rowgroup"><span>{escape(title)}</span></th></tr>']
        rows += [_row(cell, outcomes, layers) for cell in outcomes if cell.arm == arm]
        bodies.append("<tbody>\n" + "\n".join(rows) + "\n</tbody>")
    return f"<table>\n<thead><tr>{head}</tr></thead>\n" + "\n".join(bodies) + "\n</table>"


def _row(cell: Outcome, outcomes: Outcomes, layers: tuple[str, ...]) -> str:
    accuracy, tested = outcomes.tested(cell)
    note = f' <span class="note">tested with {escape(tested)} alone</span>' if tested else ""
    title = escape(f"{cell.label}: {cell.timeline}", quote=True)
    parts = [f'<th scope="row" title="{title}">{escape(outcomes.short(cell) or cell.arm)}{note}</th>']
    parts.append(f"<td>{escape(cell.clock)}</td>")
    parts.append(ABSENT if cell.onset is None else f"<td>{cell.onset}</td>")
    parts.append(f"<td>{cell.duration}</td><td>{cell.after}</td>")
    bad = f' <span class="bad">{len(cell.diverged)} diverged</span>' if cell.diverged else ""
    parts.append(f"<td>{len(cell.accuracy())}{bad}</td>")
    parts.append(_number(percents(accuracy), 1))
    parts.append(ABSENT if tested else _number(outcomes.cost(cell), 1))
    for layer in layers:
        parts.append(_number(cell.mean_layer(layer, "rsv_mean", (-1, 1)), 2, sign=True))
        parts.append(_number(percents(cell.mean_layer(layer, "synergy_mean", (0, 1))), 0))
        parts.append(_dead(cell, layer))
    return f"<tr>{''.join(parts)}</tr>"


def _number(made: Estimate | None, digits: int, sign: bool = False) -> str:
    if made is None:
        return ABSENT
    text = number_between(made, digits, sign)
    mean, bracket, interval = text.partition(" [")
    return f"<td>{mean}" + (f' <span class="interval">[{interval}</span></td>' if bracket else "</td>")


def _dead(cell: Outcome, layer: str) -> str:
    dead, units = (list(cell.layer(layer, name).values()) for name in ("dead", "units"))
    if not dead:
        return ABSENT
    of = f" of {number(units[0], 0)}" if units else ""
    return f"<td>{number(sum(dead) / len(dead), 1)}{of}</td>"
