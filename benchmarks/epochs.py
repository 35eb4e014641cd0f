"""What sharing equal beginnings saves on the paper's experiments: counted, not timed. Needs CIFAR-10 (CHIASM_DATA)."""

from __future__ import annotations

from chiasm.errors import ChiasmError
from chiasm.study.plan import Run, make_plan
from chiasm.study.spec import Study, shipped

GRID = """
name = "grid"
seeds = 1
[task]
kind = "halves"
[network]
kind = "split_resnet"
[[arm]]
name = "duration"
timeline = "blur(right, 4) {d} | clean 180"
d = [0, 20, 40, 60, 80, 100, 120, 140, 160, 180]
"""


def counted(runs: list[Run]) -> str:
    """Epochs of all runs one by one, and how many of them differ in anything that led to them."""
    alone = sum(run.cell.timeline.epochs for run in runs)
    shared = len({run.path.key(epoch + 1) for run in runs for epoch in range(run.cell.timeline.epochs)})
    return f"{alone:,} run-epochs one by one, {shared:,} shared"


def main() -> None:
    """Print one table."""
    names = [name for name in shipped() if name.startswith("cifar-") and not name.endswith("-small")]
    try:
        print(f"the paper's grid of ten durations: {counted(list(make_plan(Study.from_toml(GRID)).runs))}")
        print(f"{', '.join(names)}: {counted([run for name in names for run in make_plan(Study.load(name)).runs])}")
    except ChiasmError as error:
        print(f"not counted: {error}")


if __name__ == "__main__":
    main()
