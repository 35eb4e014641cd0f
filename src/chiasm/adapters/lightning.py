"""A monitor for Lightning: which unit listens to which source, logged while a LightningModule trains."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, final

import polars as pl
from torch import Tensor, nn

from chiasm.adapters.watch import Given, Row, Watch
from chiasm.errors import ChiasmError
from chiasm.measuring import Measurement
from chiasm.measuring.sampling.blocks import Pairing

Callback: Any = object
# Both names hold the same library, and a Trainer knows its own callbacks best: the one that is there already is first.
for _name in sorted(("lightning.pytorch", "pytorch_lightning"), key=lambda name: name not in sys.modules):
    with suppress(ImportError):
        Callback = import_module(_name).Callback
        break

# Strategies that leave no process a whole model; one process alone cannot run theirs.
SHARDED = ("FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy")


@final
class SourceMonitor(Callback):
    """Measures the trained module every few epochs and logs what it found; the training ends with the same bits.

    At the end of a training epoch the process of rank 0 measures, in evaluation mode, and all processes log: to every
    logger that the Trainer has, and to the metrics that `ModelCheckpoint(monitor=...)` reads. Without a logger the
    numbers are in `frame()`. Before training starts a measurement with a few anchors is tried and forgotten, so that a
    mistake in the layers or the sources is told at once, and that sources depend on each other is told once.

    Logged, by "<prefix>/<layer>/...": `rsv_mean` of two sources in [-1, 1] (+1: the first only), of more
    `share_mean/<source>` in [0, 1]; `synergy_mean` in [0, 1]; `polarised`, the share of live units with |RSV| above 0.5
    (of more sources: with one share above 0.75); `dead`, how many units are.

    Args:
        sources: held-out samples, as `chiasm.measure` takes them, or a function without arguments that returns them.
        layers: names of layers, as `chiasm.measure` takes them.
        every: epochs from one measurement to the next, 1 or more.
        anchors, forward, pairing, target, seed: as `chiasm.measure` takes them.
        prefix: what every logged name begins with.
        model: the attribute of the LightningModule that is measured, "net"; "": the module itself, by its `forward`.

    Attributes:
        history: what was seen: a dict each time, layer and quantity, as in `frame()`. Checkpoints carry it.
        last: the latest measurement, with every unit.

    Raises:
        ChiasmError: Lightning is not there, arguments that could never be measured; when training starts: what
            `chiasm.measure` raises, or a strategy that shards the model.

    >>> monitor = SourceMonitor(lambda: {}, ["fusion"], every=5)
    >>> monitor.frame().height
    0
    """

    def __init__(
        self,
        sources: Given,
        layers: Sequence[str],
        every: int = 1,
        *,
        anchors: int | None = 512,
        forward: Callable[[nn.Module, Mapping[str, Any]], Any] | None = None,
        pairing: Pairing = "product",
        target: Sequence[int] | Tensor | None = None,
        seed: int = 0,
        prefix: str = "chiasm",
        model: str = "",
    ) -> None:
        if Callback is object:
            raise ChiasmError("SourceMonitor needs Lightning, which is not installed; pip install pytorch-lightning")
        super().__init__()
        how = {"anchors": anchors, "forward": forward, "pairing": pairing, "target": target, "seed": seed}
        self._watch = Watch(sources, layers, every, prefix, model, **how)

    @property
    def history(self) -> list[Row]:
        """What was seen so far, oldest first."""
        return self._watch.rows

    @property
    def last(self) -> Measurement | None:
        """The latest measurement; None before the first, and on processes other than rank 0."""
        return self._watch.last

    def frame(self) -> pl.DataFrame:
        """Return what was seen as a tidy table: epoch (completed), step, layer, quantity, source, value."""
        return self._watch.frame()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Try a small measurement, for its mistakes."""
        strategy = type(trainer.strategy).__name__
        if strategy in SHARDED:
            raise ChiasmError(
                f"SourceMonitor measures on one process, and {strategy} leaves none a whole model; a strategy that "
                "does, such as 'ddp', would do"
            )
        if trainer.is_global_zero:
            self._watch.try_out(pl_module)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Measure and log, every so many epochs."""
        epoch = trainer.current_epoch + 1
        if epoch % self._watch.every:
            return
        logged = self._watch.take(pl_module, epoch, trainer.global_step) if trainer.is_global_zero else None
        # All processes log the same numbers: what only one of them logs, nothing on the others may monitor.
        logged = trainer.strategy.broadcast(logged, src=0)
        pl_module.log_dict(logged, on_step=False, on_epoch=True, batch_size=1, sync_dist=trainer.world_size > 1)

    def state_dict(self) -> dict[str, Any]:
        """Return the history, for the checkpoint."""
        return {"history": self._watch.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the history of a checkpoint over."""
        self._watch.rows = list(state_dict["history"])
