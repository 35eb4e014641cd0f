"""The reading says what the numbers say: every verdict from results made to deserve it, and from no others."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chiasm.intervals import estimate
from chiasm.objectives import Classify
from chiasm.registry import tag_of
from chiasm.report.finding import UNTESTED, Finding, allows, judge
from chiasm.report.questions import questions
from chiasm.report.read_results import read_results
from chiasm.report.reading import reading
from chiasm.study.results import SCHEMA, Results
from chiasm.study.spec import Study
from chiasm.tasks import write_arrays
from tests.report_fakes import ARMS, Told, early_window, flat, make, still, turning, wiggle

ACCURACY = Classify().outcome()


def read(results: Results) -> dict[str, Finding]:
    return {finding.about: finding for finding in reading(read_results(results))}


def only_absolute(told: Told, seed: int) -> float:
    """All of the loss belongs to the learning rate's clock."""
    return early_window(told, seed) if told.clock == "absolute" and told.role != "fresh" else flat(told, seed)


def test_an_early_window_is_told_with_its_numbers() -> None:
    found = read(make())
    window = found["window"]
    assert window.verdict == "critical period"
    assert "The same 40 epochs of silencing right cost 49.8 points" in window.text
    assert "from epoch 80" in window.text
    assert "an early window" in window.text
    cost = found["cost"].text
    assert cost.startswith("Silencing right for the first 80 epochs costs 61.0 points [60.0, 61.9] of accuracy")
    assert "(93 % to 32 %), after 60 clean epochs." in cost


def test_what_is_lost_is_held_against_the_control_of_the_same_seed() -> None:
    outcomes = read_results(make(lambda told, seed: 0.5 + 0.1 * seed - (0.3 if told.duration else 0.0)))
    cell = outcomes.longest("absolute")
    assert cell is not None
    lost = outcomes.cost(cell)
    assert lost is not None
    assert lost.values == pytest.approx((30, 30, 30))  # seeds differ by 10 points, their losses do not
    assert (lost.low, lost.high) == pytest.approx((30, 30))


def test_no_effect_is_no_critical_period() -> None:
    found = read(make(flat, still))
    assert found["window"].verdict == "no critical period"
    assert found["window"].text.startswith("No critical period.")
    assert "an early window" not in found["window"].text
    assert found["cost"].verdict == "no cost"
    assert found["units"].verdict == "no shift"
    assert "silent" not in found
    assert found["restart"].verdict == "no loss to explain"


def test_a_difference_below_two_points_is_none_however_sure() -> None:
    found = read(
        make(lambda told, seed: 0.9 + 0.01 * seed - (0.015 if told.duration and told.onset < 20 else 0.0), still)
    )
    assert found["window"].verdict == "no critical period"
    assert "below the smallest effect of 2" in found["window"].text


def test_a_difference_whose_interval_includes_0_is_none_and_says_what_it_allows() -> None:
    def noisy(told: Told, seed: int) -> float:
        return 0.8 + 0.15 * (seed - 1) * (1 if told.onset else -1) - (0.05 if told.duration and not told.onset else 0)

    window = read(make(noisy, still))["window"]
    assert window.verdict == "no critical period"
    assert "an interval that includes 0" in window.text
    assert "cannot be ruled out" in window.text


def test_a_late_cost_is_no_critical_period() -> None:
    window = read(make(lambda told, seed: flat(told, seed) - (0.3 if told.onset >= 20 else 0.0), still))["window"]
    assert window.verdict == "no critical period"
    assert "the late deficit costs more" in window.text


def test_a_deficit_that_never_costs_has_no_window_however_much_longer_training_helps() -> None:
    """A constant rate and a short run: every epoch helps, and a late deficit comes after more."""
    found = read(make(lambda told, seed: 0.4 + 0.001 * (told.onset + told.duration) + 0.002 * seed, still))
    assert found["window"].verdict == "no critical period"
    assert "not even the early deficit costs accuracy" in found["window"].text
    assert "after 180 epochs in total, the early one after 100" in found["window"].text
    assert "there is none" in found["window elsewhere"].text


def test_a_loss_that_only_one_clock_shows_is_said_to_be_the_clocks() -> None:
    found = read(make(only_absolute))
    assert found["window"].verdict == "critical period, but not under every clock"
    assert "With a constant learning rate there is none" in found["window elsewhere"].text
    assert found["restart"].verdict == "explains the loss"
    assert "nothing measurable remains" in found["restart"].text
    assert found["constant"].verdict == "no cost without decay"


def undone(told: Told, seed: int) -> float:
    """A window that a restarted learning rate leaves nothing of."""
    return flat(told, seed) if told.clock == "since_release" else early_window(told, seed)


def test_a_window_that_a_restart_undoes_says_so_at_once() -> None:
    found = read(make(undone, arms=("duration", "onset"), changes={"onset.training": {"clock": "absolute"}}))
    assert found["restart"].verdict == "explains the loss"
    assert found["window"].verdict == "critical period, undone by a restarted learning rate"


def spread_out(more: dict[str, float]) -> Results:
    """Results whose units are spread by 0.2, after the longest deficit by so much more under each clock."""
    made = make(flat, still, arms=("duration",))
    rows = [
        {**row, "value": 0.2 + 0.01 * wiggle(row["run"]) + (more[row["clock"]] if row["duration"] == 80 else 0.0)}
        if row["quantity"] == "rsv_sd"
        else row
        for row in made.frame().iter_rows(named=True)
    ]
    return replace(made, table=pl.DataFrame(rows, schema=SCHEMA))


def test_units_that_part_ways_are_told_with_every_clock() -> None:
    spread = read(spread_out({"absolute": 0.3, "since_release": 0.1, "constant": -0.1}))["spread"]
    assert spread.verdict == "units part ways"
    assert spread.text.startswith("After silencing right for the first 80 epochs, the units of layer fusion part ways:")
    # Each number is within 0.01 of what was made up, a difference within 0.02.
    told = [float(x) for x in re.findall(r"(?:by|by|and) ([+-]?0\.\d+) \[", spread.text.replace("−", "-"))]
    assert told == pytest.approx([0.3, 0.1, -0.1], abs=0.02)
    together = read(spread_out({"absolute": -0.15, "since_release": 0.0, "constant": 0.0}))["spread"]
    assert together.verdict == "units draw together"
    assert "spread" not in read(spread_out({"absolute": 0.05, "since_release": 0.3, "constant": 0.3}))


def test_the_share_that_a_restart_wins_back_is_the_stated_one() -> None:
    found = read(make())
    cells = {cell.clock: cell for cell in read_results(make()) if cell.role == "duration" and cell.duration == 80}
    control = next(c for c in read_results(make()) if c.role == "duration" and not c.duration and c.clock == "absolute")
    means = [np.mean(list(c.scores().values())) for c in (cells["since_release"], cells["absolute"], control)]
    share = 100 * (means[0] - means[1]) / (means[2] - means[1])
    assert f"wins back {share:.0f} % of the loss" in found["restart"].text
    assert found["restart"].verdict == "explains most"


def test_a_window_that_only_the_units_show_is_named_beside_the_verdict() -> None:
    found = read(make(flat, turning))
    assert found["window"].verdict == "no critical period in accuracy, one in the units"
    assert found["units window"].text.startswith("The same 40 epochs of silencing right move the mean RSV of layer")
    assert "by +0.7" in found["units window"].text
    assert "at the start and by +0.1" in found["units window"].text  # make() lets a mean stray by 0.05
    assert "units window" not in read(make(flat, lambda told: 0.7 if told.duration else 0.0))


def test_equal_epochs_in_total_are_held_against_each_other_clock_by_clock() -> None:
    found = read(make(changes={"total.training": {"clock": ["absolute", "constant"]}}))
    # make() trains the longest deficit for 80 + 60 epochs, as long as the first run of the arm "total".
    told = found["total"].text
    assert "Against runs of as many epochs in total, the longest deficit costs 61.0 points [" in told
    assert "(learning rate by absolute epochs) and costs 61.0 points [" in told
    assert "(constant learning rate)" in told
    assert "as many epochs in total, the longest" not in read(make(arms=("duration", "onset")))["total"].text


def test_units_that_turn_while_accuracy_stays_fail_silently() -> None:
    found = read(make(flat, turning))
    assert found["silent"].verdict == "fails silently"
    assert found["silent"].text.startswith(
        "Accuracy does not show it (a drop below 3 points): silencing right for the first 80 epochs"
    )
    assert found["window"].verdict == "no critical period in accuracy, one in the units"
    assert "turn to left, the healthy source" in found["units"].text


def test_units_that_turn_to_the_impaired_source_are_told_so() -> None:
    found = read(make(flat, lambda told: -turning(told)))
    assert "turn to right, the impaired source" in found["units"].text
    assert "lie below −0.5" in found["units"].text


def test_one_seed_cannot_tell() -> None:
    found = read(make(seeds=1))
    for about in ("window", "cost", "units", "restart", "constant", "mirror", "fresh", "longer"):
        assert found[about].verdict == "cannot tell", about
    assert "[" not in found["window"].text + found["cost"].text  # no interval is shown
    assert found["seeds"].verdict == "one seed"
    assert "silent" not in found
    assert "silent" not in read(make(flat, turning, seeds=1))


def test_diverged_runs_are_named_counted_and_in_no_mean() -> None:
    bad = [("duration[d=80, training.clock=absolute]", 1)]
    results = make(diverged=bad, seeds=4)
    found = read(results)
    assert found["diverged"].text.startswith("1 of ")
    assert "duration[d=80, training.clock=absolute] seed 1 at epoch 3" in found["diverged"].text
    cell = read_results(results).longest("absolute")
    assert cell is not None
    assert sorted(cell.scores()) == [0, 2, 3]
    assert sorted(cell.layer("fusion", "rsv_mean")) == [0, 2, 3]
    assert len(cell.diverged) == 1
    assert found["cost"].verdict == "lasting cost"


def test_all_runs_diverged_cannot_tell() -> None:
    every = [
        (f"duration[d=80, training.clock={clock}]", seed) for clock in ("absolute", "constant") for seed in range(3)
    ]
    found = read(make(diverged=every, arms=["duration"]))
    assert found["cost"].verdict == "cannot tell"
    assert "6 of" in found["diverged"].text


@pytest.mark.parametrize("arm", [name for name in ARMS if name not in ("noise", "apart", "wide")])
def test_a_missing_arm_is_said_to_be_missing(arm: str) -> None:
    found = read(make(arms=[name for name in ARMS if name != arm]))
    about = {"onset": "window", "duration": "restart"}.get(arm, arm)
    assert found[about].verdict == UNTESTED
    assert "ot tested here" in found[about].text


def test_an_arm_without_a_control_is_not_called_untested() -> None:
    found = read(make(arms=["mirror"]))
    assert found["mirror"].verdict == "cannot tell"
    assert "there is no control" in found["mirror"].text


def test_every_arm_alone_is_read_without_a_mistake() -> None:
    for arm in ARMS:
        found = read(make(arms=[arm], seeds=2))
        assert set(found) >= {tag_of(question) for question in questions("confounds")}
        assert all(finding.text.endswith(".") for finding in found.values())


def test_a_mirror_that_disagrees_is_told() -> None:
    def one_sided(told: Told, seed: int) -> float:
        return flat(told, seed) if told.mirrored else early_window(told, seed)

    assert read(make(one_sided))["mirror"].verdict == "mirror differs"
    assert read(make())["mirror"].verdict in ("mirror agrees", "agrees in kind")

    def unturned(told: Told) -> float:
        return abs(turning(told))

    assert read(make(early_window, unturned))["mirror"].verdict == "mirror differs"


def test_fresh_data_that_do_not_help_are_told() -> None:
    def stubborn(told: Told, seed: int) -> float:
        return early_window(replace(told, role="duration"), seed) if told.role == "fresh" else early_window(told, seed)

    assert read(make(stubborn))["fresh"].verdict == "does not explain it"
    assert read(make())["fresh"].verdict == "explains the loss"


def test_healing_is_told() -> None:
    def healing(told: Told, seed: int) -> float:
        return flat(told, seed) if told.after > 100 else early_window(told, seed)

    found = read(make(healing))["longer"]
    assert found.verdict == "heals"
    assert "After 180 clean epochs" in found.text
    assert read(make())["longer"].verdict == "does not heal"


def test_a_cost_too_small_to_count_is_not_called_unmeasurable() -> None:
    def slight(told: Told, seed: int) -> float:
        return 0.9 - (0.015 if told.duration else 0.0) + 0.001 * (seed % 2) * bool(told.duration)

    found = read(make(slight))["cost"]
    assert found.verdict == "no cost"
    assert "has little cost in accuracy: 1.5 points" in found.text
    assert "measurable" not in found.text


def test_epochs_in_total_are_held_against_the_control() -> None:
    assert read(make())["total"].verdict == "does not explain it"
    assert "140 epochs" in read(make())["total"].text

    def late(told: Told, seed: int) -> float:
        return 0.99 if told.role == "total" else early_window(told, seed)

    assert read(make(late))["total"].verdict == "matters"
    assert read(make(arms=["duration"]))["total"].verdict == "not tested here"
    assert read(make(seeds=1))["total"].verdict == "cannot tell"


def test_one_source_above_chance_is_told() -> None:
    assert read(make())["alone"].verdict == "at chance"
    found = read(make(lambda told, seed: 0.6 if told.role == "alone" else early_window(told, seed)))["alone"]
    assert found.verdict == "above chance"
    assert "chance is 25 %" in found.text


def test_clean_phases_that_differ_are_told() -> None:
    changed = make(changes={"onset.timeline": "clean {t} | silence(right) 40 | clean 30"})
    assert read(changed)["after"].verdict == "not equal"
    assert read(make())["after"].verdict == "equal"


def test_two_duration_arms_do_not_mix() -> None:
    results = make(arms=["duration", "mirror"], changes={"mirror.role": "duration"})
    outcomes = read_results(results)
    assert {cell.arm for cell in outcomes.durations("absolute")} == {"duration"}
    assert [curve[0].arm for curve in outcomes.curves("duration", "absolute")] == ["duration", "mirror"]
    assert "silencing left" in read(results)["cost, arm mirror"].text


def test_settings_have_controls_of_their_own() -> None:
    outcomes = read_results(make())
    fresh = next(cell for cell in outcomes if cell.arm == "fresh" and cell.duration)
    control = outcomes.control(fresh)
    assert control is not None
    assert (control.arm, control.duration) == ("fresh", 0)
    wide = next(
        cell for cell in read_results(make(arms=["duration", "wide"], changes={"wide.d": [80]})) if cell.arm == "wide"
    )
    assert read_results(make(arms=["duration", "wide"], changes={"wide.d": [80]})).control(wide) is None


def test_the_words_come_from_the_studys_own_clock() -> None:
    raw = make(arms=["duration", "onset"])
    sections = {**raw.study.sections, "training": {"clock": "constant"}}
    study = Study(name="other", question="", seeds=3, sections=sections, arms=raw.study.arms)
    outcomes = read_results(replace(raw, study=study))
    assert outcomes.clock == "constant"
    assert "(constant learning rate)" in reading(outcomes)[0].text


def test_a_users_own_data_may_be_gone(tmp_path: Path) -> None:
    x = {name: np.random.default_rng(0).standard_normal((40, 3)) for name in ("a", "b", "c")}
    write_arrays({"label": np.arange(40) % 2, **x}, tmp_path / "own.npz")
    raw = {
        "name": "own",
        "seeds": 2,
        "task": {"kind": "arrays", "path": str(tmp_path / "own.npz"), "label": "label"},
        "network": {"kind": "split_mlp"},
        "probe": {"layers": []},
        "arm": [{"name": "duration", "role": "duration", "timeline": "silence(b) {d} | clean 4", "d": [0, 4]}],
    }
    study = Study.from_dict(raw)
    rows = []
    for d in (0, 4):
        for seed in range(2):
            for source in ("all", "a", "b", "c"):
                row = dict.fromkeys(SCHEMA)
                row |= {"arm": "duration", "role": "duration", "run": f"duration[d={d}]#{seed}", "cell": f"d={d}"}
                row |= {"seed": seed, "timeline": f"silence(b) {d} | clean 4", "duration": d, "after": 4}
                row |= {"clock": "absolute", "epoch": d + 4, "final": True, "source": source, "quantity": "accuracy"}
                rows.append(row | {"onset": 0 if d else None, "value": 0.9 - 0.1 * d + 0.01 * wiggle(d, seed)})
    results = Results(study, pl.DataFrame(rows, schema=SCHEMA))
    known = read_results(results)
    assert (known.sources, known.outcome.chance) == (("a", "b", "c"), 0.5)
    (tmp_path / "own.npz").unlink()
    gone = read_results(results)
    assert (gone.sources, gone.outcome.chance) == (("a", "b", "c"), None)
    assert read(results)["cost"].verdict == "lasting cost"


def test_judgements_are_those_of_the_rules() -> None:
    assert judge(None, ACCURACY) == "not tested"
    assert judge(estimate([5.0]), ACCURACY) == "cannot tell"
    assert judge(estimate([5.0, 5.1, 5.2]), ACCURACY) == "cost"
    assert judge(estimate([-5.0, -5.1, -5.2]), ACCURACY) == "gain"
    assert judge(estimate([1.8, 1.9, 1.85]), ACCURACY) == "none"
    wide = estimate([-20.0, 40.0, 10.0])
    assert wide is not None
    assert judge(wide, ACCURACY) == "none"
    assert "with 3 seeds" in allows(wide, ACCURACY)
