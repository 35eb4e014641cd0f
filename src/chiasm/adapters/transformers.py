"""A monitor for the Trainer of transformers: which unit listens to which source, logged while a model trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, Literal, final, get_args

import polars as pl
from torch import Tensor, nn

from chiasm.adapters.watch import Given, Row, Watch
from chiasm.errors import ChiasmError
from chiasm.measuring import Measurement
from chiasm.measuring.sampling.blocks import Pairing

try:
    from transformers import TrainerCallback
except ImportError:
    TrainerCallback = object

Unit = Literal["epoch", "step"]


@final
class SourceMonitor(TrainerCallback):
    """Measures the trained model every few epochs or steps and logs it; the training ends with the same bits.

    `SourceMonitor(...).attach(trainer)` adds it to a Trainer and logs through it, to everything that `report_to` names.
    Given as `callbacks=[monitor]`, it is told of no Trainer; then the numbers go to `state.log_history`, and to
    `frame()`. The main process measures, in evaluation mode. Before training begins a measurement with a few anchors is
    tried and forgotten, so that a mistake in the layers or the sources is told at once, and that sources depend on each
    other is told once.

    Logged, by "<prefix>/<layer>/...": `rsv_mean` of two sources in [-1, 1] (+1: the first only), of more
    `share_mean/<source>` in [0, 1]; `synergy_mean` in [0, 1]; `polarised`, the share of live units with |RSV| above 0.5
    (of more sources: with one share above 0.75); `dead`, how many units are.

    Args:
        sources: held-out samples, as `chiasm.measure` takes them, or a function without arguments that returns them.
        layers: names of layers, as `chiasm.measure` takes them.
        every: epochs or steps from one measurement to the next, 1 or more.
        unit: what `every` counts: "epoch", or "step" of the optimiser.
        anchors, forward, pairing, target, seed: as `chiasm.measure` takes them.
        prefix: what every logged name begins with.
        model: the submodule that is measured; "": the model itself.

    Attributes:
        history: what was seen: a dict each time, layer and quantity, as in `frame()`; a resumed run finds what its
            checkpoint's log holds.
        last: the latest measurement, with every unit.

    Raises:
        ChiasmError: transformers is not there, arguments that could never be measured; when training begins: what
            `chiasm.measure` raises, or a model that is sharded over processes.

    >>> monitor = SourceMonitor(lambda: {}, ["fusion"], every=100, unit="step")
    >>> monitor.frame().height
    0
    """

    def __init__(
        self,
        sources: Given,
        layers: Sequence[str],
        every: int = 1,
        unit: Unit = "epoch",
        *,
        anchors: int | None = 512,
        forward: Callable[[nn.Module, Mapping[str, Any]], Any] | None = None,
        pairing: Pairing = "product",
        target: Sequence[int] | Tensor | None = None,
        seed: int = 0,
        prefix: str = "chiasm",
        model: str = "",
    ) -> None:
        if TrainerCallback is object:
            raise ChiasmError(
                "SourceMonitor needs transformers, which is not installed; pip install transformers accelerate"
            )
        if unit not in get_args(Unit):
            raise ChiasmError(f"SourceMonitor: unit = {unit!r}; 'epoch' or 'step' would do")
        super().__init__()
        how = {"anchors": anchors, "forward": forward, "pairing": pairing, "target": target, "seed": seed}
        self._watch = Watch(sources, layers, every, prefix, model, **how)
        self._unit = unit
        self._trainer: Any = None

    def attach(self, trainer: Any) -> SourceMonitor:
        """Add the monitor to a Trainer's callbacks, log through that Trainer from now on, and return the monitor."""
        if self not in trainer.callback_handler.callbacks:
            trainer.add_callback(self)
        self._trainer = trainer
        return self

    @property
    def history(self) -> list[Row]:
        """What was seen so far, oldest first."""
        return self._watch.rows

    @property
    def last(self) -> Measurement | None:
        """The latest measurement; None before the first, and on processes other than the main one."""
        return self._watch.last

    def frame(self) -> pl.DataFrame:
        """Return what was seen as a tidy table: epoch (completed), step, layer, quantity, source, value."""
        return self._watch.frame()

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: nn.Module, **kwargs: Any) -> None:
        """Take over what the log of a resumed run holds, and try a small measurement, for its mistakes."""
        deepspeed = getattr(args, "hf_deepspeed_config", None)
        if getattr(args, "fsdp", None) or (deepspeed is not None and deepspeed.is_zero3()):
            raise ChiasmError(
                "SourceMonitor measures on one process, and FSDP or ZeRO-3 leaves none a whole model; data parallelism "
                "without sharding of parameters would do"
            )
        self._watch.recall(state.log_history)
        if state.is_world_process_zero:
            self._watch.try_out(model)

    def on_epoch_end(self, args: Any, state: Any, control: Any, *, model: nn.Module, **kwargs: Any) -> None:
        """Measure and log, every so many epochs."""
        # state.epoch is a sum of fractions; the last epoch may end early, and counts as one.
        if self._unit == "epoch" and not ceil((state.epoch or 0) - 1e-6) % self._watch.every:
            self._take(state, control, model)

    def on_step_end(self, args: Any, state: Any, control: Any, *, model: nn.Module, **kwargs: Any) -> None:
        """Measure and log, every so many steps."""
        if self._unit == "step" and not state.global_step % self._watch.every:
            self._take(state, control, model)

    def _take(self, state: Any, control: Any, model: nn.Module) -> None:
        if not state.is_world_process_zero:
            return
        logged = self._watch.take(model, state.epoch or 0.0, state.global_step)
        if self._trainer is None:
            state.log_history.append({**logged, "epoch": state.epoch, "step": state.global_step})
            return
        # Logging marks what was still to be logged as done; the Trainer's own loss must come after ours.
        due = control.should_log
        self._trainer.log(logged)
        control.should_log = due
