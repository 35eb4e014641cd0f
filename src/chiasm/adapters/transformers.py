"""A monitor for the Trainer of transformers: how much each unit depends on each source, logged while a model trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, Literal, TypedDict, Unpack, final, get_args

from torch import Tensor, nn

from chiasm.adapters.monitor import HeldOut, Monitor, absent
from chiasm.errors import ChiasmError
from chiasm.measuring.sampling.blocks import Pairing

try:
    from transformers import TrainerCallback
except ImportError:
    TrainerCallback = absent("transformers", "transformers accelerate")

Unit = Literal["epoch", "step"]


class Options(TypedDict, total=False):
    """What `Monitor` takes by keyword."""

    anchors: int | None
    forward: Callable[[nn.Module, Mapping[str, Any]], Any] | None
    pairing: Pairing
    target: Sequence[int] | Tensor | None
    seed: int
    prefix: str
    model: str


@final
class SourceMonitor(Monitor, TrainerCallback):
    """Measures the trained model every few epochs or steps and logs it; the training ends with the same bits.

    `SourceMonitor(...).attach(trainer)` adds it to a Trainer and logs through it, to everything that `report_to` names.
    Given as `callbacks=[monitor]` it has no Trainer to log through; then the numbers go to `state.log_history`, and to
    `frame()`. The main process measures, in evaluation mode. A resumed run takes `history` from the log of its
    checkpoint. What is logged, and under which names: see `Monitor`.

    Args:
        sources, layers: held-out samples and names of layers, as `chiasm.measure` takes them (see `Monitor`).
        every: epochs or steps from one measurement to the next, 1 or more.
        unit: what `every` counts: "epoch", or "step" of the optimiser.
        options: anchors, forward, pairing, target, seed, prefix and model, see `Monitor`.

    Raises:
        ChiasmError: as `Monitor` does; when training begins: also a model that is sharded over processes.

    >>> monitor = SourceMonitor(lambda: {}, ["fusion"], every=100, unit="step")
    >>> monitor.frame().height
    0
    """

    def __init__(
        self, sources: HeldOut, layers: Sequence[str], every: int = 1, unit: Unit = "epoch", **options: Unpack[Options]
    ) -> None:
        super().__init__(sources, layers, every, **options)
        if unit not in get_args(Unit):
            raise ChiasmError(f"SourceMonitor: unit = {unit!r}; expected 'epoch' or 'step'")
        self._unit = unit
        self._trainer: Any = None

    def attach(self, trainer: Any) -> SourceMonitor:
        """Add the monitor to a Trainer's callbacks, log through that Trainer from now on, and return the monitor."""
        if self not in trainer.callback_handler.callbacks:
            trainer.add_callback(self)
        self._trainer = trainer
        return self

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: nn.Module, **kwargs: Any) -> None:
        """Read the results in the log of a resumed run, and try a small measurement, for its errors."""
        deepspeed = getattr(args, "hf_deepspeed_config", None)
        if getattr(args, "fsdp", None) or (deepspeed is not None and deepspeed.is_zero3()):
            raise ChiasmError(
                "SourceMonitor measures on one process, and FSDP or ZeRO-3 leaves none a whole model; expected data "
                "parallelism without sharding of parameters"
            )
        self._recall(state.log_history)
        if state.is_world_process_zero:
            self._try_out(model)

    def on_epoch_end(self, args: Any, state: Any, control: Any, *, model: nn.Module, **kwargs: Any) -> None:
        """Measure and log, every so many epochs."""
        # state.epoch is a sum of fractions; the last epoch may end early, and counts as one.
        if self._unit == "epoch" and not ceil((state.epoch or 0) - 1e-6) % self._every:
            self._log(state, control, model)

    def on_step_end(self, args: Any, state: Any, control: Any, *, model: nn.Module, **kwargs: Any) -> None:
        """Measure and log, every so many steps."""
        if self._unit == "step" and not state.global_step % self._every:
            self._log(state, control, model)

    def _log(self, state: Any, control: Any, model: nn.Module) -> None:
        if not state.is_world_process_zero:
            return
        logged = self._take(model, state.epoch or 0.0, state.global_step)
        if self._trainer is None:
            state.log_history.append({**logged, "epoch": state.epoch, "step": state.global_step})
            return
        # Logging marks what was still to be logged as done; the Trainer's own loss must come after ours.
        due = control.should_log
        self._trainer.log(logged)
        control.should_log = due
