"""What the tests share: one thread, so that workers do not fight, and small studies."""

from __future__ import annotations

import copy
import os
import random
import secrets
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from chiasm.study.spec import Study, shipped
from tests.processes import descendants, end

torch.set_num_threads(1)

# A developer's run looks for new counter-examples; CI looks where it looked before, so that it fails for a reason.
settings.register_profile("ci", derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

TINY: dict[str, Any] = tomllib.loads(Path(shipped()["smoke"]).read_text())


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    """No process outlives the tests of a file: one that does is killed, and that is an error."""
    yield
    if left := descendants():
        end(left)
        pytest.fail(f"processes left behind: {left}")


@pytest.fixture
def processes() -> Iterator[None]:
    """For a test that kills, or may fail while processes run: they end with it."""
    yield
    end(descendants())


@pytest.fixture
def chance() -> random.Random:
    """Chance that is new in every run: a failing test shows its seed, and CHIASM_TEST_SEED sets it again."""
    seed = int(os.environ.get("CHIASM_TEST_SEED") or secrets.randbits(32))
    print(f"CHIASM_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def tiny() -> Callable[..., Study]:
    """Make a study of seconds; keyword arguments replace or extend its tables."""

    def make(**changes: Any) -> Study:
        raw = copy.deepcopy(TINY)
        for key, value in changes.items():
            raw[key] = {**raw.get(key, {}), **value} if isinstance(value, dict) else value
        return Study.from_dict(raw)

    return make


@pytest.fixture
def without_png(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the drawing of PNG files, half of what a page costs, where a test looks at the page alone."""
    monkeypatch.setattr("chiasm.pictures.page.png", lambda _: b"")
