"""What is to be learned: a matrix of outputs by inputs, its sources, its connected blocks and their singular modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiasm.errors import ChiasmError, unknown
from chiasm.theory.arguments import Floats, numbers

Sources = Mapping[str, int | slice | Sequence[int]]


@dataclass(frozen=True)
class ConnectedBlock:
    """Outputs and inputs that are tied to each other, and to nothing else."""

    rows: NDArray[np.intp]  # (m,) indices of its outputs
    columns: NDArray[np.intp]  # (n,) indices of its inputs
    left: Floats  # (m, modes) singular vectors of the outputs
    values: Floats  # (modes,) singular values above 0, falling
    right: Floats  # (n, modes) singular vectors of the inputs

    @property
    def place(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Indices of its rows and columns in the whole matrix."""
        return self.rows[:, None], self.columns


@dataclass(frozen=True)
class LinearTask:
    """An input-output correlation matrix with named sources.

    Attributes:
        matrix: (outputs, inputs).
        sources: the columns of each source, by name; no column belongs to two.

    >>> task([[1.0, 0.0], [0.0, 3.0]], {"left": 0, "right": slice(1, 2)}).modes()[1].tolist()
    [3.0, 1.0]
    """

    matrix: Floats
    sources: dict[str, NDArray[np.intp]]

    @property
    def owners(self) -> list[str | None]:
        """(inputs,): the source that each column belongs to, if any."""
        owner = {int(column): name for name, columns in self.sources.items() for column in columns}
        return [owner.get(column) for column in range(self.matrix.shape[1])]

    def columns(self, name: str) -> NDArray[np.intp]:
        """Return the columns of a source; an unknown name is a ChiasmError."""
        if name not in self.sources:
            raise unknown("source", name, self.sources)
        return self.sources[name]

    def blocks(self, start: Floats | None = None) -> list[ConnectedBlock]:
        """Return the connected blocks of matrix and start: what is in one block never moves what is in another.

        Singular vectors are taken block by block, so that equal singular values of two blocks do not mix them.
        """
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        tied = self.matrix != 0
        if start is not None:
            tied |= start != 0
        outputs, inputs = tied.shape
        square = np.zeros((outputs + inputs,) * 2, bool)
        square[:outputs, outputs:] = tied
        _, label = connected_components(csr_array(square), directed=False)
        blocks = []
        for one in dict.fromkeys(label[:outputs].tolist()):
            rows, columns = np.flatnonzero(label[:outputs] == one), np.flatnonzero(label[outputs:] == one)
            if len(columns):
                blocks.append(ConnectedBlock(rows, columns, *factorised(self.matrix[np.ix_(rows, columns)])))
        return blocks

    def around(self, name: str) -> ConnectedBlock:
        """Return the connected blocks that a source is part of, as one; a source that says nothing is a ChiasmError."""
        blocks = [block for block in self.blocks() if np.isin(block.columns, self.columns(name)).any()]
        if not blocks:
            raise ChiasmError(
                f"source '{name}' says nothing of any output: its columns are 0, and nothing depends on it"
            )
        rows = np.concatenate([block.rows for block in blocks])
        columns = np.concatenate([block.columns for block in blocks])
        return ConnectedBlock(rows, columns, *LinearTask(self.matrix[np.ix_(rows, columns)], {}).modes())

    def modes(self) -> tuple[Floats, Floats, Floats]:
        """Return left (outputs, modes), values (modes,), right (inputs, modes), the strongest mode first.

        A mode is a singular value above rounding; directions without strength are no modes.
        """
        blocks = self.blocks()
        modes = sum(len(block.values) for block in blocks)
        left, right = np.zeros((self.matrix.shape[0], modes)), np.zeros((self.matrix.shape[1], modes))
        values, k = np.zeros(modes), 0
        for block in blocks:
            end = k + len(block.values)
            values[k:end], left[block.rows, k:end], right[block.columns, k:end] = block.values, block.left, block.right
            k = end
        order = np.argsort(-values.round(12), kind="stable")
        return left[:, order], values[order], right[:, order]

    def without(self, *names: str) -> LinearTask:
        """Return the task whose named sources say nothing of any output: their columns are 0."""
        matrix = self.matrix.copy()
        for name in names:
            matrix[:, self.columns(name)] = 0
        return LinearTask(matrix, self.sources)


def task(matrix: ArrayLike | LinearTask, sources: Sources | None = None) -> LinearTask:
    """Return a checked task.

    Args:
        matrix: (outputs, inputs), the correlation of outputs with whitened inputs; a task is returned as it is.
        sources: the columns of each source, counted from 0: an index, a slice or several indices; without it every
            column is a source by itself, named by its number from 1 on: "1", "2", ...

    Raises:
        ChiasmError: for a matrix that is not finite, empty or not two-dimensional, a column that does not exist, or
            one that two sources share.
    """
    if isinstance(matrix, LinearTask):
        return matrix
    values = numbers("matrix", matrix).copy()
    if values.ndim != 2 or 0 in values.shape:
        raise ChiasmError(f"the matrix has shape {values.shape}; expected (outputs, inputs), neither of them 0")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise ChiasmError(f"the matrix holds {values[row, column]} at row {row}, column {column}; it must be finite")
    if not values.any():
        raise ChiasmError("the matrix is 0 everywhere: there is no mode to learn")
    width = values.shape[1]
    if sources is None:
        return LinearTask(values, {str(i + 1): np.array([i]) for i in range(width)})
    named: dict[str, NDArray[np.intp]] = {}
    owner: dict[int, str] = {}
    for name, given in sources.items():
        try:
            columns = np.atleast_1d(np.arange(width)[given if isinstance(given, int | slice) else list(given)])
        except (IndexError, TypeError):
            raise ChiasmError(
                f"source '{name}' has columns {given}, but the matrix has columns 0 to {width - 1}"
            ) from None
        if not len(columns):
            raise ChiasmError(f"source '{name}' has none of the {width} columns; give an index, a slice or a list")
        for column in columns.tolist():
            if owner.setdefault(column, name) != name:
                raise ChiasmError(f"column {column} belongs to the sources '{owner[column]}' and '{name}'; only to one")
        named[name] = columns
    return LinearTask(values, named)


def factorised(matrix: Floats) -> tuple[Floats, Floats, Floats]:
    """Return left, values, right of the singular modes above rounding, the signs fixed."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    kept = values > max(matrix.shape) * np.finfo(float).eps * values[0]
    left, right = left[:, kept], right[kept].T
    signs = np.sign(left[np.abs(left.round(9)).argmax(0), np.arange(kept.sum())])
    return left * signs, values[kept], right * signs
