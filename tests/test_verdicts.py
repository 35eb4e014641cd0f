"""How often a report is wrong and right: the short form of `benchmarks/verdicts.py`, with fixed draws.

Of n studies in each of which something happens with probability p, more than `at_most(n, p)` have it in one of a
thousand runs of a test; and fewer than `at_least(n, p)` likewise.
"""

from __future__ import annotations

import pytest
from scipy.stats import binom

from tests.noisy_studies import AT_THE_MARGIN, at_the_margin, early, null, shapes, tally

RARE = 1e-3


def at_most(n: int, p: float) -> int:
    """What a binomial count stays at or below in all but one of a thousand."""
    return int(binom.isf(RARE, n, p))


def at_least(n: int, p: float) -> int:
    """What a binomial count reaches in all but one of a thousand."""
    return int(binom.ppf(RARE, n, p))


# Of 100 studies, 1 % is at most 5 and 10 % at most 20; of 100 intervals that cover 92 %, at least 83 do.
@pytest.mark.parametrize("spread", ["equal", "half 5 to 1", "by cell", "skewed", "seed effects", "a tenth collapse"])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_study_without_any_effect_finds_none(spread: str, seeds: int) -> None:
    found = tally(null("few", spread, seeds), n := 100, seeds)
    assert found.verdicts["window", "present"] <= at_most(n, 0.01)
    assert found.any_present <= at_most(n, 0.10)
    assert found.covered[0] >= at_least(found.covered[1], 0.92)


# Of 60 studies, 1 % is at most 4 and 10 % at most 14.
@pytest.mark.parametrize(("spread", "seeds"), [("a tenth collapse", 3), ("impaired 5 to 1", 5), ("by cell", 2)])
def test_many_questions_find_none_either(spread: str, seeds: int) -> None:
    found = tally(null("many", spread, seeds), n := 60, seeds)
    assert found.verdicts["window", "present"] <= at_most(n, 0.01)
    assert found.any_present <= at_most(n, 0.10)


# Of 150 studies, 70 % is at least 87 and 60 % at least 71.
@pytest.mark.parametrize(("points", "sd", "seeds", "share"), [(5, 2, 5, 0.70), (10, 3, 3, 0.60)])
def test_a_true_window_is_found(points: float, sd: float, seeds: int, share: float) -> None:
    found = tally(early("few", points, sd, seeds), n := 150)
    assert found.verdicts["window", "present"] >= at_least(n, share)
    assert found.verdicts["window", "absent"] <= at_most(n, 0.025)


def test_what_just_counts_is_hardly_ever_called_absent() -> None:
    # Of 80 studies, 2.5 % is at most 7 a question; "silent" may fail at either of two numbers, 5 %, at most 11.
    found = tally(at_the_margin(1.0, 5), n := 80)
    for about in AT_THE_MARGIN:
        assert sum(found.verdicts[about, v] for v in ("present", "absent", "unsettled")) == n
        assert found.verdicts[about, "absent"] <= at_most(n, 0.05 if about == "silent" else 0.025), about


@pytest.mark.parametrize("name", ["no control", "equal damage"])
def test_no_shape_is_mistaken_for_a_window(name: str) -> None:
    # Of all studies together 1 % at most: 12 shapes of 6 studies, of 72 at most 4; 24 of 6, of 144 at most 6.
    found = [tally(scenario, 6, i) for i, scenario in enumerate(shapes()[name])]
    n = sum(one.studies for one in found)
    for about in ("window", "late", "middle"):
        assert sum(one.verdicts[about, "present"] for one in found) <= at_most(n, 0.01), about


def test_a_window_in_the_middle_is_found_there() -> None:
    # 20 points at sd 1 to 4 and two to five seeds: in four of five studies; of 60 studies at least 38.
    found = [tally(scenario, 15, i) for i, scenario in enumerate(shapes()["in the middle"])]
    assert sum(one.verdicts["middle", "present"] for one in found) >= at_least(60, 0.80)
    assert sum(one.verdicts[about, "present"] for one in found for about in ("window", "late")) <= at_most(60, 0.01)
