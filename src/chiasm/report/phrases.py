"""Numbers and deficits in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chiasm.deficits import Deficit, Noise
from chiasm.intervals import Estimate
from chiasm.pictures.words import count, number
from chiasm.timeline import Timeline

#: What a deficit does, to stand before the source it touches.
DOING = {
    "blur": "blurring",
    "noise": "adding noise to",
    "silence": "silencing",
    "occlude": "occluding",
    "swap": "swapping",
    "lag": "delaying",
    "freeze": "freezing the pathway of",
}
DOING_ALL = {"dissociate": "dissociating the sources", "shuffle_labels": "shuffling the labels"}
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
    said = [_doing(deficit) for deficit in deficits_of(timeline)]
    return " and ".join(said) or "nothing"


def _doing(deficit: Deficit) -> str:
    if deficit.tag in DOING_ALL:
        bare, words = deficit.tag, DOING_ALL[deficit.tag]
    else:
        bare = f"{deficit.tag}({deficit.touches[0]})" if deficit.touches else deficit.tag
        verb = DOING.get(deficit.tag, deficit.tag)
        if isinstance(deficit, Noise) and deficit.mode == "replace":
            verb = "putting noise in place of"
        words = f"{verb} {' and '.join(deficit.touches)}".strip()
    return words if str(deficit) == bare else f"{words} [{deficit}]"


def stretch(timeline: Timeline) -> str:
    """A deficit with its length and onset: "silencing right for the first 80 epochs"."""
    lasted = count(timeline.duration, "epoch")
    first = "first epoch" if timeline.duration == 1 else f"first {lasted}"
    when = f"for {lasted} from epoch {timeline.onset}" if timeline.onset else f"for the {first}"
    return f"{doing(timeline)} {when}"


def capital(text: str) -> str:
    """The text with its first letter large."""
    return text[:1].upper() + text[1:]


def points(value: float) -> str:
    """Percentage points with their unit: one decimal below ten."""
    digits = 1 if abs(value) < 9.95 else 0
    text = number(value, digits)
    return f"{text} point" if text in ("1.0", "−1.0") else f"{text} points"


def points_between(made: Estimate, unit: bool = True) -> str:
    """Points with their interval: "61 points [58, 64]"; the bare mean where there is no interval."""
    narrow = made.low is not None and made.high is not None and made.high - made.low < 2
    digits = 1 if abs(made.mean) < 9.95 or narrow else 0
    bare = number(made.mean, digits)
    text = f"{bare} {'point' if bare in ('1.0', '−1.0') else 'points'}" if unit else bare
    if made.low is None or made.high is None:
        return text
    return f"{text} [{number(made.low, digits)}, {number(made.high, digits)}]"


def clock_words(clock: str) -> str:
    """What a clock means for the learning rate."""
    return CLOCK_WORDS.get(clock, f"clock {clock}")


def pair_words(sources: Sequence[str]) -> str:
    """Which two of three sources or more an RSV compares, " of left and right"; nothing where there are no others."""
    return f" of {sources[0]} and {sources[1]}" if len(sources) > 2 else ""


def setting_words(settings: Iterable[tuple[str, str]]) -> str:
    """Settings as words: "depth = 2, width = 64"."""
    return ", ".join(f"{key.split('.', 1)[-1]} = {value}" for key, value in sorted(settings))
