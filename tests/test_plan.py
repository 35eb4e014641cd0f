"""The tree of phases: what is shared, what is not, and where every clock stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiasm.study.plan import legs_of, make_plan, stretch
from chiasm.study.spec import Study
from chiasm.timeline import Timeline
from chiasm.training import Training

Make = Callable[..., Study]


def ticks(text: str, **keys: Any) -> list[tuple[int, int, int | None, bool]]:
    legs = legs_of(Timeline.parse(text), Training(**keys), 0)
    return [(leg.start, leg.stop, leg.tick, leg.drop) for leg in legs]


def test_each_clock_ticks_as_it_says() -> None:
    text = "clean 20 | silence(right) 40 | clean 60"
    assert ticks(text) == [(0, 20, 0, False), (20, 60, 20, False), (60, 120, 60, False)]
    assert ticks(text, clock="since_release") == [(0, 20, 0, False), (20, 60, 20, False), (60, 120, 0, False)]
    assert ticks(text, clock="constant") == [(0, 20, None, False), (20, 60, None, False), (60, 120, None, False)]
    assert [leg[3] for leg in ticks(text, momentum_at_switch="drop")] == [False, True, True]


def test_the_duration_sweep_shares_its_deficit_and_its_control(tiny: Make) -> None:
    arm = {"name": "a", "timeline": "silence(right) {d} | clean 4", "d": [0, 2, 4]}
    plan = make_plan(tiny(seeds=1, arm=[arm]))
    assert plan.naive_epochs == 4 + 6 + 8
    assert plan.epochs == 4 + (4 + 4 + 4)  # one trunk of 4 silent epochs, three clean tails


def test_a_restarted_clock_shares_all_that_comes_before_the_release(tiny: Make) -> None:
    arm = {
        "name": "a",
        "timeline": "silence(right) 4 | clean 3",
        "training": {"clock": ["absolute", "since_release", "constant"]},
    }
    plan = make_plan(tiny(seeds=1, arm=[arm]))
    assert plan.naive_epochs == 21
    assert plan.epochs == (4 + 3 + 3) + 7  # a constant rate differs from the first epoch on


def test_what_shapes_training_is_in_the_key_and_what_does_not_is_not(tiny: Make) -> None:
    arm = {"name": "a", "timeline": "clean 2"}

    def key(**changes: Any) -> str:
        run = make_plan(tiny(seeds=1, arm=[arm], **changes)).runs[0]
        return run.path.key(2)

    keys = [
        key(),
        key(training={"lr": 0.04}),
        key(training={"decay": 0.5}),
        key(task={"size": 10}),
        key(network={"width": 9}),
        key(probe={"every": 3}),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == key(question="asked otherwise", name="other")
    # two epochs without a release: the clocks agree, and so do the keys
    assert key() == key(training={"clock": "since_release"})
    assert key() == key(training={"momentum_at_switch": "drop"})


phases = st.lists(
    st.tuples(st.sampled_from(["clean", "silence(right)", "silence(left)"]), st.integers(0, 4)), min_size=1, max_size=4
)


@settings(max_examples=60, deadline=None)
@given(
    timelines=st.lists(phases, min_size=1, max_size=4),
    clock=st.sampled_from(["absolute", "since_release", "constant"]),
    drop=st.sampled_from(["keep", "drop"]),
)
def test_every_epoch_is_trained_once_and_every_run_finds_its_way(
    timelines: list[list[tuple[str, int]]], clock: str, drop: str
) -> None:
    from tests.conftest import TINY

    texts = [" | ".join(f"{name} {epochs}" for name, epochs in timeline) for timeline in timelines]
    arms = [{"name": f"a{i}", "timeline": text} for i, text in enumerate(texts)]
    training = {**TINY["training"], "clock": clock, "momentum_at_switch": drop}
    plan = make_plan(Study.from_dict({**TINY, "seeds": 1, "training": training, "arm": arms}))
    # brute force: an epoch is known by all that led to it, epoch by epoch
    distinct = set()
    for run in plan.runs:
        told: tuple[Any, ...] = ()
        for leg in run.path.legs:
            for epoch in range(leg.start, leg.stop):
                rate = leg.rate(run.cell.settings.training, epoch)
                told = (*told, (str(leg.deficits), rate, leg.drop and epoch == leg.start))
                distinct.add(told)
    assert plan.epochs == len(distinct)
    for run in plan.runs:
        node = plan.nodes[run.path.key(run.cell.timeline.epochs)]
        length = 0
        while node.parent is not None:
            assert node.leg is not None
            length += node.leg.stop - node.leg.start
            assert node.leg == stretch(node.path, node.leg.start, node.leg.stop)
            node = plan.nodes[node.parent]
        assert length == run.cell.timeline.epochs


def test_names_of_runs_are_unique_and_readable(tiny: Make) -> None:
    plan = make_plan(tiny())
    names = [run.name for run in plan.runs]
    assert len(set(names)) == len(names)
    assert "duration[d=2]#1" in names


@pytest.mark.parametrize(("name", "share"), [("stereogram", 0.25), ("digits", 0.25)])
def test_the_shipped_studies_share_a_good_part_of_their_work(name: str, share: float) -> None:
    plan = make_plan(Study.load(name))
    assert 1 - plan.epochs / plan.naive_epochs > share
