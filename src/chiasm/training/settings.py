"""How a study trains: the keys of [training]."""

from __future__ import annotations

from math import cos, pi
from typing import Annotated, ClassVar, Literal

import msgspec

from chiasm.errors import ChiasmError

Positive = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Clock = Literal["absolute", "since_release", "constant"]
Precision = Literal["auto", "float32", "bfloat16"]
#: The share of its rate that a cosine ends at.
LEAST = 0.01


class Training(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a study trains: the keys of [training].

    Attributes:
        optimiser: "sgd" (torch's form: momentum, no dampening) or "adamw" (decoupled decay).
        lr: learning rate at tick 0 of the clock, after warm-up.
        momentum: of SGD, in [0, 1).
        betas: of AdamW, each in [0, 1).
        weight_decay: L2 penalty of SGD, or decoupled decay of AdamW.
        batch: samples a step.
        decay: factor on the rate at every tick, in (0, 1].
        schedule: how the rate falls: "exponential" by `decay`, or "cosine" to a hundredth over `horizon` ticks.
        horizon: ticks of a cosine; where a phase's objective says another, its own.
        clip: largest norm of a run's gradient, which is scaled down to it; none by default.
        warmup: ticks over which the rate rises linearly to `lr`.
        clock: what ticks: "absolute" epochs, epochs "since_release" of the last deficit, or "constant" (no decay).
        momentum_at_switch: "keep" the optimiser's memory where one phase ends and another begins, or "drop" it.
        precision: of products in training: "float32", "bfloat16" (weights, sums and everything measured stay float32),
            or "auto": bfloat16 for large convolutional networks where the machine is made for it.
        bn_reestimate: measure with BatchNorm statistics estimated anew on clean training data.
        later: fields that older studies do not have.
    """

    optimiser: Literal["sgd", "adamw"] = "sgd"
    lr: Positive = 0.05
    momentum: Share = 0.9
    betas: tuple[Share, Share] = (0.9, 0.999)
    weight_decay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    batch: Annotated[int, msgspec.Meta(ge=1)] = 128
    decay: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    warmup: Annotated[int, msgspec.Meta(ge=0)] = 0
    clock: Clock = "absolute"
    momentum_at_switch: Literal["keep", "drop"] = "keep"
    precision: Precision = "auto"
    bn_reestimate: bool = False
    schedule: Literal["exponential", "cosine"] = "exponential"
    horizon: Annotated[int, msgspec.Meta(ge=1)] | None = None
    clip: Positive | None = None

    later: ClassVar[tuple[str, ...]] = ("schedule", "horizon", "clip")

    def __post_init__(self) -> None:
        if self.schedule == "cosine" and self.horizon is None:
            raise ChiasmError('training.schedule = "cosine" needs training.horizon, how many epochs it falls')

    def rate(self, tick: int | None, epoch: int) -> float:
        """Return the learning rate at a tick of the clock (None: a constant clock, whose warm-up counts epochs)."""
        counted = epoch if tick is None else tick
        warm = min(1.0, (counted + 1) / self.warmup) if self.warmup else 1.0
        return self.lr * warm * (1.0 if tick is None else self._fallen(tick))

    def _fallen(self, tick: int) -> float:
        if self.schedule == "exponential":
            return self.decay**tick
        assert self.horizon is not None
        return LEAST + (1 - LEAST) * (1 + cos(pi * min(1.0, tick / self.horizon))) / 2
