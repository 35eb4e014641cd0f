"""A watch: what a monitor measures each time, and what it has seen so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, final

import numpy as np
import polars as pl
from torch import nn

from chiasm.deficits.arguments import is_whole
from chiasm.errors import ChiasmError, unknown
from chiasm.measuring import LayerMeasurement, Measurement, measure
from chiasm.measuring.instrument import untouched

Given = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
Row = dict[str, Any]

# Of each source, in the trial before training: enough for every layer to vary, few enough to cost nothing.
TRIAL = 8
# A unit whose largest share of effects is beyond this listens to one source; of two sources: |RSV| above 0.5.
POLARISED = 0.75
COLUMNS = {
    "epoch": pl.Float64,
    "step": pl.Int64,
    "layer": pl.String,
    "quantity": pl.String,
    "source": pl.String,
    "value": pl.Float64,
}


@final
class Watch:
    """Measures a model now and then, and keeps a table of what it saw.

    Args:
        sources: as `chiasm.measure` takes them, or a function without arguments that returns them, called each time.
        layers: as `chiasm.measure` takes them.
        every: how many epochs or steps lie between two measurements, 1 or more.
        prefix: the beginning of every name in a log, before "/<layer>/<quantity>".
        model: the name of the submodule that is measured; "": the module itself.
        options: what else `chiasm.measure` takes: anchors, seed, ...

    Raises:
        ChiasmError: what could never be measured.

    >>> watch = Watch(lambda: {}, ["fusion"], 1, "chiasm", "", anchors=128)
    >>> watch.frame().columns
    ['epoch', 'step', 'layer', 'quantity', 'source', 'value']
    """

    def __init__(
        self,
        sources: Given,
        layers: Sequence[str],
        every: int,
        prefix: str,
        model: str,
        **options: Any,
    ) -> None:
        if not isinstance(sources, Mapping) and not callable(sources):
            raise ChiasmError(
                f"SourceMonitor: sources is a {type(sources).__name__}; a mapping from names to held-out samples, or a "
                "function without arguments that returns one, would do"
            )
        if isinstance(layers, str) or not layers:
            raise ChiasmError(f"SourceMonitor: layers = {layers!r}; a list of one or more names would do")
        if not (is_whole(every) and every >= 1):
            raise ChiasmError(f"SourceMonitor: every = {every!r}; a whole number, 1 or more, would do")
        self.sources, self.layers, self.every, self.prefix, self.model = sources, list(layers), every, prefix, model
        self.options = options
        self.rows: list[Row] = []
        self.last: Measurement | None = None

    def take(self, root: nn.Module, epoch: float, step: int) -> dict[str, float]:
        """Measure, remember, and return what is to be logged, by its name in the log.

        Args:
            root: the module that is trained.
            epoch: epochs completed.
            step: steps completed.

        Raises:
            ChiasmError: as `chiasm.measure` does.
        """
        self.last = self._measured(root)
        logged = {}
        for name, layer in self.last.items():
            for quantity, source, value in _quantities(layer):
                row = {"epoch": float(epoch), "step": step, "layer": name, "quantity": quantity, "source": source}
                self.rows.append({**row, "value": value})
                logged[self._key(name, quantity, source)] = value
        return logged

    def try_out(self, root: nn.Module) -> None:
        """Measure with a few anchors and forget it: mistakes are told before training, and dependent sources once."""
        asked = self.options.get("anchors")
        few = TRIAL if asked is None or (is_whole(asked) and asked > TRIAL) else asked
        self._measured(root, anchors=few, check_dependence=True)

    def recall(self, logs: Sequence[Mapping[str, Any]]) -> None:
        """Remember what earlier entries of a log say, as `take` wrote them, with "epoch" and "step" beside."""
        layers = {_written(name): name for name in self.layers}
        self.rows = []
        for log in logs:
            for key, value in log.items():
                layer, _, rest = key.removeprefix(f"{self.prefix}/").partition("/")
                if not key.startswith(f"{self.prefix}/") or layer not in layers:
                    continue
                quantity, _, source = rest.partition("/")
                row = {
                    "epoch": float(log.get("epoch", np.nan)),
                    "step": int(log.get("step", 0)),
                    "layer": layers[layer],
                }
                self.rows.append({**row, "quantity": quantity, "source": source or None, "value": float(value)})

    def frame(self) -> pl.DataFrame:
        """Return what was seen, a row for each time, layer and quantity; columns as in `COLUMNS`."""
        return pl.DataFrame(self.rows, schema=COLUMNS)

    def _measured(self, root: nn.Module, **options: Any) -> Measurement:
        try:
            model = root.get_submodule(self.model)
        except AttributeError:
            names = [name for name, _ in root.named_children()]
            raise unknown("submodule", self.model, names, where="SourceMonitor") from None
        return measure(
            model, self._samples(root), self.layers, **{"check_dependence": False, **self.options, **options}
        )

    def _samples(self, root: nn.Module) -> Mapping[str, Any]:
        if isinstance(self.sources, Mapping):
            return self.sources
        # The function may draw, as the order of a data loader does.
        with untouched(root):
            return self.sources()

    def _key(self, layer: str, quantity: str, source: str | None) -> str:
        return "/".join([self.prefix, _written(layer), quantity, *([source] if source else [])])


def _written(layer: str) -> str:
    # Some loggers take letters, digits, "_", "-", "." and "/" only; "/" parts the name.
    return layer.replace(":", ".").replace("/", ".").strip(".") or "output"


def _quantities(layer: LayerMeasurement) -> Iterator[tuple[str, str | None, float]]:
    shares = layer.share()  # (sources, units); NaN: dead, or reached by no source
    reached = shares[:, ~np.isnan(shares).any(0)]
    if len(layer.sources) == 2:
        yield "rsv_mean", None, layer.mean_rsv()
    else:
        for source, share in zip(layer.sources, layer.mean_share(), strict=True):
            yield "share_mean", source, float(share)
    yield "synergy_mean", None, layer.mean_synergy()
    yield "polarised", None, float((reached.max(0) > POLARISED).mean()) if reached.size else float("nan")
    yield "dead", None, float(layer.dead.sum())
