"""Every benchmark, one after the other: `make bench`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAMES = (
    "startup",
    "sweep",
    "measuring",
    "coverage",
    "theory_modes",
    "theory_pathways",
    "theory_fusion",
    "vision",
    "overhead",
    "multiview",
    "verdicts",
)

for name in NAMES:
    print(f"\n{name}", flush=True)
    subprocess.run([sys.executable, str(Path(__file__).with_name(f"{name}.py"))], check=True)
