"""What the tests share: one thread, so that workers do not fight, and small studies."""

from __future__ import annotations

import copy
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from chiasm.study.spec import Study, shipped

torch.set_num_threads(1)

# A developer's run looks for new counter-examples; CI looks where it looked before, so that it fails for a reason.
settings.register_profile("ci", derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

TINY: dict[str, Any] = tomllib.loads(Path(shipped()["smoke"]).read_text())


@pytest.fixture
def tiny() -> Callable[..., Study]:
    """Make a study of seconds; keyword arguments replace or extend its tables."""

    def make(**changes: Any) -> Study:
        raw = copy.deepcopy(TINY)
        for key, value in changes.items():
            raw[key] = {**raw.get(key, {}), **value} if isinstance(value, dict) else value
        return Study.from_dict(raw)

    return make
