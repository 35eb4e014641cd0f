"""Studies of a fixed budget, and of remedies: what is held against what."""

from __future__ import annotations

import pytest

from chiasm.objectives import Classify
from chiasm.report.onsets import window
from chiasm.report.outcomes import CellOutcome, RunOutcome
from chiasm.report.questions.remedy import RemedyQuestion
from chiasm.report.study_outcomes import StudyOutcomes
from chiasm.timeline import Timeline


def cell(arm: str, role: str, timeline: str, scores: list[float], **values: object) -> CellOutcome:
    line = Timeline.parse(timeline)
    runs = tuple(RunOutcome(f"{arm}#{i}", i, score, {}, {}, None, None) for i, score in enumerate(scores))
    label = ", ".join(f"{key}={value}" for key, value in values.items())
    return CellOutcome(arm, role, label, values, line, "absolute", "", runs)


def study(*cells: CellOutcome) -> StudyOutcomes:
    return StudyOutcomes(cells, ("left", "right"), (), ("absolute",), Classify().outcome(0.25))


def budget(labels: str = "") -> list[CellOutcome]:
    at = f" @{labels}" if labels else ""
    return [
        cell("duration", "duration", f"clean 40{at} | clean 10 @tune", [0.9, 0.91, 0.92], d=0),
        cell("duration", "duration", f"silence(right) 20{at} | clean 20{at} | clean 10 @tune", [0.4, 0.42, 0.43], d=20),
        *(
            cell(
                "onset",
                "onset",
                f"clean {t}{at} | silence(right) 20{at} | clean {20 - t}{at} | clean 10 @tune",
                [0.4 + t / 50, 0.42 + t / 50, 0.43 + t / 50],
                t=t,
            )
            for t in (0, 10, 20)
        ),
    ]


def test_onsets_of_a_fixed_budget_lie_on_one_curve_and_are_held_against_runs_as_long() -> None:
    outcomes = study(*budget())
    assert [c.onset for c in outcomes.onsets("absolute")] == [0, 10, 20]
    for one in outcomes.onsets("absolute"):
        control = outcomes.control(one)
        assert control is not None
        assert (control.duration, control.timeline.epochs) == (0, 50)
    evidence = window(outcomes, "absolute")
    assert evidence is not None
    differences = [condition.difference for condition in evidence.conditions]
    assert [d.mean for d in differences if d is not None] == pytest.approx([40, 49.333, 40], abs=1e-3)


def test_a_run_that_trained_for_something_else_is_no_control() -> None:
    """Ten labelled epochs alone are as many clean epochs as follow the latest deficit, and of no use beside it."""
    scratch = cell("scratch", "other", "clean 10 @tune", [0.99, 0.98, 0.97])
    outcomes = study(scratch, *budget("masked"))
    latest = outcomes.onsets("absolute")[-1]
    assert latest.after == 10
    control = outcomes.control(latest)
    assert control is not None
    assert control.arm == "duration"
    assert outcomes.control(scratch) is scratch


def test_equal_clean_phases_are_held_against_as_many_clean_epochs() -> None:
    """Where both are there, a study without a fixed budget goes by the clean epochs after release."""
    outcomes = study(
        cell("duration", "duration", "clean 20", [0.9, 0.9], d=0),
        cell("duration", "duration", "silence(right) 10 | clean 20", [0.5, 0.5], d=10),
        cell("total", "total", "clean 30", [0.95, 0.95]),
    )
    hurt = outcomes.durations("absolute")[-1]
    control, longer = outcomes.control(hurt), outcomes.as_long(hurt)
    assert control is not None
    assert longer is not None
    assert (control.timeline.epochs, longer.timeline.epochs) == (20, 30)


def test_a_remedy_is_held_against_the_equal_deficit_without_it() -> None:
    settings = {"objective.weight": 1}
    outcomes = study(
        cell("duration", "duration", "clean 20", [0.9, 0.92, 0.91], d=0),
        cell("duration", "duration", "silence(right) 10 | clean 20", [0.5, 0.52, 0.51], d=10),
        cell("cure", "remedy", "clean 20", [0.85, 0.87, 0.86], d=0, **settings),
        cell("cure", "remedy", "silence(right) 10 | clean 20", [0.8, 0.82, 0.81], d=10, **settings),
        cell("cure", "remedy", "silence(right) 5 | clean 20", [0.1, 0.2, 0.1], d=5, **settings),
    )
    (evidence,) = RemedyQuestion().collect(outcomes) or []
    (condition,) = evidence.conditions
    assert condition.difference is not None
    assert condition.difference.mean == pytest.approx(30)
    assert evidence.facts["lost"].startswith("40")
    assert evidence.facts["left"].startswith("10")
    assert "5.0" in evidence.facts["clean"]
