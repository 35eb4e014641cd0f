"""A spoken digit and a written one: the same, so that either tells the class, or any two, whose sum only both tell."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, final

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.randomness import generator
from chiasm.sources import Batch, Source
from chiasm.tasks.archive import Archive, data_folder, digest_of
from chiasm.tasks.scaling import standardised
from chiasm.tasks.task import Data, Description, Task, validate

#: The arrays that are read, by file.
ARRAYS = {
    "fsdd.npz": ("logmel", "label", "train"),
    "mnist.npz": ("train_images", "train_labels", "test_images", "test_labels"),
}


@final
class SpokenDigits(Task, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="spoken_digits"):
    """Hear one digit and see one: with equal digits each source tells the class, with any two only both tell their sum.

    Recordings are log-mel spectrograms of the Free Spoken Digit Dataset, pictures those of MNIST.

    Attributes:
        path: a folder with fsdd.npz (`logmel` (samples, mel, time), `label`, `train`) and mnist.npz (`train_images`,
            `train_labels`, `test_images`, `test_labels`); empty: that in the variable CHIASM_DATA, or "data".
        pairs: "same": a recording and a picture of one digit, which is the class; "sum": of two independent digits, the
            class is their sum modulo 10, of which either alone knows nothing.
        train: training pairs, drawn for each seed from the training recordings and pictures.
        test: test pairs, drawn once from those for testing.
    """

    whereabouts: ClassVar[tuple[str, ...]] = ("path",)
    source_names: ClassVar[tuple[str, ...]] = ("audio", "image")

    path: str = ""
    pairs: Literal["same", "sum"] = "same"
    train: Annotated[int, Meta(ge=10)] = 5000
    test: Annotated[int, Meta(ge=10)] = 2000

    def __post_init__(self) -> None:
        validate(self)

    def describe(self) -> Description:
        """Return "audio" (1, mel, time) and "image" (1, height, width), ten classes."""
        arrays = self._arrays()
        shapes = {"audio": arrays["logmel"].shape[1:], "image": arrays["train_images"].shape[1:]}
        return Description(
            sources=tuple(Source(name, (1, *shape), "image") for name, shape in shapes.items()),
            classes=tuple(str(digit) for digit in range(10)),
            train=self.train,
            test=self.test,
            chance=0.1,
            note="A spoken and a written digit, equal ones." if self.pairs == "same" else "The sum of two digits.",
        )

    def load(self, seed: int) -> Data:
        """Return the pairs of a seed."""
        arrays = self._arrays()
        heard = arrays["train"].astype(bool)
        sets = []
        for which, rows, images, labels, count, stream in (
            ("train", np.flatnonzero(heard), "train_images", "train_labels", self.train, generator(seed, "task train")),
            ("test", np.flatnonzero(~heard), "test_images", "test_labels", self.test, generator(0, "task test")),
        ):
            audio, image = self._drawn(arrays["label"][rows], arrays[labels], count, stream, which)
            spoken, written = arrays["label"][rows][audio], arrays[labels][image]
            target = spoken if self.pairs == "same" else (spoken.astype(np.int64) + written) % 10
            sets.append((arrays["logmel"][rows][audio], arrays[images][image], target.astype(np.int64)))
        scaled, baseline = {}, {}
        for i, name in enumerate(self.source_names):
            both = np.concatenate([sets[0][i], sets[1][i]])[:, None]
            scaled[name], baseline[name] = standardised(both, np.arange(self.train), "global")
        parts = [slice(0, self.train), slice(self.train, None)]
        train, test = (
            Batch({name: x[part] for name, x in scaled.items()}, torch.from_numpy(one[2]), baseline)
            for part, one in zip(parts, sets, strict=True)
        )
        return Data(train, test)

    def content_key(self) -> str:
        """Return the sha256 of the arrays in use."""
        return digest_of(self._arrays())

    def _drawn(
        self, spoken: NDArray[Any], written: NDArray[Any], count: int, stream: torch.Generator, which: str
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw pairs: a recording, uniformly, and a picture, of the same digit where the pairs are the same."""
        audio = torch.randint(len(spoken), (count,), generator=stream).numpy()
        chance = torch.rand(count, generator=stream).numpy()
        if self.pairs == "sum":
            return audio, (chance * len(written)).astype(np.int64)
        image = np.empty(count, np.int64)
        for digit in range(10):
            own, places = np.flatnonzero(written == digit), spoken[audio] == digit
            if places.any() and not len(own):
                raise ChiasmError(
                    f"'{data_folder(self.path)}': mnist.npz has no picture of {digit} for its {which} set"
                )
            image[places] = own[(chance[places] * len(own)).astype(np.int64)]
        return audio, image

    def _arrays(self) -> dict[str, NDArray[Any]]:
        folder = data_folder(self.path)
        arrays = {}
        for file, names in ARRAYS.items():
            if not (folder / file).is_file():
                raise ChiasmError(
                    f"'{folder}' has no {file}; expected a folder with {' and '.join(ARRAYS)} in path or in the "
                    f"variable CHIASM_DATA"
                )
            archive = Archive(folder / file)
            for name in names:
                if name not in archive:
                    raise unknown("array", name, list(archive), f"'{folder / file}'")
                arrays[name] = archive[name]
        return arrays
