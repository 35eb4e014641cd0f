"""Timelines: notation and value undo each other, epochs are counted right, and mistakes are marked in their place."""

from __future__ import annotations

import doctest
import importlib
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chiasm.deficits import (
    DEFICITS,
    Blur,
    Composed,
    Deficit,
    Dissociate,
    Freeze,
    Lag,
    Noise,
    Occlude,
    ShuffleLabels,
    Silence,
    Swap,
)
from chiasm.errors import ChiasmError
from chiasm.timeline import Phase, Timeline, TimelineError

KNOWN = ", ".join(("clean", *DEFICITS))

words = st.sampled_from(["left", "right", "audio", "gyro.x", "eye-2", "_a", "clean", "blur", "größe"]) | st.from_regex(
    r"[^\W\d][\w.-]*", fullmatch=True
)
above_one = st.integers(2, 10**20) | st.floats(1, exclude_min=True, allow_infinity=False)
positive = st.integers(1, 10**20) | st.floats(0, exclude_min=True, allow_infinity=False)
shares = st.just(1) | st.floats(0, 1, exclude_min=True)
dims = st.sampled_from([None, 1, 2])
KINDS: dict[str, st.SearchStrategy[Deficit]] = {
    "blur": st.builds(Blur, words, above_one, dims),
    "noise": st.builds(Noise, words, positive, st.sampled_from(["add", "replace"])),
    "silence": st.builds(Silence, words),
    "occlude": st.builds(Occlude, words, shares, dims),
    "dissociate": st.builds(Dissociate, st.sampled_from(["either", "code", "first"]))
    | st.builds(Dissociate, st.sampled_from(["either", "first"]), st.just("class")),
    "swap": st.lists(words, min_size=2, max_size=2, unique=True).map(lambda ab: Swap(*ab)),
    "lag": st.builds(Lag, words, st.integers(1, 10**6)),
    "shuffle_labels": st.builds(ShuffleLabels, shares),
    "freeze": st.builds(Freeze, words),
}
deficits = st.one_of(*KINDS.values())
phases = st.builds(Phase, st.lists(deficits, max_size=3).map(tuple), st.integers(0, 500))
timelines = st.builds(Timeline, st.lists(phases, min_size=1, max_size=6).map(tuple))

# The notation once more, written by hand: what `str` prints, for numbers that are in their shortest form.
numbers = st.integers(2, 999).map(str) | st.floats(1.01, 1e30).filter(lambda x: x % 1 != 0 or x > 1e16).map(repr)
fractions = st.just("1") | st.floats(1e-9, 0.999).map(repr)
tails = st.sampled_from(["", ", dims=1", ", dims=2"])
one_text = st.one_of(
    st.builds("blur({}, {}{})".format, words, numbers, tails),
    st.builds("noise({}, {}{})".format, words, numbers, st.sampled_from(["", ", mode=replace"])),
    st.builds("silence({})".format, words),
    st.builds("occlude({}, {}{})".format, words, fractions, tails),
    st.sampled_from(["dissociate", "dissociate(labels=code)", "dissociate(labels=first)", "dissociate(within=class)"]),
    st.builds("swap({0}, {0}2)".format, words),
    st.builds("lag({}, {})".format, words, st.integers(1, 99)),
    st.builds("shuffle_labels({})".format, fractions),
    st.builds("freeze({})".format, words),
)
phase_text = st.builds(
    "{} {}".format, st.just("clean") | st.lists(one_text, min_size=1, max_size=3).map(" + ".join), st.integers(0, 500)
)
texts = st.lists(phase_text, min_size=1, max_size=5).map(" | ".join)

SMALL = [Silence("right"), Blur("right", 4)]
short = st.builds(
    Timeline,
    st.lists(
        st.builds(Phase, st.lists(st.sampled_from(SMALL), max_size=2).map(tuple), st.integers(0, 4)),
        min_size=1,
        max_size=7,
    ).map(tuple),
)


# ---------------------------------------------------------------- notation


def test_every_deficit_is_in_the_property() -> None:
    assert set(KINDS) == set(DEFICITS)


@given(timelines)
@settings(deadline=None, max_examples=300)
@example(Timeline((Phase((Noise("a", 1e22),), 0),)))
@example(Timeline((Phase((Noise("a", 5e-324), Blur("a", 1.0000000000000002)), 1),)))
def test_reading_undoes_writing(timeline: Timeline) -> None:
    back = Timeline.parse(str(timeline))
    assert back == timeline
    assert hash(back) == hash(timeline)
    assert str(back) == str(timeline)


@pytest.mark.parametrize("name", list(KINDS))
def test_reading_undoes_writing_for_each_deficit(name: str) -> None:
    @given(KINDS[name])
    @settings(deadline=None, max_examples=30, database=None)
    def check(deficit: Deficit) -> None:
        phase = Phase((deficit,), 1)
        assert Timeline.parse(str(phase), sources=deficit.touches).phases == (phase,)

    check()


@given(texts)
@settings(deadline=None, max_examples=200)
@example("clean 20 | silence(right) 40 | clean 60")
@example("blur(right, 4) + noise(left, 0.5) 40 | clean 60")
@example("dissociate 80 | clean 60")
@example("clean 0 | noise(right, 1e+22) 0")
def test_writing_undoes_reading(text: str) -> None:
    assert str(Timeline.parse(text)) == text


@pytest.mark.parametrize(
    ("given_text", "canonical"),
    [
        ("clean 20|silence( right )40", "clean 20 | silence(right) 40"),
        ("  blur(factor=4,source=right)+dissociate()\n 007 |\n\tclean 1 ", "blur(right, 4) + dissociate 7 | clean 1"),
        ("noise(right, 0.50, add) 3", "noise(right, 0.5) 3"),
        ("noise(right, .5, replace) 3", "noise(right, 0.5, mode=replace) 3"),
        ("blur(right, 4.0, dims=2) 3", "blur(right, 4, dims=2) 3"),
        ("blur(right, 4e0, 1) 3", "blur(right, 4, dims=1) 3"),
        ("dissociate(code) 3 | dissociate(either, class) 3", "dissociate(labels=code) 3 | dissociate(within=class) 3"),
    ],
)
def test_other_spellings_are_read_and_written_one_way(given_text: str, canonical: str) -> None:
    assert str(Timeline.parse(given_text)) == canonical


def test_what_is_read_is_what_was_meant() -> None:
    assert Timeline.parse("blur(right, 4) + noise(left, 0.5, mode=replace) 40 | clean 60").phases == (
        Phase((Blur("right", 4), Noise("left", 0.5, "replace")), 40),
        Phase((), 60),
    )
    assert Timeline.parse("dissociate 80").phases == (Phase((Dissociate(),), 80),)


def test_a_sum_in_a_phase_is_its_parts() -> None:
    phase = Phase((Composed((Silence("a"), Freeze("b"))), Silence("c")), 3)
    assert phase.deficits == (Silence("a"), Freeze("b"), Silence("c"))
    assert Phase((Composed(()),), 3) == Phase((), 3)


# ---------------------------------------------------------------- epochs


def each_epoch(timeline: Timeline) -> list[tuple[Deficit, ...]]:
    return [phase.deficits for phase in timeline.phases for _ in range(phase.epochs)]


@given(short)
@settings(deadline=None, max_examples=300)
def test_epochs_are_counted_as_one_by_one(timeline: Timeline) -> None:
    epochs = each_epoch(timeline)
    impaired = [e for e, now in enumerate(epochs) if now]
    assert timeline.epochs == len(epochs)
    assert timeline.onset == (impaired[0] if impaired else None)
    assert timeline.release == (impaired[-1] + 1 if impaired else None)
    assert timeline.duration == len(impaired)
    assert timeline.after == (len(epochs) - impaired[-1] - 1 if impaired else len(epochs))
    assert [timeline.at(e) for e in range(len(epochs))] == epochs


@given(short)
@settings(deadline=None, max_examples=300)
def test_spans_tile_the_timeline_and_differ_from_their_neighbours(timeline: Timeline) -> None:
    spans, epochs = timeline.spans(), each_epoch(timeline)
    assert [now for start, end, now in spans for _ in range(start, end)] == epochs
    assert all(start < end for start, end, _ in spans)
    changes = [e for e in range(1, len(epochs)) if epochs[e] != epochs[e - 1]]
    assert [start for start, _, _ in spans] == ([0, *changes] if epochs else [])
    assert timeline.boundaries == ((*changes, len(epochs)) if epochs else ())


def test_a_timeline_by_hand() -> None:
    line = Timeline.parse(
        "clean 20 | silence(right) 10 | silence(right) 30 | blur(right, 4) 0 | clean 5 | lag(a, 1) 2 | clean 7"
    )
    assert line.epochs == 74
    assert (line.onset, line.release, line.duration, line.after) == (20, 67, 42, 7)
    assert line.boundaries == (20, 60, 65, 67, 74)
    assert line.spans()[1] == (20, 60, (Silence("right"),))
    assert line.at(19) == ()
    assert line.at(20) == line.at(59) == (Silence("right"),)
    assert line.at(60) == ()
    assert len(line.phases) == 7


@pytest.mark.parametrize("epoch", [-1, 120, 10**6])
def test_there_is_no_epoch_outside(epoch: int) -> None:
    line = Timeline.parse("clean 60 | silence(right) 60")
    with pytest.raises(
        ChiasmError, match=f"epoch {epoch} is not in 'clean 60 .*'; expected an epoch from 0 up to, not including, 120"
    ):
        line.at(epoch)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (((), -1), "phase: epochs is -1; expected a whole number, 0 or more"),
        (((), 2.0), "phase: epochs is 2.0; expected a whole number, 0 or more"),
        (((), True), "phase: epochs is True; expected a whole number, 0 or more"),
        (((3,), 1), "phase: deficits is (3,); expected a tuple of deficits, () for clean"),
        ((Silence("a"), 1), "phase: deficits is Silence(source='a'); expected a tuple of deficits, () for clean"),
    ],
)
def test_an_impossible_phase_is_refused(arguments: tuple[Any, Any], sentence: str) -> None:
    with pytest.raises(ChiasmError) as caught:
        Phase(*arguments)
    assert str(caught.value) == sentence


def test_a_timeline_without_phases_is_refused() -> None:
    for phases in ((), [Phase((), 3)], (3,)):
        with pytest.raises(ChiasmError, match="expected a tuple of one or more phases"):
            Timeline(phases)  # type: ignore[arg-type]


# ---------------------------------------------------------------- mistakes


def test_an_error_as_a_whole() -> None:
    with pytest.raises(TimelineError) as caught:
        Timeline.parse("blurr(right, 4) 40 | clean 60", sources=["left", "right"])
    assert str(caught.value) == (
        f"timeline: unknown deficit 'blurr' (did you mean 'blur'?); known: {KNOWN}; sources: left, right\n"
        "  blurr(right, 4) 40 | clean 60\n"
        "  ^^^^^"
    )


# The text with the place that the error must mark between « and », and the sentence it must say.
MISTAKES = [
    ("«»", "the text is empty; expected a phase such as 'clean 20'"),
    ("clean 20 |«»", "expected clean or a deficit, found the end"),
    ("clean 20 |«|» clean 5", "expected clean or a deficit, found '|'"),
    ("silence(left,«,» 3", "expected an argument of silence, found ','"),
    ("«|» clean 20", "expected clean or a deficit, found '|'"),
    ("«40» clean", "expected clean or a deficit, found '40'"),
    ("«{d}» 40", "expected clean or a deficit, found '{d}'"),
    ("clean«»", "expected the epochs of 'clean', a whole number, found the end"),
    ("silence(right) «|» clean 60", "expected the epochs of 'silence(right)', a whole number, found '|'"),
    ("silence(right) «{d}» | clean 60", "expected the epochs of 'silence(right)', a whole number, found '{d}'"),
    ("clean «40x»", "expected the epochs of 'clean', a whole number, found '40x'"),
    ("clean 5 | clean «-5»", "epochs are -5; expected a whole number, 0 or more"),
    ("clean «4.5»", "epochs are 4.5; expected a whole number, 0 or more"),
    ("clean «1e3»", "epochs are 1e3; expected a whole number, 0 or more"),
    ("clean 4 «clean» 5", "expected '|' or the end, found 'clean'"),
    ("clean «+» silence(left) 3", "expected the epochs of 'clean', a whole number, found '+'"),
    ("silence(left) + «clean» 3", "clean stands alone in its phase; expected deficits only"),
    ("silence(left) + «3»", "expected clean or a deficit, found '3'"),
    ("«Clean» 3", "unknown deficit 'Clean' (did you mean 'clean'?)"),
    ("«xyz» 3", "unknown deficit 'xyz'"),
    ("clean 5 | «silence» 4", "silence is without its source; expected silence(source)"),
    ("«silence()» 4", "silence is without its source; expected silence(source)"),
    ("«blur(dims=1)» 4", "blur is without its source and factor; expected blur(source, factor, dims=...)"),
    ("silence(«lft») 4", "unknown source 'lft' (did you mean 'left'?)"),
    ("swap(left, b=«touch») 4", "unknown source 'touch'"),
    ("silence(left, «right») 4", "silence has too many arguments; expected silence(source)"),
    ("noise(right, 1, add, «4») 3", "noise has too many arguments; expected noise(source, sd, mode=...)"),
    ("noise(right, «dose»=1) 3", "unknown argument 'dose' of noise; expected noise(source, sd, mode=...)"),
    ("noise(right, 1, «sd»=2) 3", "noise has its sd twice; expected noise(source, sd, mode=...)"),
    ("noise(right, sd=1, «add») 3", "'add' stands after a named argument; expected noise(source, sd, mode=...)"),
    ("silence(left,«)» 3", "expected an argument of silence, found ')'"),
    ("silence(source=«)» 3", "expected an argument of silence, found ')'"),
    ("silence(left «3»", "expected ',' or ')', found '3'"),
    ("silence(«'left'») 3", "expected an argument of silence, found ''left''"),
    ("blur(right, «1») 40", "blur: factor is 1; expected a number above 1"),
    ("blur(right, «big») 40", "blur: factor is 'big'; expected a number above 1"),
    ("blur(right, «1e999») 40", "blur: factor is inf; expected a number above 1"),
    ("blur(«4», right) 40", "blur: source is 4; expected a source's name (a letter or _, then letters, digits, _ . -)"),
    ("blur(right, 4, dims=«3») 40", "blur: dims is 3; expected 1 or 2"),
    ("noise(right, «-0.5») 40", "noise: sd is -0.5; expected a number above 0"),
    ("noise(right, 1, mode=«loud») 40", "noise: mode is 'loud'; expected add or replace"),
    ("occlude(right, «1.5») 40", "occlude: share is 1.5; expected a number above 0, up to 1"),
    (
        "dissociate(«code», class) 40",
        "dissociate: labels is 'code'; expected either or first",
    ),
    ("swap(left, «left») 40", "swap: b is 'left'; expected a source other than a"),
    ("lag(left, «2.5») 40", "lag: k is 2.5; expected a whole number of frames, 1 or more"),
    ("shuffle_labels(«0») 40", "shuffle_labels: share is 0; expected a number above 0, up to 1"),
    ("clean 1 |\n  clean 2 |\n\tsilence(«lft») 4", "unknown source 'lft' (did you mean 'left'?)"),
]


@pytest.mark.parametrize(("marked", "sentence"), MISTAKES, ids=[marked for marked, _ in MISTAKES])
def test_a_mistake_is_marked_and_told(marked: str, sentence: str) -> None:
    text = marked.replace("«", "").replace("»", "")
    start, length = marked.index("«"), max(1, marked.index("»") - marked.index("«") - 1)
    with pytest.raises(TimelineError) as caught:
        Timeline.parse(text, sources=["left", "right"])
    first, quoted, carets = str(caught.value).split("\n")
    assert first.startswith(f"timeline: {sentence}")
    assert first.endswith(f"; known: {KNOWN}; sources: left, right")
    assert quoted == "  " + re.sub(r"\s", " ", text)
    assert carets == "  " + " " * start + "^" * length


def test_without_sources_any_name_will_do_and_none_are_listed() -> None:
    assert Timeline.parse("silence(whatever) 3").phases[0].deficits == (Silence("whatever"),)
    with pytest.raises(TimelineError) as caught:
        Timeline.parse("clean")
    assert "sources" not in str(caught.value)
    with pytest.raises(TimelineError, match="; sources: none\n"):
        Timeline.parse("silence(left) 3", sources=[])


def test_sources_are_checked_later_too() -> None:
    line = Timeline.parse("clean 5 | dissociate 3 | noise(left, 1) + swap(left, rihgt) 5")
    line.check(["left", "rihgt"])
    with pytest.raises(TimelineError) as caught:
        line.check(["left", "right"])
    assert str(caught.value) == (
        f"timeline: unknown source 'rihgt' (did you mean 'right'?); known: {KNOWN}; sources: left, right\n"
        "  clean 5 | dissociate 3 | noise(left, 1) + swap(left, rihgt) 5\n"
        "                                            ^^^^^^^^^^^^^^^^^"
    )


@given(st.text(alphabet="clean blur(left,4)+|=-.5e{}'\n\t9_é٣", max_size=40) | st.text(max_size=40))
@settings(deadline=None, max_examples=400)
def test_any_text_is_a_timeline_or_a_timeline_error(text: str) -> None:
    try:
        timeline = Timeline.parse(text)
    except TimelineError as error:
        carets = str(error).split("\n")[-1]
        assert re.fullmatch(r"  \s*\^+", carets)
        assert len(carets) <= len(text) + 3
    else:
        assert Timeline.parse(str(timeline)) == timeline


@given(texts, st.data())
@settings(deadline=None, max_examples=200)
def test_a_slip_of_the_finger_is_never_another_kind_of_error(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    slipped = (
        text[:place]
        + data.draw(st.sampled_from(["", "x", "1", ".", "(", ")", ",", "|", "+", "=", "-", " "]))
        + text[place + 1 :]
    )
    quoted = re.sub(r"\s", " ", slipped)
    message = quoted
    try:
        Timeline.parse(slipped, sources=["left", "right"])
    except TimelineError as error:
        message = str(error)
    assert quoted in message


@pytest.mark.parametrize("module", ["notation", "phases"])
def test_the_examples_in_the_docstrings_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"chiasm.timeline.{module}")).failed == 0
