"""What the monitors of all frameworks share: the measurement, the table of results, and the names in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor, nn

from chiasm.deficits.arguments import is_whole
from chiasm.errors import ChiasmError, unknown
from chiasm.measuring import LayerMeasurement, Measurement, measure
from chiasm.measuring.instrument import untouched
from chiasm.measuring.sampling.blocks import Pairing

HeldOut = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
Row = dict[str, Any]

# Of each source, in the trial before training: enough for every layer to vary, few enough to cost nothing.
TRIAL = 8
# A unit counts as polarised where one source has more than this share of its effects; of two sources: |RSV| above 0.5.
POLARISED = 0.75
COLUMNS = {
    "epoch": pl.Float64,
    "step": pl.Int64,
    "layer": pl.String,
    "quantity": pl.String,
    "source": pl.String,
    "value": pl.Float64,
}


class Monitor:
    """Measures a model now and then while it trains, and keeps a table of the results; training is not disturbed.

    A framework's monitor derives from this class and from the framework's callback, and decides when to measure and
    where to log. Before training it tries a measurement with a few anchors and discards it, so that a mistake in the
    layers or the sources is reported at once, and dependence between sources is reported once.

    Logged, by "<prefix>/<layer>/...": `rsv_mean` of two sources in [-1, 1] (+1: the first only), of more
    `share_mean/<source>` in [0, 1]; `synergy_mean` in [0, 1]; `polarised`, the share of live units with |RSV| above 0.5
    (of more sources: with one share above 0.75); `dead`, the number of dead units.

    Args:
        sources: held-out samples, as `chiasm.measure` takes them, or a function without arguments that returns them,
            called at each measurement.
        layers: names of layers, as `chiasm.measure` takes them.
        every: epochs (or steps) from one measurement to the next, 1 or more.
        anchors, forward, pairing, target, seed: as `chiasm.measure` takes them.
        prefix: what every logged name begins with.
        model: the submodule that is measured; "": the model itself.

    Attributes:
        history: the results so far: a dict for each time, layer and quantity, as in `frame()`.
        last: the latest measurement, with every unit.

    Raises:
        ChiasmError: the framework is not installed, or arguments that could never be measured; when training begins:
            what `chiasm.measure` raises.

    >>> Monitor(lambda: {}, ["fusion"]).frame().columns
    ['epoch', 'step', 'layer', 'quantity', 'source', 'value']
    """

    def __init__(
        self,
        sources: HeldOut,
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
        super().__init__()  # the framework's callback
        if not isinstance(sources, Mapping) and not callable(sources):
            raise ChiasmError(
                f"SourceMonitor: sources is a {type(sources).__name__}; expected a mapping from names to held-out "
                "samples, or a function without arguments that returns one"
            )
        if isinstance(layers, str) or not layers:
            raise ChiasmError(f"SourceMonitor: layers = {layers!r}; expected a list of one or more names")
        if not (is_whole(every) and every >= 1):
            raise ChiasmError(f"SourceMonitor: every = {every!r}; expected a whole number, 1 or more")
        self._sources, self._layers, self._every = sources, list(layers), every
        self._prefix, self._model = prefix, model
        self._options = {"anchors": anchors, "forward": forward, "pairing": pairing, "target": target, "seed": seed}
        self._rows: list[Row] = []
        self._last: Measurement | None = None

    @property
    def history(self) -> list[Row]:
        """The results so far, oldest first."""
        return self._rows

    @property
    def last(self) -> Measurement | None:
        """The latest measurement; None before the first, and on processes other than the main one."""
        return self._last

    def frame(self) -> pl.DataFrame:
        """Return the results so far as a tidy table: epoch (completed), step, layer, quantity, source, value."""
        return pl.DataFrame(self._rows, schema=COLUMNS)

    def _take(self, root: nn.Module, epoch: float, step: int) -> dict[str, float]:
        """Measure, add to the table, and return what is to be logged, by its name in the log.

        Args:
            root: the module that is trained.
            epoch: epochs completed.
            step: steps completed.

        Raises:
            ChiasmError: as `chiasm.measure` does.
        """
        self._last = self._measured(root)
        logged = {}
        for name, layer in self._last.items():
            for quantity, source, value in _quantities(layer):
                row = {"epoch": float(epoch), "step": step, "layer": name, "quantity": quantity, "source": source}
                self._rows.append({**row, "value": value})
                logged["/".join([self._prefix, _log_name(name), quantity, *([source] if source else [])])] = value
        return logged

    def _try_out(self, root: nn.Module) -> None:
        """Measure with a few anchors and discard the result: for the errors and the warning of dependent sources."""
        anchors = self._options["anchors"]
        few = TRIAL if anchors is None or (is_whole(anchors) and anchors > TRIAL) else anchors
        self._measured(root, anchors=few, check_dependence=True)

    def _recall(self, logs: Sequence[Mapping[str, Any]]) -> None:
        """Fill the table from entries of a log, as `_take` named them, with "epoch" and "step" beside."""
        layers = {_log_name(name): name for name in self._layers}
        self._rows = []
        for log in logs:
            for key, value in log.items():
                layer, _, rest = key.removeprefix(f"{self._prefix}/").partition("/")
                if not key.startswith(f"{self._prefix}/") or layer not in layers:
                    continue
                quantity, _, source = rest.partition("/")
                row = {
                    "epoch": float(log.get("epoch", np.nan)),
                    "step": int(log.get("step", 0)),
                    "layer": layers[layer],
                }
                self._rows.append({**row, "quantity": quantity, "source": source or None, "value": float(value)})

    def _measured(self, root: nn.Module, **options: Any) -> Measurement:
        try:
            model = root.get_submodule(self._model)
        except AttributeError:
            names = [name for name, _ in root.named_children()]
            raise unknown("submodule", self._model, names, where="SourceMonitor") from None
        return measure(
            model, self._samples(root), self._layers, **{"check_dependence": False, **self._options, **options}
        )

    def _samples(self, root: nn.Module) -> Mapping[str, Any]:
        if isinstance(self._sources, Mapping):
            return self._sources
        # The function may draw, as the order of a data loader does.
        with untouched(root):
            return self._sources()


def absent(framework: str, packages: str) -> type:
    """Return a stand-in for the callback class of a framework that is not installed; a monitor of it is refused."""

    class Absent:
        def __init__(self) -> None:
            raise ChiasmError(f"SourceMonitor needs {framework}, which is not installed; pip install {packages}")

    return Absent


def _log_name(layer: str) -> str:
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
