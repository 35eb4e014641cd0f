"""Outcomes and deficits in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chiasm.deficits import Deficit
from chiasm.objectives import Outcome
from chiasm.pictures.words import count, number, number_between, telling
from chiasm.statistics import LEVEL, Estimate
from chiasm.timeline import Timeline

#: Stretches under a deficit that a sentence tells one by one.
SPANS = 3
#: The clocks in a word or three, for tables and legends.
SCHEDULES = {"absolute": "absolute epochs", "since_release": "restarted at release", "constant": "constant"}
CLOCK_WORDS = {
    "absolute": "learning rate by absolute epochs",
    "since_release": "learning rate restarted at release",
    "constant": "constant learning rate",
}


def all_deficits(timeline: Timeline) -> tuple[tuple[Deficit, ...], ...]:
    """The deficits of a timeline's phases in order, each set of them once."""
    return tuple(dict.fromkeys(deficits for _, _, deficits in timeline.spans() if deficits))


def touched(timeline: Timeline) -> tuple[str, ...]:
    """The sources that any deficit of a timeline names, in order."""
    return tuple(dict.fromkeys(s for _, _, deficits in timeline.spans() for d in deficits for s in d.touches))


def healthy(timeline: Timeline, sources: Sequence[str]) -> tuple[str, ...]:
    """The sources that no deficit names; none of them where a deficit touches all, as dissociation does."""
    named = touched(timeline)
    return tuple(source for source in sources if source not in named) if named else ()


def doing(timeline: Timeline) -> str:
    """What is done to the sources, in words: "silencing right, then blurring left [blur(left, 4)]"."""
    return ", then ".join(map(_together, all_deficits(timeline))) or "nothing"


def _together(deficits: Sequence[Deficit]) -> str:
    return " and ".join(deficit.phrase for deficit in deficits)


def stretch(timeline: Timeline) -> str:
    """The deficits of a timeline, each with its length and onset: "silencing right for the first 80 epochs"."""
    spans = [span for span in timeline.spans() if span[2]]
    if len(spans) > SPANS:
        return f"{doing(timeline)} ({len(spans)} stretches, {count(timeline.duration, 'epoch')} in all: “{timeline}”)"
    parts: list[str] = []
    before: Sequence[Deficit] = ()
    for start, end, deficits in spans:
        lasted = count(end - start, "epoch")
        first = "the first epoch" if end == 1 else f"the first {lasted}"
        what = "again" if deficits == before else _together(deficits)
        parts.append(f"{what} for {f'{lasted} from epoch {start}' if start else first}")
        before = deficits
    return ", then ".join(parts) or "no deficit"


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
    return _amount(change, outcome, _digits(outcome, is_small(change, outcome)), unit)


def amount_between(change: Estimate, outcome: Outcome, unit: bool = True, level: float = LEVEL) -> str:
    """A difference between scores with its interval: "61 points [58, 64]"; the bare mean where there is no interval."""
    ends = change.interval(level)
    # An interval as narrow as twenty steps of the last decimal is worth that decimal.
    narrow = ends is not None and ends[1] - ends[0] < 20 * _step(outcome)
    digits = _digits(outcome, is_small(change.mean, outcome) or narrow)
    digits = telling(digits, ends)
    text = _amount(change.mean, outcome, digits, unit)
    if ends is None:
        return text
    return f"{text} [{number(ends[0], digits)}, {number(ends[1], digits)}]"


def counted(margin: float, outcome: Outcome) -> str:
    """The least difference that counts, with its unit: "2 points"."""
    word = outcome.difference or outcome.quantity.unit
    return f"{margin:.4g} {word.removesuffix('s') if margin == 1 else word}".rstrip()


def signed_between(change: Estimate, outcome: Outcome) -> str:
    """A difference between scores with its sign: "+2.5 [+1.0, +4.0] points"."""
    digits = outcome.quantity.digits if is_small(change.mean, outcome) else max(0, outcome.quantity.digits - 1)
    return f"{number_between(change, digits, True)} {outcome.difference or outcome.quantity.unit}".rstrip()


def plural(label: str) -> str:
    """Several of a label: "accuracies", "mean squared errors"."""
    return f"{label[:-1]}ies" if label.endswith("y") and label[-2:-1] not in "aeiou" else f"{label}s"


def is_small(change: float, outcome: Outcome) -> bool:
    """Whether a difference is printed with all its decimals: one that rounds to less than ten."""
    return abs(change) < 10 - _step(outcome) / 2


def _step(outcome: Outcome) -> float:
    return 10.0**-outcome.quantity.digits


def _digits(outcome: Outcome, small: bool) -> int:
    return outcome.quantity.digits if small else max(0, outcome.quantity.digits - 1)


def _amount(change: float, outcome: Outcome, digits: int, unit: bool) -> str:
    text = number(change, digits)
    word = outcome.difference or outcome.quantity.unit if unit else ""
    if text.lstrip("−").rstrip("0") == "1.":
        word = word.removesuffix("s")
    return f"{text} {word}".rstrip()


def clock_words(clock: str) -> str:
    """What a clock means for the learning rate."""
    return CLOCK_WORDS.get(clock, f"clock {clock}")


def with_clock(clock: str) -> str:
    """A clock as a condition: "with the learning rate restarted at release", "with a constant learning rate"."""
    return f"with {'a' if clock == 'constant' else 'the'} {clock_words(clock)}"


def pair_words(sources: Sequence[str]) -> str:
    """Which two of three sources or more an RSV compares, " of left and right"; nothing where there are no others."""
    return f" of {sources[0]} and {sources[1]}" if len(sources) > 2 else ""


def setting_words(settings: Iterable[tuple[str, str]]) -> str:
    """Settings as words: "depth = 2, width = 64"."""
    return ", ".join(f"{key.split('.', 1)[-1]} = {value}" for key, value in sorted(settings))
