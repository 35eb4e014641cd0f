"""A plug-in: one kind of every family, each as short as it can be.

A study takes it by `plugins = ["plugin.py"]`, a path beside the study file or a module that can be imported, and names
its kinds as those of the package: `fog(b, 0.8) 2 | clean 3`. An installed package offers its own by an entry point:

    [project.entry-points."chiasm.plugins"]
    my_lab = "my_lab.kinds"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

import chiasm


@final
@dataclass(frozen=True)
class Fog(chiasm.Deficit):
    """Mix a source with its baseline, as a fog does with a picture."""

    source: str
    density: float = 0.5
    tag: ClassVar[str] = "fog"
    verb: ClassVar[str] = "fogging"
    colour: ClassVar[str] = "UMBER"
    hatch: ClassVar[str] = "oo"
    example: ClassVar[str] = "fog(right, density=0.8)"
    pointwise: ClassVar[bool] = True  # it draws nothing, and treats each sample by itself

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1:
            raise chiasm.ChiasmError(f"fog: density is {self.density!r}; expected a number above 0, up to 1")

    @property
    def needs_baseline(self) -> bool:
        return True

    def __call__(self, batch: chiasm.Batch, generator: torch.Generator) -> chiasm.Batch:
        if self.source not in batch.sources:
            known = ", ".join(batch.sources)
            raise chiasm.ChiasmError(f"fog: unknown source '{self.source}'; known sources: {known}")
        x = batch.sources[self.source]
        fog = batch.baseline[self.source].to(x)
        return batch.with_source(self.source, (1 - self.density) * x + self.density * fog)


@final
class Product(chiasm.Task, frozen=True, tag="product"):
    """Say the scalar product of two vectors: a number that neither of them tells alike."""

    size: int = 3
    train: int = 128
    test: int = 64

    def describe(self) -> chiasm.Description:
        return chiasm.Description(
            sources=tuple(chiasm.Source(name, (self.size,)) for name in ("a", "b")),
            classes=(),  # targets are numbers
            train=self.train,
            test=self.test,
            chance=float("nan"),
            note="Scalar products of normal vectors.",
        )

    def load(self, seed: int) -> chiasm.Data:
        draws = torch.Generator().manual_seed(seed)
        return chiasm.Data(*(self._samples(n, draws) for n in (self.train, self.test)))

    def _samples(self, n: int, draws: torch.Generator) -> chiasm.Batch:
        a, b = torch.randn(2, n, self.size, generator=draws)
        return chiasm.Batch({"a": a, "b": b}, (a * b).sum(1), {name: torch.zeros(self.size) for name in "ab"})


class _Bilinear(nn.Module):
    def __init__(self, sources: Sequence[chiasm.Source], width: int, outputs: int) -> None:
        super().__init__()
        # Named so, their weights are what `freeze` freezes.
        self.pathways = nn.ModuleDict({source.name: nn.Linear(source.shape[0], width) for source in sources})
        self.fusion, self.head = nn.Identity(), nn.Linear(width, outputs)

    def forward(self, sources: dict[str, Tensor]) -> Tensor:
        product = torch.stack([pathway(sources[name]) for name, pathway in self.pathways.items()]).prod(0)
        answer: Tensor = self.head(self.fusion(product))
        return answer


@final
class Bilinear(chiasm.Network, frozen=True, tag="bilinear"):
    """Linear pathways whose outputs are multiplied."""

    width: int = 8

    def build(self, sources: Sequence[chiasm.Source], outputs: int) -> nn.Module:
        return _Bilinear(sources, self.width, outputs)


DEVIATION = chiasm.Quantity("deviation", "mean absolute error", "", "source", low=0.0, digits=3)


@final
class Absolute(chiasm.Objective, frozen=True, tag="absolute"):
    """Absolute error of one number."""

    targets: ClassVar = "numbers"

    def outcome(self, chance: float | None = None) -> chiasm.Outcome:
        return chiasm.Outcome(DEVIATION, chance, higher_is_better=False, margin=0.01)

    def outputs(self, classes: int, target: tuple[int, ...]) -> int:
        super().outputs(classes, target)  # refuses a task of classes
        return 1

    def loss(self, answer: Tensor, target: Tensor) -> Tensor:
        return self.score(answer, target).mean(1)

    def held_out(self, answer: Tensor, target: Tensor) -> Tensor:
        return self.score(answer, target)

    def score(self, answer: Tensor, target: Tensor) -> Tensor:
        return (answer.squeeze(-1) - target).abs()


@final
class WeightNorm(chiasm.Measure):
    """`weight_norm` of every parameter."""

    tag: ClassVar[str] = "weight_norm"
    title: ClassVar[str] = "Norms of weights"
    about: ClassVar[str] = "The Euclidean norm of each parameter at the end of the runs."
    quantities: ClassVar[tuple[chiasm.Quantity, ...]] = (
        chiasm.Quantity("weight_norm", "norm", "", "layer", low=0.0, digits=1),
    )

    def measure(self, given: chiasm.ProbeInput) -> list[chiasm.ProbeResult]:
        return [
            chiasm.ProbeResult([("weight_norm", name, None, float(w[row].norm())) for name, w in given.weights.items()])
            for row in range(len(given.tests))
        ]


@final
class Rehearsed(chiasm.Question):
    """Whether rehearsed runs end better than plain ones."""

    tag: ClassVar[str] = "rehearsed"
    question: ClassVar[str] = "Do rehearsed runs end better than plain ones?"
    topic: ClassVar[str] = "Rehearsal"
    role: ClassVar[str] = "rehearsal"  # arms may have this role now
    needs: ClassVar[str] = "an arm of role rehearsal, and another run without a deficit"
    says: ClassVar[Mapping[str, str]] = {
        "present": "Rehearsed runs end better than plain ones, by {amount}.",
        "absent": "Rehearsed runs end as plain ones do, within {counts}: {amount}.",
        "unsettled": "Whether rehearsed runs end better than plain ones is unsettled: {amount}. {open}",
    }

    def collect(self, outcomes: Any) -> chiasm.Evidence | None:
        rehearsed = outcomes.of(self.role)
        plain = [cell for cell in outcomes if not cell.duration and cell not in rehearsed]
        if not rehearsed or not plain:
            return None
        better = chiasm.Condition("what they end better by", outcomes.worse({plain[0]: 1, rehearsed[0]: -1}))
        return chiasm.Evidence((better,), outcomes.yardstick, directed=True)


@final
class OneByOne(chiasm.Executor):
    """One share after the other, in the calling process."""

    tag: ClassVar[str] = "one_by_one"
    takes_all: ClassVar[bool] = True

    def execute(self, job: chiasm.Job, shares: Sequence[Sequence[str]]) -> None:
        from chiasm.study.engine import Engine

        for share in shares:
            Engine(job.plan, job.store, job.device, job.rows, job.watcher, only=frozenset(share)).run()


if __name__ == "__main__":
    study = chiasm.Study.from_dict(
        {
            "name": "outside",
            "seeds": 3,
            "plugins": [__file__],
            "task": {"kind": "product"},
            "network": {"kind": "bilinear"},
            "training": {"lr": 0.02, "batch": 32},
            "objective": {"kind": "absolute"},
            "probe": {"measures": ["outcome", "units", "weight_norm"], "layers": ["fusion"]},
            "arm": [{"name": "fog", "role": "duration", "timeline": "fog(b, 0.8) {d} | clean 20", "d": [0, 5, 10]}],
        }
    )
    print(f"report: {chiasm.run(study, 'runs/outside', executor='one_by_one').report()}")
