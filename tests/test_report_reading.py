"""The reading says what the numbers say: every verdict from results made to deserve it, and from no others."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chiasm.registry import tag_of
from chiasm.report.caveats import caveats
from chiasm.report.finding import Finding
from chiasm.report.phrases import doing, stretch
from chiasm.report.questions import questions
from chiasm.report.read_results import read_results
from chiasm.report.reading import conditions, reading, rule
from chiasm.study.results import SCHEMA, Results
from chiasm.study.spec import Study
from chiasm.tasks import write_arrays
from chiasm.timeline import Timeline
from tests.report_fakes import ARMS, Told, early_window, flat, make, still, turning, wiggle


def read(results: Results) -> dict[str, Finding]:
    return {finding.about: finding for finding in reading(read_results(results))}


def verdicts(results: Results) -> dict[str, str]:
    return {about: finding.verdict for about, finding in read(results).items()}


def settled(of: Callable[[Told], float]) -> Callable[[Told, int], float]:
    """Numbers that seeds hardly move: a twentieth of a point."""
    return lambda told, seed: of(told) + 0.0005 * wiggle(told.arm, told.duration, told.onset, told.clock, seed)


def test_an_early_window_is_present_with_its_numbers() -> None:
    window = read(make())["window"]
    assert window.verdict == "present"
    start = r"There is a critical period: 40 epochs of silencing right cost (49|50)(\.\d)? points \["
    assert re.match(start, window.text)
    assert "from epoch 80" in window.text
    cost = read(make())["cost"]
    assert cost.verdict == "present"
    assert re.match(r"Silencing right for the first 80 epochs costs 6[0-3](\.\d)? points \[", cost.text)
    assert re.search(r"\(9[34] % to 3[123] %, after 60 clean epochs\)", cost.text)


def test_a_window_takes_a_cost_against_a_control_as_well() -> None:
    """Deficits that do nothing, and an outcome that grows with the epochs in total: late runs end higher."""

    def growing(told: Told, seed: int) -> float:
        epochs = told.onset + told.duration + told.after
        return 0.3 + 0.003 * epochs + 0.004 * wiggle(told.arm, told.onset, told.clock, told.duration, seed)

    alone = read(make(growing, still, arms=["onset"], changes={"onset.training": {"clock": "absolute"}}))["window"]
    assert alone.verdict == "not tested"
    assert "a run without any" in alone.text
    assert read(make(growing, still))["window"].verdict == "absent"


def test_equal_damage_at_every_onset_is_no_window_beside_clean_runs_as_long() -> None:
    def damaged(told: Told, seed: int) -> float:
        epochs = told.onset + told.duration + told.after
        lost = 0.1 if told.duration else 0.0
        return 0.5 + 0.002 * epochs - lost + 0.002 * wiggle(told.arm, told.onset, told.clock, told.duration, seed)

    # The control has 60 epochs and the early run 100, so the control is made as good as a run of 100.
    def fair(told: Told, seed: int) -> float:
        return damaged(told, seed) + (0.0 if told.duration or told.after > 60 else 0.08)

    arms = {"total.n": [100, 140, 180]}
    assert read(make(fair, still, changes=arms))["window"].verdict in ("absent", "unsettled")
    assert read(make(changes=arms))["window"].verdict == "present"


def test_a_window_in_between_is_found() -> None:
    found = read(make(settled(lambda told: 0.9 - (0.2 if told.onset == 20 and told.role == "onset" else 0.0)), still))
    assert (found["window"].verdict, found["late"].verdict) == ("absent", "absent")
    assert found["middle"].verdict == "present"
    assert "from epoch 20" in found["middle"].text
    assert "more from epoch 20 than at the start and" in found["middle"].text


def test_a_late_cost_is_its_own_answer() -> None:
    found = read(make(settled(lambda told: 0.9 - (0.3 if told.onset >= 20 else 0.0)), still))
    assert (found["window"].verdict, found["late"].verdict) == ("absent", "present")


def test_a_difference_that_is_clear_and_below_the_margin_is_absent_not_none() -> None:
    found = read(make(settled(lambda told: 0.9 - (0.01 if told.duration and told.onset < 20 else 0.0)), still))
    assert found["cost"].verdict == "absent"
    assert "costs nothing that counts: 1.0" in found["cost"].text
    assert "within 2 points" in found["cost"].text


def test_a_difference_across_the_margin_is_unsettled_however_clearly_above_0() -> None:
    """3.8 points [2.9, 4.7] is no "none", and 1.8 [0.6, 3] neither a cost nor none."""

    def near(told: Told, seed: int) -> float:
        return 0.9 - (0.026 if told.duration else 0.0) + 0.012 * wiggle(told.arm, told.duration, told.onset, seed)

    found = read(make(near, still, seeds=5, arms=["duration"], changes={"duration.training": {"clock": "absolute"}}))
    cost = found["cost"]
    assert cost.verdict == "unsettled"
    assert cost.evidence is not None
    assert cost.evidence.difference is not None
    assert cost.evidence.difference.excludes(0)
    assert re.search(r"About \d+ seeds would settle it", cost.text)


def test_wide_intervals_settle_nothing() -> None:
    """Two seeds far apart: nothing heals, agrees, needs or is none."""

    def wild(told: Told, seed: int) -> float:
        return 0.6 + 0.35 * wiggle(told.arm, told.duration, told.onset, told.clock, told.after, seed)

    found = read(make(wild, still, seeds=2))
    answered = {about for about, finding in found.items() if finding.verdict in ("present", "absent")}
    of_units = {"units", "spread", "units window", "mirror, units", "single"}
    assert {about for about in answered if not about.startswith("silent")} <= of_units
    for finding in found.values():
        if finding.verdict == "unsettled":
            assert not re.search(r"heals|agrees|needs|does not|there is none|nothing that counts|no cost", finding.text)


def test_seeds_that_agree_to_the_last_digit_give_no_interval() -> None:
    found = read(make(lambda told, seed: 0.9 - (0.01 if told.duration else 0.0), still, seeds=2, arms=["duration"]))
    assert found["cost"].verdict == "unsettled"
    assert "[" not in found["cost"].text
    assert "they agree to the last digit" in found["cost"].text


def test_one_seed_settles_nothing_and_says_so() -> None:
    found = read(make(seeds=1))
    for about in ("window", "cost", "units", "restart", "constant", "mirror", "fresh", "longer", "alone"):
        assert found[about].verdict == "unsettled", about
        assert "One seed gives no interval." in found[about].text
        assert "[" not in found[about].text.replace("[noise(", "")
    assert caveats(read_results(make(seeds=1)))[0].startswith("One seed")


def test_a_loss_that_only_one_clock_shows_is_said_to_be_the_clocks() -> None:
    def only_absolute(told: Told, seed: int) -> float:
        return early_window(told, seed) if told.clock == "absolute" and told.role != "fresh" else flat(told, seed)

    found = read(make(only_absolute, seeds=5))
    assert found["window"].verdict == "present"
    assert found["restart"].verdict == "present"
    assert "80" not in found["restart"].number
    assert found["constant"].verdict in ("absent", "unsettled")
    hangs_on = conditions([*found.values()])
    assert any("restarting the learning rate at release wins back" in clause for clause in hangs_on)


def test_the_share_that_a_restart_wins_back_is_the_stated_one_with_its_interval() -> None:
    found, outcomes = read(make()), read_results(make())
    cells = {cell.clock: cell for cell in outcomes if cell.role == "duration" and cell.duration == 80}
    control = next(c for c in outcomes if c.role == "duration" and not c.duration and c.clock == "absolute")
    scores = [c.scores() for c in (cells["since_release"], cells["absolute"], control)]
    means = [np.mean(list(by_seed.values())) for by_seed in scores]
    share = 100 * (means[0] - means[1]) / (means[2] - means[1])
    assert re.search(rf"{share:.0f} % \[\d+ %, \d+ %\] of it", found["restart"].text)


def test_units_that_turn_while_the_outcome_is_shown_to_stay_fail_silently() -> None:
    found = read(make(settled(lambda told: 0.93), turning))
    assert found["silent"].verdict == "present"
    assert "turn to left, the healthy source" in found["units"].text
    assert found["units window"].verdict == "present"
    loud = read(make(early_window, turning))
    assert loud["silent"].verdict == "absent"

    def unsure(told: Told, seed: int) -> float:
        return 0.8 + 0.15 * wiggle(told.arm, told.duration, told.clock, seed)

    assert read(make(unsure, turning))["silent"].verdict == "unsettled"


def test_units_that_turn_to_the_impaired_source_are_said_to() -> None:
    found = read(make(flat, lambda told: -turning(told)))
    assert "turn to right, the impaired source" in found["units"].text
    assert "lie below −0.5" in found["units"].text


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


def test_units_that_part_ways_are_shown_with_every_clock() -> None:
    spread = read(spread_out({"absolute": 0.3, "since_release": 0.1, "constant": -0.1}))["spread"]
    assert spread.verdict == "present"
    assert spread.text.startswith("After silencing right for the first 80 epochs, the units of layer fusion part ways:")
    # Each number is within 0.01 of what was made up, a difference within 0.02.
    numbers = [float(x) for x in re.findall(r"(?:by|by|and) ([+-]?0\.\d+) \[", spread.text.replace("−", "-"))]
    assert numbers == pytest.approx([0.3, 0.1, -0.1], abs=0.02)
    together = read(spread_out({"absolute": -0.15, "since_release": 0.0, "constant": 0.0}))["spread"]
    assert "draw together" in together.text
    assert read(spread_out({"absolute": 0.02, "since_release": 0.3, "constant": 0.3}))["spread"].verdict == "absent"


def test_a_mirror_is_alike_or_not_by_its_intervals() -> None:
    def one_sided(told: Told, seed: int) -> float:
        return flat(told, seed) if told.mirrored else early_window(told, seed)

    assert read(make(one_sided))["mirror"].verdict == "present"
    assert "The mirror differs" in read(make(one_sided))["mirror"].text
    alike = read(make(settled(lambda told: 0.9 - (0.3 if told.duration else 0.0))))
    assert alike["mirror"].verdict == "absent"
    assert read(make())["mirror, units"].verdict in ("absent", "unsettled")
    assert read(make(early_window, lambda told: abs(turning(told))))["mirror, units"].verdict == "present"


def test_what_comes_with_a_fixed_training_set() -> None:
    def stubborn(told: Told, seed: int) -> float:
        return settled(lambda t: 0.9 - (0.4 if t.duration else 0.0))(told, seed)

    assert read(make(stubborn))["fresh"].verdict == "absent"
    fresh = read(make())["fresh"]
    assert fresh.verdict == "present"
    assert fresh.condition.startswith("on a fixed training set (with fresh data the longest deficit costs")


def test_what_a_longer_clean_phase_makes_good() -> None:
    def healing(told: Told, seed: int) -> float:
        return flat(told, seed) if told.after > 100 else early_window(told, seed)

    longer = read(make(healing))["longer"]
    assert longer.verdict == "present"
    assert "after 180 clean epochs" in longer.text
    lasting = read(make(settled(lambda told: 0.9 - (0.4 if told.duration else 0.0))))["longer"]
    assert lasting.verdict == "absent"


def test_epochs_in_total_are_held_against_the_control() -> None:
    assert read(make(settled(lambda told: 0.9)))["total"].verdict == "absent"

    def late(told: Told, seed: int) -> float:
        return 0.99 + 0.001 * wiggle(seed, told.after) if told.role == "total" else early_window(told, seed)

    better = read(make(late))["total"]
    assert better.verdict == "present"
    assert "140 epochs" in better.text
    # make() trains the longest deficit for 80 + 60 epochs, as long as the first run of the arm "total".
    assert "Against clean runs of as many epochs in total, the longest deficit costs" in better.text


def test_one_source_alone_is_held_against_chance() -> None:
    assert read(make())["alone"].verdict == "absent"
    found = read(make(lambda told, seed: 0.6 + 0.01 * seed if told.role == "alone" else early_window(told, seed)))
    assert found["alone"].verdict == "present"
    assert "chance is 25 %" in found["alone"].text


@pytest.mark.parametrize("arm", [name for name in ARMS if name not in ("noise", "apart", "wide", "duration")])
def test_a_missing_arm_is_not_tested_and_says_what_it_takes(arm: str) -> None:
    found = read(make(arms=[name for name in ARMS if name != arm]))["window" if arm == "onset" else arm]
    assert found.verdict == "not tested"
    assert "Not tested: that takes" in found.text


def test_every_arm_alone_is_read_without_a_mistake() -> None:
    asked = {tag_of(question) for question in questions()}
    for arm in ARMS:
        found = read(make(arms=[arm], seeds=2))
        assert {about.split(", ")[0] for about in found} <= asked
        assert all(finding.text.endswith(".") and "{" not in finding.text for finding in found.values())


def test_diverged_runs_are_named_counted_and_in_no_mean() -> None:
    bad = [("duration[d=80, training.clock=absolute]", 1)]
    outcomes = read_results(make(diverged=bad, seeds=4))
    (sentence,) = [text for text in caveats(outcomes) if "diverged" in text]
    assert "duration (80 epochs, learning rate absolute epochs) seed 1 at epoch 3" in sentence
    cell = outcomes.longest("absolute")
    assert cell is not None
    assert sorted(cell.scores()) == sorted(cell.layer("fusion", "rsv_mean")) == [0, 2, 3]
    assert len(cell.diverged) == 1


def test_where_all_controls_diverged_sentences_have_no_hole() -> None:
    bad = [(f"duration[d=0, training.clock={clock}]", s) for clock in ("absolute", "constant") for s in range(3)]
    for results in (make(diverged=bad), make(diverged=bad, arms=["duration", "onset"])):
        for finding in reading(read_results(results)):
            assert "  " not in finding.text
            assert "no seed has a result" in finding.text or "no number" not in finding.text
            assert not re.search(r"\b(?:None|nan)\b", finding.text)


def test_a_collapsed_run_is_left_out_of_answers_and_named() -> None:
    def collapsing(told: Told, seed: int) -> float:
        if (told.role, told.duration, told.clock, seed) == ("duration", 80, "absolute", 2):
            return 0.26
        return 0.9 - (0.1 if told.duration else 0.0) + 0.002 * wiggle(told.arm, told.duration, told.onset, seed)

    outcomes = read_results(make(collapsing, seeds=5))
    cost = {f.about: f for f in reading(outcomes)}["cost"]
    assert cost.verdict == "present"
    assert cost.evidence is not None
    assert cost.evidence.difference is not None
    assert cost.evidence.difference.n == 4
    assert any("1 run collapsed" in text and "seed 2" in text for text in caveats(outcomes))


def test_cells_of_unusual_spread_are_named() -> None:
    def loose(told: Told, seed: int) -> float:
        wide = 0.05 if (told.role, told.duration) == ("longer", 80) else 0.004
        return 0.8 + wide * wiggle(told.arm, told.duration, told.onset, told.clock, told.after, seed)

    (sentence,) = [text for text in caveats(read_results(make(loose, seeds=5))) if "three times" in text]
    assert "longer (80 epochs)" in sentence


def test_clean_phases_that_differ_are_named() -> None:
    changed = make(changes={"onset.timeline": "clean {t} | silence(right) 40 | clean 30"})
    assert any("Clean phases after the deficits differ (30 and 60" in text for text in caveats(read_results(changed)))
    assert not any("Clean phases" in text for text in caveats(read_results(make())))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("silence(right) 80 | clean 60", "silencing right for the first 80 epochs"),
        ("clean 20 | silence(right) 1 | clean 60", "silencing right for 1 epoch from epoch 20"),
        (
            "silence(right) 40 | silence(left) 40 | clean 60",
            "silencing right for the first 40 epochs, then silencing left for 40 epochs from epoch 40",
        ),
        (
            "silence(right) 10 | clean 20 | silence(right) 10 | clean 40",
            "silencing right for the first 10 epochs, then again for 10 epochs from epoch 30",
        ),
        ("clean 20", "no deficit"),
    ],
)
def test_every_stretch_of_a_timeline_is_told(line: str, words: str) -> None:
    assert stretch(Timeline.parse(line)) == words


def test_curves_that_differ_in_a_later_deficit_do_not_mix() -> None:
    changes = {
        "duration.timeline": "silence(right) {d} | noise(left, {s}) 10 | clean 60",
        "duration.s": [1, 2],
        "duration.d": [10, 40],
    }
    outcomes = read_results(make(arms=["duration"], changes=changes))
    curves = outcomes.curves("duration", "absolute")
    assert len(curves) == 2
    assert doing(curves[0][0].timeline) == "silencing right, then adding noise to left [noise(left, 1)]"


def test_margins_are_the_studys_own_and_printed() -> None:
    results = make(settled(lambda told: 0.9 - (0.03 if told.duration else 0.0)), still, arms=["duration"])
    assert read(results)["cost"].verdict == "present"
    own = replace(results, study=replaced(results.study, {"margin": 5, "rsv_margin": 0.3}))
    assert read(own)["cost"].verdict == "absent"
    assert "the difference is 5 points or more (0.3 for RSV)" in rule(read_results(own))


def replaced(study: Study, report: dict[str, object]) -> Study:
    return Study(
        name=study.name, question="", seeds=study.seeds, sections=study.sections, arms=study.arms, report=report
    )


def test_what_is_lost_is_held_against_the_control_of_the_same_seed() -> None:
    outcomes = read_results(make(lambda told, seed: 0.5 + 0.1 * seed - (0.3 + 0.01 * seed) * (told.duration > 0)))
    cell = outcomes.longest("absolute")
    assert cell is not None
    lost = outcomes.cost(cell)
    assert lost is not None
    assert lost.values == pytest.approx((30, 31, 32))  # seeds differ by 10 points, their losses by 1


def test_two_duration_arms_do_not_mix() -> None:
    results = make(arms=["duration", "mirror"], changes={"mirror.role": "duration"})
    outcomes = read_results(results)
    assert {cell.arm for cell in outcomes.durations("absolute")} == {"duration"}
    assert [curve[0].arm for curve in outcomes.curves("duration", "absolute")] == ["duration", "mirror"]
    assert "silencing left" in read(results)["other curves, arm mirror"].text


def test_settings_have_controls_of_their_own() -> None:
    outcomes = read_results(make())
    fresh = next(cell for cell in outcomes if cell.arm == "fresh" and cell.duration)
    control = outcomes.control(fresh)
    assert control is not None
    assert (control.arm, control.duration) == ("fresh", 0)
    without = read_results(make(arms=["duration", "wide"], changes={"wide.d": [80]}))
    wide = next(cell for cell in without if cell.arm == "wide")
    assert without.control(wide) is None


def test_settings_are_typed_and_not_read_out_of_labels() -> None:
    """A value that looks like another cell's label, and a list, tell cells apart as what they are."""
    changes = {"wide.network": {"trunk": [[8], [8, 4]]}, "wide.training": {"momentum": [0.5, 0.25]}}
    outcomes = read_results(make(arms=["duration", "wide"], changes=changes))
    wide = [cell for cell in outcomes if cell.arm == "wide"]
    assert {dict(cell.settings)["network.trunk"] for cell in wide} == {(8,), (8, 4)}
    assert all(isinstance(dict(cell.settings)["training.momentum"], float) for cell in wide)
    for cell in wide:
        control = outcomes.control(cell)
        assert control is not None
        assert control.settings == cell.settings
        assert math.isclose(control.values["training.momentum"], cell.values["training.momentum"])


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
                rows.append(row | {"onset": 0 if d else None, "value": 0.9 - 0.1 * d + 0.001 * wiggle(d, seed)})
    results = Results(study, pl.DataFrame(rows, schema=SCHEMA))
    known = read_results(results)
    assert (known.sources, known.outcome.chance) == (("a", "b", "c"), 0.5)
    (tmp_path / "own.npz").unlink()
    gone = read_results(results)
    assert (gone.sources, gone.outcome.chance) == (("a", "b", "c"), None)
    assert read(results)["cost"].verdict == "present"
