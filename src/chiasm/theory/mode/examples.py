"""Small tasks whose modes are known: outputs by sources."""

from __future__ import annotations

import numpy as np

from chiasm.networks.deep_linear import TASKS_BY_SENSORS
from chiasm.theory.arguments import Floats

#: Outputs by sources of Kleinman, Achille, Soatto 2023 (arXiv:2210.04643), figure 2: outputs 1, 2 and 5 lean on each
#: other's sources, 3 and 4 only on their own; source 3 says most. Singular values 4.421, 1.732, 1.567, 1, 1.
TASKS = TASKS_BY_SENSORS

#: Properties by classes of the code of the same paper: two that classes share, four of their own. Singular values
#: 1.732, 1.732, 1, 1; without the third property 1.732, 1.618, 1, 0.618.
PROPERTIES = (
    (1.0, 1.0, 0.0, 0.0),
    (0.0, 0.0, 1.0, 1.0),
    (1.0, 0.0, 0.0, 0.0),
    (0.0, 1.0, 0.0, 0.0),
    (0.0, 0.0, 1.0, 0.0),
    (0.0, 0.0, 0.0, 1.0),
)


def hierarchy(signed: bool = False) -> Floats:
    """Return the hierarchy of four things and seven properties, from what all share to what one has: (7, 4).

    Args:
        signed: whether a property speaks against the things that lack it, with two properties for each contrast.

    Rows are of norm 1. Singular values 1.732, 1.414, 1, 1; signed 2, 1.414, 1 and one 0.

    Source: Saxe, McClelland, Ganguli 2019 (arXiv:1810.10531), figure 3, as Kleinman et al. 2023 use it in their code.

    >>> np.linalg.svd(hierarchy(signed=True))[1].round(3).tolist()
    [2.0, 1.414, 1.0, 0.0]
    """
    plain = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], *np.eye(4).tolist()], np.float64)
    contrasts = np.array([[1, 1, -1, -1], [1, 0, 0, -1], [0, 1, -1, 0]], np.float64)
    # For a contrast and against it, the outer pairs of rows being each other's opposite.
    both = np.vstack([np.ones(4), contrasts[0], -contrasts[0], contrasts[1:], -contrasts[:0:-1]])
    rows = both if signed else plain
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
