"""The units of a layer, cell by cell: ridgelines over durations and onsets, fusion planes of control and deficit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chiasm.pictures.plane import MOST, fusion_plane
from chiasm.pictures.ridgeline import Ridge, ridgelines
from chiasm.pictures.style import Panel, tail
from chiasm.pictures.words import count
from chiasm.report.outcomes import CellOutcome
from chiasm.report.phrases import capital, clock_words, doing, pair_words, stretch
from chiasm.report.study_outcomes import StudyOutcomes

if TYPE_CHECKING:
    import polars as pl

    from chiasm.study.results import Results, Units

Floats = NDArray[np.float64]

#: Layers that get ridgelines and planes of their own, and ridges in one panel.
LAYERS, RIDGES = 3, 12
#: Letters of a title that a panel has room for.
TITLE = 42


def measured(results: Results, layer: str, run: str) -> Units | None:
    """The arrays that hold a run's units of a layer; a layer whose width an arm varies lies in several."""
    alike = (u for name, u in results.layers.items() if name == layer or name.startswith(f"{layer} ("))
    return next((units for units in alike if (units.run == run).any()), None)


def live_units(results: Results, layer: str, cell: CellOutcome) -> list[tuple[Floats, Floats]]:
    """Return (rsv, synergy) of the live units at the last epoch, (units,) each, one pair a seed that was measured."""
    return list(live_by_seed(results, layer, cell).values())


def live_by_seed(results: Results, layer: str, cell: CellOutcome) -> dict[int, tuple[Floats, Floats]]:
    """Return (rsv, synergy) of the live units at the last epoch, (units,) each, by the seeds that were measured."""
    pairs = {}
    for run in cell.runs:
        units = measured(results, layer, run.name) if run.diverged is None else None
        if units is not None:
            at = units.at(run.name)
            rsv, synergy = (np.asarray(x[at], dtype=np.float64).ravel() for x in (units.rsv, units.synergy))
            live = ~np.asarray(units.dead[at]).ravel() & np.isfinite(rsv) & np.isfinite(synergy)
            pairs[run.seed] = rsv[live], synergy[live]
    return pairs


def ridges(results: Results, outcomes: StudyOutcomes) -> Iterator[Panel]:
    """Ridgelines of the first layers over durations, and of the first one over onsets, under the study's own clock."""
    clock = outcomes.clock
    curves = [(layer, outcomes.durations(clock), "duration") for layer in outcomes.layers[:LAYERS]]
    curves += [(layer, outcomes.onsets(clock), "onset") for layer in outcomes.layers[:1]]
    for i, (layer, cells, kind) in enumerate(curves):
        drawn = [(cell, live_by_seed(results, layer, cell)) for cell in cells]
        drawn = [(cell, pairs) for cell, pairs in drawn if pairs]
        if len(drawn) < 2:
            continue
        kept = np.unique(np.linspace(0, len(drawn) - 1, min(RIDGES, len(drawn))).round().astype(int))
        drawn_ridges = [
            Ridge(
                str((drawn[k][0].duration if kind == "duration" else drawn[k][0].onset) or 0),
                tuple(rsv for rsv, _ in drawn[k][1].values()),
            )
            for k in kept
        ]
        ylabel = "length of the deficit (epochs)" if kind == "duration" else "onset of the deficit (epoch)"
        figure = ridgelines(drawn_ridges, outcomes.sources[:2], title("Units of layer ", layer, f", by {kind}"), ylabel)
        last = drawn[-1][0]
        what = capital(doing(last.timeline))
        what += " for so many epochs" if kind == "duration" else f" for {count(last.duration, 'epoch')} from so many on"
        caption = f"{what} ({clock_words(clock)})."
        caption += _compared(outcomes)
        if len(kept) < len(drawn):
            caption += f" {len(kept)} of {len(drawn)} cells."
        name = f"rsv-ridges-{kind}" + (f"-layer-{i + 1}" if kind == "duration" and i else "")
        column = "length of the deficit" if kind == "duration" else "onset of the deficit"
        places = [(cell.duration if kind == "duration" else cell.onset or 0, pairs) for cell, pairs in drawn]
        yield Panel(name, figure, caption, _data(column, places))


def planes(results: Results, outcomes: StudyOutcomes) -> Iterator[Panel]:
    """The fusion planes of control and longest deficit, for the first layers."""
    longest = outcomes.longest(outcomes.clock)
    control = outcomes.control(longest) if longest else None
    for i, layer in enumerate(outcomes.layers[:LAYERS]):
        for name, cell in (("control", control), ("deficit", longest)):
            pairs = live_by_seed(results, layer, cell) if cell else {}
            if cell is None or not pairs:
                continue
            rsv, synergy = (np.concatenate([pair[k] for pair in pairs.values()]) for k in (0, 1))
            figure = fusion_plane(
                rsv,
                synergy,
                outcomes.sources[:2],
                title(f"{'After the deficit' if name == 'deficit' else 'Control'}, layer ", layer, ""),
            )
            caption = capital(stretch(cell.timeline) if cell.duration else "no deficit")
            caption += f", {count(cell.after, 'clean epoch')} after: "
            caption += f"{count(len(rsv), 'live unit')} of {count(len(pairs), 'seed')}.{_compared(outcomes)}"
            caption += f" {MOST} of them are drawn, evenly picked." if len(rsv) > MOST else ""
            dead = [value for run in cell.runs if (value := run.layers.get(layer, {}).get("dead")) is not None]
            caption += f" Masked as dead: {count(round(sum(dead)), 'unit')}." if dead else ""
            data = _data("length of the deficit", [(cell.duration, pairs)])
            yield Panel(f"plane-{name}" + (f"-layer-{i + 1}" if i else ""), figure, caption, data)


def _data(column: str, places: Sequence[tuple[int, Mapping[int, tuple[Floats, Floats]]]]) -> pl.DataFrame:
    """The live units as a table: a row a unit; units are counted among the live ones of their seed."""
    import polars as pl

    schema = {column: pl.Int64, "seed": pl.Int64, "unit": pl.Int64, "rsv": pl.Float64, "synergy": pl.Float64}
    parts = [
        pl.DataFrame({"unit": np.arange(len(rsv)), "rsv": rsv, "synergy": synergy})
        .select(pl.lit(place).alias(column), pl.lit(seed).alias("seed"), pl.all())
        .cast(schema)  # type: ignore[arg-type]
        for place, pairs in places
        for seed, (rsv, synergy) in pairs.items()
    ]
    return pl.concat([pl.DataFrame(schema=schema), *parts])


def _compared(outcomes: StudyOutcomes) -> str:
    of = pair_words(outcomes.sources)
    return f" RSV{of}; units that neither moves are left out." if of else ""


def title(before: str, layer: str, after: str) -> str:
    """Write a layer's name into a title; where it is long, without the word layer and at last without its beginning."""
    if len(before + layer + after) > TITLE:
        before = before.replace(" of layer ", ", ").replace("layer ", "")
    return before + tail(layer, max(8, TITLE - len(before + after))) + after
