"""Checks that all theories share: ranges, shapes, settings, and cells of a plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import broadcast, check, check_fields, check_int
from chiasm.theory.fusion.study import LinearFusion
from chiasm.theory.histories import plane_cells


@pytest.mark.parametrize(
    ("value", "limits", "said"),
    [
        (0.0, {"above": 0}, "x = 0; expected a finite number, above 0"),
        ([1.0, -2.0, -3.0], {"least": 0}, "x = -2; expected a finite number, 0 or more"),
        (3, {"most": 2}, "x = 3; expected a finite number, at most 2"),
        (2.5, {"least": 1, "whole": True}, "x = 2.5; expected a whole number, 1 or more"),
        (np.nan, {}, "x = nan; expected a finite number"),
        (np.inf, {}, "x = inf; expected a finite number"),
        (np.nan, {"finite": False}, "x = nan; expected a number"),
        ("one", {}, "x = 'one'; expected a number or an array of numbers"),
        ([[1.0], [1.0, 2.0]], {}, "expected a number or an array of numbers"),
    ],
)
def test_what_is_out_of_range_is_named_with_what_is_expected(value: Any, limits: dict[str, Any], said: str) -> None:
    with pytest.raises(ChiasmError) as caught:
        check("x", value, **limits)
    assert said in str(caught.value)


def test_what_is_in_range_comes_back_as_it_is() -> None:
    values = check("x", [0, 1, 2], least=0, most=2, whole=True)
    assert values.dtype == np.float64
    assert values.tolist() == [0, 1, 2]
    assert check("x", np.inf, above=0, finite=False) == np.inf
    assert check("x", [], least=1).size == 0


@pytest.mark.parametrize("value", [0, 1.0, "1", None])
def test_a_count_is_an_integer(value: Any) -> None:
    with pytest.raises(ChiasmError, match="expected a whole number, 1 or more"):
        check_int("count", value)


def test_fields_are_checked_by_name_and_may_not_be_empty() -> None:
    study = LinearFusion()
    check_fields(study, "depths seeds", least=1)
    with pytest.raises(ChiasmError, match="seeds = 5; expected a finite number, 6 or more"):
        check_fields(study, "seeds", least=6)
    bare = LinearFusion(shared=())
    check_fields(bare, "shared", empty=True)
    with pytest.raises(ChiasmError, match="shared is empty"):
        check_fields(bare, "shared")


def test_shapes_broadcast_or_are_named() -> None:
    a, b = broadcast(a=np.zeros((2, 1)), b=np.ones(3))
    assert a.shape == b.shape == (2, 3)
    with pytest.raises(ChiasmError, match=r"do not broadcast: a \(2,\), b \(3,\)"):
        broadcast(a=np.zeros(2), b=np.zeros(3))
    with pytest.raises(ChiasmError, match="hold no cell"):
        broadcast(a=np.zeros(0), b=np.zeros(1))


def test_cells_of_a_plane_keep_large_seeds_and_refuse_windows_beyond_the_end() -> None:
    seed = 2**53 + 1  # no float64
    cells = plane_cells({"onset": 0, "release": [0, 3], "steps": 5, "seed": seed}, {"step": 0.1})
    assert cells["seed"].tolist() == [seed, seed]
    assert {name: values.dtype.kind for name, values in cells.items()} == {
        "onset": "i", "release": "i", "steps": "i", "seed": "i", "step": "f",
    }  # fmt: skip
    for window, said in (((2, 1, 5), "onset 2 to release 1 of 5"), ((0, 6, 5), "onset 0 to release 6 of 5")):
        with pytest.raises(ChiasmError, match=said):
            plane_cells(dict(zip(("onset", "release", "steps"), window, strict=True)), {})
