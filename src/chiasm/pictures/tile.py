"""Tiles: the rectangles of a figure that hold one picture each, with a heading that says how it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chiasm.pictures.style import MUTED, WIDTH, canvas

#: Inches: of a line of text; from a tile's left edge to its heading.
LINE, EDGE = 0.185, 0.12


@dataclass(frozen=True)
class Tile:
    """A rectangle of a figure, in inches from the figure's lower left.

    >>> figure, (left, right) = tiles(2, height=3)
    >>> figure.get_size_inches(), right.x
    (array([8.4, 3. ]), 4.2)
    """

    figure: Figure
    x: float
    y: float
    width: float
    height: float

    def axes(self, left: float, right: float, bottom: float, top: float) -> Axes:
        """Return axes with margins in inches."""
        width, height = self.figure.get_size_inches()
        size = (self.width - left - right) / width, (self.height - bottom - top) / height
        return self.figure.add_axes((*self.at(left, bottom), *size))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return a place, in inches from the tile's lower left, as fractions of the figure."""
        width, height = self.figure.get_size_inches()
        return (self.x + x) / width, (self.y + y) / height

    def heading(self, title: str, lines: Sequence[str]) -> None:
        """Write a title and muted lines below it, from the tile's left edge."""
        top = self.height - 0.1
        self.figure.text(*self.at(EDGE, top), title, fontweight="bold", fontsize=10.5, va="top")
        for i, line in enumerate(lines):
            self.figure.text(*self.at(EDGE, top - 0.22 - i * LINE), line, color=MUTED, va="top")


def heading_height(lines: int) -> float:
    """Return the inches that a heading with so many lines below its title takes at the top of a tile."""
    return 0.38 + LINE * lines


def tiles(n: int, height: float, most: int = 3) -> tuple[Figure, list[Tile]]:
    """Return a figure with n tiles of equal size, `most` at most beside each other, from the upper left on."""
    columns = 1 if n == 1 else 2 if n in (2, 4) else min(n, most)
    rows = -(-n // columns)
    figure = canvas(rows * height, columns * WIDTH)
    grid = [Tile(figure, (i % columns) * WIDTH, (rows - 1 - i // columns) * height, WIDTH, height) for i in range(n)]
    return figure, grid
