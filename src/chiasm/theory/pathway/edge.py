"""Where gradient flow stops being the truth: the steps at which an uneven split of a mode is unstable.

At a minimum the sharpness of half the squared residual is sum_i dK_i/dH_i, from a balanced start
D sum_i K_i^(2 - 2/D), and gradient descent stays there while that is at most 2 / step. From depth 3 on an uneven split
is sharper than an even one. With a step between the two limits descent oscillates, the residual is positive in the
mean and feeds the weaker pathways, until the split lies at the edge. At depth 1 and 2 the sharpness does not depend on
the split, and descent conserves p_a - p_b and p_a / p_b at every step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import broadcast, check, check_int
from chiasm.theory.pathway import coordinates
from chiasm.theory.pathway.coordinates import Floats
from chiasm.theory.pathway.pathways import Pathways

#: Bisections: the interval is halved to rounding.
HALVINGS = 60


def sharpness(system: Pathways, outputs: Floats) -> Floats:
    """Return the largest curvature of half the squared residual at a minimum, (*cells,).

    Args:
        system: the cells.
        outputs: (..., *cells, n) outputs K that add up to the strength.

    Raises:
        ChiasmError: outputs for another number of pathways.

    Source: Half the squared residual has the Hessian g g^T there, g the gradient of the summed output; compared with
    the Hessian that torch computes.

    >>> from chiasm.theory.pathway.pathways import pathways
    >>> sharpness(pathways([2.0, 2.0], depth=4, output=0.01), np.array([[2.0, 0.0], [1.0, 1.0]])).round(3).tolist()
    [11.314, 8.0]
    """
    if np.shape(outputs)[-1:] != (system.count,):
        raise ChiasmError(f"outputs: their last axis must hold the {system.count} pathways; got {np.shape(outputs)}")
    p = coordinates.weight(outputs, system.depth, system.gap)
    return np.asarray(np.where(system.missing, 0.0, coordinates.slope(p, system.depth, system.gap)).sum(-1))


def edge_steps(strength: ArrayLike, depth: ArrayLike, count: int = 2) -> tuple[Floats, Floats]:
    """Return the steps beyond which one pathway alone, and an even split, are unstable, from a balanced start.

    Args:
        strength: (*cells,) s > 0.
        depth: (*cells,) D >= 1, the same for all pathways.
        count: the number n of pathways.

    Returns:
        2 / (D s^(2 - 2/D)) and 2 / (D n (s/n)^(2 - 2/D)), two of (*cells,). Between them uneven splits become even; at
        depth 2 they are equal, and at depth 1 2 and 2 / n: the sharpness of depth 1 is n, whatever the split.

    >>> [round(float(x), 4) for x in edge_steps(3.873, 3)]
    [0.1096, 0.1381]
    """
    check_int("count", count)
    s, d = check("strength", strength, above=0), check("depth", depth, least=1, whole=True)
    power = 2 - 2 / d
    return 2 / (d * s**power), 2 / (d * count * (s / count) ** power)


def edge_share(strength: ArrayLike, depth: ArrayLike, step: ArrayLike, count: int = 2) -> Floats:
    """Return the largest share of a mode that one pathway can keep under gradient descent, the others being alike.

    Args:
        strength: (*cells,) s > 0.
        depth: (*cells,) D >= 3.
        step: (*cells,) learning rate.
        count: the number n of pathways, 2 or more.

    Returns:
        (*cells,) in [1/n, 1]: where the sharpness is 2 / step; 1 where even one pathway alone is stable; 1/n where not
        even an even split is.

    Raises:
        ChiasmError: a depth below 3, at which the sharpness does not depend on the split.

    >>> edge_share(3.873, 3, [0.1, 0.12, 0.13, 0.15]).round(3).tolist()
    [1.0, 0.897, 0.761, 0.5]
    """
    check_int("count", count, 2)
    s, d = check("strength", strength, above=0), check("depth", depth, least=3, whole=True)
    s, d, eta = broadcast(strength=s, depth=d, step=check("step", step, above=0, finite=False))
    power = 2 - 2 / d
    low, high = np.full(s.shape, 1 / count), np.ones(s.shape)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        curved = d * s**power * (middle**power + (count - 1) * ((1 - middle) / (count - 1)) ** power)
        stable = eta * curved <= 2
        low, high = np.where(stable, middle, low), np.where(stable, high, middle)
    return (low + high) / 2
