"""Recordings of one action by several sensors at once: depth, skeleton, accelerometer, gyroscope (UTD-MHAD)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, final

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.sources import Batch, Source
from chiasm.tasks.archive import Archive, data_folder, digest_of
from chiasm.tasks.scaling import Standard, standardised
from chiasm.tasks.task import Data, Description, Task, validate

Sensor = Literal["depth", "skeleton", "accelerometer", "gyroscope"]
FILE = "utd_mhad.npz"
#: Which array of the file holds a sensor, and which of its last axis.
ARRAYS = {
    "depth": ("depth", slice(None)),
    "skeleton": ("skeleton", slice(None)),
    "accelerometer": ("inertial", slice(0, 3)),
    "gyroscope": ("inertial", slice(3, 6)),
}


@final
class Sensors(Task, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="sensors"):
    """Tell which action was recorded, by sensors that ran at the same time; people tested are none of those trained on.

    An npz file in the layout: `depth` (samples, frames, height, width), `skeleton` (samples, frames, joints, 3),
    `inertial` (samples, times, 6: acceleration and angular velocity), `label`, `train` (the split by subjects),
    `label_names`. UTD-MHAD (Chen, Jafari and Kehtarnavaz 2015) is 861 recordings of 27 actions by 8 people.

    Attributes:
        path: the file, or a folder that holds utd_mhad.npz; empty: the folder in the variable CHIASM_DATA, or "data".
        sensors: which of them are sources, in order.
        frames: of depth, evenly spaced.
        pixels: a side of a depth frame, by averaging squares.
        steps: times of skeleton, accelerometer and gyroscope each, by averaging.
        standardise: "global", "feature" or "none", by the training samples.

    The skeleton is taken relative to its mean in the first frame, so that where a person stands says nothing.
    """

    whereabouts: ClassVar[tuple[str, ...]] = ("path",)

    path: str = ""
    sensors: Annotated[tuple[Sensor, ...], Meta(min_length=1)] = ("depth", "skeleton", "accelerometer", "gyroscope")
    frames: Annotated[int, Meta(ge=1)] = 4
    pixels: Annotated[int, Meta(ge=1)] = 16
    steps: Annotated[int, Meta(ge=1)] = 16
    standardise: Standard = "global"

    def __post_init__(self) -> None:
        validate(self)
        if len(set(self.sensors)) < len(self.sensors):
            raise ChiasmError(f"sensors = {list(self.sensors)}: a sensor is named twice")

    @property
    def source_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The sensors, which are known without the recordings."""
        return self.sensors

    def describe(self) -> Description:
        """Return the sensors as sources: depth a video, the others sequences.

        Raises:
            ChiasmError: the file lacks an array, or its sizes are no multiples of those asked for.
        """
        arrays = self._arrays()
        train = arrays["train"].astype(bool)
        shapes = {name: self._reduced(name, arrays, slice(0, 1)).shape[1:] for name in self.sensors}
        counts = np.bincount(arrays["label"][~train])
        return Description(
            sources=tuple(Source(n, s, "video" if n == "depth" else "sequence") for n, s in shapes.items()),
            classes=self._classes(arrays),
            train=int(train.sum()),
            test=int((~train).sum()),
            chance=float(counts.max() / counts.sum()),
            note="One action recorded by several sensors at once, tested on people who were not trained on.",
        )

    def load(self, seed: int) -> Data:
        """Return the sets, the same for every seed; the split is the file's."""
        arrays = self._arrays()
        train = arrays["train"].astype(bool)
        target = torch.from_numpy(arrays["label"].astype(np.int64))
        rows = torch.from_numpy(train)
        sets: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]] = ({}, {})
        baseline: dict[str, torch.Tensor] = {}
        for name in self.sensors:
            x, baseline[name] = standardised(
                self._reduced(name, arrays, slice(None)), np.flatnonzero(train), self.standardise
            )
            sets[0][name], sets[1][name] = x[rows], x[~rows]
        return Data(Batch(sets[0], target[rows], baseline), Batch(sets[1], target[~rows], baseline))

    def content_key(self) -> str:
        """Return the sha256 of the arrays in use."""
        return digest_of(self._arrays())

    def _arrays(self) -> dict[str, NDArray[Any]]:
        place = data_folder(self.path)
        place = place / FILE if place.is_dir() or not self.path else place
        if not place.exists():
            raise ChiasmError(f"there is no '{place}'; expected the recordings in path or in the variable CHIASM_DATA")
        archive = Archive(place)
        wanted = dict.fromkeys([*(ARRAYS[name][0] for name in self.sensors), "label", "train"])
        for name in wanted:
            if name not in archive:
                raise unknown("array", name, list(archive), f"'{place}'")
        arrays = {name: archive[name] for name in wanted}
        samples = {name: len(x) for name, x in arrays.items()}
        if len(set(samples.values())) > 1:
            counts = ", ".join(f"{name} {count}" for name, count in samples.items())
            raise ChiasmError(
                f"'{data_folder(self.path)}': every sensor must have every sample, but they hold: {counts}"
            )
        for name, x in arrays.items():
            if x.dtype.kind == "f" and not np.isfinite(x).all():
                raise ChiasmError(f"'{place}': array '{name}' holds numbers that are not finite")
        if not 0 < int(arrays["train"].astype(bool).sum()) < len(arrays["train"]):
            raise ChiasmError(
                f"'{data_folder(self.path)}': array 'train' leaves a set empty; expected true and false in it"
            )
        if "label_names" in archive:
            arrays["label_names"] = archive["label_names"]
        return arrays

    def _classes(self, arrays: dict[str, NDArray[Any]]) -> tuple[str, ...]:
        count = int(arrays["label"].max()) + 1
        names = [str(name) for name in arrays.get("label_names", [])]
        return tuple(names if len(names) == count else map(str, range(count)))

    def _reduced(self, sensor: str, arrays: dict[str, NDArray[Any]], rows: slice) -> NDArray[Any]:
        array, part = ARRAYS[sensor]
        x = arrays[array][rows]
        if sensor == "depth":
            if x.ndim != 4 or x.shape[2] % self.pixels or x.shape[3] % self.pixels or self.frames > x.shape[1]:
                raise ChiasmError(
                    f"depth of shape {x.shape[1:]} has no {self.frames} frames of {self.pixels} pixels a side; "
                    f"expected at most as many frames, and a side that divides it"
                )
            chosen = np.linspace(0, x.shape[1] - 1, self.frames).round().astype(int)
            squares = (x.shape[2] // self.pixels, x.shape[3] // self.pixels)
            shape = (len(x), self.frames, self.pixels, squares[0], self.pixels, squares[1])
            return np.asarray(x[:, chosen].reshape(shape).astype(np.float32).mean((3, 5)))
        x = x.reshape(len(x), x.shape[1], -1, 3) if sensor == "skeleton" else x[..., part]
        if sensor == "skeleton":
            x = x - x[:, :1].mean(2, keepdims=True)
        if x.shape[1] % self.steps:
            raise ChiasmError(f"{sensor}: its {x.shape[1]} times are no multiple of steps = {self.steps}")
        spans = x.reshape(len(x), self.steps, x.shape[1] // self.steps, -1).astype(np.float32)
        return np.asarray(spans.mean(2))
