"""Windows: the columns of an image that the left and the right source show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

Layout = Literal["in_place", "cropped"]
SOURCES = ("left", "right")


@final
@dataclass(frozen=True, slots=True)
class Windows:
    """The left and the right columns of an image.

    Attributes:
        width: columns of each window, from the left and from the right edge.
        layout: "in_place": an image of full width, zero in all other columns; "cropped": the window alone.

    >>> views = Windows(1, "in_place")({"left": torch.tensor([[[[1, 2, 3]]]]), "right": torch.tensor([[[[4, 5, 6]]]])})
    >>> views["left"].tolist(), views["right"].tolist()
    ([[[[1, 0, 0]]]], [[[[0, 0, 6]]]])
    """

    width: int
    layout: Layout

    def __call__(self, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Cut (..., height, columns) of both sources; what is returned shares no memory with what was given."""
        views = {}
        for name, x in whole.items():
            columns = slice(0, self.width) if name == "left" else slice(x.shape[-1] - self.width, x.shape[-1])
            if self.layout == "cropped":
                views[name] = x[..., columns].clone(memory_format=torch.contiguous_format)
            else:
                views[name] = torch.zeros_like(x)
                views[name][..., columns] = x[..., columns]
        return views

    def shape(self, whole: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return what (channels, height, columns) of a whole image become."""
        return whole if self.layout == "in_place" else (*whole[:2], self.width)
