"""The numbers that a figure shows, read off the figure itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import Collection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Row = tuple[int, str, int, float, float, float | None]


def drawn(figure: Figure) -> pl.DataFrame:
    """Return every point, line and field of a figure as a table.

    Returns:
        A row a point: axes (counted from 0), series (the label of a line, "" for none), number (of the line or field in
        its axes), x and y as drawn, value (of a field at that place; null elsewhere).
    """
    import polars as pl

    rows = [row for i, axes in enumerate(figure.axes) for row in _rows(i, axes)]
    schema = {"axes": pl.Int64, "series": pl.String, "number": pl.Int64}
    return pl.DataFrame(rows, {**schema, "x": pl.Float64, "y": pl.Float64, "value": pl.Float64}, orient="row")


def _rows(i: int, axes: Any) -> Iterator[Row]:
    artists = [*axes.lines, *axes.collections, *axes.images]
    for number, artist in enumerate(artists):
        label = str(artist.get_label())
        name = "" if label.startswith("_") else label
        for x, y, value in _points(artist):
            if np.isfinite(x) and np.isfinite(y):
                yield i, name, number, float(x), float(y), value


def _points(artist: Any) -> Iterator[tuple[float, float, float | None]]:
    if isinstance(artist, QuadMesh):
        corners = np.asarray(artist.get_coordinates(), dtype=float)
        middles = (corners[:-1, :-1] + corners[1:, 1:]) / 2
        pairs = zip(middles.reshape(-1, 2), _plain(artist.get_array()).ravel(), strict=True)
        yield from ((float(x), float(y), float(v)) for (x, y), v in pairs)
    elif isinstance(artist, AxesImage):
        values = _plain(artist.get_array())
        if values.ndim == 2:
            yield from ((float(j), float(i), float(v)) for (i, j), v in np.ndenumerate(values))
    elif isinstance(artist, Collection):
        offsets = _plain(artist.get_offsets())
        paths = [path.vertices for path in artist.get_paths()] if len(offsets) <= 1 else [offsets]
        yield from ((float(x), float(y), None) for points in paths for x, y in np.asarray(points).reshape(-1, 2))
    else:
        xs, ys = (np.atleast_1d(_plain(ends)) for ends in (artist.get_xdata(), artist.get_ydata()))
        yield from ((float(x), float(y), None) for x, y in zip(xs, ys, strict=True))


def _plain(values: Any) -> NDArray[np.float64]:
    """An array of numbers, NaN where it is masked."""
    return np.asarray(np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan))
