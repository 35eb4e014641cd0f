"""The figures of a report, section by section."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from chiasm.pictures.style import INK, MARKERS, SOURCES, Panel, shorten, theme
from chiasm.pictures.words import count
from chiasm.report.curves import Level, Series, axis_label, chart, curve_data, outcome_range
from chiasm.report.forest import ForestRow, forest
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import SCHEDULES, capital, clock_words, doing, pair_words, stretch
from chiasm.report.questions import questions
from chiasm.report.study_outcomes import StudyOutcomes, brief_name, curve_name
from chiasm.report.timeline_figure import picture, timeline_data
from chiasm.report.training_curves import training_curves
from chiasm.report.units import TITLE, planes, ridges, title
from chiasm.statistics import Estimate

if TYPE_CHECKING:
    from chiasm.study.results import Results

#: Colours belong to sources; schedules have markers of their own.
CLOCK_LOOKS = {"absolute": (INK, "o"), "since_release": (INK, "^"), "constant": (INK, "s")}
DURATION = "length of the deficit (epochs)"
ONSET = "onset of the deficit (epoch)"
#: Rows of the forest plot; the table has them all.
ROWS = 24


def figures(results: Results, outcomes: StudyOutcomes) -> dict[str, list[Panel]]:
    """Draw every figure that the study has data for.

    Returns:
        The panels by section: "timelines", "outcome", "clocks", "units", "means", "planes", "alone", "confounds".
    """
    with theme():
        ylim = _ylim(outcomes)
        return {
            "timelines": list(_timelines(outcomes)),
            "outcome": [*_accuracy(outcomes, ylim), *training_curves(results, outcomes, main_cells(outcomes), ylim)],
            "clocks": list(_clocks(outcomes, ylim)),
            "units": list(ridges(results, outcomes)),
            "means": list(_rsv(outcomes)),
            "planes": list(planes(results, outcomes)),
            "alone": list(_alone(outcomes)),
            "confounds": list(_confounds(outcomes)),
        }


def main_cells(outcomes: StudyOutcomes) -> list[tuple[str, CellOutcome]]:
    """The cells that stand for the study: control, longest deficit, latest onset; those that there are."""
    longest = outcomes.longest(outcomes.clock)
    onsets = outcomes.onsets(outcomes.clock)
    anchor = longest or (onsets[0] if onsets else None)
    named = [("control", outcomes.control(anchor) if anchor else None), ("longest deficit", longest)]
    if onsets and onsets[-1].onset:
        named.append(("latest onset", onsets[-1]))
    there = [(name, cell) for name, cell in named if cell is not None]
    return there or [("first cell", cell) for cell in outcomes.cells[:1]]


def _scores_of(outcomes: StudyOutcomes) -> Callable[[CellOutcome], Mapping[int, float]]:
    return lambda cell: outcomes.shown(cell.scores())


def _ylim(outcomes: StudyOutcomes, alone: bool = False) -> tuple[float, float]:
    """One range of the outcome for all curves, so that they compare; another one for those of single sources."""
    values: list[float] = []
    for cell in [c for c in outcomes if c.role in ("duration", "onset")]:
        for source in ["", *(outcomes.sources if alone else ())]:
            values += _ends(outcomes.mean_score(cell, source))
    return outcome_range(values, outcomes.chance, outcomes.range)


def _ends(mean: Estimate | None) -> list[float]:
    """Every number of an estimate that a figure shows."""
    return [] if mean is None else [*mean.values, *(end for end in (mean.low, mean.high) if end is not None)]


def _levels(outcomes: StudyOutcomes, control: CellOutcome | None, ylim: tuple[float, float]) -> list[Level]:
    levels = []
    mean = outcomes.mean_score(control) if control else None
    if mean is not None:
        levels.append(Level(("control",), mean))
    chance = outcomes.chance
    if chance is not None and ylim[0] <= chance <= ylim[1]:
        levels.append(Level(("chance",), Estimate(chance), dotted=True))
    return levels


def _seeds(cells: Sequence[CellOutcome]) -> str:
    """How many seeds a figure rests on, and which runs are missing."""
    counts = sorted({len(cell.scores()) for cell in cells})
    if not counts or not counts[-1]:
        sentence = "No run came to its end."
    elif counts[-1] < 2:
        sentence = "One seed: no interval."
    else:
        sentence = f"{counts[0]} to {counts[-1]} seeds." if len(counts) > 1 else f"{counts[0]} seeds."
    bad = sum(len(cell.diverged) for cell in cells)
    return sentence + (f" Crosses: {count(bad, 'diverged run')}, in no mean." if bad else "")


def _cut(limits: tuple[float, float]) -> str:
    return " The axis does not start at 0." if limits[0] > 0 else ""


def _timelines(outcomes: StudyOutcomes) -> Iterator[Panel]:
    for name, cell in main_cells(outcomes):
        figure = picture(cell.timeline, outcomes.sources, title=capital(name))
        caption = stretch(cell.timeline) if cell.duration else "no deficit"
        yield Panel(
            f"timeline-{name.replace(' ', '-')}",
            figure,
            f"{capital(name)}: {caption}; {count(cell.after, 'clean epoch')} after.",
            timeline_data(cell.timeline, outcomes.sources),
        )


def _curve(
    outcomes: StudyOutcomes, cells: Sequence[CellOutcome], of: Callable[[CellOutcome], float], clock: str
) -> Series:
    colour, marker = CLOCK_LOOKS.get(clock, (INK, "o"))
    return Series("", cells, [of(cell) for cell in cells], _scores_of(outcomes), colour, marker)


def _duration_of(cell: CellOutcome) -> float:
    return cell.duration


def _onset_of(cell: CellOutcome) -> float:
    return cell.onset or 0


def _accuracy(outcomes: StudyOutcomes, ylim: tuple[float, float]) -> Iterator[Panel]:
    yield from _pair(outcomes, outcomes.clock, ylim, outcomes.outcome.quantity.name, clock_in_title=False)
    for role, of, xlabel in (("duration", _duration_of, DURATION), ("onset", _onset_of, ONSET)):
        curves = outcomes.curves(role, outcomes.clock)
        for i, cells in enumerate(curves[1:]):
            name, one = capital(brief_name(cells, curves)), _curve(outcomes, cells, of, outcomes.clock)
            levels = _levels(outcomes, outcomes.control(cells[-1]), ylim)
            what = f"{capital(doing(cells[-1].timeline))}, {curve_name(cells)} ({clock_words(outcomes.clock)})"
            called, caption = f"{outcomes.outcome.quantity.name}-{role}-{i + 2}", f"{what}. {_seeds(cells)}{_cut(ylim)}"
            yield _panel(outcomes, called, [one], shorten(name, 40), xlabel, ylim, levels, caption)


def _against(outcomes: StudyOutcomes, what: str) -> str:
    words = f"{capital(outcomes.outcome.quantity.label)} against {what}"
    return words if len(words) <= TITLE else f"Outcome against {what}"


def _panel(
    outcomes: StudyOutcomes,
    name: str,
    series: Sequence[Series],
    title: str,
    xlabel: str,
    ylim: tuple[float, float],
    levels: Sequence[Level],
    caption: str,
) -> Panel:
    """Draw curves of the outcome."""
    ylabel = axis_label(outcomes.outcome)
    figure = chart(series, title, xlabel, ylabel, ylim, outcomes.range, levels)
    return Panel(name, figure, caption, curve_data(series, xlabel, ylabel))


def _pair(
    outcomes: StudyOutcomes, clock: str, ylim: tuple[float, float], stem: str, clock_in_title: bool
) -> Iterator[Panel]:
    """The duration curve and the onset curve under one clock."""
    lengths, onsets = outcomes.durations(clock), outcomes.onsets(clock)
    if any(cell.duration for cell in lengths):
        control = next((cell for cell in lengths if not cell.duration), None) or outcomes.control(lengths[-1])
        levels = _levels(outcomes, control, ylim)
        title = capital(clock_words(clock)) if clock_in_title else _against(outcomes, "length")
        series = [_curve(outcomes, lengths, _duration_of, clock)]
        caption = f"{capital(doing(lengths[-1].timeline))} for so many epochs, {spent(lengths)}"
        caption = f"{caption} ({clock_words(clock)}). {_seeds(lengths)}{_cut(ylim)}"
        yield _panel(outcomes, f"{stem}-duration", series, title, DURATION, ylim, levels, caption)
    if len(onsets) > 1:
        levels = _levels(outcomes, outcomes.control(onsets[-1]), ylim)
        title = capital(clock_words(clock)) if clock_in_title else _against(outcomes, "onset")
        series = [_curve(outcomes, onsets, _onset_of, clock)]
        caption = (
            f"{capital(doing(onsets[-1].timeline))} for {count(onsets[-1].duration, 'epoch')} from so many epochs on, "
        )
        caption += spent(onsets)
        caption = f"{caption} ({clock_words(clock)}). {_seeds(onsets)}{_cut(ylim)}"
        yield _panel(outcomes, f"{stem}-onset", series, title, ONSET, ylim, levels, caption)


def _clocks(outcomes: StudyOutcomes, ylim: tuple[float, float]) -> Iterator[Panel]:
    if len(outcomes.clocks) < 2:
        return
    panels = [panel for clock in outcomes.clocks for panel in _pair(outcomes, clock, ylim, f"clock-{clock}", True)]
    for kind in ("duration", "onset"):  # durations in one row, onsets in the next
        yield from (panel for panel in panels if panel.name.endswith(kind))


def _rsv(outcomes: StudyOutcomes) -> Iterator[Panel]:
    """Mean RSV over durations and onsets: within a seed first, then over seeds."""
    if not outcomes.layers:
        return
    layer, clock = outcomes.layers[0], outcomes.clock
    curves = (
        (outcomes.durations(clock), _duration_of, DURATION, "duration"),
        (outcomes.onsets(clock), _onset_of, ONSET, "onset"),
    )
    for cells, of, xlabel, kind in curves:
        if len(cells) < 2 or not any(cell.layer(layer, "rsv_mean") for cell in cells):
            continue
        one = Series("", cells, [of(cell) for cell in cells], lambda cell: cell.layer(layer, "rsv_mean"), INK, "D")
        zero = Level(("both", "alike"), Estimate(0.0), dotted=True)
        ylabel = f"mean RSV (+1: {outcomes.sources[0] if outcomes.sources else 'first source'} only)"
        of_two = pair_words(outcomes.sources)
        heading = title(f"Mean RSV{of_two}, layer " if of_two else "Mean RSV of layer ", layer, "")
        if len(heading) > TITLE:  # the caption names the two sources as well
            heading = title("Mean RSV of layer ", layer, "")
        figure = chart([one], heading, xlabel, ylabel, (-1.05, 1.05), (-1, 1), [zero])
        caption = f"{capital(clock_words(clock))}. {f'RSV{of_two}. ' if of_two else ''}{_seeds(cells)}"
        yield Panel(f"rsv-{kind}", figure, caption, curve_data([one], xlabel, ylabel))


def _alone(outcomes: StudyOutcomes) -> Iterator[Panel]:
    clock, ylim = outcomes.clock, _ylim(outcomes, alone=True)
    curves = (
        (outcomes.durations(clock), _duration_of, DURATION, "duration"),
        (outcomes.onsets(clock), _onset_of, ONSET, "onset"),
    )
    for cells, of, xlabel, kind in curves:
        if len(cells) < 2 or not any(cell.scores_alone(source) for cell in cells for source in outcomes.sources):
            continue
        x = [of(cell) for cell in cells]
        series = [Series("all sources", cells, x, _scores_of(outcomes), INK, "o")]
        for i, source in enumerate(outcomes.sources):
            colour, marker = SOURCES[i % len(SOURCES)], MARKERS[1 + i % (len(MARKERS) - 1)]
            series.append(Series(f"{source} alone", cells, x, _of_source(outcomes, source), colour, marker))
        levels = _levels(outcomes, None, ylim)
        caption = "Tested with all sources, and with one while the rest is silenced; training is the same."
        title = f"Each source alone, by {kind}"
        yield _panel(outcomes, f"alone-{kind}", series, title, xlabel, ylim, levels, f"{caption} {_seeds(cells)}")


def _of_source(outcomes: StudyOutcomes, source: str) -> Callable[[CellOutcome], Mapping[int, float]]:
    return lambda cell: outcomes.shown(cell.scores_alone(source))


def _confounds(outcomes: StudyOutcomes) -> Iterator[Panel]:
    asked = (question.role for question in questions("confounds") if question.role)
    roles = [role for role in dict.fromkeys([*asked, "other"]) if role not in ("duration", "onset")]
    cells = [cell for role in roles for cell in outcomes.of(role)]
    if not cells:
        return
    rows = [
        ForestRow(_label(cell, outcomes), outcomes.mean_score(cell), _control(outcomes, cell), len(cell.diverged))
        for cell in cells[:ROWS]
    ]
    drawn = [value for row in rows for mean in (row.estimate, row.control) for value in _ends(mean)]
    xlim = outcome_range(drawn, outcomes.chance, outcomes.range)
    left = f" The first {ROWS} of {len(cells)} cells; the table has them all." if len(cells) > ROWS else ""
    caption = "Arms that test confounds, each held against the control with the same settings."
    yield Panel(
        "confounds",
        forest(rows, "Arms beside the main curves", axis_label(outcomes.outcome), xlim, outcomes.chance),
        f"{caption} {_seeds(cells)}{_cut(xlim)}{left}",
        pl.DataFrame(
            [
                (row.label, seed, value)
                for row, cell in zip(rows, cells, strict=False)
                for seed, value in outcomes.shown(cell.scores_alone(cell.lone) if cell.lone else cell.scores()).items()
            ],
            {"cell": pl.String, "seed": pl.Int64, axis_label(outcomes.outcome): pl.Float64},
            orient="row",
        ),
    )


def _control(outcomes: StudyOutcomes, cell: CellOutcome) -> Estimate | None:
    control = outcomes.control(cell)
    if control is None or control is cell or cell.lone:
        return None
    return outcomes.mean_score(control)


def _label(cell: CellOutcome, outcomes: StudyOutcomes) -> str:
    if cell.lone:
        return f"{cell.lone} alone"
    clocks = {c.clock for c in outcomes if c.arm == cell.arm}
    schedule = SCHEDULES.get(cell.clock, cell.clock) if len(clocks) > 1 else ""
    return ", ".join(part for part in (f"{cell.arm} {outcomes.short(cell)}".strip(), schedule) if part)


def first_screen(panels: Mapping[str, Sequence[Panel]]) -> list[str]:
    """Choose the pictures that a page shows first: outcome against duration and onset, units; else what there is.

    Args:
        panels: by section, as `figures` returns them.

    Returns:
        Names of three panels, of fewer where there are no more but pictures of timelines.
    """
    names = {key: [panel.name for panel in drawn] for key, drawn in panels.items() if key != "timelines"}
    outcome, units = names.get("outcome", []), [*names.get("units", []), *names.get("means", [])]
    main = [name for end in ("-duration", "-onset") for name in outcome if name.endswith(end)]
    rest = [name for key in ("outcome", "confounds", "units", "planes", "alone") for name in names.get(key, [])]
    rest += [name for some in names.values() for name in some]
    return list(dict.fromkeys([*main[:2], *units[:1], *rest]))[:3]


def spent(cells: Sequence[CellOutcome]) -> str:
    """What follows the deficits of a curve: "then 60 clean epochs", or "of 48 epochs in total" of a fixed budget."""
    totals = {cell.timeline.epochs for cell in cells}
    if len({cell.after for cell in cells}) > 1 and len(totals) == 1:
        return f"of {count(totals.pop(), 'epoch')} in total"
    return f"then {count(cells[-1].after, 'clean epoch')}"
