"""One number of a probe, as it goes into the table of results, and what measures ask for before they measure."""

from __future__ import annotations

from chiasm.errors import ChiasmError
from chiasm.objectives import Objective

# Quantity, layer or None, source or None, value.
Number = tuple[str, str | None, str | None, float]

CHUNK = 2048  # samples or combinations a row and forward: small enough to stay near the processor, large enough


def require_samples(measure: str, test: int) -> None:
    """Refuse a measure that needs several test samples where there are fewer."""
    if test < 2:
        raise ChiasmError(f"probe.measures: '{measure}' needs 2 test samples or more, not {test}")


def require_classes(measure: str, objective: Objective) -> None:
    """Refuse a measure of class labels where the objective's targets are numbers."""
    if objective.targets != "classes":
        raise ChiasmError(
            f"probe.measures: '{measure}' is of class labels, and the targets here are {objective.targets}"
        )
