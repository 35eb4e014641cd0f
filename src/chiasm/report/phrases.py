"""Outcomes and deficits in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chiasm.deficits import Deficit
from chiasm.intervals import Estimate
from chiasm.objectives import Outcome
from chiasm.pictures.words import count, number, number_between
from chiasm.timeline import Timeline

CLOCK_WORDS = {
    "absolute": "learning rate by absolute epochs",
    "since_release": "learning rate restarted at release",
    "constant": "constant learning rate",
}


def deficits_of(timeline: Timeline) -> tuple[Deficit, ...]:
    """The deficits of the first phase that has any."""
    return next((deficits for _, _, deficits in timeline.spans() if deficits), ())


def touched(timeline: Timeline) -> tuple[str, ...]:
    """The sources that any deficit of a timeline names, in order."""
    return tuple(dict.fromkeys(s for _, _, deficits in timeline.spans() for d in deficits for s in d.touches))


def healthy(timeline: Timeline, sources: Sequence[str]) -> tuple[str, ...]:
    """The sources that no deficit names; none of them where a deficit touches all, as dissociation does."""
    named = touched(timeline)
    return tuple(source for source in sources if source not in named) if named else ()


def doing(timeline: Timeline) -> str:
    """What is done to the sources, in words: "silencing right", "blurring right [blur(right, 4)]"."""
    return " and ".join(deficit.phrase for deficit in deficits_of(timeline)) or "nothing"


def stretch(timeline: Timeline) -> str:
    """A deficit with its length and onset: "silencing right for the first 80 epochs"."""
    lasted = count(timeline.duration, "epoch")
    first = "first epoch" if timeline.duration == 1 else f"first {lasted}"
    when = f"for {lasted} from epoch {timeline.onset}" if timeline.onset else f"for the {first}"
    return f"{doing(timeline)} {when}"


def capital(text: str) -> str:
    """The text with its first letter large."""
    return text[:1].upper() + text[1:]


def level(score: float, outcome: Outcome, fine: bool = False) -> str:
    """A score in the unit that is shown: "93 %", "0.031".

    Args:
        score: as `StudyOutcomes.mean_score` gives it.
        outcome: what is scored.
        fine: a percentage with the outcome's decimals rather than none.
    """
    unit = outcome.quantity.unit
    text = number(score, 0 if unit == "%" and not fine else outcome.quantity.digits)
    return f"{text} {unit}" if unit else text


def level_between(score: Estimate, outcome: Outcome) -> str:
    """A score with its interval: "25 % [24 %, 26 %]"."""
    text = level(score.mean, outcome)
    if score.low is None or score.high is None:
        return text
    return f"{text} [{level(score.low, outcome)}, {level(score.high, outcome)}]"


def amount(change: float, outcome: Outcome, unit: bool = True) -> str:
    """A difference between scores, one decimal less from ten on: "61 points", "2.5 points", "0.031"."""
    return _amount(change, outcome, is_small(change, outcome), unit)


def amount_between(change: Estimate, outcome: Outcome, unit: bool = True) -> str:
    """A difference between scores with its interval: "61 points [58, 64]"; the bare mean where there is no interval."""
    # An interval as narrow as twenty steps of the last decimal is worth that decimal.
    narrow = change.low is not None and change.high is not None and change.high - change.low < 20 * _step(outcome)
    small = is_small(change.mean, outcome) or narrow
    text = _amount(change.mean, outcome, small, unit)
    if change.low is None or change.high is None:
        return text
    return f"{text} [{_amount(change.low, outcome, small, False)}, {_amount(change.high, outcome, small, False)}]"


def margin(outcome: Outcome, times: float = 1.0) -> str:
    """What counts as a difference, or so many times that, with its unit: "2 points"."""
    word = outcome.difference or outcome.quantity.unit
    return f"{times * outcome.margin:.4g} {word}".rstrip()


def signed_between(change: Estimate, outcome: Outcome) -> str:
    """A difference between scores with its sign: "+2.5 [+1.0, +4.0] points"."""
    digits = outcome.quantity.digits if is_small(change.mean, outcome) else max(0, outcome.quantity.digits - 1)
    return f"{number_between(change, digits, True)} {outcome.difference or outcome.quantity.unit}".rstrip()


def improves(outcome: Outcome) -> str:
    """What a gain does: it "raises accuracy", and "lowers mean squared error"."""
    return f"{'raises' if outcome.higher_is_better else 'lowers'} {outcome.quantity.label}"


def falls(outcome: Outcome) -> str:
    """What an outcome does where it gets worse: accuracy "falls", an error "rises"."""
    return "falls" if outcome.higher_is_better else "rises"


def worsens(outcome: Outcome) -> str:
    """That there is a cost: "costs accuracy", "raises mean squared error"."""
    return f"{'costs' if outcome.higher_is_better else 'raises'} {outcome.quantity.label}"


def with_article(label: str) -> str:
    """A label with its article: "an accuracy"."""
    return f"{'an' if label[:1] in 'aeiou' else 'a'} {label}"


def plural(label: str) -> str:
    """Several of a label: "accuracies", "mean squared errors"."""
    return f"{label[:-1]}ies" if label.endswith("y") and label[-2:-1] not in "aeiou" else f"{label}s"


def is_small(change: float, outcome: Outcome) -> bool:
    """Whether a difference is printed with all its decimals: one that rounds to less than ten."""
    return abs(change) < 10 - _step(outcome) / 2


def _step(outcome: Outcome) -> float:
    return 10.0**-outcome.quantity.digits


def _amount(change: float, outcome: Outcome, small: bool, unit: bool) -> str:
    digits = outcome.quantity.digits
    text = number(change, digits if small else max(0, digits - 1))
    word = outcome.difference or outcome.quantity.unit if unit else ""
    if text.lstrip("−").rstrip("0") == "1.":
        word = word.removesuffix("s")
    return f"{text} {word}".rstrip()


def clock_words(clock: str) -> str:
    """What a clock means for the learning rate."""
    return CLOCK_WORDS.get(clock, f"clock {clock}")


def pair_words(sources: Sequence[str]) -> str:
    """Which two of three sources or more an RSV compares, " of left and right"; nothing where there are no others."""
    return f" of {sources[0]} and {sources[1]}" if len(sources) > 2 else ""


def setting_words(settings: Iterable[tuple[str, str]]) -> str:
    """Settings as words: "depth = 2, width = 64"."""
    return ", ".join(f"{key.split('.', 1)[-1]} = {value}" for key, value in sorted(settings))
