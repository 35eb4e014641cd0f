"""What a worker's process starts with; that it really does is seen where workers run, in `test_laws`."""

from __future__ import annotations

import pytest

from chiasm.study.executors.local import MALLOC, environment


def test_a_worker_keeps_its_memory_and_has_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MALLOC:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    variables = environment(3)
    assert MALLOC.items() <= variables.items()
    assert variables["OMP_NUM_THREADS"] == "3"


def test_what_the_user_set_of_malloc_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MALLOC:
        monkeypatch.setenv(name, "12345")
    assert {name: environment(1)[name] for name in MALLOC} == dict.fromkeys(MALLOC, "12345")
