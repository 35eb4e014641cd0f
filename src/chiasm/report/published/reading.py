"""What the comparison says in plain sentences, and what keeps the two sides from being equal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chiasm.networks import Custom
from chiasm.pictures.words import count, number, number_between
from chiasm.report.phrases import amount, amount_between, clock_words
from chiasm.report.published.pairing import PLACES, Pairing, rsv_layer
from chiasm.report.published.quantity import Line, PublishedQuantity, accuracy, bits, rsv
from chiasm.report.published.sets import ACCURACY, HOW, PAPER
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.statistics import Estimate
from chiasm.structs import fields_of
from chiasm.study.settings import settings_of

if TYPE_CHECKING:
    from chiasm.study.results import Results


def sentences(pair: Pairing, outcomes: StudyOutcomes) -> list[str]:
    """Say what a pairing shows: the drop at the longest deficit, over all lengths, and the units."""
    texts = [*_drop(pair, accuracy(pair, outcomes))]
    layer = rsv_layer(outcomes)
    if layer is not None and (units := rsv(pair, outcomes, layer)):
        texts += _shift(units, layer)
    if usable := bits(pair, outcomes):
        changes = [
            f"{q.title.removeprefix('usable bits, ')} {_both(q.lines[-1])}"
            for q in usable
            if _on_both_sides(q.lines[-1])
        ]
        if changes:
            texts.append(f"Usable bits after the longest deficit, against none: {'; '.join(changes)}.")
    return texts


def _drop(pair: Pairing, quantity: PublishedQuantity) -> list[str]:
    line = quantity.lines[-1]
    there, here, apart = line.published_change, line.change, line.apart
    lengths = f"{count(line.cell.duration, 'epoch')} here, {number(line.there, 0)} there"
    if here is None or there is None or apart is None:
        why = "no drop was published at its length" if there is None else "no run here has a drop to hold against it"
        return [f"After the longest deficit ({lengths}) nothing can be compared: {why}."]
    first = f"After the longest deficit ({lengths}) the paper {_loses(there)}, this study {_loses(here)}"
    texts = [f"{first}: {_verdict(here)}."]
    if line.inside is None:
        return [*texts, f"The drop here is {_apart(apart)}; one seed gives no interval."]
    where = "inside" if line.inside else "outside"
    texts.append(f"The drop here is {_apart(apart)}; the published one lies {where} our interval.")
    gaps = [(abs(one.apart), one) for one in quantity.lines if one.apart is not None]
    if len(gaps) > 1:
        most, at = max(gaps, key=lambda gap: gap[0])
        judged = [one.inside for _, one in gaps if one.inside is not None]
        mean = math.fsum(gap for gap, _ in gaps) / len(gaps)
        texts.append(
            f"Over {count(len(gaps), 'length')} the drops are {amount(mean, ACCURACY)} apart in the mean and "
            f"{amount(most, ACCURACY)} at "
            f"most (at {count(at.cell.duration, 'epoch')}); the published one lies inside our interval at "
            f"{sum(judged)} of {len(judged)}."
        )
    return texts


def _loses(drop: Estimate) -> str:
    if drop.mean >= 0:
        return f"loses {amount_between(drop, ACCURACY)}"
    return f"gains {amount_between(drop.scaled(-1), ACCURACY)}"


def _verdict(here: Estimate) -> str:
    if here.low is None or here.high is None:
        return "one seed cannot tell whether the effect is here too"
    if here.low > 0:
        return "the effect is here too"
    if here.high < 0:
        return "here it goes the other way"
    return "no effect here that could be told from 0"


def _apart(gap: float) -> str:
    return f"{amount(abs(gap), ACCURACY)} {'larger' if gap >= 0 else 'smaller'} than the published one"


def _shift(units: list[PublishedQuantity], layer: str) -> list[str]:
    mean, spread = (quantity.lines[-1] for quantity in units)
    if not _on_both_sides(mean):
        return []
    text = f"Against no deficit the longest one moves the mean RSV {_both(mean)}"
    if _on_both_sides(spread):
        text += f", and its spread over units {_both(spread)}"
    return [f"{text} (here layer {layer})."]


def _on_both_sides(line: Line) -> bool:
    return line.change is not None and line.published_change is not None


def _both(line: Line) -> str:
    """A change there and here: "by +0.70 in the paper and +0.12 [+0.05, +0.19] here"."""
    if line.change is None or line.published_change is None:
        return ""
    return (
        f"by {number(line.published_change.mean, 2, True)} in the paper and {number_between(line.change, 2, True)} here"
    )


def notes(pair: Pairing, outcomes: StudyOutcomes) -> list[str]:
    """Say how the lengths of a pairing are matched, and in what it differs from the paper's protocol."""
    paper, last = pair.published, pair.longest
    ours = f"here {count(last.duration, 'epoch')} of deficit and {last.after} clean ones after it"
    theirs = f"in the paper {paper.longest} and {paper.clean}"
    if pair.scaled:
        texts = [f"The scales differ ({ours}, {theirs} at the longest): lengths are matched as shares of the longest."]
    else:
        texts = [f"Lengths are matched epoch by epoch ({ours}, {theirs} at the longest)."]
    if any(not line.stands for line in accuracy(pair, outcomes).lines):
        texts.append("≈: between two published lengths, read off the straight line that joins their numbers.")
    if paper.runs:
        texts.append("The published interval is over the runs that were published, ours over seeds.")
    else:
        texts.append("One run was published: how far another seed would lie from it is unknown.")
    if pair.mirrored:
        first = outcomes.sources[0]
        texts.append(
            f"Here {first} is impaired, in the paper right: published RSV and bits stand with sides exchanged."
        )
    return texts + protocol(pair)


def protocol(pair: Pairing) -> list[str]:
    """Say in what a curve's learning rate and momentum differ from the paper's."""
    paper, texts = pair.published, []
    if pair.clock != paper.clock:
        texts.append(f"In the paper: {clock_words(paper.clock)}; here: {clock_words(pair.clock)}.")
    if pair.momentum != "drop":
        texts.append("The paper drops the optimiser's momentum where the deficit ends; here it is kept.")
    return texts


def general(pairs: Sequence[Pairing], results: Results, outcomes: StudyOutcomes) -> list[str]:
    """Say what holds for all pairings of a report: where the numbers come from, the scale, what units are there."""
    settings = settings_of(results.study.sections)
    scale = f"{_scale('task', settings.task)}; {_scale('network', settings.network)}"
    texts = [
        f"Published numbers: {PAPER}; {HOW}.",
        f"Here, where an arm says nothing else: {scale}.",
        "The lengths of one run share the beginning of their training, there as here: they are not independent.",
    ]
    layer = rsv_layer(outcomes)
    if layer is not None and len(outcomes.sources) == 2 and any(pair.published.rsv for pair in pairs):
        texts.append(
            "Published RSV is of one network, in the opposite sign (−1: left only), which is turned here. Each of its "
            "values is a ratio of two variances of 100 samples at one anchor, and all anchors and units lie in one "
            "histogram, which widens it; ours is one ratio a unit, over all anchors."
        )
        if not layer.endswith(PLACES):
            texts.append(
                "Published units are channels at each position before pooling, where the place alone makes much of "
                f"the spread; here the units of layer {layer} are measured without their place."
            )
    return texts


def _scale(what: str, settings: Any) -> str:
    """Settings that are not the defaults: "task halves (train = 200, size = 16)"."""
    if isinstance(settings, Custom):
        return f"{what} {settings.kind}"
    fields = fields_of(type(settings))
    values = {f.name: getattr(settings, f.name) for f in fields if f.name not in getattr(settings, "whereabouts", ())}
    own = [f"{f.name} = {values[f.name]}" for f in fields if f.name in values and values[f.name] != f.default]
    name = f"{what} {settings.__struct_config__.tag}"
    return f"{name} ({', '.join(own)})" if own else f"{name} with its defaults"
