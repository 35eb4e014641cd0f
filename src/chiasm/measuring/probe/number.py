"""One number of a probe, as it goes into the table of results."""

from __future__ import annotations

# Quantity, layer or None, source or None, value.
Number = tuple[str, str | None, str | None, float]

CHUNK = 2048  # samples or combinations a row and forward: small enough to stay near the processor, large enough
