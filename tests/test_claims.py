"""Claims: that they can fail, and (slow) that the shipped studies bear them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from chiasm.api import run
from chiasm.claims import CLAIMS, Claim, mean_over_seeds
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


def printed(name: str, results: Results) -> list[str]:
    """The numbers of a study as the README prints them."""
    found = [claim.number(results) for claim in CLAIMS[name]]
    if name == "digits":
        return [f"{found[0]:+.2f}; {found[1]:.3f}".replace("0.", ".")]
    control, lost, early, leaning, _, back, fresh, alone = found
    centre = mean_over_seeds(results, "rsv_mean", "duration", "fusion", d=0, training__clock="absolute")
    lines = [
        f"{control:.3f}; {lost:.3f}",
        f"{early:+.3f}",
        f"{centre:.2f}; {leaning:+.2f}",
        f"{back:.2f}",
        f"{fresh:.3f}",
        f"{alone:.3f}",
    ]
    return [f"| {line}".replace("0.", ".") for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stereogram", "digits"])
def test_the_shipped_study_bears_out_what_is_claimed(name: str, tmp_path: Path) -> None:
    results = run(name, tmp_path)
    verdicts = [claim.check(results) for claim in CLAIMS[name]]
    print("", *verdicts, sep="\n")
    assert all(verdict.holds for verdict in verdicts), "\n".join(map(str, verdicts))
    for number in printed(name, results):  # what the README prints is what this command finds
        assert number in README.read_text(), number
