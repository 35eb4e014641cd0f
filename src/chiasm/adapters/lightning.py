"""A monitor for Lightning: how much each unit depends on each source, logged while a LightningModule trains."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from typing import Any, final

from chiasm.adapters.monitor import Monitor, absent
from chiasm.errors import ChiasmError

Callback: Any = absent("Lightning", "pytorch-lightning")
# Both names hold the same library, and a Trainer knows its own callbacks best: the one that is there already is first.
for _name in sorted(("lightning.pytorch", "pytorch_lightning"), key=lambda name: name not in sys.modules):
    with suppress(ImportError):
        Callback = import_module(_name).Callback
        break

# Strategies that leave no process a whole model; one process alone cannot run theirs.
SHARDED = ("FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy")


@final
class SourceMonitor(Monitor, Callback):
    """Measures the trained module every few epochs and logs the results; the training ends with the same bits.

    At the end of a training epoch the process of rank 0 measures, in evaluation mode, and all processes log: to every
    logger that the Trainer has, and to the metrics that `ModelCheckpoint(monitor=...)` reads. Without a logger the
    numbers are in `frame()`. Checkpoints carry `history`. What is logged, and under which names: see `Monitor`.

    Args:
        sources, layers: held-out samples and names of layers, as `chiasm.measure` takes them (see `Monitor`).
        every: epochs from one measurement to the next, 1 or more.
        anchors, forward, pairing, target, seed, prefix: see `Monitor`.
        model: the attribute of the LightningModule that is measured, "net"; "": the module itself, by its `forward`.

    Raises:
        ChiasmError: as `Monitor` does; when training starts: also a strategy that shards the model.

    >>> monitor = SourceMonitor(lambda: {}, ["fusion"], every=5)
    >>> monitor.frame().height
    0
    """

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Try a small measurement, for its errors."""
        strategy = type(trainer.strategy).__name__
        if strategy in SHARDED:
            raise ChiasmError(
                f"SourceMonitor measures on one process, and {strategy} leaves none a whole model; expected a strategy "
                "that does, such as 'ddp'"
            )
        if trainer.is_global_zero:
            self._try_out(pl_module)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Measure and log, every so many epochs."""
        epoch = trainer.current_epoch + 1
        if epoch % self._every:
            return
        logged = self._take(pl_module, epoch, trainer.global_step) if trainer.is_global_zero else None
        # All processes log the same numbers: what only one of them logs, nothing on the others may monitor.
        logged = trainer.strategy.broadcast(logged, src=0)
        pl_module.log_dict(logged, on_step=False, on_epoch=True, batch_size=1, sync_dist=trainer.world_size > 1)

    def state_dict(self) -> dict[str, Any]:
        """Return the history, for the checkpoint."""
        return {"history": self._rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the history of a checkpoint over."""
        self._rows = list(state_dict["history"])
