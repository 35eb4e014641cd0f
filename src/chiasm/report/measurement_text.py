"""A measured layer in plain words: what its numbers say, and what they cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chiasm.pictures.words import count, listed, number, percent
from chiasm.report.phrases import capital

if TYPE_CHECKING:
    from chiasm.measuring import LayerMeasurement

Floats = NDArray[np.float64]

#: Mean RSV closer to 0 leans nowhere, whatever its interval: total effects of 52.5 to 47.5 %, or more even.
SLIGHT = 0.05
#: A unit beyond this RSV has three quarters of its total effects, or more, from one source.
MOSTLY = 0.5
#: A unit within this RSV (of more than two sources: without a larger share than that), with more synergy than this, is
#: one that RSV or shares cannot tell from a sum.
EVEN, LARGEST, COMBINES = 0.25, 0.6, 0.25
#: Position that explains so much of the spread of RSV is worth a sentence.
FOLLOWS = 0.25
#: How a layer without a name is called; layers that a verdict still names, rather than counts.
OUTPUT, NAMED = "the output", 5
#: A unit closer to an end of RSV has one source to all purposes: less than a thousandth of its total effects is else.
ALONE = 0.998


@dataclass(frozen=True)
class MeasurementText:
    """What is said of one layer.

    Attributes:
        layer: its name as people read it.
        verdict: a few words without the layer's name: "leans to left".
        text: the sentences.
    """

    layer: str
    verdict: str
    text: str


def measurement_text(layer: LayerMeasurement) -> MeasurementText:
    """Read a layer in plain words; the rules are `RULES`."""
    name = layer.name or OUTPUT
    if layer.dead.all():
        return MeasurementText(
            name, "does not vary", f"All {count(len(layer), 'unit')} are dead: they answer alike to all that was shown."
        )
    verdict, sentences = _two(layer) if len(layer.sources) == 2 else _many(layer)
    return MeasurementText(name, verdict, " ".join([*sentences, *_synergy(layer), *_places(layer), *_dead(layer)]))


def headline(texts: Sequence[MeasurementText]) -> str:
    """Return the verdicts of all layers in one sentence, alike ones together.

    >>> leaning = [MeasurementText(name, "leans to left", "") for name in "ac"]
    >>> headline([*leaning, MeasurementText("b", "hears left only", "")])
    'Layers a and c lean to left; layer b hears left only.'
    """
    alike: dict[str, list[str]] = {}
    for a in texts:
        alike.setdefault(a.verdict, []).append(a.layer)
    sentences = []
    for words, names in sorted(alike.items(), key=lambda entry: -len(entry[1])):
        verb, rest = words.split(" ", 1)
        if len(names) > 1:
            verb = {"is": "are", "does": "do"}.get(verb, verb.removesuffix("s"))
        if len(texts) > NAMED:
            who = count(len(names), "layer")
        elif names == [OUTPUT]:
            who = OUTPUT
        else:
            who = f"{'layers' if len(names) > 1 else 'layer'} {listed(names)}"
        sentences.append(f"{who} {verb} {rest}")
    return capital("; ".join(sentences)) + "."


RULES = (
    f"A layer of two sources leans to one where the interval of its mean RSV lies on that side of 0 and the mean at "
    f"least {SLIGHT:g} from it; it listens mostly to it from {MOSTLY:g} on. A layer that leans nowhere is split where "
    f"more than half of its units lie beyond ±{MOSTLY:g}.",
    "A layer of more sources is led by one where the interval of its mean share lies above those of all others.",
    f"A unit is moved mostly by one of two sources beyond an RSV of ±{MOSTLY:g}, three quarters of its total effects; "
    "by one of more from half of them on.",
    f"RSV alone cannot tell a unit from a sum where it lies within ±{EVEN:g} and synergy above {percent(COMBINES)}; "
    f"shares cannot where none is above {percent(LARGEST)}.",
)


def between(value: float, ends: Floats, *, share: bool = False) -> str:
    """Return a number with its interval: "+0.42 [+0.37, +0.47]", or as a share "12 % [10, 14]"."""
    if share:
        text, (low, high) = percent(value), (number(100 * end, 0) for end in ends)
    else:
        text, (low, high) = number(value, 2, sign=True), (number(end, 2, sign=True) for end in ends)
    return f"{text} [{low}, {high}]" if np.isfinite(ends).all() else text


def _two(layer: LayerMeasurement) -> tuple[str, list[str]]:
    first, second = layer.sources
    rsv = layer.rsv()
    live = rsv[np.isfinite(rsv)]
    for source, other, sign in ((first, second, 1), (second, first, -1)):
        if (sign * live > ALONE).all():
            one = "Its one live unit has" if len(live) == 1 else f"All {len(live)} live units have"
            return f"hears {source} only", [f"{one} RSV {number(sign, 0, sign=True)}: {other} moves nothing here."]
    mean, (low, high) = layer.mean_rsv(), layer.interval_if_known("mean_rsv")
    side = first if mean > 0 else second
    sure = bool(np.sign(low) == np.sign(high)) if np.isfinite(low + high) else True
    apart = float((np.abs(live) > MOSTLY).mean())
    if sure and abs(mean) >= MOSTLY:
        verdict = f"listens mostly to {side}"
    elif sure and abs(mean) >= SLIGHT:
        verdict = f"leans to {side}"
    else:
        verdict = f"splits between {first} and {second}" if apart > 0.5 else f"leans to neither {first} nor {second}"
    ends = np.array([low, high])
    sentences = [f"Mean RSV {between(mean, ends)}, where +1 means {first} only and −1 {second} only."]
    if not np.isfinite(ends).all():
        sentences.append("There are too few anchors for an interval: read this as a hint.")
    if len(live) > 1:
        more, less = layer.beyond(MOSTLY), layer.beyond(-MOSTLY)
        sentences.append(
            f"Of {len(live)} live units, {percent(more)} are moved mostly by {first} (RSV above +{MOSTLY:g}), "
            f"{percent(less)} mostly by {second} (below −{MOSTLY:g})."
        )
    return verdict, sentences


def _many(layer: LayerMeasurement) -> tuple[str, list[str]]:
    sources, mean = layer.sources, layer.mean_share()
    low, high = layer.interval_if_known("mean_share")
    order = np.argsort(-mean, kind="stable")
    top, rest = order[0], order[1:]
    share = layer.share()
    share = share[:, np.isfinite(share).all(0)]
    if (share[top] > (1 + ALONE) / 2).all():
        others = "no other source moves anything here"
        return f"hears {sources[top]} only", [f"All of its {count(share.shape[1], 'live unit')} follow it: {others}."]
    leads = low[top] > high[rest].max() if np.isfinite(low).all() else mean[top] > mean[rest].max()
    verdict = f"is led by {sources[top]}" if leads else "is led by no one source"
    words = [f"{sources[k]} {between(mean[k], np.array([low[k], high[k]]), share=True)}" for k in order]
    sentences = [
        f"Mean shares of a unit's total effects: {listed(words)}; an even share would be {percent(1 / len(sources))}."
    ]
    if share.shape[1] > 1:
        mostly = (share > 0.5).mean(1)
        words = [
            f"{percent(mostly[k])} {'have more than half ' if not n else ''}from {sources[k]}"
            for n, k in enumerate(k for k in order if mostly[k] > 0)
        ]
        if words:
            sentences.append(f"Of {share.shape[1]} live units, {listed(words)}.")
        else:
            sentences.append(f"None of {share.shape[1]} live units has more than half of them from one source.")
    return verdict, sentences


def _synergy(layer: LayerMeasurement) -> list[str]:
    two = len(layer.sources) == 2
    ends = layer.interval_if_known("mean_synergy")
    mean, needs = layer.mean_synergy(), "both sources" if two else "several sources"
    if mean < 0.0005:
        return [f"Synergy 0 %: no unit's variance needs {needs}."]
    sentences = [
        f"Synergy {between(mean, ends, share=True)}: the part of a unit's variance, on average, that needs {needs}."
    ]
    if not two and mean >= 0.05:
        pairs = {pair: float(np.nanmean(layer.interaction(*pair))) for pair in layer.pairs()}
        (i, j), most = max(pairs.items(), key=lambda entry: entry[1])
        sentences.append(f"The largest pair is {i} with {j}: {percent(most)} of the variance needs both.")
    synergy = layer.synergy()
    even = np.abs(layer.rsv()) <= EVEN if two else layer.share().max(0) <= LARGEST
    hidden = int((even & (synergy > COMBINES)).sum())
    if hidden:
        one, unit = hidden == 1, count(hidden, "unit")
        what = f"RSV within ±{EVEN:g}" if two else f"no source above {percent(LARGEST)}"
        who = ("RSV alone" if two else "Shares alone") + f" would not tell {'it' if one else 'them'} from a sum."
        sentences.append(f"{unit} {'has' if one else 'have'} {what} and synergy above {percent(COMBINES)}. {who}")
    return sentences


def _places(layer: LayerMeasurement) -> list[str]:
    if len(layer.shape) < 2 or len(layer.sources) != 2:
        return []
    explained = layer.explained_by("position")
    if not explained >= FOLLOWS:
        return []
    return [f"Position alone explains {percent(explained)} of the spread of RSV: see where, before reading what."]


def _dead(layer: LayerMeasurement) -> list[str]:
    dead = int(layer.dead.sum())
    if not dead:
        return []
    are = "is dead: it does" if dead == 1 else "are dead: they do"
    return [f"{dead} of {count(len(layer), 'unit')} {are} not vary and {'is' if dead == 1 else 'are'} left out."]
