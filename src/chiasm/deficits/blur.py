"""Blur: a source seen at a coarser grain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch.nn.functional import interpolate

from chiasm.deficits.arguments import is_number, require, require_source, source_of
from chiasm.deficits.deficit import Deficit
from chiasm.deficits.positions import Dims, extent, require_dims
from chiasm.errors import ChiasmError
from chiasm.sources import Batch


@final
@dataclass(frozen=True, slots=True)
class Blur(Deficit):
    """Sample a source down by a factor and up again, bilinearly, with antialias on the way down.

    The deficit of Kleinman, Achille & Soatto (CVPR 2023), there from 32 to 8 pixels and back. An axis of E positions
    goes through floor(E / factor) of them, so that every factor above 1 loses something. Leading axes (channels, time)
    are kept. Half precision is computed in float32.

    Attributes:
        source: the source to blur.
        factor: how many times coarser: above 1, whole or not, up to the extent of the axes (checked at the call).
        dims: how many of the last axes are blurred, 1 or 2; None: the last two of (n, H, W) and of anything with more
            axes, the last of (n, L).

    Raises:
        ChiasmError: when made, for a factor or dims out of range; when called, for an unknown source, a dtype that is
            not floating, or a factor beyond the extent.

    >>> x = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    >>> batch = Batch({"left": x}, torch.zeros(1, dtype=torch.int64), {"left": x[0]})
    >>> Blur("left", 4)(batch, torch.Generator()).sources["left"]
    tensor([[2., 2., 2., 2.]])
    """

    source: str
    factor: float
    dims: Dims | None = None
    tag: ClassVar[str] = "blur"
    verb: ClassVar[str] = "blurring"
    colour: ClassVar[str] = "MUTED"
    hatch: ClassVar[str] = "...."
    example: ClassVar[str] = "blur(right, 2)"
    pointwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_source(self.tag, "source", self.source)
        require(is_number(self.factor) and self.factor > 1, self.tag, "factor", self.factor, "a number above 1")
        require_dims(self.tag, self.dims)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        x = source_of(batch, self.source, self.tag, real=True)
        size = extent(x, self.dims, self.tag, self.source)
        if self.factor > min(size):
            raise ChiasmError(
                f"blur: factor is {self.factor} but source '{self.source}' is only {min(size)} positions wide; "
                f"expected a number above 1, up to {min(size)}"
            )
        # One axis is blurred as an image one pixel high: torch has no antialias for one axis.
        high, wide = (1, *size)[-2:]
        coarse = (max(1, int(high / self.factor)), int(wide / self.factor))
        flat = x.reshape(len(x), -1, high, wide)
        if x.dtype in (torch.float16, torch.bfloat16):
            flat = flat.float()  # the CPU has no antialias in half precision
        small = interpolate(flat, size=coarse, mode="bilinear", antialias=True)
        back = interpolate(small, size=(high, wide), mode="bilinear")
        return batch.with_source(self.source, back.to(x.dtype).reshape(x.shape))
