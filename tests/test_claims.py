"""Claims: that they can fail, and (slow) that the shipped studies bear them out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from chiasm.api import run
from chiasm.claims import CLAIMS, Claim, allows, mean_over_seeds, over_seeds
from chiasm.errors import ChiasmError
from chiasm.study.results import SCHEMA, Results
from chiasm.study.spec import Study


def flat(name: str, accuracy: float, rsv: float) -> Results:
    """Results in which every cell of a study ends alike."""
    study = Study.load(name, seeds=2)
    rows: list[dict[str, Any]] = []
    for cell in study.cells():
        for seed in range(2):
            told = {"arm": cell.arm, "cell": cell.label, "seed": seed, "final": True}
            rows.append({**told, "quantity": "accuracy", "source": "all", "value": accuracy})
            rows.append({**told, "quantity": "rsv_mean", "layer": "fusion", "value": rsv})
    return Results(study, pl.DataFrame(rows, schema=SCHEMA))


def test_a_study_without_any_effect_fails_the_claims_that_need_one() -> None:
    nothing = [claim.check(flat("stereogram", 0.93, 0.0)) for claim in CLAIMS["stereogram"]]
    assert [verdict.holds for verdict in nothing] == [True, False, False, False, True, False, False, False]
    chance = [claim.check(flat("stereogram", 0.25, 0.9)) for claim in CLAIMS["stereogram"]]
    assert [verdict.holds for verdict in chance] == [False, True, False, True, False, False, False, True]
    assert not any(claim.check(flat("digits", 0.97, 0.4)).holds for claim in CLAIMS["digits"][:1])


def test_bounds_hold_at_their_edge_and_nan_holds_nowhere() -> None:
    results = flat("digits", 0.9, 0.0)
    assert Claim("edge", lambda _: 0.5, least=0.5, most=0.5).check(results).holds
    nan = Claim("undefined", lambda _: float("nan")).check(results)
    assert not nan.holds
    assert "FAILS" in str(nan)


def test_a_missing_seed_is_an_error_and_not_a_mean() -> None:
    whole = flat("stereogram", 0.9, 0.0)
    torn = Results(whole.study, whole.frame().filter((pl.col("seed") == 0) | (pl.col("arm") != "alone")))
    assert mean_over_seeds(whole, "accuracy", "alone") == pytest.approx(0.9)
    with pytest.raises(ChiasmError, match="1 final accuracy found in 1 cells, 2 seeds of one cell wanted"):
        mean_over_seeds(torn, "accuracy", "alone")
    with pytest.raises(ChiasmError, match="one cell wanted"):
        mean_over_seeds(whole, "accuracy", "duration", d=80)  # which clock?


README = Path(__file__).parents[1] / "README.md"
# Of each number, were the seeds others. They are the same on every machine, whose rounding alone makes other runs of
# them, so that numbers lie nearer than this allows: nine of ten numbers of two machines lay within .004.
LEVEL = 0.99


def printed(name: str) -> list[tuple[str, str]]:
    """The numbers of a study that the README prints, each with the words of its row: ("accuracy of ...", ".925")."""
    rows = [line.strip("| \n").split(" | ") for line in README.read_text().splitlines() if line.startswith("|")]
    first = next(i for i, row in enumerate(rows) if row[0] == f"`{name}`")
    numbers = []
    for i, row in enumerate(rows[first:]):
        if i and row[0].startswith("`"):
            break
        if len(row) > 3:
            break
        numbers += [(row[-2], number) for number in re.findall(r"[+-]?\.\d+", row[-1])]
    return numbers


def of_the_readme(name: str) -> list[Callable[[Results], float]]:
    """What the numbers of `printed` are, in their order."""
    found = [claim.number for claim in CLAIMS[name]]
    if name == "digits":
        return found
    control, lost, early, leaning, _, back, fresh, alone = found
    cell = {"arm": "duration", "d": 0, "training__clock": "absolute"}
    centre = lambda r: mean_over_seeds(r, quantity="rsv_mean", layer="fusion", **cell)  # type: ignore[arg-type]  # noqa: E731
    return [control, lost, early, centre, leaning, back, fresh, alone]


def spread_over_seeds(name: str, spread: float) -> Results:
    """Made-up results of five seeds, .5 in the mean of every cell, that differ by `spread` from seed to seed."""
    study = Study.load(name, seeds=5)
    rows: list[dict[str, Any]] = []
    for i, cell in enumerate(study.cells()):
        for seed in range(5):
            value = 0.5 + spread * ((seed + i) % 5 - 2)
            about = {"arm": cell.arm, "cell": cell.label, "seed": seed, "final": True}
            rows.append({**about, "quantity": "accuracy", "source": "all", "value": value})
            rows.append({**about, "quantity": "rsv_mean", "layer": "fusion", "value": value})
    return Results(study, pl.DataFrame(rows, schema=SCHEMA))


def test_the_interval_of_a_mean_is_students_and_a_printed_number_far_off_is_refused() -> None:
    from scipy.stats import t

    results = spread_over_seeds("stereogram", 0.01)
    alone = of_the_readme("stereogram")[-1]
    estimated = over_seeds(alone, results)
    values = results.frame().filter(quantity="accuracy", arm="alone")["value"].to_numpy()
    half = t.ppf((1 + LEVEL) / 2, 4) * values.std(ddof=1) / 5**0.5
    assert estimated.mean == pytest.approx(values.mean(), abs=1e-12)
    assert estimated.interval(LEVEL) == pytest.approx((values.mean() - half, values.mean() + half), abs=1e-12)
    reach = 2**0.5 * half
    for moved in (-0.9, -0.3, 0.0, 0.3, 0.9):
        assert allows(f"{0.5 + moved * reach:.3f}", estimated, LEVEL)
    for moved in (-1.1, 1.1, 5.0):
        assert not allows(f"{0.5 + moved * reach:.3f}", estimated, LEVEL)
    # a number without any spread allows its own rounding and no more
    exact = over_seeds(alone, spread_over_seeds("stereogram", 0.0))
    assert [allows(text, exact, LEVEL) for text in (".500", ".50", ".501", ".49")] == [True, True, False, False]


@pytest.mark.parametrize(("name", "count"), [("stereogram", 8), ("digits", 2)])
def test_every_number_of_the_readme_has_what_it_is_checked_against(name: str, count: int) -> None:
    assert len(printed(name)) == len(of_the_readme(name)) == count


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_the_shipped_study_bears_out_what_is_claimed(name: str, tmp_path: Path) -> None:
    results = run(name, tmp_path)
    verdicts = [claim.check(results) for claim in CLAIMS[name]]
    print("", *verdicts, sep="\n")
    assert all(verdict.holds for verdict in verdicts if not verdict.claim.refuted), "\n".join(map(str, verdicts))
    if name not in ("stereogram", "digits"):
        return
    # What the README prints lies within what the seeds of this run allow, on any machine.
    for (words, number), read in zip(printed(name), of_the_readme(name), strict=True):
        estimated = over_seeds(read, results)
        print(f"README {number}: {words}: here {estimated.mean:.3f}, {LEVEL:.0%} interval {estimated.interval(LEVEL)}")
        assert allows(number, estimated, LEVEL), f"README prints {number} ({words}); here {estimated}"
